package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/internal/strictyaml"
	"linefit/station/text"
)

type auditVerifyCmd struct {
	storeFlags
	keyFlag
	Checkpoint string   `placeholder:"FILE" help:"A checkpoint that someone kept, as a signed note or its base64; - for stdin. A log that lost or changed anything it covers is found."`
	Witness    []string `placeholder:"VKEY" help:"Verifier key of a witness that must have cosigned that checkpoint, or a file with it; may be said again."`
	Quorum     int      `placeholder:"N" help:"So many of these witnesses must have; all where nothing is said."`
}

// Run verifies a log.
func (c *auditVerifyCmd) Run(a *app) error {
	vkey, err := c.vkey()
	if err != nil {
		return err
	}
	var kept []byte
	if c.Checkpoint != "" {
		if kept, err = readInput(a, c.Checkpoint); err != nil {
			return err
		}
	}
	witnesses, err := c.witnesses()
	if err != nil {
		return err
	}
	if err := isFolder(c.Store); err != nil {
		return err
	}
	r, err := store.Verify(a.ctx, c.Store, store.VerifyOptions{Key: vkey, Checkpoint: kept})
	if err != nil {
		return logExit(err)
	}
	if have := audit.Cosigners(audit.PlainNote(kept), witnesses); len(have) < c.Quorum {
		r.OK = false
		r.Findings = append(r.Findings, audit.Finding{Code: audit.FindCheckpoint, Detail: fmt.Sprintf("given checkpoint: %d of its witnesses have cosigned it %q, %d are wanted", len(have), have, c.Quorum)})
	}
	if c.JSON {
		err = a.json(r)
	} else {
		printReport(a.stdout, r, vkey == "")
	}
	if err == nil && !r.OK {
		err = exit(exitVerdict, nil)
	}
	return err
}

// witnesses are those of whom Quorum must have cosigned the given checkpoint.
func (c *auditVerifyCmd) witnesses() (list []note.Verifier, err error) {
	names := map[string]bool{}
	for _, given := range c.Witness {
		v, err := witnessKey(given)
		if err != nil {
			return nil, err
		}
		if names[v.Name()] {
			return nil, exit(exitUsage, fmt.Errorf("--witness: %s is named twice", v.Name()))
		}
		names[v.Name()] = true
		list = append(list, v)
	}
	if c.Quorum == 0 {
		c.Quorum = len(list)
	}
	switch {
	case len(list) > 0 && c.Checkpoint == "":
		return nil, exit(exitUsage, errors.New("--witness: say --checkpoint, which they have cosigned"))
	case c.Quorum < 0 || c.Quorum > len(list):
		return nil, exit(exitUsage, fmt.Errorf("--quorum %d: %d witnesses are named", c.Quorum, len(list)))
	}
	return list, nil
}

// readInput reads a file that was named on the command line, or stdin.
func readInput(a *app, path string) ([]byte, error) {
	if path == "-" {
		data, err := io.ReadAll(io.LimitReader(a.stdin, maxInput))
		if err != nil {
			return nil, exit(exitUsage, err)
		}
		return data, nil
	}
	data, err := strictyaml.ReadFile(path, maxInput)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, exit(exitRefused, err)
	case err != nil:
		return nil, exit(exitUsage, err)
	}
	return data, nil
}

// maxInput bounds a file that is read whole: a bundle is the largest.
const maxInput = 64 << 20

// printReport prints what verifying found. own says that no key was given.
func printReport(w io.Writer, r store.Report, own bool) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	for _, f := range r.Findings {
		p("BAD   %s", text.Printable(f.String()))
	}
	if r.OK {
		p("good  %d entries in %d segments, %d bytes", r.Entries, r.Segments, r.Bytes)
	} else {
		p("BAD   %d findings in %d entries, %d segments, %d bytes", len(r.Findings), r.Entries, r.Segments, r.Bytes)
	}
	p("log   %s", text.Printable(r.Origin))
	p("head  %d entries, root %s; %d published", r.Size, r.Root, r.Published)
	p("key   %s", text.Printable(r.VKey))
	if own {
		p("      (the store's own: say --key to see that the log was not replaced as a whole)")
	}
	if r.Sim {
		p("sim   a simulated station")
	}
	if r.Checkpoint != nil && r.OK {
		p("kept  the given checkpoint of %d entries is in its past", *r.Checkpoint)
	}
	if r.Tail != nil {
		p("tail  %d bytes behind the last batch in %s are not yet, or were never, acknowledged: %s", r.Tail.Bytes, r.Tail.File, r.Tail.What)
	}
	for _, d := range r.Accepted {
		p("note  %s and %s went on in spite of %d findings: %s", text.Printable(d.Persons[0]), text.Printable(d.Persons[1]), len(d.Findings), text.Printable(d.Reason))
	}
}

type auditHeadCmd struct {
	storeFlags
	keyFlag
}

// headDocument is the newest checkpoint as JSON.
type headDocument struct {
	Origin     string `json:"origin"`
	Size       uint64 `json:"size"`
	Root       string `json:"root"`
	Checkpoint []byte `json:"checkpoint"` // the signed note, base64
	VKey       string `json:"vkey"`
	Sim        bool   `json:"sim"`
}

// Run prints the newest published checkpoint. Its signature is verified, with
// --key from that key on, through the words of the shards' keys for one another;
// the entries are not read.
func (c *auditHeadCmd) Run(a *app) error {
	l, err := c.open(c.keyFlag)
	if err != nil {
		return err
	}
	head, err := l.Newest()
	var checkpoint *audit.CheckpointError
	if errors.As(err, &checkpoint) {
		return c.refuse(a, err)
	}
	if err != nil {
		return exit(exitVerdict, fmt.Errorf("%w; see linefit audit verify --store %s", err, c.Store))
	}
	if c.JSON {
		return a.json(headDocument{
			Origin: head.Origin, Size: head.Size, Root: head.Root.String(), Checkpoint: head.Note, VKey: l.VKey(), Sim: l.Sim(),
		})
	}
	_, err = a.stdout.Write(head.Note)
	return err
}
