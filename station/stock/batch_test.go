package stock_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"linefit/audit"
	"linefit/internal/memlog"
	"linefit/internal/strictyaml"
	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
	"linefit/station"
	"linefit/station/stock"
)

// factory makes a batch of the virtual SM-DPf for eUICCs with one-time keys.
func factory(t testing.TB, eids ...ident.EID) *smdpsim.Batch {
	t.Helper()
	ca, err := testpki.New([]byte("stock"))
	if err != nil {
		t.Fatal(err)
	}
	pki, err := ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	req := &smdpsim.BindingRequest{Format: smdpsim.RequestFormat}
	for _, e := range eids {
		credentials, err := ca.Card(e)
		if err != nil {
			t.Fatal(err)
		}
		card, err := euiccsim.New(euiccsim.Options{PKI: credentials, Image: &euiccsim.MemoryImage{}, OneTimeKeys: 2})
		if err != nil {
			t.Fatal(err)
		}
		keys, err := card.OneTimeKeys()
		if err != nil {
			t.Fatal(err)
		}
		asked := smdpsim.RequestedCard{EID: e, Certificate: credentials.Cert.Raw, EUM: credentials.EUM.Raw}
		for _, k := range keys {
			asked.Keys = append(asked.Keys, smdpsim.OneTimeKey{Number: k.Number, PublicKey: k.PublicKey})
		}
		req.EUICCs = append(req.EUICCs, asked)
	}
	s, err := smdpsim.New(smdpsim.Config{Address: "smdp.example.com", PKI: pki})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	batch, err := s.Prepare(req, smdpsim.PrepareOptions{PerEID: 2})
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func factoryEID(t testing.TB, n int) ident.EID {
	t.Helper()
	e, err := ident.EIDWithCheck(fmt.Sprintf("8904903200000000000000000000%02d", n))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func anyone(*x509.Certificate) error { return nil }

func (w *world) importBatch(batch *smdpsim.Batch, trust func(*x509.Certificate) error, known func(ident.EID) bool) (stock.Imported, error) {
	w.t.Helper()
	text, err := json.Marshal(batch)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.ledger.ImportBatch(ctx, stock.Source{Name: "batch.json", Data: text}, trust, known, station.Scope{Actor: "op1"}, w.log)
}

// A prepared package goes to its own eUICC, once; the next one when it failed.
func TestPreparedPackages(t *testing.T) {
	w := newWorld(t)
	one, two := factoryEID(t, 1), factoryEID(t, 2)
	batch := factory(t, one, two)
	out, err := w.importBatch(batch, anyone, func(e ident.EID) bool { return e == one || e == two })
	if err != nil || out.Profiles != 4 || out.Batches[0] != batch.ID {
		t.Fatalf("%+v, %v", out, err)
	}
	for _, p := range batch.Packages {
		searchCanaries(t, w.dir, string(p.Package[:64]))
	}
	wanted := want("r1", one)
	_, err = w.reserve(wanted) // a package is no code
	refused(t, err, station.StockEmpty)
	wanted.Kind = station.KindPreparedPackage
	foreign := want("r9", eid(t, 9))
	foreign.Kind = wanted.Kind
	_, err = w.reserve(foreign)
	refused(t, err, station.StockEmpty)

	item := w.mustReserve(wanted)
	_, err = w.ledger.Code(ctx, item.Handle)
	refused(t, err, station.VaultFault)
	p, err := w.ledger.Package(ctx, item.Handle)
	if err != nil || p.EID != one || p.ICCID != batch.Packages[0].ICCID || !bytes.Equal(p.Package.Reveal(), batch.Packages[0].Package) ||
		!bytes.Equal(p.OneTimeKey, batch.Packages[0].OneTimeKey) || p.Address != "smdp.example.com" || p.Transaction != batch.Packages[0].Transaction {
		t.Fatalf("%+v, %v", p, err)
	}
	leaks(t, "package", fmt.Sprintf("%+v", p))
	// The load was begun and failed: the key is used up, the next package comes.
	run := &station.Run{ID: "r1", Profile: &station.ProfileReserved{Handle: item.Handle, Kind: item.Kind, EID: one},
		Intents: []station.Intent{{Effect: station.EffectLoad, Number: 1, Profile: item.Handle}},
		Results: []station.Result{{Effect: station.EffectLoad, Number: 1, State: station.StateAbsent}}}
	settled := station.Settle(run)
	if _, ok := settled.(station.ProfileSpent); !ok {
		t.Fatalf("settled as %#v", settled)
	}
	w.write("r1", settled)
	wanted.Run = "r2"
	next := w.mustReserve(wanted)
	if next.ICCID != batch.Packages[1].ICCID {
		t.Errorf("next is %s", next.ICCID)
	}
	// Nothing was begun: it stays as good as new.
	run = &station.Run{ID: "r2", Profile: &station.ProfileReserved{Handle: next.Handle, Kind: next.Kind, EID: one}}
	w.write("r2", station.Settle(run))
	if i := w.item(next.Handle); i.State != station.StockAvailable {
		t.Errorf("%+v", i)
	}
	w.crash()
	err = w.log.View(func(v audit.View) error {
		unused := 0
		err := stock.List(v, stock.Filter{Batch: batch.ID, State: station.StockAvailable}, func(station.StockItem) error { unused++; return nil })
		if unused != 3 {
			t.Errorf("%d unused", unused)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.ledger.Erase(ctx, 0, w.log); err != nil || n != 1 {
		t.Errorf("%d erased, %v", n, err)
	}
}

func TestBatchIsRefusedWhole(t *testing.T) {
	one := factoryEID(t, 1)
	good := factory(t, one)
	for _, c := range []struct {
		name   string
		change func(*smdpsim.Batch)
		trust  func(*x509.Certificate) error
		known  func(ident.EID) bool
		want   string
		typed  error
	}{
		{name: "nobody trusts", want: "nobody says whom to trust", typed: stock.ErrBatch},
		{name: "untrusted", trust: func(*x509.Certificate) error { return errors.New("not ours") }, want: "not ours", typed: stock.ErrBatch},
		{name: "package changed", trust: anyone, change: func(b *smdpsim.Batch) { b.Packages[0].Package[9] ^= 1 }, want: "the signature does not verify", typed: stock.ErrBatch},
		{name: "EID changed", trust: anyone, change: func(b *smdpsim.Batch) { b.Packages[0].EID = factoryEID(t, 2) }, want: "the signature does not verify", typed: stock.ErrBatch},
		{name: "no certificate", trust: anyone, change: func(b *smdpsim.Batch) { b.Certificate = []byte("x") }, want: "certificate", typed: stock.ErrBatch},
		{name: "other EIDs", trust: anyone, known: func(ident.EID) bool { return false }, want: "packages[1].eid: " + string(one) + " is on no list"},
		{name: "other format", trust: anyone, change: func(b *smdpsim.Batch) { b.Format = "x/1" }, want: "linefit-batch/1"},
		{name: "no package", trust: anyone, change: func(b *smdpsim.Batch) { b.Packages = nil }, want: "packages"},
	} {
		w := newWorld(t)
		batch := *good
		batch.Packages = append([]smdpsim.BatchPackage(nil), good.Packages...)
		batch.Packages[0].Package = bytes.Clone(batch.Packages[0].Package)
		if c.change != nil {
			c.change(&batch)
		}
		_, err := w.importBatch(&batch, c.trust, c.known)
		var problems strictyaml.Problems
		if err == nil || !strings.Contains(err.Error(), c.want) || c.typed != nil && !errors.Is(err, c.typed) || c.typed == nil && !errors.As(err, &problems) {
			t.Errorf("%s: %v", c.name, err)
		}
		w.nothing()
	}
	w := newWorld(t)
	if _, err := w.importBatch(good, anyone, nil); err != nil {
		t.Fatal(err)
	}
	_, err := w.importBatch(good, anyone, nil)
	var problems strictyaml.Problems
	if !errors.As(err, &problems) || len(problems) != 2 {
		t.Errorf("twice: %v", err)
	}
}

func TestTrustIssuers(t *testing.T) {
	ca, err := testpki.New([]byte("stock"))
	if err != nil {
		t.Fatal(err)
	}
	pki, err := ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	trust := stock.TrustIssuers(pki.CI.Cert)
	if err := trust(pki.PB.Cert); err != nil {
		t.Error(err)
	}
	if err := stock.TrustIssuers()(pki.PB.Cert); err == nil {
		t.Error("trusted without an issuer")
	}
	if err := trust(pki.Auth.Cert); err == nil {
		t.Error("a certificate for authentication binds packages")
	}
	for _, d := range []testpki.Defect{
		testpki.DefectExpired, testpki.DefectNotYetValid, testpki.DefectPolicy, testpki.DefectUsage, testpki.DefectCI, testpki.DefectSignature,
	} {
		bad, err := ca.ServerWith(testpki.RoleDPPB, d)
		if err != nil {
			t.Fatal(err)
		}
		if err := trust(bad.PB.Cert); err == nil {
			t.Errorf("%v: trusted", d)
		}
	}
}

func TestBatchSurvivesAFailedLog(t *testing.T) {
	for _, fault := range []memlog.Fault{memlog.Lost, memlog.TookPlace} {
		w := newWorld(t)
		w.log.Plan = func(int) memlog.Fault { return fault }
		if _, err := w.importBatch(factory(t, factoryEID(t, 1)), anyone, nil); !errors.Is(err, memlog.ErrFault) {
			t.Fatal(err)
		}
		w.crash()
		if err := w.ledger.Recover(ctx, w.log); err != nil {
			t.Fatal(err)
		}
		items, err := w.ledger.Vault().List()
		if n := w.count(); n.Available != 2 || err != nil || len(items) != 2 {
			t.Errorf("%+v, %v, %v", n, items, err)
		}
	}
}

func FuzzImportBatch(f *testing.F) {
	batch := factory(f, factoryEID(f, 1))
	for i := range batch.Packages { // the parser is what is looked at
		batch.Packages[i].Package = batch.Packages[i].Package[:16]
	}
	text, err := json.Marshal(batch)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	w := newWorld(f)
	f.Add([]byte(`{"format":"linefit-batch/1","packages":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := w.ledger.ImportBatch(ctx, stock.Source{Name: "f", Data: data}, anyone, nil, station.Scope{}, w.log)
		var problems strictyaml.Problems
		if err != nil && !errors.As(err, &problems) && !errors.Is(err, stock.ErrBatch) {
			t.Fatalf("untyped error %v", err)
		}
	})
}
