package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
)

// A running store answers every resource that an export of it would hold.
func TestResources(t *testing.T) {
	o := store.Options{Dir: t.TempDir(), Key: newKey(t), SegmentSize: 24 << 10}
	s, _ := start(t, o)
	want := map[string][]byte{}
	w := audit.TileWriter{Put: func(path string, data []byte) error {
		want[path] = bytes.Clone(data)
		return nil
	}}
	for i := range 900 {
		if err := s.Queue(t.Context(), draft("step.done/1", 1+i%3, fmt.Sprint("SN", i/20), i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Gate(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := s.View(func(v audit.View) error {
		for e, err := range v.Entries(1, v.Last()) {
			if err != nil {
				return err
			}
			if err := w.Add(audit.AppendEntry(nil, e)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	head, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	note, err := s.Resource("checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	v, err := audit.ParseVKey(s.VKey())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := audit.OpenCheckpoint(note, v); err != nil || c.Head != head {
		t.Fatalf("%+v, %v", c, err)
	}
	for path, data := range want {
		if got, err := s.Resource(path); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, want %d, %v", path, len(got), len(data), err)
		}
	}
	for path, from := range map[string]string{"tile/0/000.p/7": "tile/0/000", "tile/1/000.p/1": "tile/1/000.p/3", "tile/entries/003.p/5": "tile/entries/003.p/132"} {
		if got, err := s.Resource(path); err != nil || !bytes.HasPrefix(want[from], got) || len(got) == 0 {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
	}
	for _, path := range []string{"", "tile/0/004", "tile/0/003", "tile/0/003.p/133", "tile/2/000.p/1", "tile/entries/004.p/1", "tile/9/000", "tile/0/../checkpoint", "tile/0/0", "lock"} {
		if _, err := s.Resource(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, seq := range []uint64{1, 256, 257, 900} {
		p, err := s.Prove(seq)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := p.Verify(v); err != nil || e.Seq != seq {
			t.Fatalf("entry %d: %+v, %v", seq, e, err)
		}
	}
	if _, err := s.Prove(901); err == nil {
		t.Fatal("proved an entry that is not there")
	}
}

// What an index finds is what a scan of the evidence finds.
func TestIndexAgreesWithTheEvidence(t *testing.T) {
	index := audit.Index{ID: "slots/1", Terms: func(e audit.Entry) []string { return []string{fmt.Sprint("slot=", e.Slot)} }}
	o := store.Options{Dir: t.TempDir(), Key: newKey(t), Projections: []audit.Projection{index}}
	s, stop := start(t, o)
	for i := range 500 {
		if err := s.Queue(t.Context(), draft("step.done/1", 1+i*i%13, fmt.Sprint("SN", i/20), i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Gate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var found, scanned []uint64
	err := s.View(func(v audit.View) error {
		return index.Find(v, "slot=4", 100, 400, func(seq uint64) error {
			found = append(found, seq)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	slot := 4
	_, err = openLog(t, o).Select(t.Context(), audit.Filter{Slot: &slot, After: 99}, func(e audit.Entry, _ []byte) error {
		if e.Seq <= 400 {
			scanned = append(scanned, e.Seq)
		}
		return nil
	})
	if err != nil || fmt.Sprint(found) != fmt.Sprint(scanned) || len(found) < 10 {
		t.Fatalf("found %v\nscanned %v, %v", found, scanned, err)
	}
}
