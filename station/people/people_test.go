package people_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"linefit/internal/memlog"
	"linefit/rework"
	"linefit/station"
	"linefit/station/people"
	"linefit/station/stock"
)

var (
	qa   = station.Person{Actor: "op-qaqaqaqaqaqa", Role: station.RoleQA}
	lead = station.Person{Actor: "op-leadleadlead", Role: station.RoleLead}
)

// office is a book over a log in memory and a vault on disk.
type office struct {
	t   testing.TB
	dir string
	log *memlog.Log
	*people.Book
}

func newOffice(t testing.TB) *office {
	o := &office{t: t, dir: t.TempDir(), log: memlog.New(people.Projection{}, rework.Projection{})}
	o.open()
	return o
}

// open starts anew.
func (o *office) open() {
	o.t.Helper()
	vault, err := stock.OpenVault(context.Background(), filepath.Join(o.dir, "vault"), stock.KeyFile{Path: filepath.Join(o.dir, "key"), Make: true})
	if err != nil {
		o.t.Fatal(err)
	}
	if o.Book, err = people.Open(people.Options{Vault: vault, Views: o.log.View, Journal: o.log}); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) resolve(entered string) station.Actor {
	o.t.Helper()
	a, err := o.Resolve(entered)
	if err != nil {
		o.t.Fatal(err)
	}
	return a
}

func (o *office) items() int {
	o.t.Helper()
	files, err := filepath.Glob(filepath.Join(o.dir, "vault", "*.person"))
	if err != nil {
		o.t.Fatal(err)
	}
	return len(files)
}

// One person, however the name is spelled and after every restart; two people
// are two.
func TestPseudonyms(t *testing.T) {
	o := newOffice(t)
	anna := o.resolve("Anna Schmidt")
	for _, same := range []string{"anna schmidt", " ANNA\tSchmidt ", "Ａnna Schmidt", string(anna), strings.ToUpper(string(anna))} {
		if got := o.resolve(same); got != anna {
			t.Errorf("%q is %s, not %s", same, got, anna)
		}
	}
	if bert := o.resolve("Bert"); bert == anna || strings.Contains(string(bert), "bert") {
		t.Errorf("Bert is %s", bert)
	}
	// Nobody becomes the station or the MES by saying so.
	if a := o.resolve("station"); a == station.ActorStation {
		t.Error("a person is the station")
	}
	o.open()
	if got := o.resolve("anna schmidt"); got != anna || len(o.List()) != 3 {
		t.Errorf("after a restart: %s, %v", got, o.List())
	}
	for _, bad := range []string{"", "  ", "a\x00b", "a\x1b[31m", strings.Repeat("x", 65), "\xff", "op-aaaaaaaaaaaa"} {
		var refusal *station.Refusal
		if a, err := o.Resolve(bad); !errors.As(err, &refusal) || bad != "" && strings.Contains(err.Error(), strings.TrimSpace(bad)) && strings.TrimSpace(bad) != "" {
			t.Errorf("%q: %s, %v", bad, a, err)
		}
	}
}

// After forgetting, nothing that is left links the pseudonym to the person; the
// same person is a new one.
func TestForget(t *testing.T) {
	o := newOffice(t)
	anna, bert := o.resolve("Anna"), o.resolve("Bert")
	if _, err := o.Link(t.Context(), lead, "Anna", "B-17"); err != nil {
		t.Fatal(err)
	}
	var refusal *station.Refusal
	if _, err := o.Forget(t.Context(), lead, "B-17", "left"); !errors.As(err, &refusal) || refusal.Reason.Code != station.PermissionMissing {
		t.Errorf("a lead: %v", err)
	}
	if gone, err := o.Forget(t.Context(), qa, "b-17", "left"); err != nil || gone != anna {
		t.Fatalf("%s, %v", gone, err)
	}
	if o.items() != 1 {
		t.Errorf("%d items left", o.items())
	}
	for range 2 {
		if _, err := o.Resolve(string(anna)); !errors.As(err, &refusal) || refusal.Reason.Code != station.PermissionMissing {
			t.Errorf("the old pseudonym: %v", err)
		}
		if _, _, err := o.Name(t.Context(), qa, string(anna), "question"); !errors.Is(err, people.ErrNobody) {
			t.Errorf("%v", err)
		}
		o.open()
	}
	again := o.resolve("Anna")
	if again == anna || again == bert || o.resolve("Bert") != bert || o.resolve("B-17") == again {
		t.Errorf("%s again %s, Bert %s", anna, again, bert)
	}
	for _, e := range o.log.Entries() {
		if s := strings.ToLower(fmt.Sprintf("%s %s", e.Actor, e.Data)); strings.Contains(s, "anna") || strings.Contains(s, "b-17") {
			t.Errorf("in the log: %s", s)
		}
	}
}

// Whatever is cut short, after a restart the person is known or forgotten, as the
// log says, and no half of the mapping is left.
func TestForgetCutShort(t *testing.T) {
	for _, fault := range []memlog.Fault{memlog.Lost, memlog.TookPlace} {
		o := newOffice(t)
		anna := o.resolve("Anna")
		o.log.Plan = func(int) memlog.Fault { return fault }
		if _, err := o.Forget(t.Context(), qa, "Anna", "left"); !errors.Is(err, memlog.ErrFault) || o.items() != 1 {
			t.Fatalf("%v, %d items", err, o.items())
		}
		o.log.Plan = nil
		o.open()
		n, err := o.Recover()
		if err != nil {
			t.Fatal(err)
		}
		if fault == memlog.Lost && (n != 0 || o.resolve("Anna") != anna) || fault == memlog.TookPlace && (n != 1 || o.items() != 0 || o.resolve("Anna") == anna) {
			t.Errorf("fault %d: %d erased, %d items", fault, n, o.items())
		}
	}
}

// A crash between the two items of a longer mapping leaves one person, who is
// forgotten whole.
func TestLinkCutShort(t *testing.T) {
	o := newOffice(t)
	anna := o.resolve("Anna")
	files, err := filepath.Glob(filepath.Join(o.dir, "vault", "*.person"))
	if err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Link(t.Context(), lead, "Anna", "B-17"); err != nil || o.items() != 1 {
		t.Fatalf("%v, %d items", err, o.items())
	}
	if err := os.WriteFile(files[0], old, 0o600); err != nil {
		t.Fatal(err)
	}
	o.open()
	if o.resolve("Anna") != anna || o.resolve("B-17") != anna || len(o.List()) != 1 {
		t.Errorf("%v", o.List())
	}
	if _, err := o.Forget(t.Context(), qa, "Anna", "left"); err != nil || o.items() != 0 {
		t.Errorf("%v, %d items", err, o.items())
	}
}

// What the vault cannot read is said and is nobody.
func TestDamagedItem(t *testing.T) {
	o := newOffice(t)
	anna := o.resolve("Anna")
	files, err := filepath.Glob(filepath.Join(o.dir, "vault", "*.person"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	o.open()
	if len(o.Damaged()) != 1 || o.resolve("Anna") == anna {
		t.Errorf("%v", o.Damaged())
	}
}

// Any order of coming, linking and forgetting: one pseudonym for each person who
// is known, never one of before.
func TestPeopleModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o := newOffice(t)
		now, before := map[string]station.Actor{}, map[station.Actor]bool{}
		names := []string{"a1", "b2", "c3", "d4"}
		rt.Repeat(map[string]func(*rapid.T){
			"come": func(rt *rapid.T) {
				name := rapid.SampledFrom(names).Draw(rt, "name")
				a := o.resolve(name)
				if was, ok := now[name]; ok && was != a || !ok && before[a] {
					rt.Fatalf("%s is %s, was %s", name, a, was)
				}
				now[name], before[a] = a, true
			},
			"forget": func(rt *rapid.T) {
				name := rapid.SampledFrom(names).Draw(rt, "name")
				a, err := o.Forget(t.Context(), qa, name, "left")
				if was, ok := now[name]; ok && (err != nil || a != was) || !ok && !errors.Is(err, people.ErrNobody) {
					rt.Fatalf("%s: %s, %v", name, a, err)
				}
				for n, have := range now {
					if have == a {
						delete(now, n)
					}
				}
			},
			"link": func(rt *rapid.T) {
				one, other := rapid.SampledFrom(names).Draw(rt, "one"), rapid.SampledFrom(names).Draw(rt, "other")
				a, err := o.Link(t.Context(), lead, one, other)
				had, known := now[one]
				as, taken := now[other]
				switch {
				case !known:
					if !errors.Is(err, people.ErrNobody) {
						rt.Fatal(err)
					}
				case taken && as != had:
					if err == nil {
						rt.Fatal("two people became one")
					}
				case err != nil || a != had:
					rt.Fatalf("%s, %v", a, err)
				default:
					now[other] = a
				}
			},
			"restart": func(rt *rapid.T) { o.open() },
		})
	})
}
