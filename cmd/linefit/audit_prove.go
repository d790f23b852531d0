package main

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"linefit/audit"
	"linefit/audit/store"
)

type auditProveCmd struct {
	storeFlags
	keyFlag
	Seq        uint64 `placeholder:"N" help:"Prove that this entry is in the log."`
	Checkpoint string `placeholder:"FILE" help:"Prove that the log only grew since this checkpoint; - for stdin."`
	Out        string `type:"path" placeholder:"FILE" default:"-" help:"Where to write the proof: C2SP tlog-proof, or a tlog-witness request."`
}

// inclusionDocument is an inclusion proof as JSON.
type inclusionDocument struct {
	Kind       string           `json:"kind"`
	Seq        uint64           `json:"seq"`
	Index      uint64           `json:"index"` // of the leaf
	Origin     string           `json:"origin"`
	Size       uint64           `json:"size"`
	Root       string           `json:"root"`
	Entry      string           `json:"entry"` // its exact bytes
	Proof      tlog.RecordProof `json:"proof"`
	Checkpoint string           `json:"checkpoint"`
}

// consistencyDocument is a consistency proof as JSON.
type consistencyDocument struct {
	Kind       string         `json:"kind"`
	Origin     string         `json:"origin"`
	OldSize    uint64         `json:"old_size"`
	OldRoot    string         `json:"old_root"`
	Size       uint64         `json:"size"`
	Root       string         `json:"root"`
	Proof      tlog.TreeProof `json:"proof"`
	Checkpoint string         `json:"checkpoint"`
}

// Run proves one thing.
func (c *auditProveCmd) Run(a *app) error {
	if (c.Seq == 0) == (c.Checkpoint == "") {
		return exit(exitUsage, errors.New("say one of --seq N and --checkpoint FILE"))
	}
	if c.JSON && c.Out != "-" {
		return exit(exitUsage, errors.New("--json prints the proof itself on stdout, without --out"))
	}
	if c.Out != "-" {
		if err := c.outside(c.Out); err != nil {
			return err
		}
	}
	l, err := c.open(c.keyFlag)
	if err != nil {
		return err
	}
	proof, document, err := c.prove(a, l)
	if err != nil {
		return c.refuse(a, err)
	}
	if c.JSON {
		return a.json(document)
	}
	return logExit(writeOutput(a, c.Out, func(w io.Writer) error {
		_, err := w.Write(proof)
		return err
	}))
}

func (c *auditProveCmd) prove(a *app, l *store.Log) (proof []byte, document any, err error) {
	if c.Seq > 0 {
		return c.inclusion(a, l)
	}
	kept, err := readInput(a, c.Checkpoint)
	if err != nil {
		return nil, nil, err
	}
	p, err := l.Consistent(a.ctx, kept)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(a.stderr, "the log of %d entries was the beginning of the one of %d\n", p.Old.Size, p.New.Size)
	return p.Marshal(), consistencyDocument{
		Kind: "consistency", Origin: p.New.Origin, OldSize: p.Old.Size, OldRoot: p.Old.Root.String(),
		Size: p.New.Size, Root: p.New.Root.String(), Proof: append(tlog.TreeProof{}, p.Path...), Checkpoint: string(p.New.Note),
	}, nil
}

func (c *auditProveCmd) inclusion(a *app, l *store.Log) (proof []byte, document any, err error) {
	p, err := l.Prove(a.ctx, c.Seq)
	if err != nil {
		return nil, nil, exit(exitVerdict, err)
	}
	head, err := audit.ParseCheckpoint(p.Checkpoint)
	if err != nil {
		return nil, nil, err
	}
	return p.Marshal(), inclusionDocument{
		Kind: "inclusion", Seq: c.Seq, Index: p.Index, Origin: head.Origin, Size: head.Size, Root: head.Root.String(),
		Entry: string(p.Entry), Proof: append(tlog.RecordProof{}, p.Path...), Checkpoint: string(p.Checkpoint),
	}, nil
}
