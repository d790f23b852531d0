package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station/eim"
	"linefit/station/handover"
	"linefit/station/stock"
	"linefit/station/text"
)

type handoverCmd struct {
	storeFlags
	keyFlag
	windowFlags
	VaultKey string   `type:"path" placeholder:"FILE" help:"The vault's key; by default DIR.vault.key, or that of a demo."`
	EIM      string   `name:"eim" placeholder:"ID" help:"eimId whose units are handed over; needed where the log has several."`
	Columns  []string `placeholder:"HEADING=FIELD" help:"Columns as the eIM's operator asks for them, with the fields of docs/iot.md, such as EID=eid,Token=association_token."`
	Format   string   `enum:"csv,json" default:"csv" help:"csv or json."`
	Out      string   `type:"path" placeholder:"FILE" help:"The list, readable for its owner only; - is stdout."`
}

// handoverDocument is what was handed over as JSON.
type handoverDocument struct {
	EIM     string             `json:"eim"`
	Out     string             `json:"out"`
	Units   int                `json:"units"`
	Secrets int                `json:"secrets"` // fields that came from the vault
	LeftOut []handover.LeftOut `json:"left_out"`
	Log     store.Exported     `json:"log"`
}

// Run writes the list for an eIM's operator. It reads log and vault, takes no
// lock and changes nothing in the store, also while the station runs.
func (c *handoverCmd) Run(a *app) error {
	columns, err := c.check()
	if err != nil {
		return err
	}
	collector, log, err := c.collect(a)
	if err != nil {
		return c.refuse(a, err)
	}
	id, err := c.choose(collector)
	if err != nil {
		return err
	}
	vault, err := stock.ReadVault(a.ctx, filepath.Join(c.Store, "vault"), stock.KeyFile{Path: firstFile(c.VaultKey, c.Store+".vault.key", filepath.Join(c.Store, "sim", "vault.key"))})
	if err != nil {
		return exit(exitMissing, err)
	}
	t, err := collector.Table(id, columns, vaultItems{vault})
	if err != nil {
		return exit(exitMissing, err)
	}
	write := t.WriteCSV
	if c.Format == "json" {
		write = t.WriteJSON
	}
	if err := writeMode(a, c.Out, 0o600, func(w io.Writer) error { return write(w) }); err != nil {
		return logExit(err)
	}
	d := handoverDocument{EIM: id, Out: c.Out, Units: t.Units, Secrets: t.Secrets, LeftOut: append([]handover.LeftOut{}, t.LeftOut...), Log: log}
	return d.print(a, c.JSON)
}

func (d handoverDocument) print(a *app, asJSON bool) error {
	fmt.Fprintf(a.stderr, "%d units for eIM %s, with %d secrets; from entries up to %d, verified\n", d.Units, text.Printable(d.EIM), d.Secrets, d.Log.Last)
	for _, l := range d.LeftOut {
		fmt.Fprintf(a.stderr, "left out: unit %s: %s\n", text.Printable(string(l.Unit)), l.Why)
	}
	if asJSON {
		return a.json(d)
	}
	return nil
}

// check reads the columns, and says everything that is wrong with the flags.
func (c *handoverCmd) check() ([]handover.Column, error) {
	texts := c.Columns
	if len(texts) == 0 {
		texts = handover.DefaultColumns
	}
	columns, err := handover.ParseColumns(texts)
	errs := []error{err, c.windowFlags.check()}
	switch {
	case c.Out == "":
		errs = append(errs, errors.New("say --out FILE, or - for stdout"))
	case c.Out == "-" && c.JSON:
		errs = append(errs, errors.New("--json prints a summary on stdout: say --out FILE for the list itself"))
	case c.Out != "-":
		errs = append(errs, c.outside(c.Out))
	}
	err = errors.Join(errs...)
	var coded *exitError
	switch {
	case err == nil:
		return columns, nil
	case errors.As(err, &coded) && coded.code != exitUsage: // the store is not there
		return nil, err
	}
	return nil, exit(exitUsage, err)
}

func (c *handoverCmd) collect(a *app) (*handover.Collector, store.Exported, error) {
	l, err := c.open(c.keyFlag)
	if err != nil {
		return nil, store.Exported{}, err
	}
	collector := handover.NewCollector(c.Since.Time, c.Until.Time)
	log, err := l.Read(a.ctx, func(e audit.Entry, _ []byte) error { return collector.See(e) })
	return collector, log, err
}

// choose is the eIM whose list it is: no operator gets another's tokens.
func (c *handoverCmd) choose(collector *handover.Collector) (string, error) {
	ids := collector.EIMs()
	switch {
	case len(ids) == 0:
		return "", exit(exitVerdict, errors.New("the log has no released unit with an eIM, in this time"))
	case c.EIM == "" && len(ids) == 1:
		return ids[0], nil
	case c.EIM == "":
		return "", exit(exitUsage, fmt.Errorf("the log has units of several eIMs: say --eim with one of %s", strings.Join(ids, ", ")))
	case !slices.Contains(ids, c.EIM):
		return "", exit(exitVerdict, fmt.Errorf("the log has no released unit of eIM %q; it has %s", c.EIM, strings.Join(ids, ", ")))
	}
	return c.EIM, nil
}

// vaultItems opens what a list needs of the vault.
type vaultItems struct{ v *stock.VaultReader }

// Association implements handover.Open.
func (i vaultItems) Association(handle string) (eim.Association, error) {
	s, err := i.v.Get(stock.KindToken, handle)
	if err != nil {
		return eim.Association{}, err
	}
	return eim.ParseAssociation(s.Reveal())
}

// Result implements handover.Open.
func (i vaultItems) Result(handle string) (string, error) {
	s, err := i.v.Get(stock.KindResult, handle)
	return base64.StdEncoding.EncodeToString(s.Reveal()), err
}
