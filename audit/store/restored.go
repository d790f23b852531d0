package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"linefit/audit"
)

// restoredFile marks a store that is not the one that was written here last.
const restoredFile = "restored"

// Restored says that a store was put back from a backup, or stands in for one
// that is lost. It lies in the store's folder and keeps the store read-only
// until two people have accepted it ([Store.Accept]): what was logged
// elsewhere, and what was done with it, is not known here.
type Restored struct {
	ID   string `json:"id"`   // random: tells one restoring from another
	What string `json:"what"` // for people: "backup of 2026-09-01T06:00:00Z"
	// Anchors are checkpoints of the log as it was last seen, signed notes, and
	// Keys the verifier keys of theirs that the store itself does not have.
	Anchors [][]byte `json:"anchors,omitempty"`
	Keys    []string `json:"keys,omitempty"`
}

// Mark marks the store in dir as restored, durably. It must not be running.
func (r Restored) Mark(dir string) error {
	text, err := json.Marshal(r)
	if err == nil {
		err = replaceFile(OSFS(), dir, restoredFile, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("audit/store: mark as restored: %w", err)
	}
	return nil
}

// finding is what opening says of the mark.
func (r Restored) finding() audit.Finding {
	return audit.Finding{Code: audit.FindRestored, File: restoredFile, Detail: fmt.Sprintf("%s (%s): what was logged after it is not here", r.What, r.ID)}
}

// readRestored reads the mark, nil if there is none.
func readRestored(opt *Options) (*Restored, error) {
	text, err := readFile(opt.FS, filepath.Join(opt.Dir, restoredFile), 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var r Restored
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return nil, fmt.Errorf("audit/store: %s: %w", restoredFile, err)
	}
	return &r, nil
}

// restored is the finding of a store that is marked and was not yet accepted. A
// mark that was accepted goes.
func (c *core) restored() (*audit.Finding, error) {
	if c.mark == nil {
		return nil, nil
	}
	f := c.mark.finding()
	if !c.accepted(f) {
		return &f, nil
	}
	if err := c.opt.FS.Remove(filepath.Join(c.opt.Dir, restoredFile)); err != nil {
		return nil, fmt.Errorf("audit/store: %s: %w", restoredFile, err)
	}
	return nil, nil
}

// anchors are all checkpoints that others kept.
func (c *core) anchors() [][]byte {
	all := c.opt.Anchors
	if c.mark != nil {
		all = append(append([][]byte{}, all...), c.mark.Anchors...)
	}
	return all
}

// keys are the older keys of this log that are known beside its segments.
func (c *core) keys() []string {
	all := c.opt.Trusted
	if c.mark != nil {
		all = append(append([]string{}, all...), c.mark.Keys...)
	}
	return all
}

// A prior is the log behind which a new shard begins.
type prior struct {
	shard uint32
	link  audit.ShardOpened // origin, key, last and known checkpoint
	next  uint64            // a number that it cannot have reached
}

// prior finds out behind what a new shard begins: the shard at hand, or one of
// which only a checkpoint is left.
func (c *core) prior(newest uint32) prior {
	p := prior{shard: max(newest, 1), next: max(c.next, c.d.meta.Applied+1, 1)}
	p.link = audit.ShardOpened{Origin: c.key.Name(), VKey: c.key.VKey()}
	if c.was.VKey != "" {
		p.link.VKey = c.was.VKey // the station may have lost it
	}
	size := uint64(0)
	take := func(text []byte, known bool) {
		signed, err := openWith(text, p.link.VKey)
		if err != nil {
			return // it is among the findings
		}
		if known && c.consistent(signed, audit.FindTruncated) == nil {
			p.link.Known = string(signed.Note)
		}
		if signed.Size >= size {
			size, p.link.Checkpoint = signed.Size, string(signed.Note)
		}
		p.next = max(p.next, c.base()+signed.Size)
	}
	if text, err := readFile(c.opt.FS, filepath.Join(c.opt.Dir, checkpointFile), 1<<20); err == nil {
		take(text, true)
	}
	for _, text := range c.anchors() {
		take(text, false)
	}
	for _, text := range c.anchors() {
		c.elsewhere(&p, text)
	}
	return p
}

// elsewhere looks at a checkpoint of a shard, or with a key, that is not here.
func (c *core) elsewhere(p *prior, text []byte) {
	for _, vkey := range c.keys() {
		signed, err := openWith(text, vkey)
		shard, ours := shardOf(c.opt.Key.Name(), signed.Origin)
		if !ours {
			shard = p.shard // the lost station had another name
		}
		if err != nil || shard < p.shard || c.linkTo(signed.Origin) != nil {
			continue
		}
		old, err := audit.ParseCheckpoint([]byte(p.link.Checkpoint))
		if shard == p.shard && err == nil && old.Size > signed.Size {
			continue
		}
		p.shard = shard
		link := audit.ShardOpened{Origin: signed.Origin, VKey: vkey, Checkpoint: string(signed.Note), Known: p.link.Known, KnownVKey: p.link.KnownVKey}
		if link.Known != "" && link.KnownVKey == "" {
			link.KnownVKey = p.link.VKey
		}
		p.link = link
		// Where a shard began is not in its checkpoint: this is behind it anyway.
		p.next = max(p.next, uint64(shard-1)*2*DefaultShardEntries+signed.Size+1)
	}
}
