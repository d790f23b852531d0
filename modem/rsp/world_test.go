package rsp_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/rsp"
	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority is made once: its keys are derived from the seed.
var authority = sync.OnceValues(func() (*testpki.Authority, error) { return testpki.New([]byte("rsp tests")) })

const (
	eid     = "89049032000001000000000000000000"
	address = "smdp.example.com"
	secret  = "SECRET-TOKEN-4711"
	code    = "00918273"
)

// world is one eUICC and one SM-DP+ in memory.
type world struct {
	t      testing.TB
	card   *euiccsim.Card
	image  *euiccsim.MemoryImage
	server *smdpsim.Server
	order  smdpsim.OrderInfo
	client *rsp.Client
	rt     *tripper
	line   *line
	route  apdu.Route
	log    []recorded
	kept   []*euicc.BoundPackage
	trace  []string
}

type recorded struct {
	phase  rsp.Phase
	detail rsp.Detail
}

// options change a world before it is made.
type options struct {
	card   func(*euiccsim.Options)
	server func(*smdpsim.Config)
	order  func(*smdpsim.Order)
	route  apdu.Route
}

func newWorld(t testing.TB, o options) *world {
	t.Helper()
	ca, err := authority()
	if err != nil {
		t.Fatal(err)
	}
	id, err := ident.EIDWithCheck(eid[:30])
	if err != nil {
		t.Fatal(err)
	}
	credentials, err := ca.Card(id)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, image: &euiccsim.MemoryImage{}, route: o.route}
	co := euiccsim.Options{PKI: credentials, Image: w.image, Direct: true}
	if o.card != nil {
		o.card(&co)
	}
	if w.card, err = euiccsim.New(co); err != nil {
		t.Fatal(err)
	}
	w.card.Reset()
	keys, err := ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	sc := smdpsim.Config{Address: address, PKI: keys}
	if o.server != nil {
		o.server(&sc)
	}
	if w.server, err = smdpsim.New(sc); err != nil {
		t.Fatal(err)
	}
	so := smdpsim.Order{ID: "order", MatchingID: secret, Generic: &smdpsim.Generic{ICCID: "8900012345678901234", IMSI: "001010123456789", Name: "test"}}
	if o.order != nil {
		o.order(&so)
	}
	if w.order, err = w.server.AddOrder(so); err != nil {
		t.Fatal(err)
	}
	w.rt = &tripper{next: w.server.RoundTripper()}
	w.client = rsp.NewClient(rsp.ClientConfig{Transport: w.rt, Retries: []time.Duration{}})
	w.line = &line{card: w.card}
	return w
}

// tripper stands between LPA and server and may lose requests or replies.
type tripper struct {
	next http.RoundTripper
	hook func(function string, send func() (*http.Response, error)) (*http.Response, error)
	mu   sync.Mutex
	seen []string
}

func (r *tripper) RoundTrip(req *http.Request) (*http.Response, error) {
	f := filepath.Base(req.URL.Path)
	r.mu.Lock()
	r.seen = append(r.seen, f)
	r.mu.Unlock()
	send := func() (*http.Response, error) { return r.next.RoundTrip(req) }
	if r.hook != nil {
		return r.hook(f, send)
	}
	return send()
}

// line is the raw interface to the card. It may cut the power or lose an
// answer at any APDU.
type line struct {
	card  *euiccsim.Card
	count int
	hook  func(n int, command []byte, send func() []byte) ([]byte, error)
	raw   [][]byte
}

func (l *line) Transmit(_ context.Context, command []byte) ([]byte, error) {
	n := l.count
	l.count++
	l.raw = append(l.raw, append([]byte(nil), command...))
	send := func() []byte { b, _ := l.card.Transmit(command); return b }
	if l.hook != nil {
		return l.hook(n, command, send)
	}
	if b := send(); b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("no answer: %w", os.ErrDeadlineExceeded)
}

// open opens the ISD-R on a fresh channel.
func (w *world) open() (*euicc.Card, *apdu.Channel) {
	w.t.Helper()
	ch, err := apdu.OpenDirect(context.Background(), w.line, wire.AIDISDR, apdu.Options{Trace: func(e apdu.Event) { w.trace = append(w.trace, e.String()) }}, w.route)
	if err != nil {
		w.t.Fatal(err)
	}
	return euicc.OnChannel(ch), ch
}

// restart takes the power away and gives it back.
func (w *world) restart() {
	w.line.hook = nil
	w.card.PowerCut()
	w.card.Reset()
}

func (w *world) Record(_ context.Context, p rsp.Phase, d rsp.Detail) error {
	w.log = append(w.log, recorded{p, d})
	return nil
}

func (w *world) last() recorded {
	if len(w.log) == 0 {
		return recorded{}
	}
	return w.log[len(w.log)-1]
}

func (w *world) code() rsp.ActivationCode {
	text, _, err := w.server.ActivationCode("order")
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := rsp.ParseActivationCode(text.Reveal())
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

var device = euicc.Device{IMEI: "356938035643809", Capabilities: euicc.Capabilities{EUTRAN: euicc.Version{13, 0, 0}}}

// params are those of a plain download.
func (w *world) params(card *euicc.Card) rsp.Params {
	return rsp.Params{
		Card: card, Client: w.client, Code: w.code(), Device: device, Recorder: w, EID: w.card.EID().Bytes(), Deliver: true,
		KeepPackage: func(_ context.Context, p *euicc.BoundPackage, _ rsp.Detail) error {
			w.kept = append(w.kept, p)
			return nil
		},
	}
}

// download runs one on a fresh channel.
func (w *world) download(change func(*rsp.Params)) (*rsp.Result, error) {
	w.t.Helper()
	card, ch := w.open()
	p := w.params(card)
	if change != nil {
		change(&p)
	}
	r, err := rsp.Download(w.t.Context(), p)
	if closeErr := ch.Close(w.t.Context()); closeErr != nil && err == nil {
		w.t.Errorf("close: %v", closeErr)
	}
	return r, err
}

func (w *world) orderNow() smdpsim.OrderInfo {
	o, _ := w.server.Order("order")
	return o
}

var isdr = wire.AIDISDR

func hexOf(s string) string { return fmt.Sprintf("%X", s) }

func issuers(t *testing.T) []*x509.Certificate {
	ca, err := authority()
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{ca.CI.Cert}
}

type ctx = context.Context
