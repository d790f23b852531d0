package store

import (
	"context"

	"linefit/audit"
)

// reading is what Read adds to a verification.
type reading struct {
	fn        func(e audit.Entry, raw []byte) error
	err       error // of fn: it is not called again
	last      uint64
	entries   uint64
	published *audit.Checkpoint
}

// Read calls fn for every entry that the published checkpoint covers, in order,
// while it verifies the log: one pass over it. What fn has gathered counts only
// if Read returns no error; a [DamagedError] says that the log is damaged, with
// everything that is wrong. e.Data and raw are valid during the call.
func (l *Log) Read(ctx context.Context, fn func(e audit.Entry, raw []byte) error) (Exported, error) {
	r := &reading{fn: fn, published: l.published}
	report, err := l.verify(ctx, nil, r)
	switch {
	case err != nil:
		return Exported{}, err
	case !report.OK:
		return Exported{}, &DamagedError{report}
	case r.err != nil:
		return Exported{}, r.err
	}
	c, err := l.Published()
	return Exported{Origin: c.Origin, Entries: r.entries, Size: c.Size, Last: r.last, Checkpoint: string(c.Note)}, err
}

// see passes on an entry that was found good, if the published checkpoint
// covers it: older shards are covered by the links of the newer ones.
func (r *reading) see(e audit.Entry, raw []byte, h, newest header) {
	if r.err != nil || r.published == nil {
		return
	}
	if h.Origin == r.published.Origin && e.Seq >= h.Base+r.published.Size || h.Origin != r.published.Origin && h.Shard == newest.Shard {
		return
	}
	r.last, r.entries = e.Seq, r.entries+1
	r.err = r.fn(e, raw)
}

// Shard is the number of the newest shard, from 1.
func (l *Log) Shard() uint32 { return l.newest().Shard }
