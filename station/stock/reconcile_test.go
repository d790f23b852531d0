package stock_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"linefit/audit"
	"linefit/internal/strictyaml"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/stock"
)

// iccid makes the nth ICCID with its check digit.
func iccid(n int) ident.ICCID {
	for d := range 10 {
		if i := ident.ICCID(fmt.Sprintf("894900000000000%03d%d", n, d)); i.LuhnValid() {
			return i
		}
	}
	panic("no check digit")
}

// passed writes what the log has of a unit that passed.
func (w *world) passed(run string, e ident.EID, imei ident.IMEI, iccid ident.ICCID) {
	w.write(run, station.UnitIdentified{EID: e, IMEI: imei},
		station.RunVerdict{Verdict: station.Pass, EID: e, IMEI: imei, ICCIDs: []ident.ICCID{iccid}})
}

func TestReconcileWithAServerList(t *testing.T) {
	w := newWorld(t)
	text := "batch,activation_code,iccid\n"
	for n := range 12 {
		text += fmt.Sprintf("B,LPA:1$s.example$C%d,%s\n", n, iccid(n))
	}
	w.importCSV(text)
	take := func(n int, facts ...func(handle string) station.Fact) {
		run := fmt.Sprint("r", n)
		item := w.mustReserve(want(run, eid(t, n)))
		if item.ICCID != iccid(n) {
			t.Fatalf("got %s as number %d", item.ICCID, n)
		}
		for _, f := range facts {
			w.write(run, f(item.Handle))
		}
		w.passed(run, eid(t, n), imeiOf(t, n), iccid(n))
	}
	installed := func(n int) func(string) station.Fact {
		return func(h string) station.Fact {
			return station.ProfileCommitted{Handle: h, ICCID: iccid(n), EID: eid(t, n)}
		}
	}
	quarantine := func(h string) station.Fact {
		return station.ProfileQuarantined{Handle: h, Reason: station.NewReason(station.ProfileUnknown, "")}
	}
	for n := range 4 {
		take(n, installed(n))
	}
	for n := 4; n < 7; n++ {
		take(n, quarantine)
	}
	list := strings.Join([]string{
		"iccid,status,eid",
		fmt.Sprintf("%s,Installed,%s", iccid(0), eid(t, 0)),  // agrees
		fmt.Sprintf("%s,released,", iccid(1)),                // installed here
		fmt.Sprintf("%s,installed,%s", iccid(2), eid(t, 3)),  // another EID
		fmt.Sprintf("%s,downloaded,%s", iccid(3), eid(t, 3)), // notification missing
		fmt.Sprintf("%s,enabled,%s", iccid(4), eid(t, 4)),    // open: installed
		fmt.Sprintf("%s,available,", iccid(5)),               // open: unused
		fmt.Sprintf("%s,error,", iccid(6)),                   // open: spent
		fmt.Sprintf("%s,installed,%s", iccid(7), eid(t, 90)), // available here, foreign EID
		fmt.Sprintf("%s,error,", iccid(8)),                   // available here, closed there
		fmt.Sprintf("%s,released,", iccid(9)),                // agrees
		fmt.Sprintf("%s,released,", iccid(9)),                // twice
		fmt.Sprintf("%s,released,", iccid(99)),               // not in stock
		fmt.Sprintf("%s,released,", iccid(10)),
	}, "\n") // number 11 is missing
	rows, err := stock.ReadServerList("orders.csv", []byte(list))
	if err != nil {
		t.Fatal(err)
	}
	var found []stock.Disagreement
	err = w.log.View(func(v audit.View) (err error) {
		found, err = stock.Reconcile(v, stock.Lists{Server: rows, Batch: "B"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[ident.ICCID]string{}
	for _, d := range found {
		got[d.ICCID] += fmt.Sprintf("%s %s|", d.Kind, d.Resolve)
		if len(d.Evidence) == 0 {
			t.Errorf("no evidence: %+v", d)
		}
	}
	for n, want := range map[int]string{
		1: "mismatched |", 2: "mismatched |", 3: "mismatched |", 4: "open installed|", 5: "open unused|", 6: "open spent|",
		7: "foreign |", 8: "mismatched |", 9: "double |", 99: "missing |", 11: "missing |",
	} {
		if got[iccid(n)] != want {
			t.Errorf("number %d: %q, not %q", n, got[iccid(n)], want)
		}
		delete(got, iccid(n))
	}
	if len(got) != 0 {
		t.Errorf("too much: %v", got)
	}
}

// What an order's EID and state say against an item that is spent or bound.
func TestReconcileNamesEIDsAndSpentOrders(t *testing.T) {
	for _, c := range []struct {
		what, bound, row string
		spent            bool
		want             string // kind and the beginning of the text; empty: they agree
	}{
		{"spent and closed", "", "error,", true, ""},
		{"spent, unused there", "", "released,", true, "mismatched spent here, unused"},
		{"spent, installed there", "", "installed,", true, "mismatched spent here, installed"},
		{"spent, installed there on its eUICC", "", "installed," + string(eid(t, 1)), true, "mismatched spent here, installed"},
		{"spent, all downloads used", "", "downloaded," + string(eid(t, 1)), true, ""},
		{"spent, on a foreign eUICC there", "", "installed," + string(eid(t, 90)), true, "foreign installed"},
		{"failed on a foreign eUICC", "", "error," + string(eid(t, 90)), false, "foreign closed"},
		{"expired, bound there and here", string(eid(t, 90)), "expired," + string(eid(t, 90)), false, "mismatched available here, closed"},
		{"unused, bound there and here", string(eid(t, 90)), "linked," + string(eid(t, 90)), false, ""},
		{"unused, bound there only", "", "linked," + string(eid(t, 90)), false, "mismatched here it is bound to no EID"},
		{"unused, bound to another one", string(eid(t, 80)), "linked," + string(eid(t, 90)), false, "mismatched here it is bound to EID " + string(eid(t, 80))},
		{"unused, bound here only", string(eid(t, 80)), "released,", false, ""},
	} {
		w := newWorld(t)
		w.importCSV(fmt.Sprintf("batch,activation_code,iccid,eid\nB,LPA:1$s.example$C1,%s,%s\n", iccid(1), c.bound))
		if c.spent {
			item := w.mustReserve(want("r1", eid(t, 1)))
			w.write("r1", station.UnitIdentified{EID: eid(t, 1)}, station.ProfileSpent{Handle: item.Handle, Reason: station.NewReason(station.CodeSpent, "")})
		}
		rows, err := stock.ReadServerList("orders.csv", []byte("iccid,state,eid\n"+string(iccid(1))+","+c.row+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		var found []stock.Disagreement
		if err := w.log.View(func(v audit.View) (err error) {
			found, err = stock.Reconcile(v, stock.Lists{Server: rows})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		switch {
		case c.want == "" && len(found) == 0:
		case len(found) != 1 || c.want == "" || !strings.HasPrefix(found[0].Kind+" "+found[0].Text, c.want) || len(found[0].Evidence) != 2:
			t.Errorf("%s: %+v", c.what, found)
		}
	}
}

func TestReconcileWithAUnitList(t *testing.T) {
	w := newWorld(t)
	imei, other := imeiOf(t, 0), imeiOf(t, 9)
	for n := range 5 {
		w.passed(fmt.Sprint("r", n), eid(t, n), imeiOf(t, n), iccid(n))
	}
	w.passed("r7", eid(t, 1), imeiOf(t, 0), iccid(7)) // of two units
	w.write("r5", station.RunVerdict{Verdict: station.Failed})
	list := fmt.Sprintf(`[
 {"serial":"SN-r0","imei":"%s","eid":"%s","iccid":"%s"},
 {"serial":"SN-r1","imei":"%s"},
 {"serial":"SN-r2","eid":"%s","iccid":"%s"},
 {"serial":"SN-r2"},
 {"serial":"SN-r3","iccid":"%s"},
 {"serial":"SN-r5"},
 {"serial":"SN-r7","imei":"%s","eid":"%s"}
]`, imei, eid(t, 0), iccid(0), other, eid(t, 77), iccid(2), iccid(2), imei, eid(t, 77))
	rows, err := stock.ReadUnitList("mes.json", []byte(list))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	err = w.log.View(func(v audit.View) error {
		found, err := stock.Reconcile(v, stock.Lists{Units: rows})
		for _, d := range found {
			lines = append(lines, fmt.Sprintf("%s %s %s", d.Kind, d.Unit, strings.Join(d.Evidence, ",")))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"double SN-r2 mes.json:5,mes.json:4", "double SN-r3 mes.json:6,mes.json:4", "mismatched SN-r1 mes.json:3,entry 4",
		"mismatched SN-r2 mes.json:4,entry 6", "mismatched SN-r3 mes.json:6,entry 8", "missing SN-r4 entry 10", "missing SN-r5 mes.json:7",
		"double SN-r7 mes.json:8,mes.json:2", "double SN-r7 mes.json:8,mes.json:4", "mismatched SN-r7 mes.json:8,entry 12", "double SN-r7 entry 4,entry 12", "double SN-r7 entry 2,entry 12",
	}
	for _, line := range want {
		if !contains(lines, line) {
			t.Errorf("missing %q in\n%s", line, strings.Join(lines, "\n"))
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d disagreements:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}

// imeiOf is a number of its own for each n, 0 to 99.
func imeiOf(t *testing.T, n int) ident.IMEI {
	t.Helper()
	imei, err := ident.IMEIWithCheck(fmt.Sprintf("490154203237%02d", n))
	if err != nil {
		t.Fatal(err)
	}
	return imei
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

func TestReconcileShowsBrokenFacts(t *testing.T) {
	w := newWorld(t)
	w.importCSV(threeCodes)
	item := w.mustReserve(want("r1", eid(t, 1)))
	w.write("r2", station.ProfileReserved{Handle: item.Handle, EID: eid(t, 2)}) // a second run has it
	w.write("r3", station.ProfileCommitted{Handle: "nobody-knows-this-handle", ICCID: iccid(1)})
	err := w.log.View(func(v audit.View) error {
		found, err := stock.Reconcile(v, stock.Lists{})
		if len(found) != 2 || found[0].Kind != stock.Broken || !strings.Contains(found[0].Text+found[1].Text, "reserved while reserved (unit SN-r1, run r1)") {
			t.Errorf("%+v", found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestListsShowAllMistakes(t *testing.T) {
	_, err := stock.ReadServerList("o.csv", []byte("iccid,state,eid\n,released,\n1,melted,2\n"))
	var problems strictyaml.Problems
	if !errors.As(err, &problems) || len(problems) != 4 {
		t.Errorf("%v", err)
	}
	_, err = stock.ReadUnitList("u.csv", []byte("serial,imei\n,1\n"))
	if !errors.As(err, &problems) || len(problems) != 2 {
		t.Errorf("%v", err)
	}
	e := eid(t, 1)
	if list, err := stock.ReadEIDList("e.csv", []byte(fmt.Sprintf("serial,eid\nSN1,%s\n", e))); err != nil || len(list) != 1 || list[0] != e {
		t.Errorf("%v, %v", list, err)
	}
	_, err = stock.ReadEIDList("e.csv", []byte(fmt.Sprintf("eid\n%s\n%s\n123\n", e, e)))
	if !errors.As(err, &problems) || len(problems) != 2 {
		t.Errorf("%v", err)
	}
}

// TestReconcileIMSIs: the lists' IMSIs are held against each other, and shown
// nowhere.
func TestReconcileIMSIs(t *testing.T) {
	w := newWorld(t)
	text, orders := "batch,activation_code,iccid\n", "iccid,state,imsi\n"
	imsi := func(n int) string { return fmt.Sprintf("00101%010d", 7_000_000+n) }
	for n := range 4 {
		text += fmt.Sprintf("B,LPA:1$s.example$C%d,%s\n", n, iccid(n))
		orders += fmt.Sprintf("%s,released,%s\n", iccid(n), imsi(min(n, 2))) // 2 and 3 have the same
	}
	w.importCSV(text)
	units := "serial,iccid,imsi\n" + fmt.Sprintf("SN0,%s,%s\nSN1,%s,%s\nSN2,%s,%s\nSN3,,%s\n", iccid(0), imsi(0), iccid(1), imsi(9), iccid(7), imsi(1), imsi(9))
	server, err := stock.ReadServerList("o.csv", []byte(orders))
	if err != nil {
		t.Fatal(err)
	}
	mes, err := stock.ReadUnitList("u.csv", []byte(units))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = w.log.View(func(v audit.View) error {
		found, err := stock.Reconcile(v, stock.Lists{Server: server, Units: mes})
		for _, d := range found {
			if strings.Contains(d.Text, "IMSI") {
				got = append(got, fmt.Sprintf("%s %s %s %v", d.Kind, d.Between, d.Unit, d.Evidence))
			}
			if all := fmt.Sprintf("%+v", d); strings.Contains(all, imsi(0)[5:]) || strings.Contains(all, imsi(9)[5:]) {
				t.Errorf("an IMSI is shown: %s", all)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"double mes SN3 [u.csv:3 u.csv:5]", "double sm-dp+  [o.csv:4 o.csv:5]", "mismatched sm-dp+, mes SN1 [o.csv:3 u.csv:3]", "mismatched sm-dp+, mes SN2 [o.csv:3 u.csv:4]"}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if _, err := stock.ReadUnitList("u.csv", []byte("serial,imsi\nSN1,00101x70000001234\n")); err == nil || strings.Contains(err.Error(), "70000001234") {
		t.Errorf("%v", err)
	}
}
