package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"linefit/audit"
	"linefit/station/plant"
)

// shardKeys are the signing keys of a log's later shards: files beside that of
// the first, made at their first use.
func shardKeys(path string) func(uint32, string) (audit.Key, error) {
	return func(shard uint32, origin string) (audit.Key, error) {
		return audit.LoadOrCreateKey(fmt.Sprintf("%s.%d", path, shard), origin)
	}
}

// anchorFile has the newest checkpoints of a store that others keep. It lies
// beside the store and not in it: a copy that is put back does not bring it.
func anchorFile(dir string) string { return filepath.Clean(dir) + ".anchor" }

// keepAnchors reads the checkpoints that were kept, and keeps the next ones: the
// newest of each shard of the log.
func keepAnchors(p *plant.Plan, file string) {
	p.Anchors = readAnchors(file)
	kept := p.Anchors
	p.Anchored = func(note []byte) {
		fresh, err := audit.ParseCheckpoint(note)
		if err != nil {
			return // the log has looked at it before
		}
		next := [][]byte{note}
		for _, k := range kept {
			old, err := audit.ParseCheckpoint(k)
			switch {
			case err != nil || old.Origin != fresh.Origin:
				next = append(next, k)
			case old.Size >= fresh.Size:
				return
			}
		}
		if err := writeAnchors(file, next); err != nil {
			p.Logger.Warn().Err(err).Msg("the anchor cannot be kept")
			return
		}
		kept = next
	}
}

// anchorMark is between two checkpoints in a file.
const anchorMark = "\n---\n"

func readAnchors(file string) [][]byte {
	b, err := readFile(file)
	if err != nil {
		return nil // there was none yet
	}
	var notes [][]byte
	for part := range bytes.SplitSeq(b, []byte(anchorMark)) {
		if len(bytes.TrimSpace(part)) > 0 {
			notes = append(notes, part)
		}
	}
	return notes
}

// anchorsIn reads the checkpoints that people, and the station itself, put into a
// folder. Hidden files are not among them: a file that is being written is one.
func anchorsIn(dir string) ([][]byte, error) {
	if dir == "" {
		return nil, nil
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var notes [][]byte
	for _, f := range files {
		if !f.Type().IsRegular() || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		b, err := readFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		notes = append(notes, audit.PlainNote(b))
	}
	return notes, nil
}

func writeAnchors(file string, notes [][]byte) error {
	tmp := file + ".new"
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.Join(notes, []byte(anchorMark)))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, file)
	}
	return err
}
