package store

import (
	"context"

	"linefit/audit"
)

// reading is what Read adds to a verification.
type reading struct {
	fn      func(e audit.Entry, raw []byte) error
	err     error // of fn: it is not called again
	last    uint64
	entries uint64
	covers  []shardCover
}

// Read calls fn for every entry that the published checkpoint covers, in order,
// while it verifies the log: one pass over it. What fn has gathered counts only
// if Read returns no error; a [DamagedError] says that the log is damaged, with
// everything that is wrong. e.Data and raw are valid during the call.
func (l *Log) Read(ctx context.Context, fn func(e audit.Entry, raw []byte) error) (Exported, error) {
	r := &reading{fn: fn}
	var uncovered error // what is damaged says verify
	if l.published != nil {
		r.covers, uncovered = l.covers()
	}
	report, err := l.verify(ctx, nil, r)
	switch {
	case err != nil:
		return Exported{}, err
	case !report.OK && l.moved():
		return Exported{}, l.errMoved()
	case !report.OK:
		return Exported{}, &DamagedError{report}
	case uncovered != nil:
		return Exported{}, uncovered
	case r.err != nil:
		return Exported{}, r.err
	}
	c, err := l.Published()
	return Exported{Origin: c.Origin, Entries: r.entries, Size: c.Size, Last: r.last, Checkpoint: string(c.Note)}, err
}

// see passes on an entry that was found good, if something that was signed
// covers it.
func (r *reading) see(e audit.Entry, raw []byte, h header) {
	if r.err != nil {
		return
	}
	for _, c := range r.covers {
		if c.head.Shard == h.Shard && e.Seq < h.Base+c.signed.Size {
			r.last, r.entries = e.Seq, r.entries+1
			r.err = r.fn(e, raw)
			return
		}
	}
}

// Shard is the number of the newest shard, from 1.
func (l *Log) Shard() uint32 { return l.newest().Shard }
