package audit

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// What a [Finding] can say. The codes are stable.
const (
	FindEntry      = "entry"       // an entry's bytes are not an entry
	FindSeq        = "seq"         // an entry is missing, doubled or out of order
	FindSlotSeq    = "slot_seq"    // a slot's counter has a gap
	FindUnitSeq    = "unit_seq"    // a unit's counter has a gap
	FindClock      = "clock"       // mono goes back, a boot returns, or UTC stepped unsaid
	FindSim        = "sim"         // simulated and real entries are mixed
	FindFrame      = "frame"       // bytes of a segment are damaged
	FindHeader     = "header"      // a segment's header is damaged or does not fit
	FindRoot       = "root"        // the tree does not hash to the root stated
	FindMissing    = "missing"     // a file or a range of entries is missing
	FindTruncated  = "truncated"   // the log is shorter than a signed checkpoint
	FindFork       = "fork"        // the log's history is another than a signed checkpoint's
	FindCheckpoint = "checkpoint"  // a checkpoint is malformed or its signature does not verify
	FindOrigin     = "origin"      // a checkpoint or segment of another log
	FindKey        = "key"         // another key than the one given
	FindForeign    = "foreign"     // a file that does not belong to the store
	FindDerived    = "derived"     // the derived state is ahead of the log or disagrees with it
	FindProof      = "proof"       // an inclusion or consistency proof does not verify
	FindUnreadable = "unreadable"  // a file cannot be read
	FindIncomplete = "incomplete"  // entries of a unit are missing from a bundle
	FindTile       = "tile"        // a tile or an entry bundle differs from the tree
	FindRollback   = "rolled_back" // an outside anchor is newer than the log
	FindRestored   = "restored"    // the store was put back from a backup, or stands in for one that is lost
)

// A Finding is one thing that is wrong with a log, located.
type Finding struct {
	Code   string `json:"code"`             // one of the constants above
	File   string `json:"file,omitempty"`   // relative to the store's folder
	Offset int64  `json:"offset,omitempty"` // of the damaged frame, in bytes
	Seq    uint64 `json:"seq,omitempty"`    // first entry concerned, 0 if unknown
	Detail string `json:"detail"`
}

// A FindingError is a finding as an error.
type FindingError struct{ Finding }

func (e *FindingError) Error() string { return "audit: " + e.String() }

func (f Finding) String() string {
	s := f.Code
	if f.File != "" {
		s += fmt.Sprintf(" in %s at byte %d", f.File, f.Offset)
	}
	if f.Seq != 0 {
		s += fmt.Sprintf(", entry %d", f.Seq)
	}
	return s + ": " + f.Detail
}

// MaxClockStep is the drift of UTC against monotonic time that an entry
// [TypeClockStep] must announce.
const MaxClockStep = time.Second

// A Checker checks entries one after another, as an outsider can who has
// nothing but their bytes: form, gap-free counters, clock, and the tree.
type Checker struct {
	tree  Tree
	next  uint64
	slots map[int]uint64
	units map[string]uint64
	sim   bool
	boots map[string]bool
	boot  string
	mono  int64
	drift time.Duration
}

// NewChecker returns a checker for a log whose first entry is first; that is
// 1 except for a later shard. sim says what every entry must say.
func NewChecker(first uint64, sim bool) *Checker {
	return &Checker{
		next:  first,
		slots: map[int]uint64{},
		units: map[string]uint64{},
		boots: map[string]bool{},
		sim:   sim,
	}
}

// Size returns the number of entries added.
func (c *Checker) Size() uint64 { return c.tree.Size() }

// Head returns the head of the tree of all entries added.
func (c *Checker) Head() Head { return c.tree.Head() }

// Next returns the seq that the next entry must have.
func (c *Checker) Next() uint64 { return c.next }

// Add checks the next entry and adds it to the tree. It returns the entry and
// the tree hashes that became complete, as [Tree.Append] does. All that is
// wrong is joined in one error of *FindingError; entries that cannot be
// decoded are added to the tree all the same.
func (c *Checker) Add(raw []byte) (Entry, []tlog.Hash, error) {
	stored := c.tree.Append(LeafHash(raw))
	want := c.next
	c.next++
	e, err := Decode(raw)
	if err != nil {
		return Entry{}, stored, &FindingError{Finding{Code: FindEntry, Seq: want, Detail: err.Error()}}
	}
	var errs []error
	bad := func(code, format string, args ...any) {
		errs = append(errs, &FindingError{Finding{Code: code, Seq: want, Detail: fmt.Sprintf(format, args...)}})
	}
	if e.Seq != want {
		bad(FindSeq, "entry says seq %d, %d belongs here", e.Seq, want)
	}
	if e.Sim != c.sim {
		bad(FindSim, "entry says sim %t, the log is sim %t", e.Sim, c.sim)
	}
	if last, known := c.slots[e.Slot]; known && e.SlotSeq != last+1 || !known && c.whole() && e.SlotSeq != 1 {
		bad(FindSlotSeq, "slot %d counts %d after %d", e.Slot, e.SlotSeq, last)
	}
	c.slots[e.Slot] = e.SlotSeq
	if e.Unit != "" {
		if last, known := c.units[e.Unit]; known && e.UnitSeq != last+1 || !known && c.whole() && e.UnitSeq != 1 {
			bad(FindUnitSeq, "unit %q counts %d after %d", e.Unit, e.UnitSeq, last)
		}
		c.units[e.Unit] = e.UnitSeq
	}
	if what := c.clock(e); what != "" {
		bad(FindClock, "%s", what)
	}
	return e, stored, errors.Join(errs...)
}

// whole says that the log is checked from its first shard's first entry, so
// that every counter must begin at 1.
func (c *Checker) whole() bool { return c.next-1 == c.tree.Size() }

// clock checks that time within a boot runs as the entries say.
func (c *Checker) clock(e Entry) string {
	drift := time.Duration(e.UTC.UnixNano() - e.Mono)
	if e.Boot != c.boot {
		if c.boots[e.Boot] {
			return fmt.Sprintf("boot %q returns after another", e.Boot)
		}
		c.boots[e.Boot] = true
		c.boot, c.mono, c.drift = e.Boot, e.Mono, drift
		return ""
	}
	if e.Mono < c.mono {
		return fmt.Sprintf("mono %d after %d", e.Mono, c.mono)
	}
	c.mono = e.Mono
	if e.Type == TypeClockStep {
		c.drift = drift
		return ""
	}
	if step := drift - c.drift; step > MaxClockStep || step < -MaxClockStep {
		c.drift = drift
		return fmt.Sprintf("UTC stepped by %v without a %s entry", step, TypeClockStep)
	}
	return ""
}
