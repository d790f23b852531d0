package smdpsim

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"linefit/modem/testpki"
)

// A change that cannot be written has not happened, and where a torn line
// cannot be taken back, nothing is written behind it any more.
func TestWriteErrors(t *testing.T) {
	ca, err := testpki.New([]byte("store"))
	if err != nil {
		t.Fatal(err)
	}
	pki, err := ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "state")
	s, err := New(Config{Address: "smdp.example.com", PKI: pki, State: file})
	if err != nil {
		t.Fatal(err)
	}
	order := func(id string) error {
		_, err := s.AddOrder(Order{ID: id, MatchingID: MatchingID(id), Generic: GeneratedProfile(1)})
		return err
	}
	if err := order("a"); err != nil {
		t.Fatal(err)
	}
	good := s.store.file
	readOnly, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	s.store.file = readOnly // neither write nor truncate works
	for range 2 {
		if err := order("b"); !errors.Is(err, ErrStore) {
			t.Errorf("%v", err)
		}
	}
	if _, ok := s.Order("b"); ok || s.store.broken == nil {
		t.Errorf("order b is there: %v; broken: %v", ok, s.store.broken)
	}
	s.store.file = good
	if err := order("b"); !errors.Is(err, ErrStore) {
		t.Errorf("written behind a line that may be torn: %v", err)
	}
	if err := errors.Join(s.Close(), readOnly.Close()); err != nil {
		t.Fatal(err)
	}
	if s, err = New(Config{Address: "smdp.example.com", PKI: pki, State: file}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if got := s.Orders(); len(got) != 1 || got[0].ID != "a" {
		t.Errorf("%+v", got)
	}
}

// The file is written anew when much was appended, and holds the same.
func TestCompaction(t *testing.T) {
	ca, err := testpki.New([]byte("store"))
	if err != nil {
		t.Fatal(err)
	}
	pki, err := ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "state")
	cfg := Config{Address: "smdp.example.com", PKI: pki, State: file}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddOrder(Order{ID: "a", MatchingID: "A", Generic: GeneratedProfile(1)}); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if i%2 == 0 {
			s.store.grown = compactAfter + 1
		}
		if _, err := s.Withdraw("a"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Reset("a"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := New(cfg); !errors.Is(err, ErrBusy) {
		t.Errorf("the new file has no owner: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if o, ok := s.Order("a"); !ok || o.State != StateReleased {
		t.Errorf("%+v", o)
	}
	if _, err := os.Stat(file + ".new"); !os.IsNotExist(err) {
		t.Errorf("a half file is left: %v", err)
	}
}
