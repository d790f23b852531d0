package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
)

// VerifyExport checks an export of tiles, as [Log.ExportTiles] or any other
// C2SP tlog-tiles log wrote it, with nothing but its files, the verifier key
// and, if it is not nil, a checkpoint that was kept. An empty vkey means the
// export's own. Older shards below dir/shards are verified too.
func VerifyExport(ctx context.Context, dir, vkey string, checkpoint []byte) (Report, error) {
	r := Report{Findings: []audit.Finding{}}
	older, err := os.ReadDir(filepath.Join(dir, "shards"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("audit/store: %w", err)
	}
	for _, d := range older {
		sub := path.Join("shards", d.Name())
		x := exportCheck{dir: dir, sub: sub, kept: checkpoint, report: &r}
		if err := x.run(ctx, ""); err != nil {
			return r, err
		}
	}
	x := exportCheck{dir: dir, kept: checkpoint, report: &r, newest: true}
	if err := x.run(ctx, vkey); err != nil {
		return r, err
	}
	r.OK = len(r.Findings) == 0
	return r, nil
}

// exportCheck verifies one shard's export.
type exportCheck struct {
	dir, sub string
	newest   bool
	kept     []byte
	report   *Report
	check    *audit.Checker
}

func (x *exportCheck) find(code, file string, seq uint64, format string, args ...any) {
	if len(x.report.Findings) < maxFindings {
		x.report.Findings = append(x.report.Findings, audit.Finding{Code: code, File: path.Join(x.sub, file), Seq: seq, Detail: fmt.Sprintf(format, args...)})
	}
}

func (x *exportCheck) read(file string) ([]byte, bool) {
	data, err := os.ReadFile(filepath.Join(x.dir, x.sub, file))
	if err != nil {
		x.find(audit.FindMissing, file, 0, "%v", err)
	}
	return data, err == nil
}

func (x *exportCheck) run(ctx context.Context, vkey string) error {
	if vkey == "" {
		own, ok := x.read(vkeyFile)
		if !ok {
			return nil
		}
		vkey = string(own)
	}
	v, err := audit.ParseVKey(vkey)
	if err != nil {
		x.find(audit.FindKey, vkeyFile, 0, "%v", err)
		return nil
	}
	text, ok := x.read(checkpointFile)
	if !ok {
		return nil
	}
	signed, err := audit.OpenCheckpoint(text, v)
	if err != nil {
		f := checkpointFinding(err, path.Join(x.sub, checkpointFile))
		x.report.Findings = append(x.report.Findings, f)
		return nil
	}
	x.report.Shards++
	return x.entries(ctx, signed, v)
}

// entries reads all entry bundles, compares every tile with what they give,
// and the root with the checkpoint's.
func (x *exportCheck) entries(ctx context.Context, signed audit.Checkpoint, v note.Verifier) error {
	kept := x.keptHead(v)
	if kept != nil && kept.Size > signed.Size {
		x.find(audit.FindRollback, checkpointFile, 0, "the given checkpoint has %d entries, the export has %d", kept.Size, signed.Size)
	}
	w := audit.TileWriter{Put: x.compare}
	for leaf := uint64(0); leaf < signed.Size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		width := int(min(audit.TileWidth, signed.Size-leaf))
		file := audit.EntriesPath(leaf/audit.TileWidth, width)
		bundle, ok := x.read(file)
		for range width {
			raw, rest, err := audit.CutBundled(bundle)
			if err != nil {
				if ok {
					x.find(audit.FindTile, file, 0, "entry at leaf %d: %v", leaf, err)
				}
				return nil // the tree is lost from here on
			}
			bundle = rest
			x.entry(raw, file)
			if err := w.Add(raw); err != nil {
				return err
			}
			if leaf++; kept != nil && kept.Size == leaf && kept.Head != x.check.Head() {
				x.find(audit.FindFork, "", 0, "the given checkpoint has root %s at size %d, the export has %s", kept.Root, leaf, x.check.Head().Root)
			}
		}
		if len(bundle) > 0 {
			x.find(audit.FindTile, file, 0, "%d bytes behind its last entry", len(bundle))
		}
	}
	head, err := w.Close()
	if err != nil {
		return err
	}
	if head != signed.Head {
		x.find(audit.FindRoot, checkpointFile, 0, "the entries give root %s, the checkpoint says %s", head.Root, signed.Root)
	}
	x.report.Entries += head.Size
	if x.newest {
		x.report.Origin, x.report.Size, x.report.Root = signed.Origin, head.Size, head.Root.String()
		x.report.Published = signed.Size
	}
	return nil
}

// keptHead is the caller's checkpoint, if it is of this shard.
func (x *exportCheck) keptHead(v note.Verifier) *audit.Checkpoint {
	if x.kept == nil {
		return nil
	}
	c, err := audit.ParseCheckpoint(audit.PlainNote(x.kept))
	if err == nil && c.Origin != v.Name() && !x.newest {
		return nil // of another shard
	}
	if c, err = audit.OpenCheckpoint(audit.PlainNote(x.kept), v); err != nil {
		if x.newest && errors.Is(err, audit.ErrCheckpointOrigin) && x.report.Checkpoint != nil {
			return nil // it was of an older shard
		}
		f := checkpointFinding(err, "")
		f.Detail = "given checkpoint: " + f.Detail
		x.report.Findings = append(x.report.Findings, f)
		return nil
	}
	x.report.Checkpoint = &c.Size
	return &c
}

// entry checks one entry as an outsider can.
func (x *exportCheck) entry(raw []byte, file string) {
	if x.check == nil {
		first, sim := uint64(1), false
		if e, err := audit.Decode(raw); err == nil {
			first, sim = e.Seq, e.Sim
		}
		x.check = audit.NewChecker(first, sim)
		if x.newest {
			x.report.Sim = sim
		}
	}
	_, _, err := x.check.Add(raw)
	for _, f := range findingsOf(err) {
		x.find(f.Code, file, f.Seq, "%s", f.Detail)
	}
}

// compare holds a file that the entries give against the one in the export.
func (x *exportCheck) compare(file string, data []byte) error {
	have, ok := x.read(file)
	if ok && !bytes.Equal(have, data) {
		at := 0
		for at < min(len(have), len(data)) && have[at] == data[at] {
			at++
		}
		x.find(audit.FindTile, file, 0, "it is not what the entries give, from byte %d on", at)
	}
	return nil
}
