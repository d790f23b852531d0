package main

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station/mes"
	reports "linefit/station/report"
	"linefit/station/text"
)

type auditFindCmd struct {
	Store     string `type:"path" placeholder:"DIR" help:"The store's folder: the answer is made from the evidence."`
	Address   string `placeholder:"ADDR" help:"A running station, unix:/path or http://host:port: the answer is made from its index."`
	Config    string `type:"path" placeholder:"FILE" help:"The station file; its socket is the address."`
	TokenFile string `type:"path" placeholder:"FILE" help:"Bearer token for an address over TCP."`
	JSON      bool   `name:"json" help:"Print one JSON document."`
	keyFlag
	windowFlags
	Slot        []int             `placeholder:"N" help:"Runs in these slots."`
	Firmware    string            `placeholder:"TEXT" help:"Of the module. In all texts * stands for any characters."`
	Maker       string            `placeholder:"TEXT" help:"Of the module."`
	Model       string            `placeholder:"TEXT" help:"Of the module."`
	Platform    map[string]string `placeholder:"NAME=TEXT" help:"Of the eUICC: eum, firmware, svn, pp_version, sas, label."`
	Route       string            `placeholder:"TEXT" help:"Of APDUs: cgla, csim."`
	Generation  string            `enum:",sgp22,sgp32,sgp02,sgp41" default:"" placeholder:"NAME" help:"Of the eUICC: sgp22, sgp32 or sgp02; sgp41: units of in-factory provisioning."`
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

// Run answers a containment question.
func (c *auditFindCmd) Run(a *app) error {
	q := reports.Query{
		Slots: c.Slot, Since: c.Since.Time, Until: c.Until.Time, Recipe: c.Recipe, Digest: strings.ToLower(c.Digest), WorkOrder: c.WorkOrder, SKU: c.SKU,
		Software: c.Software, Maker: c.Maker, Model: c.Model, Firmware: c.Firmware, Route: c.Route, Generation: c.Generation, Platform: c.Platform,
		SMDP: c.SMDP, Batch: c.Batch, Verdict: c.Verdict, Reason: c.Reason, SinceGolden: c.SinceGolden,
	}
	if err := q.Check(); err != nil {
		return exit(exitUsage, err)
	}
	from := where{Address: c.Address, Config: c.Config, TokenFile: c.TokenFile, Store: c.Store}
	if err := from.check(); err != nil {
		return err
	}
	if c.Store == "" {
		return c.ask(a, from)
	}
	return c.scan(a, q, storeFlags{Store: c.Store, JSON: c.JSON})
}

// ask lets a running station answer from its index.
func (c *auditFindCmd) ask(a *app, from where) error {
	remote, err := from.client()
	if err != nil {
		return err
	}
	defer remote.Close()
	var b mes.FindBody
	if err := remote.Get(a.ctx, "/v1/audit/find?"+c.values().Encode(), &b); err != nil {
		return personError(err)
	}
	d := findDocument{Query: b.Query, Log: findSource{First: b.First, Exported: store.Exported{Last: b.Last}}, Found: b.Found}
	if c.JSON {
		return a.json(d)
	}
	w := bufio.NewWriter(a.stdout)
	return joinOnce(d.print(w), w.Flush())
}

// values are the question as the API takes it.
func (c *auditFindCmd) values() url.Values {
	v := url.Values{}
	for name, text := range map[string]string{
		"recipe": c.Recipe, "digest": c.Digest, "work_order": c.WorkOrder, "sku": c.SKU, "software": c.Software, "maker": c.Maker, "model": c.Model,
		"firmware": c.Firmware, "route": c.Route, "smdp": c.SMDP, "batch": c.Batch, "verdict": c.Verdict, "reason": c.Reason,
	} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if len(c.Slot) > 0 {
		v.Set("slot", strings.Trim(strings.ReplaceAll(fmt.Sprint(c.Slot), " ", ","), "[]"))
	}
	var platform []string
	for name, text := range c.Platform {
		platform = append(platform, name+"="+text)
	}
	if len(platform) > 0 {
		v.Set("platform", strings.Join(platform, ","))
	}
	for name, at := range map[string]moment{"since": c.Since, "until": c.Until} {
		if !at.IsZero() {
			v.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if c.SinceGolden {
		v.Set("since_golden", "true")
	}
	return v
}

// scan answers from the evidence, in one pass.
func (c *auditFindCmd) scan(a *app, q reports.Query, flags storeFlags) error {
	l, err := flags.open(c.keyFlag)
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
		return flags.refuse(a, err)
	}
	d := findDocument{Query: q, Log: findSource{out, first}, Found: finder.Result()}
	if c.JSON {
		return a.json(d)
	}
	w := bufio.NewWriter(a.stdout)
	return joinOnce(d.print(w), w.Flush())
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
	if d.Log.Origin != "" {
		fmt.Fprintf(w, "\nfrom entries %d to %d of %s, verified\n", d.Log.First, d.Log.Last, text.Printable(d.Log.Origin))
	} else {
		fmt.Fprintf(w, "\nfrom the station's index of entries %d to %d; --store answers the same from the evidence\n", d.Log.First, d.Log.Last)
	}
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
