package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets scripts run this program as "linefit". A unix socket's path ends
// after some 100 bytes, and the tests have sockets in their folders: where the
// machine's folder for them has a long name, they are in /tmp.
func TestMain(m *testing.M) {
	if _, err := os.Stat("/tmp"); err == nil && len(os.TempDir()) > 30 {
		if err := os.Setenv("TMPDIR", "/tmp"); err != nil {
			panic(err)
		}
	}
	testscript.Main(m, map[string]func(){"linefit": main})
}

// TestScript runs the command line as people and other programs do:
// testdata/script/*.txtar. Beside testscript's own commands there are
//
//	exits CODE linefit ARGS…   run it and hold its exit code to CODE; then stdout, stderr, cmp as usual
//	mkstore DIR                write a store with a small shift (see script_store_test.go)
//	running DIR                the same, and its station goes on running until the script ends
//	record DIR, unchanged DIR  everything in DIR is now as it was then
//	flip FILE TEXT             change one bit in the middle of a text in a file
//	cut FILE N                 take N bytes from a file's end
//
// $REPO is the repository's root.
func TestScript(t *testing.T) {
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("REPO", repo)
			e.Setenv("LANG", "C")
			e.Values[recordKey{}] = map[string]string{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scriptExits, "mkstore": scriptStore, "running": scriptRunning,
			"record": scriptRecord, "unchanged": scriptUnchanged, "flip": scriptFlip, "cut": scriptCut,
		},
	})
}

type recordKey struct{}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS...")
	}
	code, err := 0, ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

// scriptFiles digests every file under a folder, with its time of change.
func scriptFiles(ts *testscript.TestScript, dir string) string {
	sum := sha256.New()
	err := filepath.WalkDir(ts.MkAbs(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(sum, path, info.Mode(), info.ModTime().UnixNano())
		if d.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		sum.Write(data)
		return err
	})
	ts.Check(err)
	return fmt.Sprintf("%x", sum.Sum(nil))
}

func scriptRecord(ts *testscript.TestScript, _ bool, args []string) {
	ts.Value(recordKey{}).(map[string]string)[args[0]] = scriptFiles(ts, args[0])
}

func scriptUnchanged(ts *testscript.TestScript, _ bool, args []string) {
	if ts.Value(recordKey{}).(map[string]string)[args[0]] != scriptFiles(ts, args[0]) {
		ts.Fatalf("%s has changed", args[0])
	}
}

func scriptFlip(ts *testscript.TestScript, _ bool, args []string) {
	data := ts.ReadFile(args[0])
	at := strings.Index(data, args[1])
	if at < 0 {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	b := []byte(data)
	b[at+len(args[1])/2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

func scriptCut(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	data := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(data[:len(data)-n]), 0o600))
}
