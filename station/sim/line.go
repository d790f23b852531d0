package sim

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/modemsim"
	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
	"linefit/station"
	"linefit/station/fixture"
)

// Options make a simulated line.
type Options struct {
	Dir        string // the world's folder
	Units      int
	Slots      int
	Seed       uint64
	Faults     string // none, typical or harsh
	Baud       int    // 0: no pacing
	Personas   modemsim.Personas
	Mix        []string // personas of the units, in turn
	Fleet      Fleet    // generations of their eUICCs, in turn; empty: SGP.22
	Spare      int      // orders at the SM-DP+ beyond one per unit
	Cap        int      // downloads that the operator allows per order
	Memory     bool     // ports and servers in memory: works in a testing/synctest bubble
	CardDelays euiccsim.Delays
	// ServerDelay is the modelled time of the SM-DP+ for one request.
	ServerDelay time.Duration
	ProfileSize int // bytes of each unprotected profile package
	// Factory makes the line one of in-factory provisioning, for all units or,
	// where the fleet has SGP41 among others, for those; nil: they download from
	// the SM-DP+.
	Factory *Factory
	// MESCodes makes the MES the source of codes.
	MESCodes bool
	Hooks    Hooks
}

// World is a simulated line. It owns its folder.
type World struct {
	opt    Options
	plan   modemsim.Plan
	ca     *testpki.Authority
	ledger *ledger
	jigs   map[int]*Jig
	smdp   *smdpsim.Server
	mes    *MES
	tls    tls.Certificate
	smdpAt net.Listener // where Serve listens
	mesAt  net.Listener
	root   []byte // PEM of the CI

	lock   *os.File
	slotOf sync.Map // ident.EID -> *Jig: who is charged for the server's time
}

// Mixes are the personas of the demo's units.
var Mixes = []string{"demo-eg25", "demo-sara-r5", "demo-le910", "demo-nrf91", "demo-generic"}

// SMDPHost is the virtual SM-DP+'s host name, which its certificate bears.
const SMDPHost = "smdp.linefit.test"

// Open makes the line in its folder, or goes on with the one that is there.
// Units that stood in slots stand there again, without power.
func Open(opt Options) (*World, error) {
	plan, err := modemsim.BuiltinPlan(opt.Faults)
	if err != nil {
		return nil, err
	}
	for _, d := range []string{"", "cards", "modules", "ports"} {
		if err := os.MkdirAll(filepath.Join(opt.Dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("simulated line: %w", err)
		}
	}
	lock, err := lockWorld(opt.Dir)
	if err != nil {
		return nil, err
	}
	w := &World{opt: opt, plan: plan, jigs: map[int]*Jig{}, lock: lock}
	if err := w.open(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return w, nil
}

// open reads the world's files, or makes them.
func (w *World) open() (err error) {
	opt := w.opt
	for slot := 1; slot <= opt.Slots; slot++ {
		w.jigs[slot] = newJig(slot)
	}
	if w.ca, err = authority(filepath.Join(opt.Dir, "ca.json")); err != nil {
		return err
	}
	if w.ledger, err = openLedger(filepath.Join(opt.Dir, "world.json"), opt.Seed, opt.Faults, opt.Units, w.fresh); err != nil {
		return err
	}
	if err := w.undeliver(); err != nil {
		return err
	}
	if err := w.openServers(); err != nil {
		return err
	}
	if err := w.openFactory(); err != nil {
		return errors.Join(err, w.smdp.Close())
	}
	return w.restore()
}

// authority reads the line's test CA, or makes one.
func authority(file string) (*testpki.Authority, error) {
	data, err := os.ReadFile(file)
	if err == nil {
		ca := &testpki.Authority{}
		return ca, ca.UnmarshalText(data)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("simulated line: %w", err)
	}
	ca, err := testpki.New(nil)
	if err != nil {
		return nil, err
	}
	text, err := ca.MarshalText()
	if err != nil {
		return nil, err
	}
	return ca, replace(file, text)
}

// openServers brings up SM-DP+ and MES, and orders the profiles.
func (w *World) openServers() error {
	pki, err := w.ca.Server()
	if err != nil {
		return err
	}
	if w.tls, err = pki.TLS(SMDPHost); err != nil {
		return err
	}
	w.root = pki.RootPEM()
	w.smdp, err = smdpsim.New(smdpsim.Config{
		Address: SMDPHost, PKI: pki, State: filepath.Join(w.opt.Dir, smdpFile),
		Delay:  func(smdpsim.Point) time.Duration { return w.opt.ServerDelay },
		Charge: w.charge, Fault: w.serverFault, Observe: w.opt.Hooks.Request,
	})
	if err != nil {
		return err
	}
	if w.mes, err = openMES(filepath.Join(w.opt.Dir, "mes.json"), w.opt.Seed, w.opt.Faults); err != nil {
		return errors.Join(err, w.smdp.Close())
	}
	w.mes.route, w.mes.profile = w.opt.Hooks.Route, w.opt.Hooks.Profile
	if w.opt.MESCodes {
		w.mes.pool = w.Codes
	}
	if err := w.orderOnline(); err != nil {
		return errors.Join(err, w.smdp.Close())
	}
	return nil
}

// restore puts the units back that stood in slots. They had a power cut: the
// next power-on is another attempt of the dice.
func (w *World) restore() error {
	for _, st := range w.ledger.units() {
		if st.Place != PlaceSlot {
			continue
		}
		j := w.jigs[st.Slot]
		if j == nil {
			return fmt.Errorf("%w: unit %s stands in slot %d", ErrWorld, st.Serial, st.Slot)
		}
		if err := w.stand(j, st.Serial, func(_ *state, u *UnitState) { u.Attempt++ }); err != nil {
			return err
		}
	}
	return nil
}

// stand puts a unit into a slot and says so to the fixture.
func (w *World) stand(j *Jig, serial station.Serial, change func(*state, *UnitState)) error {
	st, err := w.ledger.change(serial, change)
	if err != nil {
		return err
	}
	u, err := w.insert(j, st)
	if err != nil {
		return err
	}
	w.slotOf.Store(st.EID, j)
	j.put(u)
	return nil
}

// charge books the server's time to the slot in which the unit stands.
func (w *World) charge(eid ident.EID, start, due time.Time) {
	if j, ok := w.slotOf.Load(eid); ok {
		j.(*Jig).meter.Charge(start, due)
	}
}

// serverChances are how often the SM-DP+ does what, by plan.
var serverChances = map[string][]struct {
	point  smdpsim.Point
	kind   smdpsim.FaultKind
	chance float64
}{
	"typical": {
		{smdpsim.InitiateAuthentication, smdpsim.FaultReset, 0.02},
		{smdpsim.AuthenticateClient, smdpsim.FaultServerError, 0.01},
		{smdpsim.GetBoundProfilePackage, smdpsim.FaultReplyLost, 0.02},
		{smdpsim.HandleNotification, smdpsim.FaultServerErrorAfter, 0.02},
	},
	"harsh": {
		{smdpsim.InitiateAuthentication, smdpsim.FaultReset, 0.05},
		{smdpsim.InitiateAuthentication, smdpsim.FaultWrongSignature, 0.02},
		{smdpsim.AuthenticateClient, smdpsim.FaultReplyLost, 0.04},
		{smdpsim.AuthenticateClient, smdpsim.FaultWrongTransactionID, 0.02},
		{smdpsim.GetBoundProfilePackage, smdpsim.FaultReplyLost, 0.05},
		{smdpsim.GetBoundProfilePackage, smdpsim.FaultWrongMAC, 0.02},
		{smdpsim.GetBoundProfilePackage, smdpsim.FaultServerErrorAfter, 0.03},
		{smdpsim.HandleNotification, smdpsim.FaultReplyLost, 0.05},
		{smdpsim.HandleNotification, smdpsim.FaultServerError, 0.05},
	},
}

func (w *World) serverFault(p smdpsim.FaultPoint) smdpsim.Fault {
	if w.opt.Hooks.Server != nil {
		if f := w.opt.Hooks.Server(p); f.Kind != smdpsim.FaultNone {
			return f
		}
	}
	for _, c := range serverChances[w.opt.Faults] {
		if c.point == p.Point && draw(w.opt.Seed, p.EID, p.Attempt, p.Point, c.kind) < c.chance {
			return smdpsim.Fault{Kind: c.kind}
		}
	}
	return smdpsim.Fault{}
}

// Fixtures are the station's fixtures.
func (w *World) Fixtures() map[int]fixture.Fixture {
	out := map[int]fixture.Fixture{}
	for slot, j := range w.jigs {
		out[slot] = j
	}
	return out
}

// Jig is a slot's fixture.
func (w *World) Jig(slot int) *Jig { return w.jigs[slot] }

// PortPath is where a slot's serial port is while a unit's module is there.
func (w *World) PortPath(slot int) string {
	return filepath.Join(w.opt.Dir, "ports", fmt.Sprintf("slot%02d", slot))
}

// RootPEM is the certificate of the CI under which SM-DP+ and eUICCs stand.
func (w *World) RootPEM() []byte { return w.root }

// CI is that CI's subject key identifier, as eUICCs list it.
func (w *World) CI() string { return hex.EncodeToString(w.ca.CI.Cert.SubjectKeyId) }

// SMDP is the SM-DP+ without a socket.
func (w *World) SMDP() http.RoundTripper { return w.smdp.RoundTripper() }

// Provider is the SM-DP+ in its operator's hand.
func (w *World) Provider() *smdpsim.Server { return w.smdp }

// MES is the virtual MES.
func (w *World) MES() *MES { return w.mes }

// Listen says where Serve listens; the world owns the listeners from now on. One
// that is nil is not served: nobody can reach it.
func (w *World) Listen(smdp, mes net.Listener) { w.smdpAt, w.mesAt = smdp, mes }

// Serve serves the SM-DP+ over TLS, and the MES over HTTP, until ctx ends.
func (w *World) Serve(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if w.smdpAt != nil {
		g.Go(func() error { return w.smdp.Serve(ctx, w.smdpAt, w.tls) })
	}
	if w.mesAt != nil {
		g.Go(func() error { return w.mes.Serve(ctx, w.mesAt) })
	}
	<-ctx.Done()
	return g.Wait()
}

// Close takes every unit's power away and ends the line. The world stays in
// its folder.
func (w *World) Close() error {
	var errs []error
	for _, slot := range slices.Sorted(maps.Keys(w.jigs)) {
		if u := w.jigs[slot].present(); u != nil {
			errs = append(errs, u.remove())
		}
	}
	return errors.Join(append(errs, w.smdp.Close(), w.lock.Close())...)
}
