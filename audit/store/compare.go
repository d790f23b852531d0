package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"linefit/audit"
)

// compare checks the log against the published checkpoint, a mark that it was
// restored, and the anchors. published says that the checkpoint is the log's
// newest head.
func (c *core) compare() (published bool, findings []audit.Finding, err error) {
	text, err := readFile(c.opt.FS, filepath.Join(c.opt.Dir, checkpointFile), 1<<20)
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.tree.Size() == 0:
	case err != nil:
		findings = append(findings, audit.Finding{Code: audit.FindMissing, File: checkpointFile, Detail: err.Error()})
	case c.tree.Size() == 0 && c.link != nil && string(text) == c.link.Last():
		// The station stopped between the shards.
	default:
		signed, f := c.held(text, audit.FindTruncated)
		if f != nil {
			f.File = checkpointFile
			findings = append(findings, *f)
		} else if signed.Size > 0 {
			c.signed = signed.Note
		}
		published = signed.Note != nil && signed.Size == c.tree.Size()
	}
	elsewhere, err := c.outside()
	return published, append(findings, elsewhere...), err
}

// outside compares the log with what comes from elsewhere: anchors, and the
// mark of a restored backup. What two people have accepted already is not said
// again.
func (c *core) outside() (findings []audit.Finding, err error) {
	f, err := c.restored()
	if err != nil {
		return nil, err
	}
	if f != nil {
		findings = append(findings, *f)
	}
	for _, anchor := range c.anchors() {
		if _, f := c.held(anchor, audit.FindRollback); f != nil {
			f.Detail = "anchor: " + f.Detail
			findings = append(findings, *f)
		}
	}
	return slices.DeleteFunc(findings, c.accepted), nil
}

// accepted says whether people have gone on in spite of a finding before.
func (c *core) accepted(f audit.Finding) bool {
	for _, l := range c.links {
		if l.Accepted != nil && slices.Contains(l.Accepted.Findings, f) {
			return true
		}
	}
	return false
}

// held checks that the log has a signed checkpoint's head in its past. One of
// an older shard is held against what the shard behind it says.
func (c *core) held(text []byte, shorter string) (audit.Checkpoint, *audit.Finding) {
	fail := func(code, format string, args ...any) (audit.Checkpoint, *audit.Finding) {
		return audit.Checkpoint{}, &audit.Finding{Code: code, Detail: fmt.Sprintf(format, args...)}
	}
	parsed, err := audit.ParseCheckpoint(text)
	if err != nil {
		return audit.Checkpoint{}, new(checkpointFinding(err, ""))
	}
	if parsed.Origin == c.key.Name() {
		signed, err := openWith(text, c.key.VKey())
		if err == nil {
			return signed, c.consistent(signed, shorter)
		}
		if signed, ok := c.trusted(text); ok {
			return fail(shorter, "a checkpoint with %d entries was signed with a key of this log that is not here, nor are the entries", signed.Size)
		}
		return audit.Checkpoint{}, new(checkpointFinding(err, ""))
	}
	if link := c.linkTo(parsed.Origin); link != nil {
		signed, err := openWith(text, link.VKey)
		if err != nil {
			return audit.Checkpoint{}, new(checkpointFinding(err, ""))
		}
		return signed, before(signed, link, shorter)
	}
	if signed, ok := c.trusted(text); ok && signed.Size > 0 {
		return fail(shorter, "a signed checkpoint of log %q has %d entries, which are not here", signed.Origin, signed.Size)
	}
	switch shard, ours := shardOf(c.opt.Key.Name(), parsed.Origin); {
	case ours && shard < c.oldest:
		return parsed, nil // of a shard that was archived, with what follows it
	case ours && shard > c.head.Shard:
		return fail(shorter, "there is a checkpoint with %d entries of shard %d, the log here ends with shard %d", parsed.Size, shard, c.head.Shard)
	}
	_, err = openWith(text, c.key.VKey())
	return audit.Checkpoint{}, new(checkpointFinding(err, ""))
}

// before compares a checkpoint of an older shard with what the next one says.
func before(signed audit.Checkpoint, link *audit.ShardOpened, shorter string) *audit.Finding {
	last, err := audit.ParseCheckpoint([]byte(link.Checkpoint))
	switch {
	case err != nil:
		return &audit.Finding{Code: shorter, Detail: fmt.Sprintf("a signed checkpoint of shard %q has %d entries, the shard left none", signed.Origin, signed.Size)}
	case signed.Size > last.Size:
		return &audit.Finding{Code: shorter, Detail: fmt.Sprintf("a signed checkpoint of the shard before has %d entries, the shard ended with %d", signed.Size, last.Size)}
	case signed.Size == last.Size && signed.Root != last.Root:
		return &audit.Finding{Code: audit.FindFork, Detail: "a signed checkpoint of the shard before has another root at its end"}
	}
	return nil
}

// linkTo is what a shard at hand says of the shard of that origin before it.
func (c *core) linkTo(origin string) *audit.ShardOpened {
	for _, l := range slices.Backward(c.links) {
		if l.Origin == origin {
			return l
		}
	}
	return nil
}

// trusted opens a checkpoint that was signed with one of the given older keys.
func (c *core) trusted(text []byte) (audit.Checkpoint, bool) {
	for _, vkey := range c.keys() {
		if signed, err := openWith(text, vkey); err == nil {
			return signed, true
		}
	}
	return audit.Checkpoint{}, false
}

func openWith(text []byte, vkey string) (audit.Checkpoint, error) {
	v, err := audit.ParseVKey(vkey)
	if err != nil {
		return audit.Checkpoint{}, &audit.CheckpointError{Kind: audit.ErrCheckpointKey, Detail: err.Error()}
	}
	return audit.OpenCheckpoint(text, v)
}

// shardOf is the number of the shard that an origin names, of the log with that
// name.
func shardOf(log, origin string) (uint32, bool) {
	rest, ok := strings.CutPrefix(origin, log)
	if !ok || rest == "" {
		return 1, ok
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(rest, "/"), 10, 32)
	return uint32(n), err == nil && n > 1 && rest[0] == '/'
}

// consistent checks that the log has the checkpoint's head in its past.
func (c *core) consistent(signed audit.Checkpoint, shorter string) *audit.Finding {
	size := c.tree.Size()
	if signed.Size > size {
		return &audit.Finding{
			Code: shorter, Seq: c.next,
			Detail: fmt.Sprintf("a signed checkpoint has %d entries, the log has %d", signed.Size, size),
		}
	}
	var root audit.Head
	err := c.d.tiles(c.opt, func(read tileSource) error {
		t, err := audit.LoadTree(signed.Size, hashReader(size, read))
		if err == nil {
			root = t.Head()
		}
		return err
	})
	if err != nil {
		return &audit.Finding{Code: audit.FindDerived, Detail: err.Error()}
	}
	if root.Root != signed.Root {
		return &audit.Finding{
			Code:   audit.FindFork,
			Detail: fmt.Sprintf("a signed checkpoint has root %s at size %d, the log has %s", signed.Root, signed.Size, root.Root),
		}
	}
	return nil
}
