package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station/text"
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

// maxWitnessTries bounds how often a witness may say that it has another size.
const maxWitnessTries = 3

// Run gives the newest published checkpoint to a witness, with the proof that the
// log only grew since the witness saw it, and keeps the cosigned one.
func (c *auditWitnessCmd) Run(a *app) error {
	witness, err := witnessKey(c.Witness)
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
	d, err := c.push(a.ctx, l, witness)
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

func (c *auditWitnessCmd) push(ctx context.Context, l *store.Log, witness note.Verifier) (witnessDocument, error) {
	published, err := l.Published()
	if err != nil {
		return witnessDocument{}, err
	}
	size := c.kept(published.Origin)
	for range maxWitnessTries {
		p, err := l.Since(ctx, size)
		if err != nil {
			return witnessDocument{}, err
		}
		status, kind, answer, err := c.ask(ctx, p.Marshal())
		if err != nil {
			return witnessDocument{}, exit(exitMissing, err)
		}
		fork := func(why string) error {
			return exit(exitVerdict, fmt.Errorf("fork: witness %s has seen another history of log %s: %s", text.Printable(witness.Name()), text.Printable(published.Origin), why))
		}
		switch status {
		case http.StatusOK:
			signed, err := audit.AddCosignature(p.New.Note, answer, witness)
			return witnessDocument{Origin: p.New.Origin, Size: p.New.Size, From: size, Witness: witness.Name(), Checkpoint: string(signed)}, err
		case http.StatusConflict:
			has, err := strconv.ParseUint(strings.TrimSuffix(string(answer), "\n"), 10, 63)
			switch {
			case kind != "text/x.tlog.size" || err != nil:
				return witnessDocument{}, exit(exitMissing, errors.New("the witness answers 409 without a size"))
			case has == size:
				return witnessDocument{}, fork(fmt.Sprintf("the same size, %d, and another root", has))
			}
			size = has
		case http.StatusUnprocessableEntity:
			return witnessDocument{}, fork("the proof does not fit")
		case http.StatusForbidden, http.StatusNotFound:
			return witnessDocument{}, exit(exitRefused, fmt.Errorf("the witness does not know log %s, or not its key (%d): %s", text.Printable(published.Origin), status, text.Printable(strings.TrimSpace(string(answer)))))
		default:
			return witnessDocument{}, exit(exitMissing, fmt.Errorf("the witness answers %d: %s", status, text.Printable(strings.TrimSpace(string(answer)))))
		}
	}
	return witnessDocument{}, exit(exitMissing, errors.New("the witness names another size each time"))
}

// ask posts a request to the witness.
func (c *auditWitnessCmd) ask(ctx context.Context, request []byte) (status int, kind string, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(c.URL, "/")+"/add-checkpoint", bytes.NewReader(request))
	if err != nil {
		return 0, "", nil, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	reply, err := client.Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer reply.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(reply.Body, 8192))
	return reply.StatusCode, reply.Header.Get("Content-Type"), answer, err
}
