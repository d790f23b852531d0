package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// commands runs the command line over the store: every export in every format,
// every question, and what it refuses.
func (s *spy) commands(t *testing.T, dir, vaultKey string) {
	out := t.TempDir()
	file := func(name, body string) string {
		path := filepath.Join(out, name)
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	linefit := func(args ...string) {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
		if code == exitInternal {
			t.Errorf("%v: %s", args, &stderr)
		}
		s.see(fmt.Sprintf("linefit %s: %d", strings.Join(args, " "), code), append(stdout.Bytes(), stderr.Bytes()...))
	}
	store := func(args ...string) []string { return append(args, "--store", dir) }
	for _, f := range []string{"jsonl", "csv"} {
		linefit(store("audit", "export", "--format", f)...)
	}
	linefit(store("audit", "export", "--format", "bundle", "--unit", "LF000003", "--out", filepath.Join(out, "bundle"))...)
	tiles := filepath.Join(out, "tiles")
	linefit(store("audit", "export", "--format", "tiles", "--out", tiles)...)
	s.sights = append(s.sights, folder(t, "audit export --format tiles", tiles)...)
	for n := 1; n <= 8; n++ {
		unit := fmt.Sprintf("LF%06d", n)
		linefit(store("audit", "show", "--unit", unit)...)
		linefit(store("why", unit)...)
		linefit(store("why", unit, "--json")...)
		linefit(store("rework", "show", unit)...)
	}
	linefit(store("audit", "verify", "--json")...)
	linefit(store("report", "--out", filepath.Join(out, "report.html"))...)
	linefit(store("report", "--json")...)
	keyed := func(args ...string) []string { return append(args, "--store", dir) }
	linefit(keyed("profiles", "list", "--json")...)
	linefit(keyed("profiles", "claim")...)
	linefit(keyed("profiles", "claim", "--json")...)
	linefit(keyed("profiles", "reconcile", "--smdp-list", file("o.csv", "iccid,state\n8949000000000000018,installed\n"))...)
	bad := file("bad.csv", "batch,activation_code,confirmation_code,cap\nX,LPA:1$smdp.linefit.test$CANARY-MATCH-00-Q7X,CANARY.CONFIRM.00,5\n"+
		"X,CANARY-MATCH-01-Q7X,CANARY.CONFIRM.01,5\nX,LPA:2$x$CANARY-MATCH-02-Q7X,CANARY.CONFIRM.02,0\nCANARY-MATCH-03-Q7X,LPA:1$smdp.linefit.test$CANARY-MATCH-03-Q7X$$7,CANARY.CONFIRM.03,many\n")
	linefit(keyed("profiles", "import", bad, "--by", "anna", "--role", "lead")...)
	linefit("profiles", "split", bad, "--stations", "a,b", "--key", vaultKey, "--out", out)
	linefit("euicc", "download", "--port", "/nowhere", "--activation-code", "LPA:1$smdp.linefit.test$CANARY-MATCH-04-Q7X$$1", "--confirmation-code", "CANARY.CONFIRM.04")
	linefit("euicc", "download", "--port", "/nowhere", "--activation-code", "LPA:1$CANARY-MATCH-04-Q7X")
	linefit("profiles", "import", "LPA:1$smdp.linefit.test$"+"x", "--store", dir)
	for _, f := range []string{"bundle", "report.html"} {
		if b, err := os.ReadFile(filepath.Join(out, f)); err != nil {
			t.Error(err)
		} else {
			s.see(f, b)
		}
	}
}
