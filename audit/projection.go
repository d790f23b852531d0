package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
)

// ErrStop ends an iteration early without being an error.
var ErrStop = errors.New("stop")

// ErrArchived is the error of an entry whose shard was moved to the archive.
var ErrArchived = errors.New("audit: the entry's shard is archived")

// A Reader reads one projection's keys.
type Reader interface {
	// Get returns a copy of the key's value, and whether the key exists.
	Get(key []byte) (value []byte, ok bool, err error)
	// Iterate calls fn for each key with that prefix in ascending byte order.
	// Key and value are copies. An error from fn ends the iteration and is
	// returned, except ErrStop, which gives nil.
	Iterate(prefix []byte, fn func(key, value []byte) error) error
}

// Limits of a projection's keys and values, in bytes: a pair fits into one
// entry of a shard's snapshot.
const (
	MaxKey   = 1 << 10
	MaxValue = 40 << 10
)

// A Txn reads and writes one projection's keys; each projection has its own
// namespace. It sees its own writes. A key has at most [MaxKey] bytes, a value
// [MaxValue].
type Txn interface {
	Reader
	Set(key, value []byte) error
	Delete(key []byte) error
}

// A Projection derives state from entries. It is called for every entry in
// order, exactly once for each state it builds: the writes of a batch of
// entries are kept together with the number of the last one.
type Projection interface {
	// Name is the namespace, for instance "tickets/1". Give it a new version
	// whenever Apply would derive something else from the same entries: the
	// store then derives it anew.
	Name() string
	// Apply must depend on the transaction's state and the entry only. It
	// skips types it does not know. It is asked before the entry is written: an
	// error, or a panic, refuses the draft where it is made, with a
	// [RefusedError]. Of an entry that is in the log already (written by another
	// version) it is an alarm at opening.
	Apply(txn Txn, e Entry) error
}

// A RefusedError says that a projection cannot take a draft. Nothing of the call
// was recorded, and the log goes on.
type RefusedError struct {
	Projection string
	Type       string // of the draft that it cannot take
	Slot       int
	// Earlier says that the draft was queued before, for the same slot: since
	// then nothing of the slot was recorded.
	Earlier bool
	Err     error
}

func (e *RefusedError) Error() string {
	if e.Earlier {
		return fmt.Sprintf("audit: nothing of slot %d was recorded since projection %s could not take a queued %s: %v", e.Slot, e.Projection, e.Type, e.Err)
	}
	return fmt.Sprintf("audit: projection %s cannot take %s of slot %d, nothing was recorded: %v", e.Projection, e.Type, e.Slot, e.Err)
}

// Unwrap gives the projection's error.
func (e *RefusedError) Unwrap() error { return e.Err }

// A Projection with this method whose answer is false does not go into the
// snapshot with which a shard begins: it only finds entries, and those of shards
// that are not here cannot be read anyway.
type carrier interface{ Carried() bool }

// Carried reports whether a projection goes into snapshots.
func Carried(p Projection) bool {
	c, ok := p.(carrier)
	return !ok || c.Carried()
}

// A View is a consistent state of the log and everything derived from it: all
// projections have applied exactly the entries up to Head().Size.
type View interface {
	// Head is the tree head of the current shard.
	Head() Head
	// Last is the newest entry's seq, 0 if there is none.
	Last() uint64
	// Projection returns the state of a projection; an unknown name is an error.
	Projection(name string) (Reader, error)
	// Entry returns one entry; ErrArchived, wrapped, where it is no longer here.
	Entry(seq uint64) (Entry, error)
	// Entries yields the entries from first to last, both included, in order;
	// those of archived shards are left out. An error ends it.
	Entries(first, last uint64) iter.Seq2[Entry, error]
	// Unit yields the entries of a unit by serial, in order; those of archived
	// shards are left out.
	Unit(serial string) iter.Seq2[Entry, error]
}

// GetJSON reads a key's value as JSON into v, and says whether the key exists.
func GetJSON(r Reader, key string, v any) (bool, error) {
	b, ok, err := r.Get([]byte(key))
	if err != nil || !ok {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("audit: key %q: %w", key, err)
	}
	return true, nil
}

// SetJSON keeps v as JSON under a key.
func SetJSON(txn Txn, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("audit: key %q: %w", key, err)
	}
	return txn.Set([]byte(key), b)
}
