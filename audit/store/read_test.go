package store_test

import (
	"errors"
	"slices"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
)

// TestReadIsSelect holds the one pass against the passes of an export.
func TestReadIsSelect(t *testing.T) {
	for name, o := range map[string]store.Options{"one shard": fill(t, 300), "three shards": threeShards(t)} {
		t.Run(name, func(t *testing.T) {
			l := openLog(t, o)
			var selected, read []string
			x, err := l.Select(t.Context(), audit.Filter{}, func(e audit.Entry, raw []byte) error {
				selected = append(selected, string(raw))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			y, err := l.Read(t.Context(), func(e audit.Entry, raw []byte) error {
				if string(audit.AppendEntry(nil, e)) != string(raw) {
					t.Fatalf("entry %d is not its bytes", e.Seq)
				}
				read = append(read, string(raw))
				return nil
			})
			if err != nil || x != y || !slices.Equal(selected, read) || y.Entries == 0 {
				t.Fatalf("%+v and %+v, %v", x, y, err)
			}
			stop := errors.New("enough")
			if _, err := l.Read(t.Context(), func(audit.Entry, []byte) error { return stop }); !errors.Is(err, stop) {
				t.Fatalf("%v", err)
			}
		})
	}
}

func TestReadOfADamagedLog(t *testing.T) {
	o := fill(t, 300)
	segment := evidence(t, o.Dir)[0]
	raw := readAll(t, segment)
	raw[len(raw)/2] ^= 1
	write(t, segment, raw)
	_, err := openLog(t, o).Read(t.Context(), func(audit.Entry, []byte) error { return nil })
	var damaged *store.DamagedError
	if !errors.As(err, &damaged) || len(damaged.Report.Findings) == 0 {
		t.Fatalf("%v", err)
	}
}

func TestConsistent(t *testing.T) {
	o := sharded(t)
	s, stop := start(t, o)
	var notes [][]byte
	for range 3 {
		gateN(t, s, "SN1", 30)
		note, err := s.Publish(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		notes = append(notes, note)
	}
	if err := s.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	gateN(t, s, "SN1", 5)
	stop()
	l := openLog(t, o)
	v, err := audit.ParseVKey(o.Key.VKey())
	if err != nil {
		t.Fatal(err)
	}
	for i, note := range notes {
		p, err := l.Consistent(t.Context(), note)
		if err != nil || p.Old.Size != uint64(30*(i+1)) || p.New.Size <= 90 {
			t.Fatalf("%+v, %v", p, err)
		}
		if again, err := audit.ParseConsistency(p.Marshal(), note, v); err != nil || again.New.Head != p.New.Head {
			t.Fatalf("%v", err)
		}
		other := notes[(i+1)%len(notes)]
		if _, err := audit.ParseConsistency(p.Marshal(), other, v); err == nil {
			t.Fatal("a proof for another size is taken")
		}
		if len(p.Path) > 0 {
			p.Path[0][0] ^= 1
			if _, err := audit.ParseConsistency(p.Marshal(), note, v); err == nil {
				t.Fatal("a wrong hash is taken")
			}
		}
	}
	foreign := fill(t, 20)
	head, err := openLog(t, foreign).Published()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Consistent(t.Context(), head.Note); !errors.Is(err, audit.ErrCheckpointKey) {
		t.Fatalf("another log's checkpoint: %v", err)
	}
}

func FuzzParseConsistency(f *testing.F) {
	key, _, err := audit.NewKey("test.example/station-1")
	if err != nil {
		f.Fatal(err)
	}
	v, err := audit.ParseVKey(key.VKey())
	if err != nil {
		f.Fatal(err)
	}
	note, err := audit.SignCheckpoint((&audit.Tree{}).Head(), key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("old 0\n\n"+string(note)), note)
	f.Add([]byte("old 3\nAAAA\n\nx"), []byte("x"))
	f.Fuzz(func(t *testing.T, data, old []byte) {
		if c, err := audit.ParseConsistency(data, old, v); err == nil && c.Check() != nil {
			t.Fatal("a proof that does not hold was taken")
		}
	})
}
