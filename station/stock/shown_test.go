package stock_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/internal/strictyaml"
	"linefit/station"
	"linefit/station/stock"
)

// Columns that are swapped and lines that slipped put codes where names belong:
// they are neither shown nor taken.
func TestImportShowsNoCodeInTheWrongColumn(t *testing.T) {
	code := "LPA:1$smdp.example.com$" + canary
	head := "batch,activation_code,iccid,operator,cap,expires,eid,confirmation_code\n"
	good := "B1," + code + ",8949000000000000018,,,,,\n"
	for name, c := range map[string]struct{ text, want string }{
		"swapped":               {head + "B1,8949000000000000018," + code + ",,,,,\n", "codes:2:24: iccid: what stands there looks like an activation code"},
		"code as operator":      {head + "B1," + code + ",,LPA:1$smdp.example.com$OTHER,,,,\n", "operator: what stands there looks like"},
		"matching id, operator": {head + "B1," + code + ",,x " + strings.ToLower(canary) + ",,,,\n", "operator: what stands there shows the code"},
		"another row's":         {head + good + "B1,LPA:1$smdp.example.com$OTHER," + ",," + ",,," + "\n" + canary + ",LPA:1$smdp.example.com$THIRD,,,,,,\n", "codes:4:1: batch: what stands there shows the code"},
		"confirmation code":     {head + "B1," + code + ",,482915,,,,482915\n", "operator: what stands there shows the code"},
		"as ICCID":              {head + "B1,LPA:1$smdp.example.com$OTHER," + canary + ",,,,,\n", "iccid: no ICCID: 18 to 20 digits"},
		"as EID":                {head + "B1,LPA:1$smdp.example.com$OTHER,,,,," + canary + ",\n", "eid: no EID: 32 digits"},
		"as cap":                {head + "B1,LPA:1$smdp.example.com$OTHER,,," + canary + ",,,\n", "cap: what stands there is no number"},
		"as expiry":             {head + "B1,LPA:1$smdp.example.com$OTHER,,,," + canary + ",,\n", "expires: what stands there is no date"},
		"heading":               {"batch,activation_code," + code + "\n", "codes:1:23: column that stands here is not known"},
		"heading, an id alone":  {"batch,activation_code,K2-" + canary + "-77\n", "column that stands here is not known"},
		"member":                {`[{"batch":"B","` + code + `":1}]`, "member that stands here is not known"},
		"terms":                 {`{"batch":{"name":"B","contact":"` + code + `"},"profiles":[{"ac":"LPA:1$s.example$X"}]}`, "contact: what stands there shows the code"},
	} {
		w := newWorld(t)
		_, err := w.tryImport("codes", c.text)
		var problems strictyaml.Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		leaks(t, name, strings.ToUpper(err.Error()))
		w.nothing()
	}
	// What short confirmation codes have in common with names is chance.
	w := newWorld(t)
	if _, err := w.tryImport("codes", head+"B1,"+code+",,SKU-1234,,,,1234\n"); err != nil {
		t.Error(err)
	}
}

// Lists as old spreadsheets write them.
func TestImportTakesSpreadsheets(t *testing.T) {
	for name, text := range map[string]string{
		"CR alone":          "batch,ac\rB1,LPA:1$smdp.example.com$K1\r",
		"separator is said": "sep=;\r\nbatch;ac\r\nB1;LPA:1$smdp.example.com$K1\r\n",
		"and is a tab":      "sep=\t\nbatch\tac\nB1\tLPA:1$smdp.example.com$K1\n",
	} {
		w := newWorld(t)
		if out, err := w.tryImport("codes", text); err != nil || out.Profiles != 1 {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	w := newWorld(t)
	if _, err := w.tryImport("codes", "sep=;\nbatch;ac\nB1;x\n"); err == nil || !strings.Contains(err.Error(), "codes:3:4: activation_code: ") {
		t.Errorf("line numbers: %v", err)
	}
	if _, err := w.tryImport("codes", `[{"batch":"B","lpa":"LPA:1$s.example$X","ac":"LPA:1$s.example$Y"}]`); err == nil || !strings.Contains(err.Error(), `activation_code is there already, as member "lpa"`) {
		t.Errorf("a member under two names: %v", err)
	}
}

// What is said about a batch beside its list becomes keys and entries of the log:
// a name that is too long for them would stop it for good.
func TestImportChecksTermsFromElsewhere(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for name, b := range map[string]station.StockBatch{
		"name: 5000 bytes, more than 64":                    {Batch: long},
		"customer: 5000 bytes":                              {Batch: "B", Customer: long},
		"contract: character U+001B":                        {Batch: "B", Contract: "\x1b[31m"},
		"contact: what stands there looks like":             {Batch: "B", Contact: "LPA:1$smdp.example.com$" + canary},
		`billing: "later" is none of release`:               {Batch: "B", Billing: "later"},
		`notifications: "Hold" is none of send, hold`:       {Batch: "B", Notifications: "Hold"},
		`countries: "Germany" is no country code`:           {Batch: "B", Countries: []string{"DE", "Germany"}},
		"cap: -1 is no number from 1 to 1000":               {Batch: "B", Cap: -1},
		"cap: 1001 is no number from 1 to 1000":             {Batch: "B", Cap: 1001},
		"name: begins or ends with a blank":                 {Batch: " "},
		"owner: 5000 bytes, more than 64":                   {Batch: "B", Owner: long},
		"ship_state: \"maybe\" is none of enabled, disable": {Batch: "B", ShipState: "maybe"},
	} {
		w := newWorld(t)
		src := stock.Source{Name: "codes", Data: []byte("ac\nLPA:1$s.example$X\n"), Batch: b}
		_, err := w.ledger.Import(ctx, src, station.Scope{Actor: "op1"}, w.log)
		var problems strictyaml.Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), "codes:1:1: terms that come with the file: "+name) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		leaks(t, name, err.Error())
		w.nothing()
	}
	// What the file says replaces what comes with it.
	w := newWorld(t)
	src := stock.Source{Name: "codes", Data: []byte(`{"batch":{"name":"B","countries":["FR"]},"profiles":[{"ac":"LPA:1$s.example$X"}]}`), Batch: station.StockBatch{Countries: []string{"DE"}}}
	if _, err := w.ledger.Import(ctx, src, station.Scope{Actor: "op1"}, w.log); err != nil {
		t.Fatal(err)
	}
	if b := w.log.Entries()[0]; !strings.Contains(string(b.Data), `"countries":["FR"]`) {
		t.Errorf("%s", b.Data)
	}
}

// Wiping a file behind a symbolic link leaves neither.
func TestWipeFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "codes.csv"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, []byte(canary), 0o600), os.Symlink("codes.csv", link)); err != nil {
		t.Fatal(err)
	}
	if err := stock.Wipe(link); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}
