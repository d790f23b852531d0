package stock_test

import (
	"errors"
	"strings"
	"testing"

	"linefit/internal/strictyaml"
	"linefit/station"
	"linefit/station/stock"
)

// TestTheSameCodeInOtherWords: a code is the same whatever a spreadsheet, a mail
// program or a person made of it, in one list and over several.
func TestTheSameCodeInOtherWords(t *testing.T) {
	same := []string{
		"LPA:1$smdp.example.com$" + canary, "lpa:1$SMDP.Example.COM$" + canary, "1$smdp.example.com$" + canary, "  LPA:1$smdp.example.com$" + canary + "  ",
		"LPA:1$smdp.example.com:443$" + canary, "LPA:1$smdp.example.com$" + strings.ToLower(canary), "LPA:1$smdp.example.com$" + canary + "$1.2.3",
	}
	for _, first := range same {
		for _, form := range []string{"batch,activation_code\n%s\n%s\n", "\xef\xbb\xbfbatch;activation_code\r\n%s\r\n%s\r\n"} {
			for _, code := range same {
				w := newWorld(t)
				sep := string([]byte{form[strings.IndexAny(form, ",;")]})
				list := strings.Replace(strings.Replace(form, "%s", `B`+sep+`"`+first+`"`, 1), "%s", "B"+sep+code, 1)
				_, err := w.tryImport("codes.csv", list)
				if err == nil || !strings.Contains(err.Error(), "codes.csv:3:3: activation_code: the same code is there already in line 2") || strings.Contains(strings.ToUpper(err.Error()), canary) {
					t.Errorf("%q after %q: %v", code, first, err)
				}
				w.nothing()
			}
		}
	}
	w := newWorld(t)
	w.importCSV("batch,activation_code\nB," + same[0] + "\n")
	for _, code := range same {
		if _, err := w.tryImport("more.csv", "batch,activation_code\nB,"+code+"\n"); err == nil || !strings.Contains(err.Error(), "in the stock already") {
			t.Errorf("%q: %v", code, err)
		}
	}
	w.importCSV("batch,activation_code\nB,LPA:1$smdp.example.com:8443$" + canary + "\n") // another server
}

// TestOtherCustomersBatch: nothing comes into another customer's batch.
func TestOtherCustomersBatch(t *testing.T) {
	w := newWorld(t)
	lead := station.Scope{Actor: "op1"}
	take := func(list, customer string) error {
		_, err := w.ledger.Import(ctx, stock.Source{Name: "c.csv", Data: []byte(list), Batch: station.StockBatch{Batch: "C", Customer: customer}}, lead, w.log)
		return err
	}
	if err := take("activation_code,customer\nLPA:1$s.example$A1,\nLPA:1$s.example$A2,acme\n", "acme"); err != nil {
		t.Fatal(err)
	}
	before := len(w.log.Entries())
	for _, c := range []struct{ list, customer, want string }{
		{"activation_code,customer\nLPA:1$s.example$A3,other\nLPA:1$s.example$A4,third\n", "acme", "c.csv:3:20: customer: \"third\", and batch C is for \"acme\""},
		{"activation_code\nLPA:1$s.example$A3\n", "other", "c.csv:2:1: customer: \"other\", and batch C in the stock is for customer \"acme\""},
	} {
		var problems strictyaml.Problems
		if err := take(c.list, c.customer); !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v", err)
		}
	}
	if len(w.log.Entries()) != before {
		t.Error("something was taken")
	}
}
