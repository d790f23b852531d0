package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"linefit/audit"
	"linefit/audit/store"
	reports "linefit/station/report"
	"linefit/station/text"
)

type auditFindCmd struct {
	storeFlags
	keyFlag
	windowFlags
	Slot        []int             `placeholder:"N" help:"Runs in these slots."`
	Firmware    string            `placeholder:"TEXT" help:"Of the module. In all texts * stands for any characters."`
	Maker       string            `placeholder:"TEXT" help:"Of the module."`
	Model       string            `placeholder:"TEXT" help:"Of the module."`
	Platform    map[string]string `placeholder:"NAME=TEXT" help:"Of the eUICC: eum, firmware, svn, pp_version, sas, label."`
	Route       string            `placeholder:"TEXT" help:"Of APDUs: cgla, csim."`
	SMDP        string            `name:"smdp" placeholder:"HOST" help:"SM-DP+ that the profile came from."`
	Batch       string            `placeholder:"TEXT" help:"Batch that the profile came from."`
	Recipe      string            `placeholder:"NAME" help:"Name of the recipe."`
	Digest      string            `placeholder:"HEX" help:"Digest of the recipe, or its first 8 digits or more."`
	WorkOrder   string            `placeholder:"TEXT" help:"Work order."`
	SKU         string            `name:"sku" placeholder:"TEXT" help:"SKU."`
	Software    string            `placeholder:"TEXT" help:"Version of the station's software."`
	Verdict     string            `enum:",pass,fail,inconclusive" default:"" placeholder:"WORD" help:"pass, fail or inconclusive."`
	Reason      string            `placeholder:"CODE" help:"Reason code, such as profile.readback or smdp.*."`
	SinceGolden bool              `help:"Of each slot, runs after its last golden sample that passed."`
}

// findDocument is the answer as JSON.
type findDocument struct {
	Query reports.Query `json:"query"`
	Log   findSource    `json:"log"`
	reports.Found
}

// findSource says of which entries an answer is: with the checkpoint and an
// export as tiles, anybody can find the same.
type findSource struct {
	store.Exported
	First uint64 `json:"first"` // seq of the first entry; above 1, older shards are elsewhere
}

// Run answers a containment question, from the evidence and in one pass.
func (c *auditFindCmd) Run(a *app) error {
	q := reports.Query{
		Slots: c.Slot, Since: c.Since.Time, Until: c.Until.Time, Recipe: c.Recipe, Digest: strings.ToLower(c.Digest), WorkOrder: c.WorkOrder, SKU: c.SKU,
		Software: c.Software, Maker: c.Maker, Model: c.Model, Firmware: c.Firmware, Route: c.Route, Platform: c.Platform,
		SMDP: c.SMDP, Batch: c.Batch, Verdict: c.Verdict, Reason: c.Reason, SinceGolden: c.SinceGolden,
	}
	if err := q.Check(); err != nil {
		return exit(exitUsage, err)
	}
	vkey, err := c.vkey()
	if err != nil {
		return err
	}
	l, err := c.open(vkey)
	if err != nil {
		return err
	}
	finder, first := reports.NewFinder(q), uint64(0)
	out, err := l.Read(a.ctx, func(e audit.Entry, _ []byte) error {
		if first == 0 {
			first = e.Seq
		}
		finder.See(e)
		return nil
	})
	if err != nil {
		return c.refuse(a, err)
	}
	d := findDocument{Query: q, Log: findSource{out, first}, Found: finder.Result()}
	if c.JSON {
		return a.json(d)
	}
	w := bufio.NewWriter(a.stdout)
	return errors.Join(d.print(w), w.Flush())
}

func (d findDocument) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "UNIT\tSLOT\tSTARTED (UTC)\tVERDICT\tGOES TO\tMODULE\tFIRMWARE\tEID\tRUN\tENTRIES")
	row := func(r reports.Run, mark string) {
		fmt.Fprintf(t, "%s%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d-%d\n", mark, text.Printable(string(r.Unit)), r.Slot, r.Started.Format(time.DateTime),
			orDash(string(r.Verdict)), orDash(string(r.Disposal)), orDash(text.Printable(strings.TrimSpace(r.Maker+" "+r.Model))),
			orDash(text.Printable(r.Firmware)), orDash(string(r.EID)), text.Printable(string(r.ID)), r.First, r.Last)
	}
	for _, r := range d.Runs {
		row(r, "")
	}
	for _, r := range d.Undetermined {
		row(r, "? ")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%d runs of %d units", len(d.Runs)+len(d.Undetermined), len(d.Units))
	if n := len(d.Undetermined); n > 0 {
		fmt.Fprintf(w, "; of %d marked ? the log does not know all that was asked: count them in until someone has looked", n)
	}
	fmt.Fprintf(w, "\nfrom entries %d to %d of %s, verified\n", d.Log.First, d.Log.Last, text.Printable(d.Log.Origin))
	for slot, g := range d.Golden {
		fmt.Fprintf(w, "slot %s: golden sample %s passed at %s UTC, entry %d\n", slot, text.Printable(string(g.Unit)), g.At.Format(time.DateTime), g.Seq)
	}
	if d.Log.First > 1 {
		fmt.Fprintf(w, "entries before %d are in older shards that are not in this store: ask there too\n", d.Log.First)
	}
	if d.Unread > 0 {
		fmt.Fprintf(w, "%d entries have facts that this version does not understand\n", d.Unread)
	}
	return nil
}
