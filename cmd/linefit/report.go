package main

import (
	"errors"
	"fmt"
	"io"

	"linefit/audit"
	"linefit/audit/store"
	reports "linefit/station/report"
	"linefit/station/text"
)

type reportCmd struct {
	storeFlags
	keyFlag
	windowFlags
	langFlag
	Out string `type:"path" placeholder:"FILE.html" help:"The page: one file that needs nothing else. Needed unless --json is enough."`
}

// Run reports on a station's work, from the evidence and in one pass.
func (c *reportCmd) Run(a *app) error {
	cat, err := c.check()
	if err != nil {
		return err
	}
	l, err := c.open(c.keyFlag)
	if err != nil {
		return err
	}
	b := reports.NewBuilder(c.Since.Time, c.Until.Time)
	out, err := l.Read(a.ctx, func(e audit.Entry, _ []byte) error {
		b.Add(e)
		return nil
	})
	if err != nil {
		return c.refuse(a, err)
	}
	r := b.Result()
	if err := source(&r.Log, l, out); err != nil {
		return err
	}
	if c.Out != "" {
		if err := writeOutput(a, c.Out, func(w io.Writer) error { return reports.HTML(w, r, cat) }); err != nil {
			return logExit(err)
		}
		fmt.Fprintf(a.stderr, "%s: %d runs of %d units, first-pass yield %s\n", c.Out, r.Yield.Runs, r.Yield.Units, share(r.Yield.FPYPermille, r.Yield.Units))
	}
	if c.JSON {
		return a.json(r)
	}
	return nil
}

func (c *reportCmd) check() (*text.Catalogue, error) {
	if c.Out == "" && !c.JSON {
		return nil, exit(exitUsage, errors.New("say --out FILE.html, or --json"))
	}
	if err := c.windowFlags.check(); err != nil {
		return nil, err
	}
	if c.Out == "-" && c.JSON {
		return nil, exit(exitUsage, errors.New("--out - and --json both want stdout"))
	}
	if c.Out != "" && c.Out != "-" {
		if err := c.outside(c.Out); err != nil {
			return nil, err
		}
	}
	return c.catalogue()
}

// source says from which log a report is.
func source(s *reports.Source, l *store.Log, out store.Exported) error {
	head, err := audit.ParseCheckpoint([]byte(out.Checkpoint))
	if err != nil {
		return err
	}
	s.Origin, s.Sim, s.Size, s.Root, s.Checkpoint, s.VKey = out.Origin, l.Sim(), head.Size, head.Root.String(), out.Checkpoint, l.VKey()
	return nil
}

func share(permille, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%d.%d %%", permille/10, permille%10)
}
