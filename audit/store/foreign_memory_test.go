package store_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"linefit/audit"
)

// export writes an export of n entries of units with a hundred each.
func export(t *testing.T, k audit.Key, n int) string {
	t.Helper()
	dir := t.TempDir()
	w := audit.TileWriter{Put: func(path string, data []byte) error {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, data, 0o644)
	}}
	for i := range n {
		if err := w.Add(fmt.Appendf(nil, `{"seq":%d,"type":"t/1","slot":1,"slot_seq":%d,"unit":"SN%d","unit_seq":%d,"data":{}}`, i+1, i+1, i/100, i%100+1)); err != nil {
			t.Fatal(err)
		}
	}
	head, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	note, err := audit.SignCheckpoint(head, k)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "checkpoint"), note)
	return dir
}

// The foreign verifier holds neither entries nor hashes: it reads an export of any
// length.
func TestForeignVerifierStreams(t *testing.T) {
	bin := foreign(t, "verifier")
	k := newKey(t)
	vkey := filepath.Join(t.TempDir(), "vkey")
	write(t, vkey, []byte(k.VKey()+"\n"))
	heap := func(n int) int {
		cmd := exec.Command(bin, vkey, export(t, k, n))
		cmd.Env = append(os.Environ(), "GOGC=10", "GODEBUG=gctrace=1")
		var trace strings.Builder
		cmd.Stderr = &trace
		if out, err := cmd.Output(); err != nil || string(out) != fmt.Sprintf("good: %d entries\n", n) {
			t.Fatalf("%s, %v, %s", out, err, trace.String())
		}
		peak, traced := 0, gcHeap.FindAllStringSubmatch(trace.String(), -1)
		for _, m := range traced {
			mb, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			peak = max(peak, mb)
		}
		t.Logf("at most %d MB for %d entries, %d collections", peak, n, len(traced))
		if len(traced) < 10 {
			t.Fatalf("the collector says nothing: %s", trace.String())
		}
		return peak
	}
	// The hashes of the entries alone would be 11 MB more.
	if small, large := heap(20_000), heap(200_000); large > small+4 {
		t.Errorf("%d MB, and %d for ten times as many entries", small, large)
	}
}

// gcHeap finds the size of the heap, in MB, in a line of the collector's trace.
var gcHeap = regexp.MustCompile(`(?m)^gc \d+ .* (\d+)->\d+->\d+ MB`)
