package stock_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
	"linefit/internal/strictyaml"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/stock"
)

func keyPair(t *testing.T, name string) (note.Signer, note.Verifier) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

// The shares of a list are disjoint and together the list, each station takes
// its own only, and a share that was touched is none.
func TestShares(t *testing.T) {
	signer, verifier := keyPair(t, "planning")
	other, _ := keyPair(t, "planning")
	list := `{"batch":{"name":"B","customer":"acme","countries":["DE","AT"],"cap":3},"profiles":[`
	for n := range 10 {
		list += fmt.Sprintf(`{"activation_code":"LPA:1$s.example$C%d","iccid":"%s"},`, n, iccid(n))
	}
	list = strings.TrimSuffix(list, ",") + "]}"
	shares, err := stock.Split("codes.json", []byte(list), station.StockBatch{}, []string{"bench-1", "bench-2", "bench-3"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[ident.ICCID]string{}
	for name, share := range shares {
		w := newWorld(t)
		rule := stock.ShareRule{Station: name, Keys: []note.Verifier{verifier}, Required: true}
		take := func(data []byte, rule stock.ShareRule) error {
			_, err := w.ledger.Import(ctx, stock.Source{Name: "share", Data: data, Share: rule}, station.Scope{}, w.log)
			return err
		}
		if err := take([]byte(list), rule); !errors.Is(err, stock.ErrNoShare) {
			t.Errorf("the whole list: %v", err)
		}
		wrong := rule
		wrong.Station = "bench-9"
		if err := take(share, wrong); !errors.Is(err, stock.ErrOtherStation) {
			t.Errorf("another station's share: %v", err)
		}
		wrong = rule
		wrong.Keys = nil
		if err := take(share, wrong); !errors.Is(err, stock.ErrShare) {
			t.Errorf("no key: %v", err)
		}
		for i := 0; i < len(share); i += 7 {
			touched := bytes.Clone(share)
			touched[i] ^= 1
			if err := take(touched, rule); err == nil {
				t.Fatalf("byte %d (%q) was changed and taken", i, share[i])
			}
		}
		w.nothing()
		if err := take(share, rule); err != nil {
			t.Fatal(err)
		}
		err := w.log.View(func(v audit.View) error {
			b, _, err := stock.Terms(v, "B")
			if !strings.HasSuffix(b.Share, "/3 by planning") || b.Customer != "acme" || fmt.Sprint(b.Countries) != "[DE AT]" {
				t.Errorf("terms %+v", b)
			}
			if err != nil {
				return err
			}
			return stock.List(v, stock.Filter{}, func(i station.StockItem) error {
				if seen[i.ICCID] != "" {
					t.Errorf("%s is in the shares of %s and %s", i.ICCID, seen[i.ICCID], name)
				}
				if i.Customer != "acme" || i.Cap != 3 {
					t.Errorf("%+v", i)
				}
				seen[i.ICCID] = name
				return nil
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d of 10 profiles in the shares", len(seen))
	}
	forged, err := stock.Split("codes.json", []byte(list), station.StockBatch{}, []string{"bench-1"}, other)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := stock.OpenShare(forged["bench-1"], "bench-1", verifier); !errors.Is(err, stock.ErrShare) {
		t.Errorf("another key of the same name: %v", err)
	}
	var problems strictyaml.Problems
	if _, err := stock.Split("c.csv", []byte("batch,ac\nB,x\n"), station.StockBatch{}, []string{"a"}, signer); !errors.As(err, &problems) {
		t.Errorf("a list with mistakes: %v", err)
	}
	for _, stations := range [][]string{nil, {"a", "a"}, {"a b"}, {""}} {
		if _, err := stock.Split("codes.json", []byte(list), station.StockBatch{}, stations, signer); err == nil {
			t.Errorf("stations %q", stations)
		}
	}
}

func TestClaims(t *testing.T) {
	w := newWorld(t)
	w.importCSV("batch,activation_code,iccid\nB1,LPA:1$s.example$" + canary + "-1,8949000000000000018\nB1,LPA:1$s.example$" + canary + "-2,\nB2,LPA:1$s.example$" + canary + "-3,\n")
	if err := w.log.Gate(ctx, station.Scope{}, station.StockBatch{Batch: "B1", Provider: "prov", Contact: "noc@prov.example", Purchase: "PO-1"}); err != nil {
		t.Fatal(err)
	}
	signed, err := w.ledger.Vault().Put(stock.KindResult, stock.NewSecret([]byte("signed by the eUICC")))
	if err != nil {
		t.Fatal(err)
	}
	item := w.mustReserve(want("r1", eid(t, 1)))
	w.write("r1", station.Result{Effect: station.EffectLoad, Number: 1, Outcome: station.Fail, State: station.StateAbsent, Evidence: signed, Code: "12"},
		station.ProfileSpent{Handle: item.Handle, Reason: station.NewReason(station.ProfileRefused, "12")})
	item = w.mustReserve(want("r2", eid(t, 2)))
	w.write("r2", station.ProfileQuarantined{Handle: item.Handle, Reason: station.NewReason(station.ProfileUnknown, "")})
	claims, err := w.ledger.Claims(stock.Filter{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(claims) != 1 || claims[0].Provider != "prov" || claims[0].Contact != "noc@prov.example" || len(claims[0].Orders) != 2 {
		t.Fatalf("%+v", claims)
	}
	for _, o := range claims[0].Orders {
		switch o.Action {
		case stock.ActionReplace:
			want := base64.StdEncoding.EncodeToString([]byte("signed by the eUICC"))
			if o.ICCID != "8949000000000000018" || len(o.Evidence) != 1 || o.Evidence[0].Result != want || o.Evidence[0].Code != "12" {
				t.Errorf("%+v", o)
			}
		case stock.ActionReport:
			if o.EID != eid(t, 2) || len(o.Evidence) != 0 {
				t.Errorf("%+v", o)
			}
		default:
			t.Errorf("%+v", o)
		}
	}
	leaks(t, "claims", fmt.Sprintf("%+v", claims))
}

func TestNeeded(t *testing.T) {
	w := newWorld(t)
	w.importCSV(fmt.Sprintf("batch,activation_code,eid\nB,LPA:1$s.example$,%s\nB,LPA:1$s.example$X,\n", eid(t, 1)))
	w.mustReserve(want("r2", eid(t, 2)))
	err := w.log.View(func(v audit.View) error {
		needed, err := stock.Needed(v, []ident.EID{eid(t, 1), eid(t, 2), eid(t, 3)})
		if fmt.Sprint(needed) != fmt.Sprint([]ident.EID{eid(t, 3)}) {
			t.Errorf("%v", needed)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
