package smdpsim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// factoryCard is a virtual eUICC that was delivered with one-time keys.
func factoryCard(t *testing.T, b *bench, number, keys int) (*real, smdpsim.RequestedCard) {
	t.Helper()
	credentials := newCard(t, b.ca, number).Card
	card, err := euiccsim.New(euiccsim.Options{PKI: credentials, Image: &euiccsim.MemoryImage{}, Direct: true, OneTimeKeys: keys})
	if err != nil {
		t.Fatal(err)
	}
	card.Reset()
	r := &real{t, card, b.l}
	r.open()
	return r, request(t, credentials, card)
}

func request(t *testing.T, credentials *testpki.Card, card *euiccsim.Card) smdpsim.RequestedCard {
	t.Helper()
	list, err := card.OneTimeKeys()
	if err != nil {
		t.Fatal(err)
	}
	out := smdpsim.RequestedCard{EID: credentials.EID, Certificate: credentials.Cert.Raw, EUM: credentials.EUM.Raw}
	for _, k := range list {
		out.Keys = append(out.Keys, smdpsim.OneTimeKey{Number: k.Number, PublicKey: k.PublicKey})
	}
	return out
}

// loadPackage loads a package of a batch and returns the installation result.
func (r *real) loadPackage(b *smdpsim.Batch, p smdpsim.BatchPackage) wire.Node {
	r.t.Helper()
	id := make([]byte, len(p.Transaction)/2)
	if _, err := fmt.Sscanf(p.Transaction, "%X", &id); err != nil {
		r.t.Fatal(err)
	}
	ready := r.es10(wire.TLV(0xBF71, wire.TLV(0x80, id), wire.TLV(0x5F49, p.OneTimeKey), wire.TLV(0x0C, []byte(b.Address)), b.Certificate))
	if got := find(r.t, parse(r.t, ready), 0x80); len(got) != 1 || got[0] != 0 {
		r.t.Fatalf("PrepareFactoryLoad: %x", got)
	}
	for _, segment := range segments(r.t, p.Package) {
		if out := r.es10(segment); len(out) > 0 {
			return parse(r.t, out)
		}
	}
	r.t.Fatal("no installation result")
	return wire.Node{}
}

func schema(t *testing.T, text string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func valid(t *testing.T, text string, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema(t, text).Validate(doc); err != nil {
		t.Error(err)
	}
	return b
}

// From the request to the report: packages for one-time keys are loaded with no
// server in reach, and their results come home after a restart of the server.
func TestPreparedBatch(t *testing.T) {
	d := newDurable(t)
	one, first := factoryCard(t, d.bench, 1, 3)
	two, second := factoryCard(t, d.bench, 2, 2)
	text := valid(t, smdpsim.RequestSchema, smdpsim.BindingRequest{Format: smdpsim.RequestFormat, EUICCs: []smdpsim.RequestedCard{first, second}})
	req, err := smdpsim.ParseRequest(text)
	if err != nil {
		t.Fatal(err)
	}
	made, err := d.s.Prepare(req, smdpsim.PrepareOptions{PerEID: 2})
	if err != nil {
		t.Fatal(err)
	}
	text = valid(t, smdpsim.BatchSchema, made)
	var batch smdpsim.Batch
	if err := json.Unmarshal(text, &batch); err != nil {
		t.Fatal(err)
	}
	if len(batch.Packages) != 4 || !batch.Verify() {
		t.Fatalf("%d packages, signature %v", len(batch.Packages), batch.Verify())
	}
	d.restart()

	var results [][]byte
	for i, r := range []*real{one, one, two} {
		p := batch.Packages[[]int{0, 1, 2}[i]]
		result := r.loadPackage(&batch, p)
		if _, ok := result.Find(0xBF27, 0xA2, 0xA0, 0x4F); !ok {
			t.Fatalf("not installed: %x", result.Raw)
		}
		results = append(results, result.Raw)
	}
	for _, result := range results {
		want(t, d.l.notify(result), "")
	}
	for i, p := range batch.Packages {
		o := d.state(fmt.Sprintf("%s-%d", batch.ID, i))
		state := smdpsim.StateInstalled
		if i == 3 {
			state = smdpsim.StateDownloaded // unused: never loaded
		}
		if o.State != state || o.EID != p.EID || o.ICCID != p.ICCID || o.Deliveries != 1 {
			t.Errorf("package %d: %+v", i, o)
		}
	}
	// A prepared package is nothing that ES9+ would deliver, and no key twice.
	_, err = d.l.authenticate(newCard(t, d.ca, 2), "")
	want(t, err, "8.2.6/3.8")
	if _, err := d.s.Prepare(req, smdpsim.PrepareOptions{}); !errors.Is(err, smdpsim.ErrRequest) || strings.Count(err.Error(), "was used") != 2 {
		t.Errorf("keys again: %v", err)
	}
	if _, err := d.s.Reset(batch.ID + "-3"); !errors.Is(err, smdpsim.ErrState) {
		t.Error(err)
	}

	// The signature covers every field.
	for name, change := range map[string]func(*smdpsim.Batch){
		"address": func(b *smdpsim.Batch) { b.Address += "x" },
		"order":   func(b *smdpsim.Batch) { b.Packages[0], b.Packages[1] = b.Packages[1], b.Packages[0] },
		"fewer":   func(b *smdpsim.Batch) { b.Packages = b.Packages[1:] },
		"EID":     func(b *smdpsim.Batch) { b.Packages[0].EID = second.EID },
		"ICCID":   func(b *smdpsim.Batch) { b.Packages[0].ICCID = testICCID },
		"key":     func(b *smdpsim.Batch) { b.Packages[0].OneTimeKey[9] ^= 1 },
		"id":      func(b *smdpsim.Batch) { b.Packages[0].Transaction = "00" },
		"package": func(b *smdpsim.Batch) { b.Packages[0].Package[999] ^= 1 },
	} {
		var changed smdpsim.Batch
		if err := json.Unmarshal(text, &changed); err != nil {
			t.Fatal(err)
		}
		if change(&changed); changed.Verify() {
			t.Errorf("%s changed, and the signature still holds", name)
		}
	}
	for _, out := range []string{fmt.Sprint(batch.Packages[0].Package), fmt.Sprintf("%#v", batch.Packages[0].Package)} {
		if len(out) > 60 {
			t.Errorf("a package prints as %s", out)
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	b := newBench(t, nil)
	_, good := factoryCard(t, b, 1, 2)
	_, other := factoryCard(t, b, 2, 1)
	expired, err := b.ca.CardWith(good.EID, testpki.RoleEUICC, testpki.DefectExpired)
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(*smdpsim.RequestedCard)) smdpsim.RequestedCard {
		c := good
		c.Keys = append([]smdpsim.OneTimeKey{}, good.Keys...)
		f(&c)
		return c
	}
	for name, c := range map[string]struct {
		cards    []smdpsim.RequestedCard
		perEID   int
		mistakes int
	}{
		"nothing":       {nil, 1, 1},
		"another EID":   {[]smdpsim.RequestedCard{change(func(c *smdpsim.RequestedCard) { c.EID = other.EID })}, 1, 1},
		"certificate":   {[]smdpsim.RequestedCard{change(func(c *smdpsim.RequestedCard) { c.Certificate = expired.Cert.Raw })}, 1, 1},
		"no EUM":        {[]smdpsim.RequestedCard{change(func(c *smdpsim.RequestedCard) { c.EUM = nil })}, 1, 1},
		"too few keys":  {[]smdpsim.RequestedCard{good, other}, 2, 1},
		"twice":         {[]smdpsim.RequestedCard{good, good}, 1, 3}, // EID and both keys
		"no point":      {[]smdpsim.RequestedCard{change(func(c *smdpsim.RequestedCard) { c.Keys[1].PublicKey = make([]byte, 65) })}, 1, 1},
		"the same key":  {[]smdpsim.RequestedCard{change(func(c *smdpsim.RequestedCard) { c.Keys[1] = c.Keys[0] })}, 1, 1},
		"many mistakes": {[]smdpsim.RequestedCard{change(func(c *smdpsim.RequestedCard) { c.EUM, c.Keys = nil, nil }), {}}, 1, 4},
	} {
		_, err := b.s.Prepare(&smdpsim.BindingRequest{EUICCs: c.cards}, smdpsim.PrepareOptions{PerEID: c.perEID})
		if !errors.Is(err, smdpsim.ErrRequest) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := strings.Count(err.Error(), "\n") + 1; n != c.mistakes {
			t.Errorf("%s: %d mistakes told, not %d: %v", name, n, c.mistakes, err)
		}
	}
	failing := errors.New("no more profiles")
	if _, err := b.s.Prepare(&smdpsim.BindingRequest{EUICCs: []smdpsim.RequestedCard{good, other}}, smdpsim.PrepareOptions{
		Profile: func(n int) (smdpsim.Order, error) {
			if n == 1 {
				return smdpsim.Order{}, failing
			}
			return smdpsim.Order{Generic: smdpsim.GeneratedProfile(n)}, nil
		},
	}); !errors.Is(err, failing) {
		t.Error(err)
	}
	if n := len(b.s.Orders()); n != 0 {
		t.Errorf("%d orders of refused requests", n)
	}
	for _, text := range []string{"", "[]", `{"format":"linefit-binding-request/2"}`, `{"euiccs":1}`} {
		if _, err := smdpsim.ParseRequest([]byte(text)); !errors.Is(err, smdpsim.ErrRequest) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Batches from one published package: each copy gets its own ICCID, and the
// package is stored once.
func TestBatchFromOnePackage(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	b := newBench(t, func(c *smdpsim.Config) { c.State = state })
	base, err := smdpsim.GeneratedProfile(0).Package()
	if err != nil {
		t.Fatal(err)
	}
	var cards []smdpsim.RequestedCard
	for i := range 3 {
		_, c := factoryCard(t, b, i, 1)
		cards = append(cards, c)
	}
	batch, err := b.s.Prepare(&smdpsim.BindingRequest{EUICCs: cards}, smdpsim.PrepareOptions{Profile: func(n int) (smdpsim.Order, error) {
		return smdpsim.Order{Package: base, ICCID: smdpsim.GeneratedICCID(100 + n)}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[ident.ICCID]bool{}
	for _, p := range batch.Packages {
		seen[p.ICCID] = true
	}
	if len(seen) != 3 {
		t.Errorf("%v", seen)
	}
	if st, err := os.Stat(state); err != nil || st.Size() > 2*smdpsim.GenericSize {
		t.Errorf("the state has %d bytes, %v", st.Size(), err)
	}
}
