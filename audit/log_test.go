package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"linefit/audit"
	"linefit/audit/audittest"
)

func newKey(t testing.TB, name string) (audit.Key, note.Verifier) {
	t.Helper()
	k, _, err := audit.NewKey(name)
	if err != nil {
		t.Fatal(err)
	}
	v, err := audit.ParseVKey(k.VKey())
	if err != nil {
		t.Fatal(err)
	}
	return k, v
}

func TestCheckpoint(t *testing.T) {
	k, v := newKey(t, "line.example/st-1")
	other, _ := newKey(t, "line.example/st-1")
	third, _ := newKey(t, "line.example/st-2")
	h := audit.Head{Size: 20852163, Root: tlog.RecordHash([]byte("x"))}
	signed, err := audit.SignCheckpoint(h, k)
	if err != nil {
		t.Fatal(err)
	}
	c, err := audit.OpenCheckpoint(signed, v)
	if err != nil || c.Head != h || c.Origin != "line.example/st-1" || !bytes.Equal(c.Note, signed) {
		t.Fatalf("%+v, %v", c, err)
	}
	if want := fmt.Sprintf("line.example/st-1\n20852163\n%s\n\n— line.example/st-1 ", h.Root); !strings.HasPrefix(string(signed), want) {
		t.Fatalf("%q", signed)
	}
	sign := func(k audit.Key) []byte {
		b, err := audit.SignCheckpoint(h, k)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, c := range map[string]struct {
		note []byte
		kind error
	}{
		"another key of the name": {sign(other), audit.ErrCheckpointKey},
		"another log":             {sign(third), audit.ErrCheckpointOrigin},
		"empty":                   {nil, audit.ErrCheckpointForm},
		"size with sign":          {bytes.Replace(signed, []byte("\n2085"), []byte("\n+2085"), 1), audit.ErrCheckpointForm},
		"extension line":          {bytes.Replace(signed, []byte("\n\n"), []byte("\nx\n\n"), 1), audit.ErrCheckpointForm},
		"another size":            {bytes.Replace(signed, []byte("20852163"), []byte("20852164"), 1), audit.ErrCheckpointSig},
		"endless":                 {append(signed, bytes.Repeat([]byte("x"), 1<<20)...), audit.ErrCheckpointForm},
	} {
		_, err := audit.OpenCheckpoint(c.note, v)
		var ce *audit.CheckpointError
		if !errors.As(err, &ce) || !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for at := range signed {
		for bit := range 8 {
			if bit != at%8 && at < len(signed)-4 {
				continue // all bits of the last characters: base64 has unused ones there
			}
			bad := bytes.Clone(signed)
			bad[at] ^= 1 << bit
			if _, err := audit.OpenCheckpoint(bad, v); err == nil {
				t.Fatalf("byte %d bit %d: accepted", at, bit)
			}
		}
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	k, _, err := audit.NewKey("a/b")
	if err != nil {
		f.Fatal(err)
	}
	signed, err := audit.SignCheckpoint(audit.Head{Size: 5}, k)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := audit.ParseCheckpoint(b); err != nil && !errors.As(err, new(*audit.CheckpointError)) {
			t.Fatal(err)
		}
	})
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "station.key")
	k, err := audit.LoadOrCreateKey(path, "line.example/st-1")
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", st, err)
	}
	again, err := audit.LoadOrCreateKey(path, "line.example/st-1")
	if err != nil || again.VKey() != k.VKey() {
		t.Fatalf("%v, %v", again, err)
	}
	if _, err := audit.LoadOrCreateKey(path, "line.example/st-2"); err == nil {
		t.Fatal("a key of another log was taken")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.SplitN(strings.TrimSpace(string(text)), "+", 5)[4]
	if err := os.WriteFile(path, append([]byte("x"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = audit.LoadOrCreateKey(path, "line.example/st-1")
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Fatalf("%v", err)
	}
	if s := fmt.Sprintf("%v %+v %s", k, k, k); strings.Contains(s, secret) {
		t.Fatal("the private key can be printed")
	}
	for _, bad := range []string{"", "a b", "a+b", "ü", strings.Repeat("x", 200)} {
		if _, _, err := audit.NewKey(bad); err == nil {
			t.Errorf("origin %q", bad)
		}
	}
}

// logOf makes a log of n entries of several units.
func logOf(t testing.TB, n int) ([]audit.Entry, [][]byte) {
	t.Helper()
	var l audittest.Log
	for i := range n {
		d := audit.Draft{Type: "step.done/1", Slot: 1 + i%4, Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}
		if i%5 != 4 {
			d.Unit = fmt.Sprintf("SN%d", i/30)
		}
		if i%30 == 3 {
			d.Data = json.RawMessage(fmt.Sprintf(`{"modules":[{"imei":"35%013d","euicc":{"eid":"8904%028d"}}],"carrier":"T%d","position":%d}`, i, i, i/60, i%7))
		}
		if _, err := l.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	raw := make([][]byte, n)
	for i, e := range l.Entries {
		raw[i] = audit.AppendEntry(nil, e)
	}
	return l.Entries, raw
}

func TestCheckerFindsEveryChange(t *testing.T) {
	entries, raw := logOf(t, 60)
	run := func(raw [][]byte) (codes []string) {
		c := audit.NewChecker(1, false)
		for _, r := range raw {
			_, _, err := c.Add(r)
			for err := range split(err) {
				var f *audit.FindingError
				if errors.As(err, &f) {
					codes = append(codes, f.Code)
				}
			}
		}
		return codes
	}
	if codes := run(raw); codes != nil {
		t.Fatalf("good log: %v", codes)
	}
	edit := func(i int, change func(*audit.Entry)) [][]byte {
		out := append([][]byte(nil), raw...)
		e := entries[i]
		change(&e)
		out[i] = audit.AppendEntry(nil, e)
		return out
	}
	for name, c := range map[string]struct {
		raw  [][]byte
		code string
	}{
		"left out":      {append(append([][]byte(nil), raw[:20]...), raw[21:]...), audit.FindSeq},
		"doubled":       {append(append([][]byte(nil), raw[:20]...), raw[19:]...), audit.FindSeq},
		"slot counter":  {edit(30, func(e *audit.Entry) { e.SlotSeq++ }), audit.FindSlotSeq},
		"unit counter":  {edit(31, func(e *audit.Entry) { e.UnitSeq++ }), audit.FindUnitSeq},
		"slot from two": {edit(0, func(e *audit.Entry) { e.SlotSeq = 2 }), audit.FindSlotSeq},
		"mono back":     {edit(30, func(e *audit.Entry) { e.Mono = 0 }), audit.FindClock},
		"utc stepped":   {edit(30, func(e *audit.Entry) { e.UTC = e.UTC.Add(2 * time.Second) }), audit.FindClock},
		"sim":           {edit(30, func(e *audit.Entry) { e.Sim = true }), audit.FindSim},
		"boot returns":  {edit(30, func(e *audit.Entry) { e.Boot = "other" }), audit.FindClock},
		"not an entry":  {append(append([][]byte(nil), raw[:20]...), []byte("{}")), audit.FindEntry},
	} {
		found := false
		for _, code := range run(c.raw) {
			found = found || code == c.code
		}
		if !found {
			t.Errorf("%s: %v", name, run(c.raw))
		}
	}
}

func split(err error) func(func(error) bool) {
	return func(yield func(error) bool) {
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok {
			yield(err)
		} else {
			for _, e := range joined.Unwrap() {
				if !yield(e) {
					return
				}
			}
		}
	}
}

// The right edge alone gives the same roots as all stored hashes; tiles and
// proofs verify with tlog.
func TestTreeTilesAndProofs(t *testing.T) {
	const n = 1000
	_, raw := logOf(t, n)
	files := map[string][]byte{}
	w := audit.TileWriter{Put: func(path string, data []byte) error {
		files[path] = bytes.Clone(data)
		return nil
	}}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(idx))
		for i, x := range idx {
			out[i] = stored[x]
		}
		return out, nil
	})
	var tree audit.Tree
	for i, r := range raw {
		h, err := tlog.StoredHashes(int64(i), r, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, h...)
		tree.Append(audit.LeafHash(r))
		if want, err := tlog.TreeHash(int64(i+1), reader); err != nil || tree.Root() != want {
			t.Fatalf("root at %d: %v, want %v, %v", i+1, tree.Root(), want, err)
		}
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	head, err := w.Close()
	if err != nil || head != tree.Head() {
		t.Fatalf("%+v, %v", head, err)
	}
	loaded, err := audit.LoadTree(700, reader)
	if want, _ := tlog.TreeHash(700, reader); err != nil || loaded.Root() != want {
		t.Fatal("loaded tree", err)
	}
	for _, path := range []string{"tile/0/000", "tile/0/003.p/232", "tile/1/000.p/3", "tile/entries/002", "tile/entries/003.p/232"} {
		if files[path] == nil {
			t.Errorf("no %s", path)
		}
	}
	if len(files) != 9 || len(files["tile/0/000"]) != 8192 {
		t.Errorf("%d files", len(files))
	}
	if got := audit.TilePath(0, 1234067, 256); got != "tile/0/x001/x234/067" {
		t.Error(got)
	}
	k, v := newKey(t, "a/b")
	signed, err := audit.SignCheckpoint(head, k)
	if err != nil {
		t.Fatal(err)
	}
	collect := audit.NewCollector()
	for _, i := range []uint64{0, 511, 999} {
		if err := collect.WantRecord(n, i); err != nil {
			t.Fatal(err)
		}
	}
	if err := collect.WantTree(n, 700); err != nil {
		t.Fatal(err)
	}
	for _, r := range raw {
		collect.Add(r)
	}
	for _, i := range []uint64{0, 511, 999} {
		path, err := collect.Record(n, i)
		if err != nil {
			t.Fatal(err)
		}
		text := audit.Proof{Index: i, Entry: raw[i], Path: path, Checkpoint: signed}.Marshal()
		p, err := audit.ParseProof(text)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := p.Verify(v); err != nil || e.Seq != i+1 {
			t.Fatalf("%+v, %v", e, err)
		}
		for at := range text {
			bad := bytes.Clone(text)
			bad[at] ^= 2
			if p, err := audit.ParseProof(bad); err == nil {
				if _, err := p.Verify(v); err == nil {
					t.Fatalf("proof with byte %d changed (%q) verifies", at, text[at])
				}
			}
		}
	}
	cons, err := collect.Tree(n, 700)
	if err != nil || tlog.CheckTree(cons, n, head.Root, 700, loaded.Root()) != nil {
		t.Fatal("consistency proof", err)
	}
}
