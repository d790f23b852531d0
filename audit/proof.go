package audit

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Proof shows that one entry is in a log: C2SP tlog-proof, with the entry's
// bytes as its extra data.
type Proof struct {
	Index      uint64 // of the leaf
	Entry      []byte
	Path       tlog.RecordProof
	Checkpoint []byte // signed note
}

const proofHeader = "c2sp.org/tlog-proof@v1"

// Marshal encodes the proof.
func (p Proof) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nextra %s\nindex %d\n", proofHeader, base64.StdEncoding.EncodeToString(p.Entry), p.Index)
	for _, h := range p.Path {
		fmt.Fprintf(&b, "%s\n", h)
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return b.Bytes()
}

// ParseProof reads a proof; it verifies nothing.
func ParseProof(data []byte) (Proof, error) {
	bad := func(what string) (Proof, error) { return Proof{}, errors.New("audit: proof: " + what) }
	if len(data) > 4*MaxEntry {
		return bad("too long")
	}
	head, checkpoint, ok := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || len(lines) < 3 || lines[0] != proofHeader {
		return bad("not a " + proofHeader)
	}
	extra, ok1 := strings.CutPrefix(lines[1], "extra ")
	index, ok2 := strings.CutPrefix(lines[2], "index ")
	if !ok1 || !ok2 {
		return bad("no extra and index lines")
	}
	entry, err := base64.StdEncoding.Strict().DecodeString(extra)
	if err != nil {
		return bad("extra data is not base64")
	}
	n, err := strconv.ParseInt(index, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != index {
		return bad("index is not a decimal number")
	}
	p := Proof{Index: uint64(n), Entry: entry, Checkpoint: bytes.Clone(checkpoint)}
	for _, line := range lines[3:] {
		h, err := parseHash(line)
		if err != nil || len(p.Path) == 64 {
			return bad("malformed inclusion path")
		}
		p.Path = append(p.Path, h)
	}
	return p, nil
}

// Verify checks that v's log contains the proof's entry at its place, and
// returns the entry. base is the seq of the shard's first entry.
func (p Proof) Verify(v note.Verifier) (Entry, error) {
	c, err := OpenCheckpoint(p.Checkpoint, v)
	if err != nil {
		return Entry{}, err
	}
	if err := checkInclusion(c.Head, p.Index, p.Entry, p.Path); err != nil {
		return Entry{}, err
	}
	return Decode(p.Entry)
}

func checkInclusion(h Head, index uint64, entry []byte, path tlog.RecordProof) error {
	if index >= h.Size {
		return &FindingError{Finding{Code: FindProof, Detail: fmt.Sprintf("leaf %d is not in a tree of %d", index, h.Size)}}
	}
	if err := tlog.CheckRecord(path, int64(h.Size), h.Root, int64(index), LeafHash(entry)); err != nil {
		return &FindingError{Finding{Code: FindProof, Detail: fmt.Sprintf("inclusion proof of leaf %d: %v", index, err)}}
	}
	return nil
}

func parseHash(s string) (tlog.Hash, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != tlog.HashSize {
		return tlog.Hash{}, errors.New("audit: malformed hash")
	}
	return tlog.Hash(b), nil
}

// A Collector gathers, in one pass over a log, the tree hashes that proofs
// need, so that a proof from plain segments takes no more memory than itself.
// First all Want calls, then Add for every leaf, then the proofs.
type Collector struct {
	want map[int64]tlog.Hash
	tree Tree
}

// NewCollector returns an empty collector.
func NewCollector() *Collector { return &Collector{want: map[int64]tlog.Hash{}} }

// WantRecord asks for the inclusion proof of a leaf in the tree of that size.
func (c *Collector) WantRecord(size, index uint64) error {
	_, err := tlog.ProveRecord(int64(size), int64(index), tlog.HashReaderFunc(c.note))
	return err
}

// WantTree asks for the consistency proof between two sizes.
func (c *Collector) WantTree(size, old uint64) error {
	if old == 0 || old == size {
		return nil
	}
	_, err := tlog.ProveTree(int64(size), int64(old), tlog.HashReaderFunc(c.note))
	return err
}

func (c *Collector) note(indexes []int64) ([]tlog.Hash, error) {
	for _, i := range indexes {
		c.want[i] = tlog.Hash{}
	}
	return make([]tlog.Hash, len(indexes)), nil
}

// Add adds the next entry of the log.
func (c *Collector) Add(entry []byte) {
	first := tlog.StoredHashIndex(0, int64(c.tree.Size()))
	for k, h := range c.tree.Append(LeafHash(entry)) {
		if _, ok := c.want[first+int64(k)]; ok {
			c.want[first+int64(k)] = h
		}
	}
}

// Head is the head of the tree of the entries added.
func (c *Collector) Head() Head { return c.tree.Head() }

// Record returns a proof asked for by WantRecord.
func (c *Collector) Record(size, index uint64) (tlog.RecordProof, error) {
	return tlog.ProveRecord(int64(size), int64(index), tlog.HashReaderFunc(c.read))
}

// Tree returns a proof asked for by WantTree.
func (c *Collector) Tree(size, old uint64) (tlog.TreeProof, error) {
	if old == 0 || old == size {
		return nil, nil
	}
	return tlog.ProveTree(int64(size), int64(old), tlog.HashReaderFunc(c.read))
}

func (c *Collector) read(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		h, ok := c.want[index]
		if !ok {
			return nil, fmt.Errorf("audit: hash %d was not asked for", index)
		}
		out[i] = h
	}
	return out, nil
}
