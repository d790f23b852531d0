package simtest_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/station"
	"linefit/station/sim/simtest"
	"linefit/station/stock"
)

// twoStations are two whole stations with one SM-DP+ and one MES, each with an
// empty stock of its own, and a list of codes for all units.
func twoStations(t *testing.T, verifier note.Verifier) (a, b *simtest.Line, list string) {
	t.Helper()
	rule := func(name string) (r stock.ShareRule) {
		r.Station = name
		if verifier != nil {
			r.Keys = []note.Verifier{verifier}
		}
		return r
	}
	key, _, err := audit.NewKey("test.example/bench-b")
	if err != nil {
		t.Fatal(err)
	}
	o := simtest.Options{Units: 6, Slots: 2, Spare: -1, Bare: true, Only: []int{1}, Shares: rule("bench-a")}
	a = simtest.New(t, o)
	o.Beside, o.Only, o.Shares, o.Key = a, []int{2}, rule("bench-b"), key
	b = simtest.New(t, o)
	codes, err := a.World.Codes()
	if err != nil {
		t.Fatal(err)
	}
	list = "batch,activation_code,iccid,station\n"
	for n, c := range codes {
		list += "B," + c.Text.Reveal() + "," + string(c.ICCID) + "," + []string{"bench-a", "bench-b"}[n%2] + "\n"
	}
	return a, b, list
}

func take(l *simtest.Line, list []byte) (stock.Imported, error) {
	lead := station.Person{Actor: "lead-1", Role: station.RoleLead}
	return l.Station.Room().Import(l.T().Context(), lead, stock.Source{Name: "codes.csv", Data: list})
}

// work lets both stations work on three units each, side by side, and holds what
// the SM-DP+ saw: no code was tried by two eUICCs.
func work(t *testing.T, a, b *simtest.Line, eachA, eachB int) {
	t.Helper()
	passed := 0
	for n := range 3 {
		for _, l := range []*simtest.Line{a, b} {
			slot, have := 1, eachA
			if l == b {
				slot, have = 2, eachB
			}
			r := l.RunUnit(slot)
			if good := r.Verdict != nil && r.Verdict.Verdict == station.Pass; good != (n < have) {
				t.Fatalf("unit %d in slot %d: %+v %+v", n, slot, r.Refused, r.Verdict)
			} else if good {
				passed++
			}
		}
	}
	installed := 0
	for _, o := range a.World.Provider().Orders() {
		eids := map[ident.EID]bool{}
		for _, e := range a.Asked(o.ID) {
			eids[e] = true
		}
		if len(eids) > 1 || len(o.Consumers()) > 1 || len(o.Installs) > 1 {
			t.Errorf("order %s: tried by %v, installed %+v", o.ID, eids, o.Installs)
		}
		if o.State == smdpsim.StateInstalled {
			installed++
		}
	}
	if installed != passed {
		t.Errorf("%d installed, %d units passed", installed, passed)
	}
}

// unnamed is the list without the column station.
func unnamed(list string) []byte {
	lines := strings.Split(strings.TrimSpace(list), "\n")
	for i, l := range lines {
		lines[i] = l[:strings.LastIndexByte(l, ',')]
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

// TestTheSameListOnTwoStations tries no code twice: whatever way the list comes.
func TestTheSameListOnTwoStations(t *testing.T) {
	t.Run("named", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b, list := twoStations(t, nil)
			for _, l := range []*simtest.Line{a, b} {
				if out, err := take(l, []byte(list)); err != nil || out.Profiles != 3 || out.Others != 3 || out.Sole != stock.SoleNamed {
					t.Fatalf("%+v %v", out, err)
				}
			}
			if _, err := take(a, []byte(strings.ReplaceAll(list, "bench-a", "bench-c"))); !errors.Is(err, stock.ErrOtherStation) {
				t.Errorf("a list for others: %v", err)
			}
			work(t, a, b, 3, 3)
		})
	})
	t.Run("claimed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b, list := twoStations(t, nil)
			if out, err := take(a, unnamed(list)); err != nil || out.Profiles != 6 || !strings.HasPrefix(out.Sole, "claimed ") {
				t.Fatalf("%+v %v", out, err)
			}
			_, err := take(b, unnamed(list))
			var refusal *station.Refusal
			if !errors.As(err, &refusal) || refusal.Reason.Code != station.MESRejected || !strings.Contains(err.Error(), "test.example/line") {
				t.Fatalf("the second station took it: %v", err)
			}
			if n := counts(t, b); n.Total != 0 {
				t.Errorf("%+v", n)
			}
			work(t, a, b, 3, 0)
		})
	})
	t.Run("split", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			skey, vkey, err := note.GenerateKey(rand.Reader, "planning")
			if err != nil {
				t.Fatal(err)
			}
			signer, err := note.NewSigner(skey)
			if err != nil {
				t.Fatal(err)
			}
			verifier, err := note.NewVerifier(vkey)
			if err != nil {
				t.Fatal(err)
			}
			a, b, list := twoStations(t, verifier)
			parts, err := stock.Split("codes.csv", unnamed(list), station.StockBatch{}, []string{"bench-a", "bench-b"}, signer)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := take(b, parts["bench-a"]); !errors.Is(err, stock.ErrOtherStation) {
				t.Fatalf("the other's share: %v", err)
			}
			for l, name := range map[*simtest.Line]string{a: "bench-a", b: "bench-b"} {
				if out, err := take(l, parts[name]); err != nil || out.Profiles != 3 || !strings.Contains(out.Sole, "by planning") {
					t.Fatalf("%+v %v", out, err)
				}
			}
			work(t, a, b, 3, 3)
		})
	})
}
