package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"linefit/audit"
)

// Defaults of [Options].
const (
	DefaultSegmentSize  = 64 << 20
	DefaultPublishEvery = time.Second
	DefaultShardEntries = 10_000_000
	maxReserve          = 128 << 20
	minReserve          = 4 << 20
)

// Options say which log a [Store] keeps, and where.
type Options struct {
	// Dir is the store's folder; it is made if it is missing. The store owns
	// segments, torn, badger*, probe, damage, archived, lock, checkpoint and station.vkey in it and
	// touches nothing else there.
	Dir string
	// Key signs the checkpoints of the first shard. Its name is the log's
	// origin. Its private half must not lie in Dir.
	Key audit.Key
	// ShardKey returns the key of a later shard of the log, made at first use;
	// its name must be origin. Nil means that the log has one shard only.
	ShardKey func(shard uint32, origin string) (audit.Key, error)
	// ShardEntries is the number of entries after which the next shard
	// begins, if ShardKey is set; zero means DefaultShardEntries.
	ShardEntries uint64
	// ShardAge is the time after which the next shard begins, if ShardKey is set;
	// zero means never. Only a synchronised clock tells it.
	ShardAge time.Duration
	// Quiet says whether the station does little at the moment: a shard that is
	// full waits for that, but not for longer than a tenth more of entries. Nil
	// means always.
	Quiet func() bool
	// Sim marks a simulated station: every entry says so, and a store made
	// with the other value is refused.
	Sim bool
	// Projections are derived from the entries, in this order. When the set
	// of their names changes, all are derived anew at open.
	Projections []audit.Projection
	// Anchors are checkpoints of this log that others kept (MES, QA). The log
	// must be consistent with each; if it is not, the store opens read-only.
	Anchors [][]byte
	// Trusted are verifier keys that signed for this log and are not in its
	// segments: of a machine that was lost. Anchors may be signed with them.
	Trusted []string
	// Types says which fact types are known; a draft of another type is
	// refused. Nil accepts all.
	Types func(string) bool
	// Boot identifies this start of the station; empty draws a random one.
	Boot string
	// Now returns UTC, nanoseconds since the start named in Boot (never
	// decreasing), and the state of the system clock. Nil means time.Now and
	// the kernel's clock state.
	Now func() (utc time.Time, mono int64, clock string)
	// Reserve is the free space, in bytes, below which nothing is appended.
	// Zero means a tenth of the file system, at least 4 MB, at most 128 MB.
	Reserve uint64
	// SegmentSize is the size, in bytes, after which a new segment begins;
	// zero means DefaultSegmentSize.
	SegmentSize int64
	// PublishEvery is the longest time that a durable head stays unpublished;
	// zero means DefaultPublishEvery.
	PublishEvery time.Duration
	// PublishAfter says behind entries of which types a head is published at
	// once; nil means none.
	PublishAfter func(entryType string) bool
	// FS is the file system under the evidence; nil means OSFS().
	FS FS
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("audit/store: no folder given")
	}
	if o.Key == nil {
		return o, errors.New("audit/store: no key given")
	}
	if err := audit.CheckOrigin(o.Key.Name()); err != nil {
		return o, err
	}
	names := map[string]bool{}
	for _, p := range o.Projections {
		if name := p.Name(); name == "" || len(name) > 64 || names[name] {
			return o, fmt.Errorf("audit/store: projection name %q is empty, too long or used twice", name)
		}
		names[p.Name()] = true
	}
	if o.Boot == "" {
		var b [4]byte
		if _, err := rand.Read(b[:]); err != nil {
			return o, fmt.Errorf("audit/store: boot id: %w", err)
		}
		o.Boot = hex.EncodeToString(b[:])
	}
	if o.Now == nil {
		o.Now = systemClock()
	}
	if o.SegmentSize <= 0 {
		o.SegmentSize = DefaultSegmentSize
	}
	if o.ShardEntries == 0 {
		o.ShardEntries = DefaultShardEntries
	}
	if o.PublishEvery <= 0 {
		o.PublishEvery = DefaultPublishEvery
	}
	if o.FS == nil {
		o.FS = OSFS()
	}
	return o, nil
}

// keyOf returns the key of a shard.
func (o *Options) keyOf(shard uint32) (audit.Key, error) {
	if shard <= 1 {
		return o.Key, nil
	}
	origin := fmt.Sprintf("%s/%d", o.Key.Name(), shard)
	if o.ShardKey == nil {
		return nil, fmt.Errorf("audit/store: the log is at shard %d and no key for it was given", shard)
	}
	k, err := o.ShardKey(shard, origin)
	if err != nil {
		return nil, fmt.Errorf("audit/store: key of shard %d: %w", shard, err)
	}
	if k.Name() != origin {
		return nil, fmt.Errorf("audit/store: key of shard %d is for log %q, not %q", shard, k.Name(), origin)
	}
	return k, nil
}

// systemClock reads time.Now, whose monotonic part counts from this call, and
// asks the kernel for the clock's state at most once per second.
func systemClock() func() (time.Time, int64, string) {
	start := time.Now()
	state, asked := clockState(), time.Duration(0)
	return func() (time.Time, int64, string) {
		now := time.Now()
		mono := now.Sub(start)
		if mono-asked >= time.Second {
			state, asked = clockState(), mono
		}
		return now.UTC(), int64(mono), state
	}
}
