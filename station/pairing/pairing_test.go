package pairing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"linefit/audit"
	"linefit/audit/store/storetest"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/pairing"
	"linefit/station/plant"
)

const (
	imei1, imei2, imei3 = ident.IMEI("490154203237518"), ident.IMEI("356741080000028"), ident.IMEI("352161120000033")
	eid1, eid2, eid3    = ident.EID("89049032123451234512345678901235"), ident.EID("89049032000000010000000000000295"), ident.EID("89049032000000010000000000000392")
)

var lead = station.Person{Actor: "lead-1", Role: station.RoleLead}

func TestReadFindsEveryMistake(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "list.csv:1:1: the file has no line"},
		{"no head", "490154203237518,89049032123451234512345678901235\n",
			`list.csv:1:1: column "490154203237518" is not known; known are module_serial, imei, eid, firmware, bootstrap_iccid, reel
list.csv:1:1: column eid is missing
list.csv:1:1: column imei is missing
list.csv:1:2: column "89049032123451234512345678901235" is not known; known are module_serial, imei, eid, firmware, bootstrap_iccid, reel`},
		{"spreadsheet", "imei;eid\n490154203237518;8,9E+31\n", `list.csv:2:2: eid: EID "8,9E+31"`},
		{"check digits", "imei,eid\n490154203237519,89049032123451234512345678901234\n", "list.csv:2:1: imei: IMEI"},
		{"both fields", "imei,eid\n490154203237519,89049032123451234512345678901234\n", "list.csv:2:2: eid: EID"},
		{"missing field", "imei,eid\n490154203237518,\n", "list.csv:2:2: eid: is empty"},
		{"short line", "imei,eid,reel\n490154203237518,89049032123451234512345678901235\n", "list.csv:2:1: 2 fields, the head has 3 columns"},
		{"twice", fmt.Sprintf("module,imei,eid\nM1,%s,%s\nM1,%s,%s\n", imei1, eid1, imei1, eid1),
			"list.csv:3:1: module M1 stands in line 2 already\nlist.csv:3:2: IMEI 490154203237518 stands in line 2 already\nlist.csv:3:3: EID 89049032123451234512345678901235 stands in line 2 already"},
		{"not UTF-8", "imei,eid\n\xff\n", "list.csv:1:1: the file is not UTF-8"},
		{"quotes", "imei,eid\n\"4,x\n", "list.csv:"},
		{"control", fmt.Sprintf("imei,eid,reel\n%s,%s,a\x07b\n", imei1, eid1), "list.csv:2:3: reel: character U+0007 cannot be shown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines, _, err := pairing.Read("list.csv", []byte(c.text))
			if err == nil || lines != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v\nwant %s", lines, err, c.want)
			}
		})
	}
}

func TestReadTakesWhatMakersSend(t *testing.T) {
	text := "\xef\xbb\xbfModule SN;IMEI;EID;FW;ICCID;Reel\r\nM1;" + string(imei1) + ";" + string(eid1) + ";R1A;89880000001000000011;R7\r\n\r\n"
	lines, warnings, err := pairing.Read("list.csv", []byte(text))
	want := station.PairedUnit{Module: "M1", IMEI: imei1, EID: eid1, Firmware: "R1A", Bootstrap: "89880000001000000011", Reel: "R7"}
	if err != nil || len(lines) != 1 || lines[0].PairedUnit != want || lines[0].Line != 2 {
		t.Errorf("%+v, %v", lines, err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "list.csv:2: bootstrap_iccid 89880000001000000011 has another check digit") {
		t.Errorf("warnings %q", warnings)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("imei,eid\n490154203237518,89049032123451234512345678901235\n"))
	f.Add([]byte("module;imei;eid;reel\n\"a\nb\";1;2;3\n"))
	f.Add([]byte("\xef\xbb\xbfimei\teid\n\t\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, _, err := pairing.Read("f.csv", data)
		if (err == nil) == (len(lines) == 0) {
			t.Fatalf("%d lines, %v", len(lines), err)
		}
		seen := map[ident.IMEI]bool{}
		for _, l := range lines {
			if _, err := ident.ParseEID(string(l.EID)); err != nil || seen[l.IMEI] {
				t.Fatalf("%+v, %v", l, err)
			}
			seen[l.IMEI] = true
		}
	})
}

// station is a log with a book on it.
type desk struct {
	t  *testing.T
	st *storetest.Station
	*pairing.Book
	journal plant.Journal
	runs    int
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	key, _, err := audit.NewKey("test.example/pairing")
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, st: storetest.Start(t, storetest.NewDisk(), plant.Plan{Dir: t.TempDir(), Key: key}.StoreOptions())}
	d.open()
	return d
}

func (d *desk) open() {
	d.journal = plant.Journal{Log: d.st.Store}
	d.Book = pairing.NewBook(d.st.View, d.journal)
}

func (d *desk) load(replace bool, lines ...string) (pairing.Intake, error) {
	d.t.Helper()
	return d.Import(d.t.Context(), lead, "in/list.csv", []byte("module_serial,imei,eid,firmware,bootstrap_iccid,reel\n"+strings.Join(lines, "\n")+"\n"), replace)
}

func (d *desk) must(out pairing.Intake, err error) pairing.Intake {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

// bound writes a run in which a unit was bound to a module, or not.
func (d *desk) bound(unit station.Serial, imei ident.IMEI, eid ident.EID, outcome station.Outcome) {
	d.t.Helper()
	d.runs++
	at := station.Scope{Slot: 1, Unit: unit, Run: station.RunID(fmt.Sprint("run", d.runs))}
	err := d.journal.Gate(d.t.Context(), at, station.UnitIdentified{IMEI: imei}, station.UnitIdentified{EID: eid},
		station.StepEnded{Step: "bind", Kind: station.KindBind, Attempt: 1, Outcome: outcome}, station.RunVerdict{Verdict: station.Pass})
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) judge(unit station.Serial, id station.UnitIdentified) string {
	d.t.Helper()
	j, err := d.Judge(unit, id)
	if err != nil {
		d.t.Fatal(err)
	}
	switch {
	case j.Wrong != nil:
		return string(j.Wrong.Code) + ": " + j.Wrong.Detail
	case j.Reused != nil:
		return string(j.Reused.Code) + ": " + j.Reused.Detail
	case j.Listed == nil && j.Any:
		return "unlisted"
	case j.Listed == nil:
		return "no list"
	}
	return "listed, reel " + j.Listed.Reel
}

func line(module string, imei ident.IMEI, eid ident.EID, rest string) string {
	return fmt.Sprintf("%s,%s,%s,%s", module, imei, eid, rest)
}

func TestJudge(t *testing.T) {
	d := newDesk(t)
	is := func(unit station.Serial, imei ident.IMEI, eid ident.EID, firmware, want string) {
		t.Helper()
		if got := d.judge(unit, station.UnitIdentified{IMEI: imei, EID: eid, Firmware: firmware}); !strings.HasPrefix(got, want) {
			t.Errorf("%s with %s, %s: %q, want %q", unit, imei, eid, got, want)
		}
	}
	is("SN1", imei1, eid1, "R1A", "no list")
	out := d.must(d.load(false, line("M1", imei1, eid1, "R1A,,R7"), line("M2", imei2, eid2, ",,R7")))
	if out.Units != 2 || out.New != 2 || out.Again {
		t.Errorf("%+v", out)
	}
	is("SN1", imei1, eid1, "R1A", "listed, reel R7")
	is("SN1", imei1, eid1, "R1B", "identity.mismatch: pairing list "+out.List+": firmware R1A, the module has R1B")
	is("SN1", imei1, eid2, "R1A", "identity.mismatch: pairing list "+out.List+": IMEI "+string(imei1)+" belongs to EID "+string(eid1))
	is("SN1", imei3, eid1, "R1A", "identity.mismatch: pairing list "+out.List+": EID "+string(eid1)+" belongs to IMEI "+string(imei1))
	is("SN1", imei3, eid3, "", "unlisted")
	is("SN2", imei2, eid2, "anything", "listed")

	// What was bound is used; what was not may be bound by the right unit.
	d.bound("SN1", imei1, eid1, station.Fail)
	is("SN9", imei1, eid1, "R1A", "listed")
	d.bound("SN1", imei1, eid1, station.OK)
	is("SN1", imei1, eid1, "R1A", "listed")
	is("SN9", imei1, eid1, "R1A", "unit.reused: unit SN1 has used this module, IMEI "+string(imei1))
	d.bound("SN3", imei3, eid3, station.OK)
	is("SN9", "", eid3, "", "unit.reused: unit SN3 has used this eUICC, EID "+string(eid3))

	// A lead frees it, with a reason.
	if _, err := d.Free(t.Context(), station.Person{Actor: "op-1", Role: station.RoleOperator}, "module:M1", "moved"); !refused(err, station.PermissionMissing) {
		t.Error(err)
	}
	if _, err := d.Free(t.Context(), lead, "module:M1", " "); err == nil {
		t.Error("freed without a reason")
	}
	if _, err := d.Free(t.Context(), lead, "imei:"+string(imei2), "moved"); !errors.Is(err, pairing.ErrUnused) {
		t.Error(err)
	}
	f, err := d.Free(t.Context(), lead, "module:M1", "board changed")
	if err != nil || f.From != "SN1" || f.IMEI != imei1 || f.EID != eid1 {
		t.Errorf("%+v, %v", f, err)
	}
	is("SN9", imei1, eid1, "R1A", "listed")
	if f, err := d.Free(t.Context(), lead, "eid:"+string(eid3), "no list has it"); err != nil || f.From != "SN3" {
		t.Errorf("%+v, %v", f, err)
	}
}

func refused(err error, code station.Code) bool {
	var r *station.Refusal
	return errors.As(err, &r) && r.Reason.Code == code
}

func TestImport(t *testing.T) {
	d := newDesk(t)
	if _, err := d.Import(t.Context(), station.Person{Actor: "op", Role: station.RoleOperator}, "l.csv", nil, false); !refused(err, station.PermissionMissing) {
		t.Error(err)
	}
	first := d.must(d.load(false, line("M1", imei1, eid1, ",,R1"), line("M2", imei2, eid2, ",,R1")))
	if again := d.must(d.load(false, line("M1", imei1, eid1, ",,R1"), line("M2", imei2, eid2, ",,R1"))); !again.Again || again.List != first.List {
		t.Errorf("%+v", again)
	}
	// The same lines and new ones in another file.
	if more := d.must(d.load(false, line("M2", imei2, eid2, ",,R1"), line("M3", imei3, eid3, ",,R1"))); more.New != 1 || more.Replaced != 0 || more.Units != 2 {
		t.Errorf("%+v", more)
	}
	// A contradiction is a mistake, unless the list is a correction.
	_, err := d.load(false, line("M1", imei1, eid2, ",,R1"), line("M9", imei2, eid1, ",,R1"))
	for _, want := range []string{
		"in/list.csv:2:1: IMEI " + string(imei1) + " is on list " + first.List + " (list.csv) with EID " + string(eid1),
		"in/list.csv:3:1: IMEI " + string(imei2),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	swapped := d.must(d.load(true, line("M1", imei1, eid2, ",,R2"), line("M2", imei2, eid1, ",,R2")))
	if swapped.Replaced != 2 {
		t.Errorf("%+v", swapped)
	}
	for eid, imei := range map[ident.EID]ident.IMEI{eid2: imei1, eid1: imei2} {
		if got := d.judge("SN", station.UnitIdentified{IMEI: imei, EID: eid}); got != "listed, reel R2" {
			t.Errorf("%s, %s: %s", imei, eid, got)
		}
	}
	listed, err := d.List(pairing.Filter{Reel: "R2"}, 1)
	if err != nil || len(listed.Lists) != 3 || listed.Lists[0].List != swapped.List || len(listed.Units) != 1 || !listed.More {
		t.Errorf("%+v, %v", listed, err)
	}
	if one, err := d.List(pairing.Filter{ID: string(eid1)}, 10); err != nil || len(one.Units) != 1 || one.Units[0].IMEI != imei2 {
		t.Errorf("%+v, %v", one, err)
	}
	if _, err := d.List(pairing.Filter{ID: "module:M8"}, 10); !errors.Is(err, pairing.ErrNoUnit) {
		t.Error(err)
	}
}

// halting stops the process after so many entries.
type halting struct {
	plant.Journal
	left int
}

var errHalt = errors.New("halted")

func (h *halting) Gate(ctx context.Context, at station.Scope, facts ...station.Fact) error {
	if h.left--; h.left < 0 {
		return errHalt
	}
	return h.Journal.Gate(ctx, at, facts...)
}

// An import that was interrupted anywhere counts for nothing, and is done again.
func TestInterruptedImport(t *testing.T) {
	var lines []string
	for n := range 250 {
		imei, err := ident.IMEIWithCheck(fmt.Sprintf("35290611%06d", n))
		if err != nil {
			t.Fatal(err)
		}
		eid, err := ident.EIDWithCheck(fmt.Sprintf("89049032%022d", n))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line("", imei, eid, ",,R1"))
	}
	data := []byte("module_serial,imei,eid,firmware,bootstrap_iccid,reel\n" + strings.Join(lines, "\n") + "\n")
	d := newDesk(t)
	for left := range 3 {
		book := pairing.NewBook(d.st.View, &halting{d.journal, left})
		if _, err := book.Import(t.Context(), lead, "l.csv", data, false); !errors.Is(err, errHalt) {
			t.Fatalf("after %d entries: %v", left, err)
		}
		if out, err := d.List(pairing.Filter{}, 10); err != nil || len(out.Lists) > 0 || len(out.Units) > 0 {
			t.Fatalf("after %d entries: %+v, %v", left, out, err)
		}
	}
	d.st = d.st.Restart()
	d.open()
	out, err := d.Import(t.Context(), lead, "l.csv", data, false)
	if err != nil || out.New != 250 {
		t.Fatalf("%+v, %v", out, err)
	}
	if listed, err := d.List(pairing.Filter{}, 1000); err != nil || len(listed.Units) != 250 || listed.Lists[0].Units != 250 {
		t.Fatalf("%d, %v", len(listed.Units), err)
	}
}
