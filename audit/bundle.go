package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Bundle is one file with every entry of a unit (or of units that share an
// identifier), each with its inclusion proof under a signed checkpoint. It
// verifies offline with the station's verifier key alone. The counters
// unit_seq in the entries show that none is left out up to the newest; that
// there is no newer one in the checkpointed log, a bundle cannot show.
type Bundle struct {
	Format string        `json:"format"` // BundleFormat
	ID     string        `json:"id"`     // what was asked for
	Units  []string      `json:"units"`  // serials, sorted
	Shards []BundleShard `json:"shards"` // in order
}

// BundleFormat is the value of a bundle's format field.
const BundleFormat = "linefit-unit-bundle/1"

// A BundleShard is the part of a bundle from one shard of the log.
type BundleShard struct {
	Origin     string `json:"origin"`
	VKey       string `json:"vkey"`
	First      uint64 `json:"first"` // seq of the shard's first entry
	Sim        bool   `json:"sim"`
	Checkpoint string `json:"checkpoint"` // signed note
	// Counts says how many entries of each unit are under the checkpoint: that
	// the last ones were cut off shows. It is the exporter's word: only the whole
	// log proves that there are no more.
	Counts  map[string]uint64 `json:"counts"`
	Entries []BundleEntry     `json:"entries"`
	// Link is the first entry of every shard but the log's first, a ShardOpened: it
	// vouches for the key and the last checkpoint of the shard before, and has that
	// key's word for this shard's.
	Link *BundleEntry `json:"link,omitempty"`
}

// A BundleEntry is an entry's exact bytes, as a JSON string, and its proof.
type BundleEntry struct {
	Entry string           `json:"entry"`
	Index uint64           `json:"index"`
	Proof tlog.RecordProof `json:"proof"`
}

// maxBundle bounds a bundle, in bytes.
const maxBundle = 64 << 20

// Marshal encodes the bundle, one line for each entry.
func (b Bundle) Marshal() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(b); err != nil {
		return nil, fmt.Errorf("audit: bundle: %w", err)
	}
	return buf.Bytes(), nil
}

// ParseBundle reads a bundle in exactly the form that Marshal writes.
func ParseBundle(data []byte) (Bundle, error) {
	bad := func(what string) (Bundle, error) {
		return Bundle{}, &FindingError{Finding{Code: FindEntry, Detail: "bundle: " + what}}
	}
	if len(data) > maxBundle {
		return bad("too long")
	}
	var b Bundle
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		return bad(err.Error())
	}
	if b.Format != BundleFormat {
		return bad(fmt.Sprintf("format %q is not %q", b.Format, BundleFormat))
	}
	again, err := b.Marshal()
	if err != nil || !bytes.Equal(again, data) {
		return bad("not in the form in which it was written: it was edited")
	}
	return b, nil
}

// Verify checks every entry of the bundle against its checkpoint and the
// checkpoint against the key. v is the station's key; without it the bundle's
// own is used, which shows only that the bundle fits together. All that is
// wrong is returned; no findings means that the bundle is good.
func (b Bundle) Verify(v note.Verifier) ([]Entry, []Finding) {
	var entries []Entry
	var findings []Finding
	add := func(err error) {
		var f *FindingError
		var c *CheckpointError
		switch {
		case errors.As(err, &f):
			findings = append(findings, f.Finding)
		case errors.As(err, &c) && (c.Kind == ErrCheckpointKey || c.Kind == ErrCheckpointOrigin):
			findings = append(findings, Finding{Code: FindKey, Detail: err.Error()})
		default:
			findings = append(findings, Finding{Code: FindCheckpoint, Detail: err.Error()})
		}
	}
	units := map[string]bool{}
	for _, u := range b.Units {
		units[u] = true
	}
	trusted, err := b.newestKey(v)
	if err == nil {
		err = b.ofOneKind()
	}
	if err != nil {
		add(err)
	}
	for i := len(b.Shards) - 1; err == nil && i >= 0; i-- { // each shard vouches for the one before
		s := b.Shards[i]
		var es []Entry
		es, err = s.verify(trusted)
		if err == nil && i > 0 {
			trusted, err = s.before(b.Shards[i-1])
		}
		if err != nil {
			add(err)
			break
		}
		findings = append(findings, s.complete(units, es)...)
		entries = append(slices.Clone(es), entries...)
	}
	if found := b.resolve(entries); !slices.Equal(found, b.Units) {
		findings = append(findings, Finding{Code: FindIncomplete, Detail: fmt.Sprintf("its entries say that %q is units %q, the bundle says %q", b.ID, found, b.Units)})
	}
	return entries, findings
}

// newestKey returns the key of the bundle's newest shard, if v is it or has vouched
// for it: v is the key of any shard in the bundle, or of the one before the first.
// Without v it is nil.
func (b Bundle) newestKey(v note.Verifier) (note.Verifier, error) {
	n := len(b.Shards)
	if v == nil || n == 0 {
		return v, nil
	}
	newest, err := ParseVKey(b.Shards[n-1].VKey)
	if err != nil || SameKey(newest, v) {
		return v, err
	}
	trusted := false
	for _, s := range b.Shards {
		own, err := ParseVKey(s.VKey)
		if err != nil {
			return nil, err
		}
		if link := s.link(); link != nil && !trusted {
			before, err := ParseVKey(link.VKey)
			trusted = err == nil && SameKey(before, v)
		}
		if trusted && !SameKey(own, v) {
			if link := s.link(); link == nil || !b.linked(s, link, v) || !link.Vouches(s.VKey) {
				return nil, &CheckpointError{Kind: ErrCheckpointKey, Detail: Unvouched(s.Origin)}
			}
		}
		trusted = trusted || SameKey(own, v)
	}
	if !trusted {
		return v, nil // verify says whose the bundle is
	}
	return newest, nil
}

// ofOneKind checks that all shards are said to be of the same kind of station, and
// that their first entries say so too.
func (b Bundle) ofOneKind() error {
	for _, s := range b.Shards {
		wrong := s.Sim != b.Shards[0].Sim
		if s.Link != nil {
			e, err := Decode([]byte(s.Link.Entry))
			wrong = wrong || err == nil && e.Sim != s.Sim // what is no entry is found with its proof
		}
		if wrong {
			return &FindingError{Finding{Code: FindSim, Seq: s.First, Detail: "simulated and real shards are mixed"}}
		}
	}
	return nil
}

// linked reports whether the key that a link says has vouched is that of the
// bundle's shard before, or v itself.
func (b Bundle) linked(s BundleShard, link *ShardOpened, v note.Verifier) bool {
	for i := range b.Shards {
		if b.Shards[i].Origin == s.Origin && i > 0 {
			return b.Shards[i-1].VKey == link.VKey
		}
	}
	before, err := ParseVKey(link.VKey)
	return err == nil && SameKey(before, v)
}

// link is what the shard's first entry says of the one before, nil if nothing.
func (s BundleShard) link() *ShardOpened {
	if s.Link == nil {
		return nil
	}
	var opened ShardOpened
	e, err := Decode([]byte(s.Link.Entry))
	if err != nil || e.Type != TypeShardOpened || ParseFact(e, &opened) != nil {
		return nil
	}
	return &opened
}

// resolve returns the units that the bundle's own entries give for its ID.
func (b Bundle) resolve(entries []Entry) []string {
	r := NewResolver(b.ID)
	for again := true; again; again = r.Again() {
		for _, e := range entries {
			r.See(e)
		}
	}
	return r.Units()
}

// complete checks that no entry of a unit is left out, nor one of another.
func (s BundleShard) complete(units map[string]bool, entries []Entry) (findings []Finding) {
	counters := map[string]uint64{}
	for _, e := range entries {
		if !units[e.Unit] {
			findings = append(findings, Finding{Code: FindIncomplete, Seq: e.Seq, Detail: fmt.Sprintf("entry of unit %q, which the bundle does not name", e.Unit)})
			continue
		}
		if counters[e.Unit]++; e.UnitSeq != counters[e.Unit] {
			findings = append(findings, Finding{Code: FindIncomplete, Seq: e.Seq, Detail: fmt.Sprintf("unit %q counts %d where %d belongs: entries were left out", e.Unit, e.UnitSeq, counters[e.Unit])})
			counters[e.Unit] = e.UnitSeq
		}
	}
	if !maps.Equal(counters, s.Counts) {
		findings = append(findings, Finding{Code: FindIncomplete, Seq: s.First, Detail: fmt.Sprintf("log %q has entries %v of each unit here, the bundle was made with %v: entries were cut off or added", s.Origin, counters, s.Counts)})
	}
	return findings
}

// Count sets Counts from the entries.
func (s *BundleShard) Count() error {
	s.Counts = map[string]uint64{}
	for _, be := range s.Entries {
		e, err := Decode([]byte(be.Entry))
		if err != nil {
			return err
		}
		s.Counts[e.Unit]++
	}
	return nil
}

// before checks that this shard vouches for the bundle's part before it, and
// returns that one's key.
func (s BundleShard) before(prev BundleShard) (note.Verifier, error) {
	bad := func(what string) (note.Verifier, error) {
		return nil, &FindingError{Finding{Code: FindProof, Seq: s.First, Detail: what}}
	}
	if s.Link == nil || s.Link.Index != 0 {
		return bad("nothing vouches for the shard before")
	}
	c, err := ParseCheckpoint([]byte(s.Checkpoint))
	if err == nil {
		err = checkInclusion(c.Head, 0, []byte(s.Link.Entry), s.Link.Proof)
	}
	if err != nil {
		return nil, err
	}
	e, err := Decode([]byte(s.Link.Entry))
	var opened ShardOpened
	if err == nil {
		err = ParseFact(e, &opened)
	}
	if err != nil || e.Type != TypeShardOpened || e.Seq != s.First {
		return bad("its first entry does not name the shard before")
	}
	vkey := opened.LastVKey() // its name is the shard's
	if vkey == opened.VKey && opened.Origin != prev.Origin || vkey != prev.VKey || opened.Last() != prev.Checkpoint {
		return bad("its first entry names another shard before it")
	}
	return ParseVKey(vkey)
}

// verify checks one shard's part with the key v, or with its own.
func (s BundleShard) verify(v note.Verifier) ([]Entry, error) {
	own, err := ParseVKey(s.VKey)
	if err != nil {
		return nil, err
	}
	if v != nil && !SameKey(own, v) {
		return nil, &CheckpointError{Kind: ErrCheckpointKey, Detail: fmt.Sprintf("the bundle names key %s+%08x, the given key is %s+%08x", own.Name(), own.KeyHash(), v.Name(), v.KeyHash())}
	}
	if v != nil {
		own = v
	}
	c, err := OpenCheckpoint([]byte(s.Checkpoint), own)
	if err != nil {
		return nil, err
	}
	if c.Origin != s.Origin {
		return nil, &CheckpointError{Kind: ErrCheckpointOrigin, Detail: fmt.Sprintf("origin %q, the bundle says %q", c.Origin, s.Origin)}
	}
	var entries []Entry
	last := uint64(0)
	for _, be := range s.Entries {
		bad := func(what string) error {
			return &FindingError{Finding{Code: FindProof, Seq: s.First + be.Index, Detail: what}}
		}
		e, err := Decode([]byte(be.Entry))
		switch {
		case err != nil:
			return entries, bad(err.Error())
		case e.Seq != s.First+be.Index || e.Seq <= last:
			return entries, bad(fmt.Sprintf("entry says seq %d", e.Seq))
		case e.Sim != s.Sim:
			return entries, bad("simulated and real entries are mixed")
		}
		if err := checkInclusion(c.Head, be.Index, []byte(be.Entry), be.Proof); err != nil {
			return entries, err
		}
		last = e.Seq
		entries = append(entries, e)
	}
	return entries, nil
}
