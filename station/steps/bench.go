// Package steps carries out step kinds: plain sequential code that talks to a
// module, its eUICC, the fixture and the profile stock. It is the one place
// where an error becomes a Reason.
//
// A slot has one session: what stays open between steps (serial port, module,
// logical channel). It belongs to the engine's goroutine of that slot. Nothing
// in it survives a cut of the supply, and nothing in it is trusted after an
// error that leaves the outcome unknown: the recipe then goes back to its
// power-on step, and the download step reads the eUICC before it sends
// anything.
package steps

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"linefit/internal/pause"
	"linefit/modem"
	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/rsp"
	"linefit/station"
	"linefit/station/eim"
	"linefit/station/fixture"
	"linefit/station/stock"
)

// Opener opens a slot's serial port. It is asked again until the module's boot
// time is over, since a USB module's port appears some time after its supply.
type Opener func(ctx context.Context) (io.ReadWriteCloser, error)

// Pairing is the module maker's list of which module has which eUICC, and what
// the log knows of who has had which; see [bind].
type Pairing interface {
	// Judge says what speaks against a unit that has said who it is.
	Judge(unit station.Serial, id station.UnitIdentified) (station.PairingJudgement, error)
}

// Trust says which certificate issuers count here.
type Trust struct {
	// CIs are the subject key identifiers that an eUICC must share with the
	// SM-DP+, upper-case hexadecimal; empty: no check before the server's own.
	CIs []string
	// TestCIs are those of test eUICCs.
	TestCIs []string
	// Production refuses eUICCs that trust test CIs only.
	Production bool
	// Issuers sign the makers' certificates under which eUICCs list their
	// in-factory one-time keys and sign what they installed; empty: the chain is
	// checked up to the maker.
	Issuers []*x509.Certificate
}

// Options are what the steps work with.
type Options struct {
	Ports    map[int]Opener
	Fixtures map[int]fixture.Fixture
	Quirks   *modem.Table
	Quirk    string // entry to start from where the family is known; may be empty
	Stock    *stock.Ledger
	Items    Items
	Server   Servers
	Outbox   *Outbox
	Trust    Trust
	// Factory is the coding of the in-factory functions (ES10f, SGP.41) on this
	// line's eUICCs; zero: that of linefit's virtual eUICC.
	Factory euicc.FactoryCoding
	// Lot refuses to ask for a profile while the lot is halted; nil: never.
	Lot     func() error
	Pairing Pairing                        // nil: none
	EIMs    map[string][]eim.Configuration // eIM configurations that orders may name
	Carried Carried                        // packages of eIMs that orders brought; nil: none
	// PortPoll is the time between two tries to open a port that is not there yet.
	PortPoll time.Duration
}

// Bench implements station.Bench.
type Bench struct {
	opt    Options
	slots  map[int]*session
	kinds  map[string]body
	blocks blockSizes
}

// body is a step body.
type body func(ctx context.Context, s *session, a *station.Attempt) station.StepResult

// New makes the bench of a station.
func New(opt Options) (*Bench, error) {
	b := &Bench{opt: opt, slots: map[int]*session{}}
	for slot := range opt.Fixtures {
		if opt.Ports[slot] == nil {
			return nil, fmt.Errorf("steps: slot %d has no port", slot)
		}
		b.slots[slot] = &session{bench: b, slot: slot, fx: opt.Fixtures[slot], port: opt.Ports[slot]}
	}
	if b.opt.PortPoll <= 0 {
		b.opt.PortPoll = 50 * time.Millisecond
	}
	b.kinds = map[string]body{
		station.KindClamp: clamp, station.KindPower: power, station.KindBoot: boot, station.KindRadioOff: radioOff,
		station.KindAttach: attach, station.KindIdentify: identify, station.KindBind: bind, station.KindEUICC: readEUICC,
		station.KindPrecheck: precheck, station.KindReserve: reserve, station.KindDownload: download,
		station.KindNotify: handover, station.KindEnable: enable, station.KindRestart: restart,
		station.KindReadback: readback, station.KindShipState: shipState, station.KindPowerDown: powerDown,
		station.KindDelete: deleteProfile, station.KindReset: resetMemory, station.KindImmediate: allowImmediate,
		station.KindAddEIM: addEIM, station.KindEIMReadback: readEIM, station.KindBootstrap: bootstrap,
		station.KindLoad: loadPackages, station.KindClose: closeFactory,
	}
	return b, nil
}

// Execute implements station.Bench.
func (b *Bench) Execute(ctx context.Context, a *station.Attempt) station.StepResult {
	s, run := b.slots[a.Slot], b.kinds[a.Step.Kind]
	if s == nil || run == nil {
		return fault(station.NewReason(station.StationFault, "no step kind %q on slot %d", a.Step.Kind, a.Slot))
	}
	s.trace.reset()
	res := run(ctx, s, a)
	if res.Outcome != station.OK && res.Outcome != station.Skipped {
		res.Trace = s.trace.text()
		s.suspect = true // the next step that needs the card opens a new channel
	}
	return res
}

// lot refuses what may cost a profile while the lot is halted.
func (b *Bench) lot() error {
	if b.opt.Lot == nil {
		return nil
	}
	return b.opt.Lot()
}

// Forget implements station.Bench.
func (b *Bench) Forget(slot int) {
	if s := b.slots[slot]; s != nil {
		s.drop()
		s.known = modem.Identity{}
	}
}

// session is what is open on a slot.
type session struct {
	bench *Bench
	slot  int
	fx    fixture.Fixture
	port  Opener

	supply  supply
	since   time.Time // of the last change of the supply
	module  *modem.Module
	known   modem.Identity // who answered here before, and cannot have left since
	channel *apdu.Channel
	card    *card
	seen    seen
	route   apdu.Route // that worked last on this module
	suspect bool

	// A REFRESH was asked for when the module had shown refreshes lines about
	// one: the card is about to be reset.
	refreshing bool
	refreshes  int
	trace      trace
}

// seen is what was read on the channel that is open.
type seen struct {
	info   *euicc.Info2
	survey *rsp.Survey
}

// supply is what is known of the unit's supply.
type supply int

const (
	supplyUnknown supply = iota // after a start, and after an error
	supplyOff
	supplyOn
)

// drop closes what is open; the unit is gone or its supply off.
func (s *session) drop() {
	s.closeCard(context.Background())
	if s.module != nil {
		_ = s.module.Close() // a port that is gone has nothing to say any more
		s.module = nil
	}
	s.route, s.supply, s.suspect, s.refreshing = apdu.Route{}, supplyUnknown, false, false
}

// setSupply switches the supply; what was open is closed before it goes off.
func (s *session) setSupply(ctx context.Context, on bool) error {
	if !on {
		s.drop()
	}
	s.supply = supplyUnknown
	if err := s.fx.Power(ctx, on); err != nil {
		return err
	}
	s.supply, s.since = supplyOff, time.Now()
	if on {
		s.supply = supplyOn
	}
	return nil
}

// coldStart cuts the supply for at least off and switches it on.
func (s *session) coldStart(ctx context.Context, off time.Duration) error {
	if s.supply != supplyOff {
		if err := s.setSupply(ctx, false); err != nil {
			return err
		}
	}
	if err := pause.For(ctx, off-time.Since(s.since)); err != nil {
		return err
	}
	return s.setSupply(ctx, true)
}

// openPort opens the port, waiting until it is there.
func (s *session) openPort(ctx context.Context) (io.ReadWriteCloser, error) {
	for {
		rwc, err := s.port(ctx)
		if err == nil || !errors.Is(err, modem.ErrMissing) {
			return rwc, err
		}
		if perr := pause.For(ctx, s.bench.opt.PortPoll); perr != nil {
			return nil, fmt.Errorf("%w: %w", err, perr)
		}
	}
}
