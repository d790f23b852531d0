package plant

import (
	"context"
	"errors"
	"os"
	"time"

	"linefit/audit/store"
	"linefit/station/mes"
)

// Care is what a running station does for its log by itself.
type Care struct {
	// Archive is the folder, on another disk, to which closed shards go; "": they
	// stay. It must be there: a disk that is not mounted is waited for.
	Archive string
	// ScrubEvery is the time between two readings of the whole log for bit rot; 0:
	// never. The first one comes after a twenty-fourth of it.
	ScrubEvery time.Duration
	// ScrubRate bounds that reading, in bytes for a second.
	ScrubRate int64
}

// archiveEvery is the time between two looks for shards that are closed.
const archiveEvery = time.Hour

// keepArchive moves closed shards to the archive, until ctx is done. What keeps
// one here (the MES has not taken an event) is waited for.
func (pl *Plant) keepArchive(ctx context.Context) error {
	if pl.Plan.Care.Archive == "" || pl.Store == nil {
		return nil
	}
	tick := time.NewTicker(archiveEvery)
	defer tick.Stop()
	for {
		pl.archive(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (pl *Plant) archive(ctx context.Context) {
	dir, log := pl.Plan.Care.Archive, pl.Plan.Logger
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		log.Warn().Str("archive", dir).Msg("the archive is not there: closed shards stay here")
		return
	}
	done, err := pl.Store.Archive(ctx, dir, mes.Archivable)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		log.Warn().Err(err).Msg("closed shards stay here")
	case len(done.Shards) > 0:
		log.Info().Int("shards", len(done.Shards)).Uint64("entries", done.Entries).Str("archive", dir).Msg("closed shards archived")
	}
}

// keepScrub reads the whole log again and again, slowly, until ctx is done.
func (pl *Plant) keepScrub(ctx context.Context) error {
	every := pl.Plan.Care.ScrubEvery
	if every <= 0 || pl.Store == nil {
		return nil
	}
	next := time.NewTimer(every / 24)
	defer next.Stop()
	for {
		select {
		case <-next.C:
		case <-ctx.Done():
			return nil
		}
		pl.scrub(ctx)
		next.Reset(every)
	}
}

func (pl *Plant) scrub(ctx context.Context) {
	log := pl.Plan.Logger
	r, err := pl.Store.Scrub(ctx, pl.Plan.Care.ScrubRate)
	var state *store.StateError
	switch {
	case ctx.Err() != nil:
	case errors.As(err, &state) && state.Cause == store.CauseAlarm:
		for _, f := range r.Findings {
			log.Error().Str("finding", f.String()).Msg("the log is damaged: no unit is started")
		}
	case err != nil: // a log that stands for another reason is read the next time
		log.Warn().Err(err).Msg("the log could not be read through")
	default:
		log.Info().Uint64("entries", r.Entries).Int64("bytes", r.Bytes).Msg("the whole log was read and is good")
	}
}
