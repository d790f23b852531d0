package stock_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"linefit/internal/strictyaml"
	"linefit/station"
	"linefit/station/stock"
)

func (w *world) tryImport(name, text string) (stock.Imported, error) {
	return w.ledger.Import(ctx, stock.Source{Name: name, Data: []byte(text)}, station.Scope{Actor: "op1"}, w.log)
}

// nothing fails where an import left something behind.
func (w *world) nothing() {
	w.t.Helper()
	if items, err := w.ledger.Vault().List(); err != nil || len(items) != 0 {
		w.t.Errorf("in the vault: %v, %v", items, err)
	}
	if n := w.count(); n.Total != 0 || len(w.log.Entries()) != 0 {
		w.t.Errorf("in the ledger: %+v", n)
	}
}

func TestImportShowsAllMistakesAtOnce(t *testing.T) {
	w := newWorld(t)
	_, err := w.tryImport("codes.csv", strings.Join([]string{
		"batch,activation_code,iccid,eid,cap,expires,confirmation_code,price",
		"B1,LPA:1$smdp.example.com$" + canary + ",8949000000000000018,,,,,",
		"B1,LPA:1$smdp.example.com$" + canary + ",8949000000000000018,,,,,", // both twice
		"B1,LPA:2$smdp.example.com$" + canary + ",,,,,,",                    // format 2
		"B1,LPA:1$smdp.example.com$X1$$1,,,,,,",                             // no confirmation code
		"B1,LPA:1$smdp.example.com$X2,8.949E+18,123,0,2001-01-01,,",         // everything wrong
		",LPA:1$smdp.example.com$,,,,31.12.2030,,",                          // no batch, no EID, date
		"B1,,,,,,,",                       // no code
		"B1,LPA:1$smdp.example.com$X3,,,", // fields missing
	}, "\n"))
	var problems strictyaml.Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	want := []string{
		`codes.csv:1:63: column "price" is not known`,
		`codes.csv:3:4: activation_code: the same code is there already in line 2`,
		`codes.csv:3:49: iccid: 8949000000000000018 is there already in line 2`,
		`codes.csv:4:4: activation_code: no activation code: it does not begin with LPA:1$`,
		`codes.csv:5:1: confirmation_code: missing`,
		`codes.csv:6:30: iccid: ICCID "8.949E+18"`,
		`a spreadsheet has rounded it`,
		`codes.csv:6:40: eid: EID "123"`,
		`codes.csv:6:44: cap: "0" is no number from 1 to 1000`,
		`codes.csv:6:46: expires: expired on 2001-01-01`,
		`codes.csv:7:1: batch: missing`,
		`codes.csv:7:2: activation_code: has no matching id, so the profile must be bound to an EID`,
		`codes.csv:7:29: expires: "31.12.2030" is no date of the form YYYY-MM-DD`,
		`codes.csv:8:1: activation_code: missing`,
		`codes.csv:9:1: 5 fields, the head has 8 columns`,
	}
	got := err.Error()
	for _, line := range want {
		if !strings.Contains(got, line) {
			t.Errorf("missing %s in\n%s", line, got)
		}
	}
	if len(problems) != len(want)-1 {
		t.Errorf("%d problems:\n%s", len(problems), got)
	}
	leaks(t, "problems", got)
	w.nothing()
}

func TestImportRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "the file is empty"},
		{"head only", "batch,activation_code\n", "the file has no line"},
		{"no head", "B1,LPA:1$smdp.example.com$" + canary + "\n", "codes:1:1: the first line must name the columns"},
		{"column twice", "batch,ac,activation_code\n", "codes:1:10: column activation_code is there twice"},
		{"quotes", "batch,activation_code\n\"B1,x\n", "codes:2"},
		{"no UTF-8", "batch,activation_code\nB\xff,x\n", "not UTF-8"},
		{"not JSON", "[{\"batch\": }]", "codes:1:12: this is not JSON"},
		{"JSON: unknown member", `[{"batch":"B","code":"` + canary + `"}]`, `codes:1:15: member "code" is not known`},
		{"JSON: doubled member", `[{"batch":"B","batch":"C","ac":"LPA:1$s.example$X"}]`, `codes:1:15: member "batch" is there twice`},
		{"JSON: wrong type", "[\n {\"batch\":[\"B\"],\"ac\":\"LPA:1$s.example$X\"}]", "codes:2:11: batch must be a text or a number"},
		{"JSON: no object", `[1]`, "codes:1:2: a line must be an object"},
		{"JSON: something behind", `[{"batch":"B","ac":"LPA:1$s.example$X"}] x`, "codes:1:42"},
		{"JSON: unknown at the top", `{"profile":[]}`, `codes:1:2: member "profile" is not known`},
		{"JSON: bad terms", `{"batch":{"name":"B","billing":"later","countries":["de"],"x":1},"profiles":[{"ac":"LPA:1$s.example$X"}]}`, `billing: "later" is none of`},
		{"JSON: bad country", `{"batch":{"name":"B","countries":["de"]},"profiles":[{"ac":"LPA:1$s.example$X"}]}`, "countries: \"de\" is no country code"},
		{"JSON: deep", `[{"batch":` + strings.Repeat("[", 100) + `}]`, "nested too deeply"},
		{"control character", "batch,ac\nB\x011,LPA:1$s.example$X\n", "codes:2:1: batch: character U+0001"},
		{"host differs", "batch,ac,smdp\nB,LPA:1$s.example$X,other.example\n", "codes:2:21: smdp: \"other.example\" is not the host"},
	} {
		w := newWorld(t)
		_, err := w.tryImport("codes", c.text)
		var problems strictyaml.Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		leaks(t, c.name, err.Error())
		w.nothing()
	}
}

func TestImportForms(t *testing.T) {
	e := eid(t, 7)
	for name, text := range map[string]string{
		"semicolons, other names, BOM": "\xef\xbb\xbfBatch;AC;Max Downloads;Expiry;MNO\r\nB1;LPA:1$smdp.example.com$K1;3;2099-12-31;op\r\n\r\n",
		"tabs, two parts":              "batch\tsmdp\tmatching_id\tcap\texpires\toperator\nB1\tsmdp.example.com\tK1\t3\t2099-12-31\top\n",
		"JSON list":                    `[{"batch":"B1","activation_code":"LPA:1$smdp.example.com$K1","cap":3,"expires":"2099-12-31","operator":"op","eid":null}]`,
		"JSON with batch":              `{"profiles":[{"smdp":"smdp.example.com","matching_id":"K1","expires":"2099-12-31","operator":"op"}],"batch":{"name":"B1","cap":3}}`,
	} {
		w := newWorld(t)
		if _, err := w.tryImport("codes", text); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		i := w.mustReserve(want("r1", e))
		if i.Batch != "B1" || i.SMDP != "smdp.example.com" || i.Cap != 3 || i.Expires != "2099-12-31" || i.Operator != "op" {
			t.Errorf("%s: %+v", name, i)
		}
		if a, err := w.ledger.Code(ctx, i.Handle); err != nil || a.MatchingID.RevealText() != "K1" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfirmationCodeGoesAlong(t *testing.T) {
	w := newWorld(t)
	w.importCSV("batch,ac,cc\nB,LPA:1$s.example$A$$1," + canary + "\nB,LPA:1$s.example$B," + canary + "2\n")
	for i := range 2 {
		item := w.mustReserve(want(fmt.Sprint("r", i), eid(t, i)))
		a, err := w.ledger.Code(ctx, item.Handle)
		if err != nil || !a.NeedsConfirmation || !strings.HasPrefix(a.Confirmation.RevealText(), canary) {
			t.Errorf("%+v, %v", a, err)
		}
	}
	searchCanaries(t, w.dir, canary)
	for _, e := range w.log.Entries() {
		leaks(t, "log", string(e.Data))
	}
	leaks(t, "projection", w.log.Dump())
}

// The same list a second time tries no code twice: not while they are in
// stock, not after they were used and erased.
func TestImportTwice(t *testing.T) {
	w := newWorld(t)
	list := "batch,activation_code\nB,LPA:1$s.example$A\nB,LPA:1$s.example$B\n"
	w.importCSV(list)
	for range 2 {
		_, err := w.tryImport("again.csv", list+"B,LPA:1$s.example$C\n")
		var problems strictyaml.Problems
		if !errors.As(err, &problems) || len(problems) != 2 || !strings.Contains(err.Error(), "again.csv:2:3: activation_code: this code is in the stock already") {
			t.Fatal(err)
		}
		if n := w.count(); n.Total != 2 {
			t.Fatalf("%+v", n)
		}
		w.crash()
	}
}

// FuzzLists reads foreign lists of every kind: typed errors, and what was read
// once reads again.
func FuzzLists(f *testing.F) {
	f.Add([]byte(threeCodes))
	f.Add([]byte(`{"batch":{"name":"B","countries":["DE"]},"profiles":[{"ac":"LPA:1$s.example$X"}]}`))
	f.Add([]byte("batch;ac\nB;\"LPA:1$s.example$X\"\n"))
	f.Add([]byte(`[{"a":{"b":[1,2,{"c":null}]}}]`))
	f.Add([]byte("iccid,state,eid\n8949000000000000018,released,\n"))
	f.Add([]byte("serial,imei\nSN1,490154203237518\n"))
	skey, vkey, err := note.GenerateKey(nil, "planning")
	if err != nil {
		f.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		f.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		f.Fatal(err)
	}
	typed := func(t *testing.T, err error) bool {
		var problems strictyaml.Problems
		if err != nil && (!errors.As(err, &problems) || len(problems) == 0) {
			t.Fatalf("untyped error %v", err)
		}
		return err == nil
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := stock.ReadServerList("f", data)
		typed(t, err)
		_, err = stock.ReadUnitList("f", data)
		typed(t, err)
		_, err = stock.ReadEIDList("f", data)
		typed(t, err)
		shares, err := stock.Split("f", data, station.StockBatch{}, []string{"a"}, signer)
		if !typed(t, err) {
			return
		}
		_, list, err := stock.OpenShare(shares["a"], "a", verifier)
		if err != nil {
			t.Fatal(err)
		}
		again, err := stock.Split("f", list, station.StockBatch{}, []string{"a"}, signer)
		if err != nil || !bytes.Equal(again["a"], shares["a"]) {
			t.Fatalf("the list reads differently the second time: %v\n%s\n%s", err, shares["a"], again["a"])
		}
	})
}
