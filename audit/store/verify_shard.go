package store

import (
	"encoding/json"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"linefit/audit"
)

// beginShard settles the shard before and checks what links the two.
func (v *verification) beginShard(seg segment, h header) {
	bad := func(code, format string, args ...any) {
		v.find(audit.Finding{Code: code, File: seg.rel(), Seq: h.First, Detail: fmt.Sprintf(format, args...)})
	}
	v.endShard()
	if h.Link != nil {
		linkSigned(h.Link, bad)
	}
	accepted := h.Link != nil && h.Link.Accepted != nil
	switch {
	case h.Shard == 1:
	case h.Link == nil:
		bad(audit.FindHeader, "its header does not name the shard before")
	case accepted:
		v.report.Accepted = append(v.report.Accepted, *h.Link.Accepted)
	case v.check != nil && !v.broken:
		v.checkLink(h, bad)
	}
	v.check = audit.NewChecker(h.First, v.log.Sim())
	v.recent, v.carriedSize, v.closed = map[uint64]tlog.Hash{}, 0, nil
	v.report.Shards++
	v.broken = h.First != h.Base
	v.head = h
	v.meet(0)
}

// linkSigned verifies the checkpoints that a shard keeps of the one before, with
// the keys that it names; so also where that one is in an archive, or was lost.
func linkSigned(l *audit.ShardOpened, bad func(code, format string, args ...any)) {
	for _, kept := range []struct{ text, vkey string }{{l.Checkpoint, l.VKey}, {l.Known, l.LastVKey()}} {
		if kept.text == "" {
			continue
		}
		if _, err := openWith([]byte(kept.text), kept.vkey); err != nil {
			bad(checkpointFinding(err, "").Code, "a checkpoint of the shard before: %s", err)
		}
	}
}

// expectKnown expects what people who went on in spite of damage knew to be
// left of a shard.
func (v *verification) expectKnown() {
	for i, s := range v.log.segs {
		link := s.head.Link
		if i == 0 || link == nil || link.Accepted == nil || link.Known == "" {
			continue
		}
		c, err := v.log.open([]byte(link.Known))
		if err != nil {
			v.find(checkpointFinding(err, s.rel()))
			continue
		}
		v.expect(c, s.rel(), audit.FindTruncated)
	}
}

// checkLink compares a shard's end with what the next one says of it.
func (v *verification) checkLink(h header, bad func(code, format string, args ...any)) {
	end := v.check.Head()
	switch c, err := v.log.open([]byte(h.Link.Checkpoint)); {
	case err != nil:
		bad(audit.FindCheckpoint, "the last checkpoint of the shard before: %s", err)
	case c.Origin != v.head.Origin || c.Origin != h.Link.Origin || h.Link.VKey != v.head.VKey:
		bad(audit.FindOrigin, "it follows log %q, the shard before is log %q", c.Origin, v.head.Origin)
	case c.Head != end:
		bad(audit.FindFork, "it follows a log of %d entries with root %s, the shard before has %d with root %s", c.Size, c.Root, end.Size, end.Root)
	}
	if v.check.Next() != h.Base {
		bad(audit.FindMissing, "it begins with entry %d, the shard before ends with %d", h.Base, v.check.Next()-1)
	}
	if v.closed == nil || v.closed.Origin != h.Origin || v.closed.VKey != h.VKey {
		bad(audit.FindKey, "the shard before does not end with an entry that names this one's key")
	}
}

// shardFact looks at the entries that link shards.
func (v *verification) shardFact(e audit.Entry, seg segment, offset int64) {
	v.closed = nil
	if e.Type == audit.TypeShardClosed {
		var fact audit.ShardClosed
		if audit.ParseFact(e, &fact) == nil {
			v.closed = &fact
		}
	}
	if e.Type == audit.TypeShardArchived {
		v.left(e)
	}
	if e.Seq != v.head.Base || v.head.Shard == 1 || e.Seq == 0 {
		return
	}
	want, err := audit.Marshal(v.head.Link)
	if err != nil || e.Type != audit.TypeShardOpened || string(want) != string(json.RawMessage(e.Data)) {
		v.find(audit.Finding{Code: audit.FindHeader, File: seg.rel(), Offset: offset, Seq: e.Seq, Detail: "the shard's first entry is not what the segment's header says of the shard before"})
	}
}

// left notes which shards an entry says were archived.
func (v *verification) left(e audit.Entry) {
	var fact audit.ShardArchived
	if audit.ParseFact(e, &fact) != nil {
		return
	}
	for _, s := range fact.Shards {
		if !slices.Contains(v.report.Archived, s) {
			v.report.Archived = append(v.report.Archived, s)
		}
	}
}

// expectArchived expects of every shard before the oldest one at hand that the
// log says where it went, unless people went on without them.
func (v *verification) expectArchived() {
	if len(v.log.segs) == 0 || v.broken {
		return
	}
	oldest := v.log.segs[0].head
	if oldest.Link == nil || oldest.Link.Accepted != nil {
		return
	}
	for shard := oldest.Shard - 1; shard >= 1; shard-- {
		i := slices.IndexFunc(v.report.Archived, func(s audit.ArchivedShard) bool { return s.Shard == shard })
		switch {
		case i < 0:
			v.find(audit.Finding{Code: audit.FindMissing, File: v.log.segs[0].rel(), Detail: fmt.Sprintf("shard %d is not here, and no entry says that it was archived", shard)})
			return
		case shard == oldest.Shard-1 && v.report.Archived[i].Checkpoint != oldest.Link.Checkpoint:
			v.find(audit.Finding{Code: audit.FindFork, File: v.log.segs[0].rel(), Detail: fmt.Sprintf("shard %d was archived with another end than the next shard says", shard)})
		}
	}
}

// archived says that a checkpoint is of a shard whose segments are no longer
// here, and that the next shard agrees with it.
func (v *verification) archived(c audit.Checkpoint) bool {
	if len(v.log.segs) == 0 {
		return false
	}
	link := v.log.segs[0].head.Link
	if link == nil || link.Origin != c.Origin {
		return false
	}
	last, err := audit.ParseCheckpoint([]byte(link.Checkpoint))
	return err == nil && (c.Size < last.Size || c.Head == last.Head)
}

func (e expected) name() string {
	switch e.file {
	case "":
		return "the given checkpoint"
	case checkpointFile:
		return "the published checkpoint"
	}
	return "the checkpoint with which people went on"
}
