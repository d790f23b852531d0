package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
	"linefit/station/text"
)

type auditCheckCmd struct {
	keyFlag
	Path       string   `arg:"" placeholder:"PATH" help:"A unit bundle, an inclusion or consistency proof, a checkpoint, or a folder with an export as tiles; - for stdin."`
	Checkpoint []string `placeholder:"FILE" sep:"none" help:"A checkpoint that someone kept: the older one of a consistency proof; of tiles, of any shard, or of the log before that of a replaced station, and may be said again."`
	Tiles      string   `type:"path" placeholder:"DIR" help:"Check entries as JSON Lines against this export as tiles: each line must be an entry of it."`
	JSON       bool     `name:"json" help:"Print one JSON document."`
}

// checkDocument is what a check found.
type checkDocument struct {
	OK      bool     `json:"ok"`
	Kind    string   `json:"kind"` // bundle, inclusion, consistency, checkpoint, tiles or jsonl
	Origin  string   `json:"origin"`
	Size    uint64   `json:"size"`    // of the newest checkpoint
	Entries uint64   `json:"entries"` // that were checked
	Units   []string `json:"units,omitempty"`
	Seq     uint64   `json:"seq,omitempty"`
	OldSize uint64   `json:"old_size,omitempty"`
	// First is the oldest entry of tiles. Where it is not 1, Archived says whether
	// an entry here says that what was before was archived.
	First    uint64 `json:"first,omitempty"`
	Archived bool   `json:"archived,omitempty"`
	OwnKey   bool   `json:"own_key"` // no key was given: it only fits together
	// Kept are the checkpoints of --checkpoint with which tiles agree, Unvouched the
	// logs in them whose key the given one does not vouch for.
	Kept      []audit.KeptCheckpoint `json:"kept,omitempty"`
	Unvouched []string               `json:"unvouched,omitempty"`
	Findings  []audit.Finding        `json:"findings"`
}

// Run checks what someone got from a station, with nothing but the station's
// verifier key.
func (c *auditCheckCmd) Run(a *app) error {
	v, err := c.verifier()
	if err != nil {
		return err
	}
	d := checkDocument{OwnKey: v == nil, Findings: []audit.Finding{}}
	if err := c.look(a, v, &d); err != nil {
		return err
	}
	d.OK = len(d.Findings) == 0
	if c.JSON {
		err = a.json(d)
	} else {
		d.print(a)
	}
	if err == nil && !d.OK {
		err = exit(exitVerdict, nil)
	}
	return err
}

func (d checkDocument) print(a *app) {
	for _, f := range d.Findings {
		fmt.Fprintf(a.stdout, "BAD   %s\n", text.Printable(f.String()))
	}
	verdict := "good "
	if !d.OK {
		verdict = "BAD  "
	}
	fmt.Fprintf(a.stdout, "%s %s of log %s, %d entries", verdict, d.Kind, text.Printable(d.Origin), d.Entries)
	if len(d.Units) > 0 {
		fmt.Fprintf(a.stdout, " of %q", d.Units)
	}
	if d.Seq > 0 {
		fmt.Fprintf(a.stdout, ", entry %d", d.Seq)
	}
	if d.Kind == "consistency" {
		fmt.Fprintf(a.stdout, ", from %d", d.OldSize)
	}
	fmt.Fprintf(a.stdout, ", under a checkpoint of %d\n", d.Size)
	if d.Kind == "bundle" && d.OK {
		fmt.Fprintln(a.stdout, "      (no entry was left out between them; whether there are later ones only the whole log can show)")
	}
	if d.First > 1 {
		why := "no entry here says where it is"
		if d.Archived {
			why = "an entry says that it was archived"
		}
		fmt.Fprintf(a.stdout, "      (it begins with entry %d; of what was before %s)\n", d.First, why)
	}
	for _, k := range d.Kept {
		what := "is in its past"
		if !k.Entries {
			what = "is no newer than the one with which the next log was begun; its entries are not here"
		}
		fmt.Fprintf(a.stdout, "kept  the given checkpoint of %d entries of log %s %s\n", k.Size, text.Printable(k.Origin), what)
	}
	if d.OwnKey {
		fmt.Fprintln(a.stdout, "      (by its own key: it fits together; say --key to see whose it is)")
	}
}

func (c *auditCheckCmd) look(a *app, v note.Verifier, d *checkDocument) error {
	if c.Tiles != "" {
		return c.lines(a, v, d)
	}
	if st, err := os.Stat(c.Path); err == nil && st.IsDir() {
		return c.tiles(a, v, d, nil)
	}
	data, err := readInput(a, c.Path)
	if err != nil {
		return err
	}
	if len(c.Checkpoint) > 0 && !bytes.HasPrefix(data, []byte("old ")) {
		return exit(exitUsage, errors.New("--checkpoint is for tiles and for a consistency proof (linefit audit prove --checkpoint)"))
	}
	switch {
	case bytes.HasPrefix(data, []byte(`{"seq":`)):
		d.Kind = "jsonl"
		d.add(&audit.FindingError{Finding: audit.Finding{Code: audit.FindProof, Detail: "entries as JSON Lines prove nothing by themselves: say --tiles with the export that they are from"}})
		return nil
	case bytes.HasPrefix(data, []byte("{")):
		return c.bundle(data, v, d)
	case v == nil:
		return exit(exitUsage, fmt.Errorf("%s names no key: say --key", c.Path))
	case bytes.HasPrefix(data, []byte("c2sp.org/tlog-proof@")):
		d.Kind = "inclusion"
		p, err := audit.ParseProof(data)
		if err != nil {
			d.add(&audit.FindingError{Finding: audit.Finding{Code: audit.FindProof, Detail: err.Error()}})
			return nil
		}
		e, err := p.Verify(v)
		d.add(err)
		d.head(p.Checkpoint)
		d.Seq, d.Entries = e.Seq, 1
		return nil
	case bytes.HasPrefix(data, []byte("old ")):
		return c.consistency(a, data, v, d)
	}
	d.Kind = "checkpoint"
	_, err = audit.OpenCheckpoint(audit.PlainNote(data), v)
	if errors.Is(err, audit.ErrCheckpointForm) && !bytes.Contains(data, []byte("\n\n\u2014 ")) {
		return exit(exitUsage, fmt.Errorf("%s is no bundle, proof, checkpoint or folder of tiles", c.Path))
	}
	d.add(err)
	d.head(audit.PlainNote(data))
	return nil
}

// add takes an error as a finding.
func (d *checkDocument) add(err error) {
	var f *audit.FindingError
	var decode *audit.DecodeError
	switch {
	case err == nil:
	case errors.As(err, &f):
		d.Findings = append(d.Findings, f.Finding)
	case errors.As(err, &decode):
		d.Findings = append(d.Findings, audit.Finding{Code: audit.FindEntry, Detail: err.Error()})
	case errors.Is(err, audit.ErrCheckpointOrigin):
		d.Findings = append(d.Findings, audit.Finding{Code: audit.FindOrigin, Detail: err.Error()})
	case errors.Is(err, audit.ErrCheckpointKey):
		d.Findings = append(d.Findings, audit.Finding{Code: audit.FindKey, Detail: err.Error()})
	default:
		d.Findings = append(d.Findings, audit.Finding{Code: audit.FindCheckpoint, Detail: err.Error()})
	}
}

// head takes origin and size of a checkpoint, whatever its signature.
func (d *checkDocument) head(signed []byte) {
	if c, err := audit.ParseCheckpoint(signed); err == nil {
		d.Origin, d.Size = c.Origin, c.Size
	}
}

func (c *auditCheckCmd) bundle(data []byte, v note.Verifier, d *checkDocument) error {
	d.Kind = "bundle"
	b, err := audit.ParseBundle(data)
	if err != nil {
		d.add(err)
		return nil
	}
	entries, findings := b.Verify(v)
	d.Entries, d.Units = uint64(len(entries)), b.Units
	d.Findings = append(d.Findings, findings...)
	if n := len(b.Shards); n > 0 {
		d.head([]byte(b.Shards[n-1].Checkpoint))
	}
	return nil
}

func (c *auditCheckCmd) consistency(a *app, data []byte, v note.Verifier, d *checkDocument) error {
	d.Kind = "consistency"
	if len(c.Checkpoint) != 1 {
		return exit(exitUsage, errors.New("a consistency proof needs the older checkpoint: say --checkpoint FILE, once"))
	}
	kept, err := readInput(a, c.Checkpoint[0])
	if err != nil {
		return err
	}
	p, err := audit.ParseConsistency(data, kept, v)
	d.add(err)
	d.OldSize = p.Old.Size
	if _, signed, ok := bytes.Cut(data, []byte("\n\n")); ok {
		d.head(signed)
	}
	return nil
}

func (c *auditCheckCmd) tiles(a *app, v note.Verifier, d *checkDocument, see func(audit.Entry)) error {
	d.Kind = "tiles"
	dir := os.DirFS(c.Path)
	if v == nil {
		data, err := os.ReadFile(c.Path + "/station.vkey")
		if err != nil {
			return exit(exitUsage, fmt.Errorf("%s is no export as tiles: %w", c.Path, err))
		}
		if v, err = audit.ParseVKey(string(data)); err != nil {
			d.add(err)
			return nil
		}
	}
	var kept [][]byte
	for _, file := range c.Checkpoint {
		b, err := readInput(a, file)
		if err != nil {
			return err
		}
		kept = append(kept, b)
	}
	r := audit.CheckTiles(dir, v, see, kept...)
	d.Kept, d.Unvouched, d.First, d.Archived = r.Kept, r.Unvouched, r.First, r.Archived
	d.Origin, d.Size, d.Entries = r.Origin, r.Size, r.Entries
	d.Findings = append(d.Findings, r.Finding...)
	return nil
}
