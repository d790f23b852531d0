package store

import (
	"context"
	"fmt"

	"linefit/audit"
)

// Hold holds the log against a checkpoint of it that someone keeps, as opening
// does with Options.Anchors; later openings of this store hold it against it
// too. If the log has another past, or a shorter one, the store becomes
// read-only, and the error is a *StateError with the finding. A checkpoint that
// is none of this log's is a *audit.FindingError and changes nothing. Run must
// be running.
func (s *Store) Hold(ctx context.Context, anchor []byte) error {
	return s.do(ctx, func() error {
		if h := s.State(); h.State != OK {
			return &StateError{Health: h}
		}
		signed, f := s.core.held(anchor, audit.FindRollback)
		switch {
		case f == nil:
			s.keep(signed)
			return nil
		case f.Code != audit.FindRollback && f.Code != audit.FindFork:
			return &audit.FindingError{Finding: *f}
		}
		f.Detail = "anchor: " + f.Detail
		if s.core.accepted(*f) {
			return nil
		}
		s.opt.Anchors = append(s.opt.Anchors, anchor)
		failed := &StateError{Health: alarm([]audit.Finding{*f})}
		s.stop(failed)
		return failed
	})
}

// keep takes an anchor in place of the older ones of its shard.
func (s *Store) keep(signed audit.Checkpoint) {
	kept := [][]byte{signed.Note}
	for _, a := range s.opt.Anchors {
		if old, err := audit.ParseCheckpoint(a); err != nil || old.Origin != signed.Origin || old.Size > signed.Size {
			kept = append(kept, a)
		}
	}
	s.opt.Anchors = kept
}

// alarm is the state of a log that is not what it must be.
func alarm(findings []audit.Finding) Health {
	reason := findings[0].String()
	if n := len(findings); n > 1 {
		reason += fmt.Sprintf(" (and %d more findings)", n-1)
	}
	return Health{State: ReadOnly, Cause: CauseAlarm, Findings: findings, Reason: reason}
}
