package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"linefit/audit"
)

// compare checks the log against the published checkpoint and the anchors.
// published says that the checkpoint is the log's newest head.
func (c *core) compare() (published bool, findings []audit.Finding) {
	note, err := readFile(c.opt.FS, filepath.Join(c.opt.Dir, checkpointFile), 1<<20)
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.tree.Size() == 0:
	case err != nil:
		findings = append(findings, audit.Finding{Code: audit.FindMissing, File: checkpointFile, Detail: err.Error()})
	case c.tree.Size() == 0 && c.link != nil && string(note) == c.link.Checkpoint:
		// The station stopped between the shards.
	default:
		signed, f := c.held(note, audit.FindTruncated)
		if f != nil {
			f.File = checkpointFile
			findings = append(findings, *f)
		} else if signed.Size > 0 {
			c.signed = signed.Note
		}
		published = signed.Note != nil && signed.Size == c.tree.Size()
	}
	for _, anchor := range c.opt.Anchors {
		if _, f := c.held(anchor, audit.FindRollback); f != nil {
			f.Detail = "anchor: " + f.Detail
			findings = append(findings, *f)
		}
	}
	return published, findings
}

// held checks that the log has a signed checkpoint's head in its past. One of
// the shard before is held against what this shard says of it.
func (c *core) held(note []byte, shorter string) (audit.Checkpoint, *audit.Finding) {
	fail := func(code, detail string) (audit.Checkpoint, *audit.Finding) {
		return audit.Checkpoint{}, &audit.Finding{Code: code, Detail: detail}
	}
	vkey := c.key.VKey()
	parsed, err := audit.ParseCheckpoint(note)
	link := c.link
	older := err == nil && link != nil && parsed.Origin == link.Origin
	if older {
		vkey = link.VKey
	}
	verifier, err := audit.ParseVKey(vkey)
	if err != nil {
		return fail(audit.FindKey, err.Error())
	}
	signed, err := audit.OpenCheckpoint(note, verifier)
	if err != nil {
		return audit.Checkpoint{}, new(checkpointFinding(err, ""))
	}
	if !older {
		return signed, c.consistent(signed, shorter)
	}
	last, err := audit.ParseCheckpoint([]byte(link.Checkpoint))
	switch {
	case err != nil:
		return fail(audit.FindCheckpoint, "the shard before left no checkpoint: "+err.Error())
	case signed.Size > last.Size:
		return fail(shorter, fmt.Sprintf("a signed checkpoint of the shard before has %d entries, the shard ended with %d", signed.Size, last.Size))
	case signed.Size == last.Size && signed.Root != last.Root:
		return fail(audit.FindFork, "a signed checkpoint of the shard before has another root at its end")
	}
	return signed, nil
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
