package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"linefit/audit"
)

// golden is one entry with every field and one with none that can be absent.
var golden = []struct {
	entry audit.Entry
	bytes string
}{
	{
		audit.Entry{
			Seq: 7, Type: "run.started/1", Slot: 3, SlotSeq: 2, Unit: "SN1", UnitSeq: 1, Run: "r1", Actor: "op-7f",
			Boot: "5f0c1a2b", UTC: time.Date(2026, 9, 1, 6, 0, 0, 1, time.UTC), Mono: 12, Clock: audit.ClockSynced, Sim: true,
			Data: json.RawMessage(`{"recipe":"eg25 <&> \"ü\"","steps":[1,-2],"ok":true}`),
		},
		`{"seq":7,"type":"run.started/1","slot":3,"slot_seq":2,"unit":"SN1","unit_seq":1,"run":"r1","actor":"op-7f","boot":"5f0c1a2b","utc":"2026-09-01T06:00:00.000000001Z","mono":12,"clock":"synced","sim":true,"data":{"recipe":"eg25 <&> \"ü\"","steps":[1,-2],"ok":true}}`,
	},
	{
		audit.Entry{
			Seq: 1, Type: "station.started/12", SlotSeq: 1, Actor: "station",
			Boot: "b", UTC: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), Clock: audit.ClockUnknown, Data: json.RawMessage(`{}`),
		},
		`{"seq":1,"type":"station.started/12","slot":0,"slot_seq":1,"actor":"station","boot":"b","utc":"2000-01-01T00:00:00.000000000Z","mono":0,"clock":"unknown","data":{}}`,
	},
}

func TestEntryGolden(t *testing.T) {
	for _, g := range golden {
		if got := audit.AppendEntry(nil, g.entry); string(got) != g.bytes {
			t.Errorf("encoded\n%s\nwant\n%s", got, g.bytes)
		}
		e, err := audit.Decode([]byte(g.bytes))
		if err != nil || !reflect.DeepEqual(e, g.entry) {
			t.Errorf("decoded %+v, %v", e, err)
		}
		if !json.Valid([]byte(g.bytes)) {
			t.Errorf("not JSON: %s", g.bytes)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := golden[0].bytes
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the golden entry", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, c := range map[string]struct{ in, want string }{
		"empty":             {"", "missing"},
		"unknown field":     {replace(`"actor"`, `"x":1,"actor"`), `unknown field "x"`},
		"unknown at end":    {good[:len(good)-1] + `,"x":1}`, `unknown field "x"`},
		"doubled field":     {replace(`"actor"`, `"run":"r2","actor"`), `duplicate field "run"`},
		"doubled at end":    {good[:len(good)-1] + `,"seq":7}`, `duplicate field "seq"`},
		"other order":       {replace(`"slot":3,"slot_seq":2`, `"slot_seq":2,"slot":3`), `"slot_seq" stands where "slot" belongs`},
		"missing field":     {replace(`"boot":"5f0c1a2b",`, ``), `"utc" stands where "boot" belongs`},
		"trailing data":     {good + " ", "data after the entry"},
		"cut":               {good[:len(good)-1], "without an end"},
		"white space":       {replace(`"slot":3`, `"slot": 3`), "64 bits"},
		"space in data":     {replace(`[1,-2]`, `[1, -2]`), "unexpected character"},
		"other escape":      {replace(`<`, `\u003c`), "canonical"},
		"escape in a name":  {replace(`"SN1"`, `"S\u004e1"`), "canonical"},
		"control in a name": {replace(`"SN1"`, `"S\n1"`), "control character"},
		"float":             {replace(`-2`, `-2.0`), "not an integer"},
		"exponent":          {replace(`-2`, `1e3`), "not an integer"},
		"null":              {replace(`true}}`, `null}}`), "null"},
		"doubled member":    {replace(`"ok":true`, `"ok":true,"ok":true`), "duplicate member"},
		"leading zero":      {replace(`"seq":7`, `"seq":07`), "shortest form"},
		"negative":          {replace(`"slot":3`, `"slot":-3`), "negative"},
		"seq zero":          {replace(`"seq":7`, `"seq":0`), "zero"},
		"empty unit":        {replace(`"SN1"`, `""`), "empty"},
		"time":              {replace(`00.000000001Z`, `00.00000001Z`), "nine fractional digits"},
		"thirteenth month":  {replace(`2026-09-01`, `2026-13-01`), "RFC 3339"},
		"clock":             {replace(`"synced"`, `"fine"`), "unknown state"},
		"type":              {replace(`run.started/1`, `run started/1`), "form"},
		"sim false":         {replace(`"sim":true`, `"sim":false`), "not true"},
		"data no object":    {replace(`{"recipe":"eg25 <&> \"ü\"","steps":[1,-2],"ok":true}`, `[]`), "not an object"},
		"not UTF-8":         {replace(`ü`, "\xff"), "UTF-8"},
		"too large":         {replace(`eg25`, strings.Repeat("x", audit.MaxEntry)), "more than"},
	} {
		_, err := audit.Decode([]byte(c.in))
		var d *audit.DecodeError
		if !errors.As(err, &d) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestDraftRefuses(t *testing.T) {
	good := audit.Draft{Type: "run.started/1", Slot: 1, Unit: "SN1", Data: json.RawMessage(`{"a":1}`)}
	for name, c := range map[string]struct {
		change func(*audit.Draft)
		field  string
	}{
		"no type":         {func(d *audit.Draft) { d.Type = "" }, "type"},
		"no version":      {func(d *audit.Draft) { d.Type = "run.started" }, "type"},
		"version zero":    {func(d *audit.Draft) { d.Type = "run.started/0" }, "type"},
		"empty word":      {func(d *audit.Draft) { d.Type = "run./1" }, "type"},
		"upper case":      {func(d *audit.Draft) { d.Type = "Run/1" }, "type"},
		"slot":            {func(d *audit.Draft) { d.Slot = -1 }, "slot"},
		"control in unit": {func(d *audit.Draft) { d.Unit = "a\x00b" }, "unit"},
		"long run":        {func(d *audit.Draft) { d.Run = strings.Repeat("r", 200) }, "run"},
		"actor not UTF-8": {func(d *audit.Draft) { d.Actor = "\xff" }, "actor"},
		"data no object":  {func(d *audit.Draft) { d.Data = json.RawMessage(`1`) }, "data"},
		"data float":      {func(d *audit.Draft) { d.Data = json.RawMessage(`{"v":1.5}`) }, "data"},
		"data too large":  {func(d *audit.Draft) { d.Data = json.RawMessage(`{"v":"` + strings.Repeat("x", audit.MaxEntry) + `"}`) }, "size"},
		"data deep": {func(d *audit.Draft) {
			d.Data = json.RawMessage(strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40))
		}, "data"},
		"lone surrogate":   {func(d *audit.Draft) { d.Data = json.RawMessage(`{"v":"\ud800"}`) }, "data"},
		"integer too wide": {func(d *audit.Draft) { d.Data = json.RawMessage(`{"v":9223372036854775808}`) }, "data"},
	} {
		d := good
		c.change(&d)
		_, err := d.Normalize()
		var de *audit.DraftError
		if !errors.As(err, &de) || de.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := good.Normalize(); err != nil {
		t.Error(err)
	}
}

// Whatever a draft holds, its entry decodes to the same and encodes to the
// same bytes, is JSON, and one flipped bit is never the same entry.
func TestEntryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.MapOf(rapid.String(), rapid.OneOf(
			rapid.String().AsAny(), rapid.Int64().AsAny(), rapid.Bool().AsAny(),
			rapid.SliceOf(rapid.String()).AsAny(), rapid.MapOf(rapid.String(), rapid.Int64()).AsAny(),
		)).Draw(t, "facts")
		raw, err := json.Marshal(facts) // escapes HTML; Normalize undoes it
		if err != nil {
			t.Fatal(err)
		}
		d, err := audit.Draft{Type: "a.b_c/3", Slot: 5, Unit: rapid.StringMatching(`[A-Z"\\ü-]{0,20}`).Draw(t, "unit"), Data: raw}.Normalize()
		if err != nil {
			t.Fatal(err)
		}
		e := audit.Entry{
			Seq: rapid.Uint64Range(1, 1<<62).Draw(t, "seq"), Type: d.Type, Slot: d.Slot, SlotSeq: 9, Unit: d.Unit, Actor: d.Actor, Boot: "b",
			UTC: time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC(), Mono: 5, Clock: audit.ClockSynced, Data: d.Data,
		}
		if e.Unit != "" {
			e.UnitSeq = 1
		}
		b := audit.AppendEntry(nil, e)
		got, err := audit.Decode(b)
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Fatalf("%s: %+v, %v", b, got, err)
		}
		var generic struct{ Data map[string]any }
		if err := json.Unmarshal(b, &generic); err != nil || len(generic.Data) != len(facts) {
			t.Fatalf("%s: %v", b, err)
		}
		bad := bytes.Clone(b)
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		bad[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if other, err := audit.Decode(bad); err == nil && reflect.DeepEqual(other, e) {
			t.Fatalf("%s decodes to the same entry", bad)
		}
	})
}

func TestMarshalKeepsOrderAndText(t *testing.T) {
	got, err := audit.Marshal(struct {
		Z string `json:"z"`
		A int    `json:"a"`
		T string `json:"t"`
	}{"<&>\u2028\x01", -5, "\U0001F4A9/\t"})
	if err != nil || string(got) != `{"z":"<&>\u2028\u0001","a":-5,"t":"💩/\t"}` {
		t.Fatalf("%s, %v", got, err)
	}
	if _, err := audit.Marshal(map[string]float64{"x": 0.5}); !errors.As(err, new(*audit.SyntaxError)) {
		t.Fatal(err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, g := range golden {
		f.Add([]byte(g.bytes))
	}
	f.Add([]byte(`{"seq":1,"type":"a/1"`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := audit.Decode(b)
		if err != nil {
			if !errors.As(err, new(*audit.DecodeError)) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if again := audit.AppendEntry(nil, e); !bytes.Equal(again, b) {
			t.Fatalf("accepted %s, writes %s", b, again)
		}
	})
}

func FuzzCanonical(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"\u00fc\ud83d\ude00"}],"c":false}`))
	f.Add([]byte(` { "x" : -9223372036854775808 } `))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := audit.Canonical(b)
		if err != nil {
			if !errors.As(err, new(*audit.SyntaxError)) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if !json.Valid(b) {
			t.Fatalf("accepted %q", b)
		}
		again, err := audit.Canonical(got)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%s, then %s, %v", got, again, err)
		}
		var x, y any
		if json.Unmarshal(b, &x) != nil || json.Unmarshal(got, &y) != nil || !reflect.DeepEqual(x, y) {
			t.Fatalf("%s means something else than %s", got, b)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	var buf []byte
	for b.Loop() {
		buf = audit.AppendEntry(buf[:0], golden[0].entry)
	}
}

func BenchmarkDecode(b *testing.B) {
	raw := []byte(golden[0].bytes)
	for b.Loop() {
		if _, err := audit.Decode(raw); err != nil {
			b.Fatal(err)
		}
	}
}
