package main

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station/plant"
	"linefit/station/text"
)

type auditRebuildCmd struct {
	storeFlags
}

// Run drops what is derived from the log and makes it anew. It needs the
// store's lock, and no private key: nothing is signed.
func (c *auditRebuildCmd) Run(a *app) error {
	l, err := c.open(keyFlag{})
	if err != nil {
		return err
	}
	o, err := rebuildOptions(l, c.Store)
	if err != nil {
		return exit(exitVerdict, err)
	}
	r, err := store.Rebuild(a.ctx, o)
	var state *store.StateError
	switch {
	case errors.As(err, &state) && len(state.Findings) > 0:
		return c.refuse(a, &store.DamagedError{Report: store.Report{Findings: state.Findings}})
	case err != nil:
		return logExit(err)
	}
	if c.JSON {
		err = a.json(r)
	} else {
		printRebuilt(a, r)
	}
	if err == nil && !r.Same && r.NotCompared == "" {
		err = exit(exitVerdict, nil)
	}
	return err
}

func printRebuilt(a *app, r store.Rebuilt) {
	for _, p := range r.Parts {
		verdict := "same"
		switch {
		case r.NotCompared != "":
			verdict = "made"
		case !p.Same:
			verdict = fmt.Sprintf("NOT THE SAME: it had %d keys", p.Before)
		}
		fmt.Fprintf(a.stdout, "%-24s %8d keys  %s\n", p.Name, p.Keys, verdict)
		for _, d := range p.Differs {
			fmt.Fprintf(a.stdout, "  %s\n", text.Printable(d))
		}
	}
	switch {
	case r.NotCompared != "":
		fmt.Fprintf(a.stdout, "made anew from %d entries; there was nothing to compare with: %s\n", r.Entries, r.NotCompared)
	case r.Same:
		fmt.Fprintf(a.stdout, "made anew from %d entries: everything came out the same\n", r.Entries)
	default:
		fmt.Fprintf(a.stdout, "made anew from %d entries: what was derived before was WRONG, it is right now\n", r.Entries)
	}
}

// rebuildOptions opens a store as the log itself says it is.
func rebuildOptions(l *store.Log, dir string) (store.Options, error) {
	key, err := publicKey(l.VKey())
	if err != nil {
		return store.Options{}, fmt.Errorf("the newest segment names no verifier key: %w", err)
	}
	o := store.Options{Dir: dir, Key: key, Sim: l.Sim(), Projections: plant.Projections()}
	if n := l.Shard(); n > 1 {
		o.Key = keyNamed{key, strings.TrimSuffix(key.Name(), fmt.Sprintf("/%d", n))}
		o.ShardKey = func(uint32, string) (audit.Key, error) { return key, nil }
	}
	return o, nil
}

// verifyOnly is the public half of a log's key. Asked to sign it fails.
type verifyOnly struct {
	note.Verifier
	vkey string
}

func publicKey(vkey string) (verifyOnly, error) {
	v, err := audit.ParseVKey(vkey)
	return verifyOnly{v, vkey}, err
}

// VKey implements audit.Key.
func (k verifyOnly) VKey() string { return k.vkey }

// Sign implements note.Signer.
func (k verifyOnly) Sign([]byte) ([]byte, error) {
	return nil, errors.New("nothing is signed here: the private key is the station's")
}

// keyNamed is a key under the name of its log's first shard.
type keyNamed struct {
	verifyOnly
	name string
}

// Name implements note.Signer.
func (k keyNamed) Name() string { return k.name }
