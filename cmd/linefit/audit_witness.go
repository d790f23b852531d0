package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station/text"
	"linefit/station/witness"
)

type auditWitnessCmd struct {
	storeFlags
	keyFlag
	URL     string        `required:"" placeholder:"URL" help:"The witness: its submission prefix (C2SP tlog-witness)."`
	Witness string        `required:"" placeholder:"VKEY" help:"The witness's verifier key, or a file with it."`
	Out     string        `required:"" type:"path" placeholder:"FILE" help:"Where the cosigned checkpoint is kept; the next push goes on from it."`
	Timeout time.Duration `default:"30s" help:"How long an answer may take."`
}

// witnessDocument is what a push came to.
type witnessDocument struct {
	Origin     string `json:"origin"`
	Size       uint64 `json:"size"`
	From       uint64 `json:"from"` // the size that the witness had
	Witness    string `json:"witness"`
	Checkpoint string `json:"checkpoint"` // cosigned
}

// Run gives the newest published checkpoint to a witness, with the proof that the
// log only grew since the witness saw it, and keeps the cosigned one.
func (c *auditWitnessCmd) Run(a *app) error {
	key, err := witnessKey(c.Witness)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(c.URL, "https://") && !strings.HasPrefix(c.URL, "http://") {
		return exit(exitUsage, errors.New("--url: a URL with http:// or https://"))
	}
	if err := c.outside(c.Out); err != nil {
		return err
	}
	l, err := c.open(c.keyFlag)
	if err != nil {
		return err
	}
	d, err := c.push(a.ctx, l, key)
	if err != nil {
		return c.refuse(a, err)
	}
	err = writeOutput(a, c.Out, func(w io.Writer) error {
		_, err := io.WriteString(w, d.Checkpoint)
		return err
	})
	if err != nil {
		return logExit(err)
	}
	if c.JSON {
		return a.json(d)
	}
	fmt.Fprintf(a.stdout, "%s has cosigned log %s with %d entries; it had seen %d\n", text.Printable(d.Witness), text.Printable(d.Origin), d.Size, d.From)
	return nil
}

// witnessKey reads a witness's key, or the file with it.
func witnessKey(given string) (note.Verifier, error) {
	if b, err := readFile(given); err == nil {
		given = string(b)
	}
	v, err := audit.ParseWitnessKey(given)
	if err != nil {
		return nil, exit(exitUsage, err)
	}
	return v, nil
}

// kept is the size with which the witness cosigned last, 0 where that is not
// known for this log.
func (c *auditWitnessCmd) kept(origin string) uint64 {
	b, err := readFile(c.Out)
	if err != nil {
		return 0
	}
	k, err := audit.ParseCheckpoint(b)
	if err != nil || k.Origin != origin {
		return 0
	}
	return k.Size
}

func (c *auditWitnessCmd) push(ctx context.Context, l *store.Log, key note.Verifier) (witnessDocument, error) {
	published, err := l.Published()
	if err != nil {
		return witnessDocument{}, err
	}
	client := witness.Client{URL: c.URL, Key: key, Timeout: c.Timeout}
	prove := func(size uint64) (audit.Consistency, error) { return l.Since(ctx, size) }
	w, err := client.Push(ctx, prove, c.kept(published.Origin))
	return witnessDocument{Origin: w.Origin, Size: w.Size, From: w.From, Witness: key.Name(), Checkpoint: string(w.Note)}, witnessExit(err)
}

// witnessExit gives what a witness says its exit code.
func witnessExit(err error) error {
	var fork *witness.ForkError
	var unknown *witness.UnknownLogError
	var answer *witness.AnswerError
	switch {
	case errors.As(err, &fork):
		return exit(exitVerdict, err)
	case errors.As(err, &unknown):
		return exit(exitRefused, err)
	case errors.As(err, &answer):
		return exit(exitMissing, err)
	}
	return err
}
