package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station/text"
)

// auditCmd reads the log. All but rebuild read the segments, take no lock and
// change nothing in the store, also while the station runs.
type auditCmd struct {
	Verify  auditVerifyCmd  `cmd:"" help:"Look for damage, truncation and roll-back."`
	Head    auditHeadCmd    `cmd:"" help:"The newest signed checkpoint, to keep outside of the station."`
	Show    auditShowCmd    `cmd:"" help:"Entries for a person to read."`
	Find    auditFindCmd    `cmd:"" help:"Which units share something: containment."`
	Export  auditExportCmd  `cmd:"" help:"Write entries out: as evidence (tiles, bundle) or for spreadsheets and scripts (csv, jsonl)."`
	Prove   auditProveCmd   `cmd:"" help:"A proof that an entry is in the log, or that the log only grew."`
	Witness auditWitnessCmd `cmd:"" help:"Have a witness elsewhere cosign the newest checkpoint (C2SP tlog-witness)."`
	Check   auditCheckCmd   `cmd:"" help:"Check an export, bundle, proof or checkpoint offline, without a store."`
	Accept  auditAcceptCmd  `cmd:"" help:"Go on with a log that is not what it must be: two people decide."`
	Archive auditArchiveCmd `cmd:"" help:"Move closed shards out of the store: exported, verified, copied."`
	Rebuild auditRebuildCmd `cmd:"" help:"Drop what is derived from the log, make it anew, and compare."`
}

// storeFlags name the store that a command reads.
type storeFlags struct {
	Store string `required:"" type:"path" placeholder:"DIR" help:"The store's folder."`
	JSON  bool   `name:"json" help:"Print one JSON document."`
}

// keyFlag is the verifier key that a command trusts.
type keyFlag struct {
	Key string `placeholder:"VKEY" help:"Verifier key to trust, or a file with it; by default the store's own, which shows damage but not a log that was replaced as a whole."`
}

// vkey is the text of the key, "" where none was given.
func (k keyFlag) vkey() (string, error) {
	if k.Key == "" {
		return "", nil
	}
	_, err := audit.ParseVKey(k.Key)
	if err == nil {
		return k.Key, nil
	}
	data, fileErr := readFile(k.Key)
	if fileErr != nil {
		return "", exit(exitUsage, fmt.Errorf("--key: %w, and it is no file", err))
	}
	if _, err := audit.ParseVKey(string(data)); err != nil {
		return "", exit(exitUsage, fmt.Errorf("--key %s: %w", k.Key, err))
	}
	return strings.TrimSpace(string(data)), nil
}

func (k keyFlag) verifier() (note.Verifier, error) {
	vkey, err := k.vkey()
	if err != nil || vkey == "" {
		return nil, err
	}
	return audit.ParseVKey(vkey)
}

// open opens the log for reading, with the key that was given.
func (f storeFlags) open(k keyFlag) (*store.Log, error) {
	vkey, err := k.vkey()
	if err != nil {
		return nil, err
	}
	if err := isFolder(f.Store); err != nil {
		return nil, err
	}
	l, err := store.OpenLog(f.Store, vkey)
	if err != nil {
		return nil, logExit(err)
	}
	return l, nil
}

func isFolder(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return exit(exitMissing, fmt.Errorf("no store: %w", err))
	case err != nil:
		return logExit(err)
	case !st.IsDir():
		return exit(exitMissing, fmt.Errorf("no store: %s is not a folder", dir))
	}
	return nil
}

// logExit gives an error about a log its exit code.
func logExit(err error) error {
	var coded *exitError
	var damaged *store.DamagedError
	var finding *audit.FindingError
	var checkpoint *audit.CheckpointError
	var locked *store.LockedError
	switch {
	case err == nil || errors.As(err, &coded):
		return err
	case errors.As(err, &damaged), errors.As(err, &finding), errors.As(err, &checkpoint), errors.Is(err, store.ErrNoUnit):
		return exit(exitVerdict, err)
	case errors.Is(err, store.ErrFolder):
		return exit(exitUsage, err)
	case errors.Is(err, context.Canceled):
		return exit(exitVerdict, errors.New("stopped before the end"))
	case errors.Is(err, fs.ErrPermission):
		return exit(exitRefused, err)
	case errors.Is(err, store.ErrNoStore), errors.As(err, &locked), isPathError(err):
		return exit(exitMissing, err)
	}
	return err
}

func isPathError(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	var syscall *os.SyscallError
	return errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &syscall)
}

// refused is what a command prints as JSON in place of its result.
type refused struct {
	OK       bool            `json:"ok"`
	Error    string          `json:"error"`
	Findings []audit.Finding `json:"findings"`
}

// refuse reports why a command gives nothing: every finding on stderr, one
// JSON document on stdout where that was asked for. It returns the exit code.
func (f storeFlags) refuse(a *app, err error) error {
	err = logExit(err)
	var damaged *store.DamagedError
	var finding *audit.FindingError
	out := refused{Error: err.Error(), Findings: []audit.Finding{}}
	switch {
	case errors.As(err, &damaged):
		out.Findings = damaged.Report.Findings
	case errors.As(err, &finding):
		out.Findings = append(out.Findings, finding.Finding)
	}
	if f.JSON {
		if err := a.json(out); err != nil {
			return err
		}
	}
	if damaged != nil {
		for _, f := range damaged.Report.Findings {
			fmt.Fprintln(a.stderr, "damaged:", text.Printable(f.String()))
		}
		return exit(exitVerdict, fmt.Errorf("the log in %s is damaged: nothing is given out of it", f.Store))
	}
	return err
}

// json prints exactly one JSON document on stdout.
func (a *app) json(v any) error { return logExit(printJSON(a.stdout, v)) }

// outside refuses to write into the store: nothing in it is changed.
func (f storeFlags) outside(path string) error {
	dir, err := filepath.EvalSymlinks(f.Store)
	if err != nil {
		return logExit(err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	for parent := abs; ; parent = filepath.Dir(parent) {
		if real, err := filepath.EvalSymlinks(parent); err == nil {
			parent = real
		}
		if parent == dir {
			return exit(exitUsage, fmt.Errorf("--out %s lies in the store: nothing is written there", path))
		}
		if parent == filepath.Dir(parent) {
			return nil
		}
	}
}

// windowFlags bound the time.
type windowFlags struct {
	Since moment `placeholder:"TIME" help:"From then on: 2026-09-01, 2026-09-01T06:00, RFC 3339, or 8h for eight hours ago. UTC where no zone is given."`
	Until moment `placeholder:"TIME" help:"Before then, in the same forms."`
}

// moment is a point in time on the command line.
type moment struct{ time.Time }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *moment) UnmarshalText(b []byte) error {
	s := string(b)
	if d, err := time.ParseDuration(s); err == nil {
		m.Time = time.Now().Add(-d).UTC()
		return nil
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			m.Time = t.UTC()
			return nil
		}
	}
	return fmt.Errorf("%q is no time: use 2026-09-01, 2026-09-01T06:00, 2026-09-01T06:00:00+08:00 or 8h", s)
}

// check refuses a window in which nothing can be.
func (w windowFlags) check() error {
	if !w.Since.IsZero() && !w.Until.IsZero() && !w.Since.Before(w.Until.Time) {
		return exit(exitUsage, errors.New("--until is not after --since"))
	}
	return nil
}

// langFlag is the language of what people read.
type langFlag struct {
	Lang string `placeholder:"en|zh" help:"Language: en or zh; by default that of the terminal."`
}

func (f langFlag) catalogue() (*text.Catalogue, error) {
	if f.Lang != "" {
		l, ok := text.ParseLang(f.Lang)
		if !ok {
			return nil, exit(exitUsage, fmt.Errorf("--lang %s: there are en and zh", f.Lang))
		}
		return text.For(l), nil
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(name); v != "" {
			l, _ := text.ParseLang(v) // English where there is no catalogue
			return text.For(l), nil
		}
	}
	return text.For(text.English), nil
}
