package audit_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"linefit/audit"
	"linefit/audit/audittest"
)

func TestResolver(t *testing.T) {
	entries, _ := logOf(t, 300)
	units := func(id string) []string {
		r := audit.NewResolver(id)
		for again := true; again; again = r.Again() {
			for _, e := range entries {
				r.See(e)
			}
		}
		return r.Units()
	}
	for id, want := range map[string][]string{
		"SN2":                                {"SN2"},
		"imei:35" + fmt.Sprintf("%013d", 93): {"SN3"},
		"eid:8904" + fmt.Sprintf("%028d", 3): {"SN0"},
		"T1:0":                               {"SN2"}, // entry 63
		"imei:3500":                          {},
		"nobody":                             {},
	} {
		if got := units(id); !reflect.DeepEqual(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
	var l audittest.Log
	if _, err := l.Add(
		audit.Draft{Type: "unit.seen/1", Slot: 1, Unit: "T9:4", Data: json.RawMessage(`{"carrier":"T9","position":4}`)},
		audit.Draft{Type: "unit.bound/1", Slot: 1, Unit: "T9:4", Data: json.RawMessage(`{"serial":"SN77","imei":"352999001761481"}`)},
		audit.Draft{Type: "run.verdict/1", Slot: 1, Unit: "SN77", Data: json.RawMessage(`{}`)},
	); err != nil {
		t.Fatal(err)
	}
	entries = l.Entries
	for _, id := range []string{"T9:4", "imei:352999001761481", "SN77"} {
		if got := units(id); !reflect.DeepEqual(got, []string{"SN77", "T9:4"}) {
			t.Errorf("%s: %v", id, got)
		}
	}
}

func TestFilterAndCSV(t *testing.T) {
	entries, _ := logOf(t, 50)
	slot := 2
	f := audit.Filter{After: 10, Since: entries[12].UTC, Until: entries[40].UTC, Slot: &slot, Types: []string{"step.done"}}
	var got []uint64
	for _, e := range entries {
		if f.Match(e) {
			got = append(got, e.Seq)
		}
	}
	if fmt.Sprint(got) != "[14 18 22 26 30 34 38]" {
		t.Fatal(got)
	}
	var buf bytes.Buffer
	w := audit.NewCSVWriter(&buf)
	e := entries[0]
	e.Unit, e.Actor = `=HYPERLINK("x")`, "-1"
	if err := errors.Join(w.Write(e), w.Flush()); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&buf).ReadAll()
	if err != nil || len(rows) != 2 || rows[0][0] != "seq" || rows[1][4] != `'=HYPERLINK("x")` || rows[1][7] != "'-1" || rows[1][13] != `{"n":0}` {
		t.Fatalf("%q, %v", rows, err)
	}
}

func TestMemoryIsOrderedAndIsolated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m audittest.Memory
		want := map[string]string{}
		for _, k := range rapid.SliceOf(rapid.StringN(1, 3, 3)).Draw(t, "keys") {
			want[k] = k
			value := []byte(k)
			if err := m.Set([]byte(k), value); err != nil {
				t.Fatal(err)
			}
			value[0] ^= 1
		}
		last := ""
		n := 0
		err := m.Iterate(nil, func(k, v []byte) error {
			if string(k) <= last || want[string(k)] != string(v) {
				t.Fatalf("%q after %q is %q", k, last, v)
			}
			last = string(k)
			n++
			return nil
		})
		if err != nil || n != len(want) {
			t.Fatal(n, err)
		}
	})
}
