package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"linefit/audit"
)

// segmentOf returns a segment of batches with one to five entries, and where
// each batch ends.
func segmentOf(t testing.TB, batches int) ([]byte, []int) {
	t.Helper()
	var tree audit.Tree
	h := header{Format: 1, Origin: "a/b", Shard: 1, Base: 1, First: 1, Prev: tree.Head(), VKey: "k"}
	b, err := h.encode()
	if err != nil {
		t.Fatal(err)
	}
	var ends []int
	for i := range batches {
		for j := range 1 + i%5 {
			raw := fmt.Appendf(nil, `{"batch":%d,"entry":%d,"pad":"%s"}`, i, j, bytes.Repeat([]byte("x"), 700))
			tree.Append(audit.LeafHash(raw))
			b = appendFrame(b, kindEntry, raw)
		}
		b = appendCommit(b, tree.Head())
		ends = append(ends, len(b))
	}
	return b, ends
}

// scan reads all batches and returns how many there were and what ended it.
func scan(b []byte) (int, error) {
	s, _, err := openScanner(bytes.NewReader(b), int64(len(b)))
	for n := 0; ; n++ {
		if err == nil {
			_, err = s.next()
		}
		if err != nil {
			return n, err
		}
	}
}

// What a crash can leave of the last batch is torn: any part of it from its
// beginning, and any of its blocks missing.
func TestTornEnds(t *testing.T) {
	b, ends := segmentOf(t, 10)
	if n, err := scan(b); n != 10 || err != io.EOF {
		t.Fatal(n, err)
	}
	start := ends[8]
	for cut := start; cut < len(b); cut++ {
		n, err := scan(b[:cut])
		var d *damage
		if cut == start {
			if n != 9 || err != io.EOF {
				t.Fatalf("cut at the end of a batch: %d, %v", n, err)
			}
			continue
		}
		if n != 9 || !errors.As(err, &d) || !d.torn {
			t.Fatalf("cut at %d: %d batches, %v", cut, n, err)
		}
	}
	for block := (start + 511) / 512 * 512; block < len(b); block += 512 {
		bad := bytes.Clone(b)
		clear(bad[block:min(block+512, len(b))])
		n, err := scan(bad)
		var d *damage
		if errors.As(err, &d) && !d.torn && len(b)-block < 512 {
			continue // less than a block: not told from a changed byte
		}
		if n != 9 || !errors.As(err, &d) || !d.torn {
			t.Fatalf("block at %d zero: %d batches, %v", block, n, err)
		}
	}
	bad := append(bytes.Clone(b[:start]), make([]byte, 5000)...)
	if n, err := scan(bad); n != 9 || !err.(*damage).torn {
		t.Fatalf("zeros behind the last batch: %d, %v", n, err)
	}
}

// A changed bit is damage and not torn, even in the last batch, where it can
// be told: in anything but the length of a frame behind which nothing stands.
func TestChangedBitsAreNotTorn(t *testing.T) {
	b, ends := segmentOf(t, 10)
	torn := 0
	for at := ends[7]; at < len(b); at++ {
		bad := bytes.Clone(b)
		bad[at] ^= 1 << (at % 8)
		n, err := scan(bad)
		var d *damage
		if !errors.As(err, &d) || n < 8 || d.offset > int64(at) {
			t.Fatalf("byte %d: %d batches, %v", at, n, err)
		}
		if d.torn {
			if torn++; at < len(b)-commitFrame {
				t.Errorf("byte %d of %d: taken for torn: %v", at, len(b), d)
			}
		}
	}
	if torn > 4 {
		t.Errorf("%d changed bits taken for torn", torn)
	}
}

func FuzzScanner(f *testing.F) {
	b, ends := segmentOf(f, 3)
	f.Add(b)
	f.Add(b[:ends[1]+30])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := scan(b); err != io.EOF && !errors.As(err, new(*damage)) {
			t.Fatalf("%d batches, untyped end: %v", n, err)
		}
		s := &scanner{r: bytes.NewReader(b), size: int64(len(b))}
		for {
			if _, ok := s.resync(s.off); !ok {
				return
			}
		}
	})
}
