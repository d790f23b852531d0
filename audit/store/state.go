package store

import (
	"errors"
	"fmt"

	"linefit/audit"
)

// A State is what a store can do at the moment.
type State string

const (
	OK       State = "ok"        // appends and reads
	ReadOnly State = "read_only" // an opening check failed: reads only, see Findings
	Stopped  State = "stopped"   // an append failed: reads only, until Resume
	Closed   State = "closed"    // Run has ended
)

// A Cause is why a store does not append.
type Cause string

const (
	CauseAlarm    Cause = "alarm"     // the log is not what it must be
	CauseDiskFull Cause = "disk_full" // free space is below the reserve, or a write met ENOSPC
	CauseWrite    Cause = "write"     // a write or flush failed
	CauseDerive   Cause = "derive"    // Badger or a projection failed; the evidence is whole
	CauseClosed   Cause = "closed"
)

// Health is a store's state with its reason.
type Health struct {
	State    State           `json:"state"`
	Cause    Cause           `json:"cause,omitempty"`
	Reason   string          `json:"reason,omitempty"` // for people
	Findings []audit.Finding `json:"findings,omitempty"`
}

// ErrUnknown marks an error after which it is not known whether the drafts
// were recorded. The log tells once the store was resumed or reopened.
var ErrUnknown = errors.New("it is not known whether the entry was recorded")

// A StateError is why a draft was not acknowledged.
type StateError struct {
	Health
	// Unknown says that the drafts may be recorded all the same: the failure
	// came after they had begun to be written. If it is false they certainly
	// are not.
	Unknown bool
	err     error
}

func (e *StateError) Error() string {
	s := fmt.Sprintf("audit/store: log is %s (%s): %s", e.State, e.Cause, e.Reason)
	if e.Unknown {
		s += "; " + ErrUnknown.Error()
	}
	return s
}

// Unwrap gives the file system's or projection's error, and [ErrUnknown].
func (e *StateError) Unwrap() []error {
	var errs []error
	if e.err != nil {
		errs = append(errs, e.err)
	}
	if e.Unknown {
		errs = append(errs, ErrUnknown)
	}
	return errs
}

// A LockedError says who holds the store.
type LockedError struct {
	Dir     string
	PID     int
	Program string
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("audit/store: %s is in use by another program", e.Dir)
	}
	return fmt.Sprintf("audit/store: %s is in use by %s (pid %d)", e.Dir, e.Program, e.PID)
}

// A KindError says that the log is of the other kind: a simulated station never
// writes to a real one's log, nor the other way round.
type KindError struct {
	Dir string
	Sim bool // what the log in Dir is
}

func (e *KindError) Error() string {
	if e.Sim {
		return fmt.Sprintf("audit/store: %s is the store of a simulated station: no real one runs on it", e.Dir)
	}
	return fmt.Sprintf("audit/store: %s is the store of a real station: no simulator runs on it", e.Dir)
}

// ErrNoStore says that a folder holds no log.
var ErrNoStore = errors.New("audit/store: no log in this folder")

// ErrRunning is returned by a second Run of the same store.
var ErrRunning = errors.New("audit/store: already running, or has run")
