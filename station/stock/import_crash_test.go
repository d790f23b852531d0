package stock_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"linefit/internal/memlog"
	"linefit/station"
	"linefit/station/stock"
)

// lists of a size with which several writes go to the log.
func longList(n int) string {
	var b strings.Builder
	b.WriteString("batch,activation_code\n")
	for i := range n {
		fmt.Fprintf(&b, "B,LPA:1$s.example$C-%d\n", i)
	}
	return b.String()
}

// The log fails at each write of an import, with and without effect; after the
// next start the import is whole.
func TestImportSurvivesEveryFailedWrite(t *testing.T) {
	const profiles = 70 // three writes
	for n := 1; n <= 3; n++ {
		for _, fault := range []memlog.Fault{memlog.Lost, memlog.TookPlace} {
			w := newWorld(t)
			w.log.Plan = func(write int) memlog.Fault {
				if write == n {
					return fault
				}
				return memlog.None
			}
			if _, err := w.tryImport("codes.csv", longList(profiles)); !errors.Is(err, memlog.ErrFault) || !errors.Is(err, stock.ErrUnfinished) {
				t.Fatalf("write %d: %v", n, err)
			}
			w.crash()
			if err := w.ledger.Recover(ctx, w.log); err != nil {
				t.Fatalf("write %d: %v", n, err)
			}
			w.whole(profiles)
			if last := w.last(); last.Actor != "op1" {
				t.Errorf("finished in the name of %q", last.Actor)
			}
		}
	}
}

// The facts of a long list do not fit into one item of the vault.
func TestLongImportSurvivesAFailedWrite(t *testing.T) {
	const profiles = 1100
	w := newWorld(t)
	w.log.Plan = func(write int) memlog.Fault {
		if write == 34 {
			return memlog.Lost
		}
		return memlog.None
	}
	if _, err := w.tryImport("codes.csv", longList(profiles)); !errors.Is(err, memlog.ErrFault) || !errors.Is(err, stock.ErrUnfinished) {
		t.Fatal(err)
	}
	w.crash()
	if parts, err := w.ledger.Vault().List(stock.KindPart); err != nil || len(parts) < 2 {
		t.Fatalf("the facts lie in %d parts, %v", len(parts), err)
	}
	if err := w.ledger.Recover(ctx, w.log); err != nil {
		t.Fatal(err)
	}
	w.whole(profiles)
}

// whole fails unless so many profiles are in stock with their codes, and no
// trace of an unfinished import is left.
func (w *world) whole(profiles int) {
	w.t.Helper()
	if n := w.count(); n.Total != profiles || n.Available != profiles {
		w.t.Errorf("%+v", n)
	}
	if a := w.anomalies(); len(a) != 0 {
		w.t.Errorf("anomalies %v", a)
	}
	items, err := w.ledger.Vault().List()
	if err != nil || len(items) != profiles {
		w.t.Errorf("%d items in the vault, %v", len(items), err)
	}
	for _, i := range items {
		if i.Kind != stock.KindCode || w.item(i.Handle).State != station.StockAvailable {
			w.t.Errorf("left in the vault: %+v", i)
		}
	}
}

// The process dies after each change of the vault's folder during an import.
// The next start has all of the import or nothing.
func TestImportSurvivesEveryCrash(t *testing.T) {
	const profiles = 3
	whole, none := 0, 0
	for keep := range 12 {
		w := newWorld(t)
		full := newWorld(t)
		if _, err := full.tryImport("codes.csv", longList(profiles)); err != nil {
			t.Fatal(err)
		}
		// What the vault looked like after `keep` of the import's writes.
		steps := importSteps(t, w)
		if keep >= len(steps) {
			break
		}
		w.restore(steps[keep])
		w.crash()
		if err := w.ledger.Recover(ctx, w.log); err != nil {
			t.Fatalf("after %d writes: %v", keep, err)
		}
		switch w.count().Total {
		case 0:
			none++
			w.nothing()
		case profiles:
			whole++
			w.whole(profiles)
		default:
			t.Errorf("after %d writes: %+v", keep, w.count())
		}
		w.tryAgain(t, profiles)
	}
	if whole == 0 || none == 0 {
		t.Errorf("%d whole, %d none: not every kind of crash was tried", whole, none)
	}
}

// importSteps runs an import whose journal refuses everything, and returns the
// vault's folder after each file that the import made.
func importSteps(t *testing.T, w *world) []map[string][]byte {
	t.Helper()
	w.log.Plan = func(int) memlog.Fault { return memlog.Lost }
	if _, err := w.tryImport("codes.csv", longList(3)); !errors.Is(err, memlog.ErrFault) {
		t.Fatal(err)
	}
	w.log.Plan = nil
	files := map[string][]byte{}
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	var staging, codes, parts, ready []string
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(w.dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = data
		switch filepath.Ext(e.Name()) {
		case ".staging":
			staging = append(staging, e.Name())
		case ".code":
			codes = append(codes, e.Name())
		case ".part":
			parts = append(parts, e.Name())
		case ".import":
			ready = append(ready, e.Name())
		}
	}
	if len(staging) != 1 || len(codes) != 3 || len(parts) != 1 || len(ready) != 1 {
		t.Fatalf("the import left %v, %v, %v, %v", staging, codes, parts, ready)
	}
	var steps []map[string][]byte
	state := map[string][]byte{"HEAD": files["HEAD"]}
	add := func(name string) {
		state[name] = files[name]
		step := map[string][]byte{}
		for k, v := range state {
			step[k] = v
		}
		steps = append(steps, step)
	}
	add("HEAD")
	for _, name := range slices.Concat(staging, codes, parts, ready) {
		add(name)
	}
	delete(state, staging[0]) // the first thing that goes when the log has it all
	add("HEAD")
	return steps
}

func (w *world) restore(files map[string][]byte) {
	w.t.Helper()
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(w.dir, e.Name())); err != nil {
			w.t.Fatal(err)
		}
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(w.dir, name), data, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

// tryAgain imports the same list: taken if nothing was, refused if all was.
func (w *world) tryAgain(t *testing.T, profiles int) {
	t.Helper()
	had := w.count().Total
	_, err := w.tryImport("codes.csv", longList(profiles))
	if (err == nil) != (had == 0) {
		t.Errorf("with %d in stock: %v", had, err)
	}
	w.whole(profiles)
}

func TestWipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "codes.csv")
	if err := os.WriteFile(path, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := stock.Wipe(path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
