package audit_test

import (
	"bytes"
	"testing"

	"linefit/audit"
)

func bundleOf(t testing.TB, unit string) (audit.Bundle, audit.Key) {
	t.Helper()
	entries, raw := logOf(t, 200)
	k, _ := newKey(t, "a/b")
	collect := audit.NewCollector()
	shard := audit.BundleShard{Origin: k.Name(), VKey: k.VKey(), First: 1}
	for i, e := range entries {
		if e.Unit == unit {
			shard.Entries = append(shard.Entries, audit.BundleEntry{Entry: string(raw[i]), Index: uint64(i)})
			if err := collect.WantRecord(200, uint64(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, r := range raw {
		collect.Add(r)
	}
	for i := range shard.Entries {
		var err error
		if shard.Entries[i].Proof, err = collect.Record(200, shard.Entries[i].Index); err != nil {
			t.Fatal(err)
		}
	}
	signed, err := audit.SignCheckpoint(collect.Head(), k)
	if err != nil {
		t.Fatal(err)
	}
	shard.Checkpoint = string(signed)
	if err := shard.Count(); err != nil {
		t.Fatal(err)
	}
	return audit.Bundle{Format: audit.BundleFormat, ID: unit, Units: []string{unit}, Shards: []audit.BundleShard{shard}}, k
}

func TestBundleFindsEveryEdit(t *testing.T) {
	b, k := bundleOf(t, "SN3")
	v, err := audit.ParseVKey(k.VKey())
	if err != nil {
		t.Fatal(err)
	}
	text, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := audit.ParseBundle(text)
	if err != nil {
		t.Fatal(err)
	}
	entries, findings := parsed.Verify(v)
	if len(findings) != 0 || len(entries) != 24 {
		t.Fatalf("%d entries, %v", len(entries), findings)
	}
	for at := 0; at < len(text); at += 11 {
		bad := bytes.Clone(text)
		bad[at] ^= 1 << (at % 8)
		p, err := audit.ParseBundle(bad)
		if err != nil {
			continue
		}
		if _, findings := p.Verify(v); len(findings) == 0 {
			t.Fatalf("byte %d (%q): not found", at, text[at])
		}
	}
	check := func(name, code string, change func(*audit.BundleShard)) {
		t.Helper()
		b, _ := audit.ParseBundle(text)
		change(&b.Shards[0])
		_, findings := b.Verify(v)
		for _, f := range findings {
			if f.Code == code {
				return
			}
		}
		t.Errorf("%s: %v", name, findings)
	}
	check("entry left out", audit.FindIncomplete, func(s *audit.BundleShard) { s.Entries = append(s.Entries[:5], s.Entries[6:]...) })
	check("first left out", audit.FindIncomplete, func(s *audit.BundleShard) { s.Entries = s.Entries[1:] })
	check("last left out", audit.FindIncomplete, func(s *audit.BundleShard) { s.Entries = s.Entries[:len(s.Entries)-1] })
	check("last two left out", audit.FindIncomplete, func(s *audit.BundleShard) { s.Entries = s.Entries[:len(s.Entries)-2] })
	check("counts edited", audit.FindIncomplete, func(s *audit.BundleShard) { s.Counts["SN3"]++ })
	check("entries swapped", audit.FindProof, func(s *audit.BundleShard) { s.Entries[2], s.Entries[3] = s.Entries[3], s.Entries[2] })
	check("no entries", audit.FindIncomplete, func(s *audit.BundleShard) { s.Entries = nil })
	other, otherKey := bundleOf(t, "SN3")
	check("another station's", audit.FindKey, func(s *audit.BundleShard) { *s = other.Shards[0] })
	check("signed anew", audit.FindKey, func(s *audit.BundleShard) { s.VKey, s.Checkpoint = otherKey.VKey(), other.Shards[0].Checkpoint })
	if _, findings := parsed.Verify(nil); len(findings) != 0 {
		t.Errorf("with its own key: %v", findings)
	}
}

func FuzzParseBundle(f *testing.F) {
	b, _ := bundleOf(f, "SN0")
	text, err := b.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"format":"linefit-unit-bundle/1","id":"","units":null,"shards":[{"entries":[{}],"link":{}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := audit.ParseBundle(b); err == nil {
			p.Verify(nil)
		}
		if p, err := audit.ParseProof(b); err == nil {
			if _, err := audit.ParseProof(p.Marshal()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
