package ifpp_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"linefit/audit"
	"linefit/internal/memlog"
	"linefit/internal/strictyaml"
	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
	"linefit/modem/wire"
	"linefit/station"
	"linefit/station/ifpp"
	"linefit/station/stock"
)

// plant is an eUICC maker, an SM-DPf and a station's stock.
type plant struct {
	t      *testing.T
	ca     *testpki.Authority
	smdp   *smdpsim.Server
	cards  []*euiccsim.Card
	log    *memlog.Log
	ledger *stock.Ledger
	runs   int
}

func newPlant(t *testing.T, cards, keys int) *plant {
	t.Helper()
	ca, err := testpki.New([]byte("ifpp"))
	if err != nil {
		t.Fatal(err)
	}
	pki, err := ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	p := &plant{t: t, ca: ca, log: memlog.New(stock.Projection{})}
	if p.smdp, err = smdpsim.New(smdpsim.Config{Address: "smdp.example.com", PKI: pki}); err != nil {
		t.Fatal(err)
	}
	for n := range cards {
		p.cards = append(p.cards, p.card(n, keys))
	}
	vault, err := stock.OpenVault(t.Context(), filepath.Join(t.TempDir(), "vault"), stock.KeyFile{Path: filepath.Join(t.TempDir(), "key"), Make: true})
	if err != nil {
		t.Fatal(err)
	}
	p.ledger = stock.NewLedger(p.log.View, vault, nil)
	return p
}

func (p *plant) card(n, keys int) *euiccsim.Card {
	p.t.Helper()
	eid, err := ident.EIDWithCheck(fmt.Sprintf("89049032%022d", n+1))
	if err != nil {
		p.t.Fatal(err)
	}
	credentials, err := p.ca.Card(eid)
	if err != nil {
		p.t.Fatal(err)
	}
	c, err := euiccsim.New(euiccsim.Options{PKI: credentials, Image: &euiccsim.MemoryImage{}, OneTimeKeys: keys, Direct: true})
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

func (p *plant) issuers() []*x509.Certificate { return []*x509.Certificate{p.ca.CI.Cert} }

// data is the maker's data file, as the station reads it.
func (p *plant) data() *ifpp.Data {
	p.t.Helper()
	made, err := euiccsim.NewMakerData(p.cards...)
	if err != nil {
		p.t.Fatal(err)
	}
	text := p.valid("data", made)
	d, err := ifpp.ReadData("data.json", text, p.issuers(), time.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// valid marshals what a schema describes.
func (p *plant) valid(schema string, v any) []byte {
	p.t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		p.t.Fatal(err)
	}
	validate(p.t, ifpp.Schemas()[schema], text)
	return text
}

func validate(t *testing.T, schema string, text []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := strictyaml.Compile("schema.json", schema).Validate(doc); err != nil {
		t.Error(err)
	}
}

func (p *plant) eids() (out []ident.EID) {
	for _, c := range p.cards {
		out = append(out, c.EID())
	}
	return out
}

// request asks for packages, and order has them made and imported.
func (p *plant) request(d *ifpp.Data, packages int) (*ifpp.Request, error) {
	return ifpp.MakeRequest(d, ifpp.Order{Name: "PO-1", List: "eids.csv", EIDs: p.eids(), Packages: packages}, p.ledger.OfEUICC)
}

func (p *plant) deliver(r *ifpp.Request) []byte {
	p.t.Helper()
	text := p.valid("request", r)
	validate(p.t, smdpsim.RequestSchema, text)
	req, err := smdpsim.ParseRequest(text)
	if err != nil {
		p.t.Fatal(err)
	}
	batch, err := p.smdp.Prepare(req, smdpsim.PrepareOptions{Profile: func(n int) (smdpsim.Order, error) {
		g := smdpsim.GeneratedProfile(p.runs*1000 + n)
		g.Size = 1
		return smdpsim.Order{Generic: g}, nil
	}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.runs++
	return p.valid("batch", batch)
}

func (p *plant) importBatch(batch []byte, change func(*stock.PackageRules)) (stock.Imported, error) {
	rules := stock.PackageRules{Trust: stock.TrustIssuers(p.issuers()...), Inspect: ifpp.Inspect}
	if change != nil {
		change(&rules)
	}
	return p.ledger.ImportPackages(p.t.Context(), stock.Source{Name: "batch.json", Data: batch}, rules, station.Scope{}, p.log)
}

func TestFromDataToStock(t *testing.T) {
	p := newPlant(t, 3, 3)
	d := p.data()
	r, err := p.request(d, 2)
	if err != nil || len(r.EUICCs) != 3 || r.EUICCs[0].Packages != 2 || len(r.EUICCs[0].Keys) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := p.importBatch(p.deliver(r), nil); err != nil {
		t.Fatal(err)
	}
	items, err := p.ledger.OfEUICC(p.cards[0].EID())
	if err != nil || len(items) != 2 || items[0].Key != stock.KeyID(d.EUICCs[0].Keys[0].PublicKey) || items[0].KeyNumber != 1 || items[0].Session == "" ||
		items[0].Operator != "linefit test" || items[0].Kind != station.KindPreparedPackage {
		t.Fatalf("%+v, %v", items, err)
	}
	// Nothing is lacking now; a package that was tried is replaced, for the next key.
	if r, err = p.request(d, 2); err != nil || len(r.EUICCs) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	p.spend(p.cards[0].EID())
	r, err = p.request(d, 2)
	if err != nil || len(r.EUICCs) != 1 || r.EUICCs[0].EID != p.cards[0].EID() || r.EUICCs[0].Packages != 1 || r.EUICCs[0].Keys[0].Number != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	again := p.deliver(r)
	if _, err := p.importBatch(again, nil); err != nil {
		t.Fatal(err)
	}
	// No key is left for a third one.
	p.spend(p.cards[0].EID())
	_, err = p.request(d, 2)
	var problems strictyaml.Problems
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), "0 one-time keys are unused, 1 are needed") {
		t.Error(err)
	}
	// Whoever gives the used key to another profile is refused.
	_, err = p.importBatch(rekeyed(t, p, again), nil)
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), "was used for profile") {
		t.Error(err)
	}
}

// spend writes that a package of an eUICC was tried in vain.
func (p *plant) spend(eid ident.EID) {
	p.t.Helper()
	p.runs++
	run := station.RunID(fmt.Sprint("r", p.runs))
	at := station.Scope{Slot: 1, Unit: "U1", Run: run}
	record := func(ctx context.Context, facts ...station.Fact) error { return p.log.Gate(ctx, at, facts...) }
	i, err := p.ledger.Reserve(p.t.Context(), stock.Want{Run: run, Unit: "U1", EID: eid, Kind: station.KindPreparedPackage}, record)
	if err != nil {
		p.t.Fatal(err)
	}
	err = record(p.t.Context(), station.Intent{Effect: station.EffectLoad, Number: 1, Profile: i.Handle}, station.ProfileSpent{Handle: i.Handle})
	if err != nil {
		p.t.Fatal(err)
	}
}

// rekeyed is a batch with another profile for the same key, signed well.
func rekeyed(t *testing.T, p *plant, batch []byte) []byte {
	t.Helper()
	var b smdpsim.Batch
	if err := json.Unmarshal(batch, &b); err != nil {
		t.Fatal(err)
	}
	pki, err := p.ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	other, err := smdpsim.New(smdpsim.Config{Address: "smdp.example.com", PKI: pki})
	if err != nil {
		t.Fatal(err)
	}
	d := p.data()
	e, _ := d.Find(b.Packages[0].EID)
	req := smdpsim.RequestedCard{EID: e.EID, Certificate: e.Certificate, EUM: e.EUM, Keys: []smdpsim.OneTimeKey{{Number: b.Packages[0].KeyNumber, PublicKey: b.Packages[0].OneTimeKey}}}
	made, err := other.Prepare(&smdpsim.BindingRequest{EUICCs: []smdpsim.RequestedCard{req}}, smdpsim.PrepareOptions{Profile: func(int) (smdpsim.Order, error) {
		return smdpsim.Order{Generic: smdpsim.GeneratedProfile(77)}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRequestMistakes(t *testing.T) {
	p := newPlant(t, 2, 1)
	d := p.data()
	stranger := p.card(9, 1).EID()
	_, err := ifpp.MakeRequest(d, ifpp.Order{List: "eids.csv", EIDs: append(p.eids(), stranger, stranger), Packages: 2}, p.ledger.OfEUICC)
	var problems strictyaml.Problems
	if !errors.As(err, &problems) || len(problems) != 3 || !strings.Contains(err.Error(), "the eUICC maker's data have no such eUICC") {
		t.Errorf("%v", err)
	}
	if _, err := p.request(d, 0); !errors.As(err, &problems) {
		t.Error(err)
	}
}

func TestDataMistakes(t *testing.T) {
	p := newPlant(t, 2, 2)
	other, err := testpki.New([]byte("someone else"))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Card(p.cards[0].EID())
	if err != nil {
		t.Fatal(err)
	}
	good, err := euiccsim.NewMakerData(p.cards...)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*euiccsim.MakerData)
		wants  []string
	}{
		"EID":           {func(d *euiccsim.MakerData) { d.EUICCs[0].EID = "89049032000002000000000000000000" }, []string{"data.json:1:1: euiccs[0].eid"}},
		"twice":         {func(d *euiccsim.MakerData) { d.EUICCs[1] = d.EUICCs[0] }, []string{"euiccs[1].eid", "is a key of euiccs[0] too"}},
		"another EID's": {func(d *euiccsim.MakerData) { d.EUICCs[0].Certificate = d.EUICCs[1].Certificate }, []string{"euiccs[0].euicc_certificate", "another EID"}},
		"issuer": {func(d *euiccsim.MakerData) {
			d.EUICCs[0].Certificate, d.EUICCs[0].EUM = foreign.Cert.Raw, foreign.EUM.Raw
		}, []string{"EUM by none of 1 issuers"}},
		"no point": {func(d *euiccsim.MakerData) { d.EUICCs[0].Keys[1].PublicKey = make([]byte, 65) }, []string{"one_time_keys[1]", "no uncompressed point"}},
		"format":   {func(d *euiccsim.MakerData) { d.Format = "x" }, []string{"linefit-euicc-data/1"}},
		"nobody":   {func(d *euiccsim.MakerData) { d.EUICCs = nil }, []string{"euiccs"}},
	} {
		var d euiccsim.MakerData
		text, err := json.Marshal(good)
		if err != nil || json.Unmarshal(text, &d) != nil {
			t.Fatal(err)
		}
		c.change(&d)
		if text, err = json.Marshal(d); err != nil {
			t.Fatal(err)
		}
		_, err = ifpp.ReadData("data.json", text, p.issuers(), time.Now())
		var problems strictyaml.Problems
		for _, want := range c.wants {
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in\n%v", name, want, err)
			}
		}
	}
}

// Every mistake of a batch is told, and nothing of it is taken in.
func TestInspect(t *testing.T) {
	p := newPlant(t, 2, 2)
	r, err := p.request(p.data(), 2)
	if err != nil {
		t.Fatal(err)
	}
	good := p.deliver(r)
	for name, c := range map[string]struct {
		change func(*smdpsim.Batch)
		wants  []string
	}{
		"package altered": {func(b *smdpsim.Batch) { b.Packages[1].Package[60] ^= 1 }, []string{"the signature does not verify", "packages[1].bound_profile_package"}},
		"keys swapped": {func(b *smdpsim.Batch) {
			b.Packages[0].OneTimeKey, b.Packages[1].OneTimeKey = b.Packages[1].OneTimeKey, b.Packages[0].OneTimeKey
		}, []string{"packages[0].bound_profile_package: the package is not bound as it should be: signature", "packages[1].bound_profile_package"}},
		"another session": {func(b *smdpsim.Batch) { b.Packages[0].Transaction = "00FF" }, []string{"it is of session"}},
		"another profile": {func(b *smdpsim.Batch) { b.Packages[0].ICCID = smdpsim.GeneratedICCID(5) }, []string{"its profile has ICCID"}},
		"cut off":         {func(b *smdpsim.Batch) { b.Packages[0].Package = b.Packages[0].Package[:99] }, []string{"not a bound profile package"}},
		"one key twice":   {func(b *smdpsim.Batch) { b.Packages[3].OneTimeKey = b.Packages[0].OneTimeKey }, []string{"is the key of package 0 too"}},
		"one ICCID twice": {func(b *smdpsim.Batch) { b.Packages[3].ICCID = b.Packages[0].ICCID }, []string{"is that of package 0 too"}},
		"four mistakes": {func(b *smdpsim.Batch) {
			b.Packages[0].Transaction, b.Packages[1].Package, b.Packages[2].ICCID = "00", b.Packages[1].Package[:9], b.Packages[0].ICCID
		}, []string{"packages[0].", "packages[1].", "packages[2].", "signature"}},
	} {
		var b smdpsim.Batch
		if err := json.Unmarshal(good, &b); err != nil {
			t.Fatal(err)
		}
		c.change(&b)
		text, err := json.MarshalIndent(b, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.importBatch(text, nil)
		for _, want := range c.wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in\n%v", name, want, err)
			}
		}
		if !errors.Is(err, stock.ErrBatch) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), ":1:1: packages[1]") {
			t.Errorf("%s: without a line: %v", name, err)
		}
	}
	_, err = p.importBatch(good, func(r *stock.PackageRules) {
		r.Known = func(eid ident.EID) bool { return eid == p.cards[0].EID() }
		r.Trust = func(*x509.Certificate) error { return errors.New("not one of ours") }
	})
	if err == nil || strings.Count(err.Error(), "is on no list") != 2 || !strings.Contains(err.Error(), "not one of ours") {
		t.Error(err)
	}
	items, err := p.ledger.Vault().List()
	if n, err2 := p.count(); n != 0 || len(items) != 0 || err != nil || err2 != nil {
		t.Errorf("%d profiles, %v in the vault, %v, %v", n, items, err, err2)
	}
	if _, err := p.importBatch(good, nil); err != nil {
		t.Error(err)
	}
}

func (p *plant) count() (n int, err error) {
	err = p.log.View(func(v audit.View) error {
		c, err := stock.Count(v)
		n = c.Total
		return err
	})
	return n, err
}

// plain is a format of somebody else's: lines of hexadecimal.
type plain struct{ inner []byte }

func (plain) Is(data []byte) bool { return strings.HasPrefix(string(data), "PLAIN\n") }

func (f plain) Read(_ string, _ []byte, trust func(*x509.Certificate) error) (stock.PackageBatch, error) {
	var b smdpsim.Batch
	if err := json.Unmarshal(f.inner, &b); err != nil {
		return stock.PackageBatch{}, err
	}
	cert, err := x509.ParseCertificate(b.Certificate)
	if err != nil {
		return stock.PackageBatch{}, err
	}
	out := stock.PackageBatch{ID: b.ID, Address: b.Address, Doubt: trust(cert)}
	for i, p := range b.Packages {
		out.Packages = append(out.Packages, stock.Prepared{
			EID: p.EID, ICCID: p.ICCID, KeyNumber: p.KeyNumber, OneTimeKey: p.OneTimeKey, Transaction: p.Transaction, Address: b.Address,
			Certificate: b.Certificate, Package: stock.NewSecret(p.Package),
		})
		out.Lines = append(out.Lines, i+2)
	}
	return out, nil
}

func TestAnotherFormat(t *testing.T) {
	p := newPlant(t, 1, 2)
	r, err := p.request(p.data(), 2)
	if err != nil {
		t.Fatal(err)
	}
	room := stock.Room{
		Ledger: p.ledger, Journal: p.log, Trust: stock.TrustIssuers(p.issuers()...), Inspect: ifpp.Inspect,
		Formats: []stock.PackageFormat{plain{p.deliver(r)}},
	}
	lead := station.Person{Actor: "lead-1", Role: station.RoleLead}
	src := stock.Source{Name: "plain.txt", Data: []byte("PLAIN\n…")}
	if out, err := room.Import(t.Context(), lead, src); err != nil || out.Profiles != 2 {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := room.Import(t.Context(), lead, src); err == nil || !strings.Contains(err.Error(), "plain.txt:3:1: packages[1].iccid") {
		t.Error(err)
	}
}

func FuzzReadData(f *testing.F) {
	f.Add([]byte(`{"format":"linefit-euicc-data/1","euiccs":[{"eid":"89049032123451234512345678901235","euicc_certificate":"","eum_certificate":"","one_time_keys":[{"number":1,"public_key":"BA=="}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := ifpp.ReadData("f", b, nil, time.Time{})
		var problems strictyaml.Problems
		if err != nil && !errors.As(err, &problems) {
			t.Fatalf("untyped error %v", err)
		}
	})
}

func FuzzInspect(f *testing.F) {
	f.Add(wire.TLV(0xBF36, wire.TLV(0xBF23, wire.TLV(0x82, []byte{1}), wire.TLV(0x80, []byte{1}))), "01")
	f.Fuzz(func(t *testing.T, b []byte, id string) {
		if _, err := ifpp.Inspect(stock.Prepared{Package: stock.NewSecret(b), Transaction: id}); !errors.Is(err, ifpp.ErrBinding) {
			t.Fatalf("%v", err)
		}
	})
}
