package plant

import (
	"time"

	"github.com/rs/zerolog"

	"linefit/audit/store"
	"linefit/station/witness"
)

// Witnesses says who cosigns the log's checkpoints.
type Witnesses struct {
	Clients []*witness.Client
	Keep    string        // folder for what they have cosigned
	Every   time.Duration // between two pushes
}

// keeper is what has a store's checkpoints cosigned, nil where nobody does.
func (w *Witnesses) keeper(s *store.Store, logger zerolog.Logger) *witness.Keeper {
	if w == nil || len(w.Clients) == 0 {
		return nil
	}
	return witness.NewKeeper(witness.Options{Prove: s.Since, Clients: w.Clients, Keep: w.Keep, Every: w.Every, Logger: logger})
}
