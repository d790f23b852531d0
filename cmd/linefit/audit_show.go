package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station/text"
)

type auditShowCmd struct {
	storeFlags
	keyFlag
	windowFlags
	langFlag
	Unit  string   `placeholder:"ID" help:"Entries of a unit: a serial, imei:, eid:, iccid: or carrier:position."`
	Seq   uint64   `placeholder:"N" help:"One entry."`
	After uint64   `placeholder:"SEQ" help:"Only entries with a larger number."`
	Slot  *int     `placeholder:"N" help:"Only entries of this slot; 0 is the station itself."`
	Type  []string `placeholder:"NAME" help:"Only entries of these types, such as run.verdict."`
	Data  bool     `help:"Print each entry's data too, as it stands in the log."`
}

// Run prints entries.
func (c *auditShowCmd) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	cat, err := c.catalogue()
	if err != nil {
		return err
	}
	l, err := c.open(c.keyFlag)
	if err != nil {
		return err
	}
	f := audit.Filter{ID: c.Unit, After: c.After, Since: c.Since.Time, Until: c.Until.Time, Types: withoutVersion(c.Type), Slot: c.Slot}
	if c.Seq > 0 {
		f.After = c.Seq - 1
	}
	p := &shown{w: bufio.NewWriter(a.stdout), cat: cat, json: c.JSON, data: c.Data}
	out, err := l.Select(a.ctx, f, func(e audit.Entry, raw []byte) error {
		if c.Seq > 0 && e.Seq != c.Seq {
			return nil
		}
		return p.entry(e, raw)
	})
	if err != nil && p.n == 0 {
		return c.refuse(a, err)
	}
	if err := joinOnce(err, p.end(out), p.w.Flush()); err != nil {
		return logExit(err)
	}
	switch {
	case p.n == 0 && c.Seq > 0:
		return exit(exitVerdict, fmt.Errorf("there is no entry %d, the last published one is %d", c.Seq, out.Last))
	case p.n == 0 && c.Unit != "":
		return exit(exitVerdict, fmt.Errorf("%w: %q", store.ErrNoUnit, c.Unit))
	}
	return nil
}

// shown prints entries as they come: as lines, or as one JSON document.
type shown struct {
	w    *bufio.Writer
	cat  *text.Catalogue
	json bool
	data bool
	n    int
}

func (s *shown) entry(e audit.Entry, raw []byte) error {
	s.n++
	if s.json {
		lead := ",\n"
		if s.n == 1 {
			lead = `{"entries":[` + "\n"
		}
		if _, err := s.w.WriteString(lead); err != nil {
			return err
		}
		_, err := s.w.Write(raw)
		return err
	}
	return printEntry(s.w, s.cat, e, s.data)
}

// end ends the JSON document; the entries in it are their exact bytes.
func (s *shown) end(out store.Exported) error {
	if !s.json {
		return nil
	}
	if s.n == 0 {
		if _, err := s.w.WriteString(`{"entries":[`); err != nil {
			return err
		}
	}
	log, err := json.Marshal(out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.w, "\n],\"log\":%s}\n", log)
	return err
}

func printEntry(w io.Writer, cat *text.Catalogue, e audit.Entry, data bool) error {
	said := cat.Entry(e.Type, e.Data)
	where := ""
	if e.Slot > 0 {
		where = fmt.Sprint(e.Slot)
	}
	_, err := fmt.Fprintf(w, "%8d  %s  %2s  %-12s  %-12s  %s\n", e.Seq, e.UTC.Format("2006-01-02 15:04:05.000"), where,
		text.Printable(e.Unit), text.Printable(e.Actor), said)
	if err == nil && data {
		_, err = fmt.Fprintf(w, "          %s %s\n", e.Type, text.Printable(string(e.Data)))
	}
	return err
}
