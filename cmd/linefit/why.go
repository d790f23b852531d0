package main

import (
	"errors"
	"fmt"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station"
	reports "linefit/station/report"
	"linefit/station/text"
)

type whyCmd struct {
	storeFlags
	keyFlag
	langFlag
	ID string `arg:"" placeholder:"ID" help:"A serial, imei:, eid:, iccid: or carrier:position."`
}

// whyDocument is the stories of the units behind an identifier as JSON: one,
// where nothing is wrong.
type whyDocument struct {
	ID      string          `json:"id"`
	Log     store.Exported  `json:"log"`
	Stories []reports.Story `json:"stories"`
}

// Run tells a unit's story, from the evidence.
func (c *whyCmd) Run(a *app) error {
	if c.ID == "" {
		return exit(exitUsage, errors.New("which unit? a serial, imei:, eid:, iccid: or carrier:position"))
	}
	cat, err := c.catalogue()
	if err != nil {
		return err
	}
	l, err := c.open(c.keyFlag)
	if err != nil {
		return err
	}
	tellers, order := map[string]*reports.Teller{}, []string(nil)
	out, err := l.Select(a.ctx, audit.Filter{ID: c.ID}, func(e audit.Entry, _ []byte) error {
		t := tellers[e.Unit]
		if t == nil {
			t = reports.NewTeller(station.Serial(e.Unit), cat)
			tellers[e.Unit], order = t, append(order, e.Unit)
		}
		t.See(e)
		return nil
	})
	if err == nil && len(order) == 0 {
		err = fmt.Errorf("%w: %q", store.ErrNoUnit, c.ID)
	}
	if err != nil {
		return c.refuse(a, err)
	}
	d := whyDocument{ID: c.ID, Log: out, Stories: []reports.Story{}}
	for _, unit := range order {
		d.Stories = append(d.Stories, tellers[unit].Story())
	}
	if c.JSON {
		return a.json(d)
	}
	if len(order) > 1 {
		fmt.Fprintf(a.stdout, "%s\n\n", cat.T("why.several", "id", text.Printable(c.ID), "count", len(order)))
	}
	for _, s := range d.Stories {
		fmt.Fprintln(a.stdout, s.Text(cat))
	}
	fmt.Fprintln(a.stdout, cat.T("why.source", "origin", text.Printable(out.Origin), "last", out.Last))
	if l.Sim() {
		fmt.Fprintln(a.stdout, cat.T("why.simulated"))
	}
	return nil
}
