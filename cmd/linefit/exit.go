package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"

	"linefit/internal/strictyaml"
	"linefit/station"
)

// Exit codes, one table for all subcommands.
const (
	exitOK       = 0  // done and good
	exitVerdict  = 1  // finished, but the verdict is bad
	exitUsage    = 2  // wrong usage or configuration
	exitMissing  = 3  // a needed thing is missing or busy
	exitRefused  = 4  // refused for lack of permission
	exitInternal = 70 // a fault of linefit itself
)

// exitError gives an error its exit code. A nil err ends silently: what there
// is to say was printed.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exit wraps err (or nil) with a code.
func exit(code int, err error) error { return &exitError{code: code, err: err} }

// silent reports whether an error leaves nothing to say: everything was printed.
func silent(err error) bool {
	var e *exitError
	return err == nil || errors.As(err, &e) && e.err == nil
}

// report prints an error and returns the process's exit code. An error
// without a code of its own is a fault of linefit itself.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	var e *exitError
	if !errors.As(err, &e) {
		e = &exitError{code: exitInternal, err: err}
		switch {
		case outputError(err), slices.ContainsFunc(noDisk, func(e error) bool { return errors.Is(err, e) }):
			e.code = exitMissing
		case errors.Is(err, context.Canceled): // somebody stopped it
			e.code = exitVerdict
		}
	}
	var mistakes strictyaml.Problems
	switch {
	case e.err == nil:
	case readerGone(err): // it has seen what it wanted
	case errors.As(err, &mistakes) && mistakes.Error() == e.err.Error():
		fmt.Fprintf(stderr, "%v\nlinefit: %s\n", mistakes, counted(len(mistakes), "mistake"))
	default:
		fmt.Fprintln(stderr, "linefit:", err)
	}
	return e.code
}

// noDisk are the system's words for a disk that takes nothing: no fault of linefit
// either.
var noDisk = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS}

// failure is what a command prints under --json that has nothing else to print.
type failure struct {
	OK       bool                `json:"ok"`
	Code     int                 `json:"code"` // the exit code
	Error    string              `json:"error"`
	Reason   *station.Reason     `json:"reason,omitempty"` // of a refusal by the station
	Mistakes strictyaml.Problems `json:"mistakes,omitempty"`
}

func failureDocument(err error, code int) failure {
	f := failure{Code: code}
	if err != nil {
		f.Error = err.Error()
	}
	var refusal *station.Refusal
	if errors.As(err, &refusal) {
		f.Reason = refusal.Reason
	}
	errors.As(err, &f.Mistakes)
	return f
}

// wantsJSON reports whether the chosen command was told --json.
func wantsJSON(kctx *kong.Context) bool {
	for _, f := range kctx.Flags() {
		if on, ok := kctx.FlagValue(f).(bool); f.Name == "json" && ok && on {
			return true
		}
	}
	return false
}

// outputError reports whether an error is the system's about what a command
// prints to: a full disk or a reader that has gone is no fault of linefit.
func outputError(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && path.Op == "write" && slices.Contains([]string{os.Stdout.Name(), os.Stderr.Name()}, path.Path)
}

// readerGone reports whether nobody reads what a command prints any more.
func readerGone(err error) bool { return outputError(err) && errors.Is(err, syscall.EPIPE) }

// printJSON prints exactly one JSON document and a line feed.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func stack() []byte { return debug.Stack() }
