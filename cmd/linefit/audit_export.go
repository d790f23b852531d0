package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"linefit/audit"
	"linefit/audit/store"
)

type auditExportCmd struct {
	storeFlags
	keyFlag
	windowFlags
	Format string   `required:"" enum:"tiles,jsonl,csv,bundle" placeholder:"tiles|jsonl|csv|bundle" help:"tiles: the whole log as C2SP tlog-tiles; bundle: a unit's entries with their proofs; jsonl, csv: conveniences."`
	Out    string   `type:"path" placeholder:"PATH" help:"A folder for tiles, else a file; - or nothing is stdout."`
	Unit   string   `placeholder:"ID" help:"A serial, imei:, eid:, iccid: or carrier:position."`
	After  uint64   `placeholder:"SEQ" help:"Only entries with a larger number: to go on where an export ended."`
	Slot   *int     `placeholder:"N" help:"Only entries of this slot; 0 is the station itself."`
	Type   []string `placeholder:"NAME" help:"Only entries of these types, such as run.verdict."`
}

// exportDocument is an export's summary as JSON.
type exportDocument struct {
	Format string `json:"format"`
	Out    string `json:"out"`
	store.Exported
}

// Run exports.
func (c *auditExportCmd) Run(a *app) error {
	if c.Out == "" {
		c.Out = "-"
	}
	if err := c.check(); err != nil {
		return err
	}
	l, err := c.open(c.keyFlag)
	if err != nil {
		return err
	}
	out, err := c.export(a, l)
	if err != nil {
		return c.refuse(a, err)
	}
	fmt.Fprintf(a.stderr, "%d entries of %s as %s, up to entry %d\n", out.Entries, out.Origin, c.Format, out.Last)
	if c.JSON {
		return a.json(exportDocument{Format: c.Format, Out: c.Out, Exported: out})
	}
	return nil
}

func (c *auditExportCmd) check() error {
	errs := []error{c.windowFlags.check()}
	usage := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	filtered := c.After > 0 || c.Slot != nil || len(c.Type) > 0 || !c.Since.IsZero() || !c.Until.IsZero()
	switch {
	case c.Format == "tiles" && (filtered || c.Unit != ""):
		usage("tiles are the whole log: --unit, --since, --until, --after, --slot and --type are for jsonl and csv")
	case c.Format == "tiles" && c.Out == "-":
		usage("tiles are a folder: say --out DIR")
	case c.Format == "bundle" && c.Unit == "":
		usage("a bundle is of a unit: say --unit ID")
	case c.Format == "bundle" && filtered:
		usage("a bundle has every entry of its unit: --since, --until, --after, --slot and --type are for jsonl and csv")
	}
	if c.JSON && c.Out == "-" {
		usage("--json prints a summary on stdout: say --out FILE for the export itself")
	}
	if c.Out != "-" {
		if err := c.outside(c.Out); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		var coded *exitError
		if errors.As(err, &coded) && coded.code != exitUsage {
			return err
		}
		return exit(exitUsage, err)
	}
	return nil
}

func (c *auditExportCmd) export(a *app, l *store.Log) (out store.Exported, err error) {
	f := audit.Filter{ID: c.Unit, After: c.After, Since: c.Since.Time, Until: c.Until.Time, Types: withoutVersion(c.Type), Slot: c.Slot}
	switch c.Format {
	case "tiles":
		return l.ExportTiles(a.ctx, c.Out)
	case "bundle":
		return c.bundle(a, l)
	}
	err = writeOutput(a, c.Out, func(w io.Writer) (err error) {
		if c.Format == "csv" {
			out, err = l.ExportCSV(a.ctx, w, f)
		} else {
			out, err = l.ExportJSONL(a.ctx, w, f)
		}
		if err == nil && c.Unit != "" && out.Entries == 0 && c.After == 0 {
			err = exit(exitVerdict, fmt.Errorf("no entry of %q is in the log, or in what --since, --until, --slot and --type leave of it", c.Unit))
		}
		return err
	})
	return out, err
}

func (c *auditExportCmd) bundle(a *app, l *store.Log) (store.Exported, error) {
	b, err := l.Bundle(a.ctx, c.Unit)
	if err != nil {
		return store.Exported{}, err
	}
	data, err := b.Marshal()
	if err != nil {
		return store.Exported{}, err
	}
	newest := b.Shards[len(b.Shards)-1]
	head, err := audit.ParseCheckpoint([]byte(newest.Checkpoint))
	if err != nil {
		return store.Exported{}, err
	}
	out := store.Exported{Origin: newest.Origin, Size: head.Size, Last: newest.First + head.Size - 1, Checkpoint: newest.Checkpoint}
	for _, s := range b.Shards {
		out.Entries += uint64(len(s.Entries))
	}
	return out, writeOutput(a, c.Out, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// withoutVersion takes fact types with or without their version.
func withoutVersion(types []string) []string {
	var out []string
	for _, t := range types {
		name, _, _ := strings.Cut(t, "/")
		out = append(out, name)
	}
	return out
}
