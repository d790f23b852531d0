package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// probeFile is written to see whether the disk takes a write.
const probeFile = "probe"

// writable tries whether the disk takes a write, a flush and a removal.
func (o *Options) writable() error {
	name := filepath.Join(o.Dir, probeFile)
	f, err := o.FS.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte("linefit\n"), 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), o.FS.Remove(name))
}

// closeAsk is the time between two looks at the disk while Badger closes.
const closeAsk = time.Second

// closeBadger closes the derived state. Badger flushes its memory first and
// tries that again without end: on a disk that takes no writes it is left alone,
// with an error, and ends when the disk or the process does. Nothing is lost by
// that: it is brought up from the segments.
func (o *Options) closeBadger(db *badger.DB) error {
	done := make(chan error, 1)
	go func() { done <- db.Close() }()
	tick := time.NewTicker(closeAsk)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			if err := o.writable(); err != nil {
				return fmt.Errorf("audit/store: derived state cannot be closed: %w", err)
			}
		}
	}
}
