package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/modemsim"
	"linefit/modem/testpki"
	"linefit/station"
)

// unit is a unit that stands in a slot: its module and card, and the port that
// the station opens.
type unit struct {
	st     UnitState
	card   *euiccsim.Card
	module *modemsim.Module
	pty    *modemsim.PTY  // or
	link   *modemsim.Link // in memory
	cancel context.CancelFunc
	done   chan error

	faults func(try int) modemsim.Faults
	starts int // power-ons in this attempt
}

// dice throws anew at each power-on, so that another try meets other accidents.
// A module that hangs answers nothing until its next cold start.
func (u *unit) dice(hangs bool) {
	faults := u.faults(u.starts)
	u.starts++
	if hangs {
		faults = modemsim.FaultFunc(func(point string, _ int) (modemsim.Fault, bool) {
			return modemsim.Fault{Kind: modemsim.FaultDead}, point == "boot"
		})
	}
	u.module.SetFaults(faults)
}

// fresh makes the n-th unit of a line.
func (w *World) fresh(n int) (UnitState, error) {
	persona := w.opt.Mix[n%len(w.opt.Mix)]
	p, err := w.opt.Personas.Get(persona)
	if err != nil {
		return UnitState{}, err
	}
	tac := p.Identity.TAC
	if tac == "" {
		tac = "35290611"
	}
	imei, err := ident.IMEIWithCheck(fmt.Sprintf("%s%06d", tac, n+1))
	if err != nil {
		return UnitState{}, err
	}
	eid, err := ident.EIDWithCheck(fmt.Sprintf("89049032%08d%014d", w.opt.Seed%100_000_000, n+1))
	if err != nil {
		return UnitState{}, err
	}
	u := UnitState{Serial: station.Serial(fmt.Sprintf("LF%06d", n+1)), Persona: persona, IMEI: imei, EID: eid}
	w.opt.Fleet.unit(n, &u, w.opt.Factory != nil)
	u.Label = fmt.Sprintf("SN=%s;IMEI=%s;EID=%s", u.Serial, imei, eid)
	if label := w.opt.Hooks.Label; label != nil {
		u.Label = label(u)
	}
	return u, nil
}

// insert brings a unit's module and card to life in a slot, without power.
func (w *World) insert(j *Jig, st UnitState) (*unit, error) {
	card, err := w.card(st)
	if err != nil {
		return nil, err
	}
	p, err := w.opt.Personas.Get(st.Persona)
	if err != nil {
		return nil, err
	}
	var socket modemsim.Card = card
	if w.dead(st) {
		socket = mute{card}
	}
	if w.opt.Hooks.Socket != nil {
		socket = w.opt.Hooks.Socket(st, card)
	}
	module, err := modemsim.New(modemsim.Options{
		Persona: p, Card: socket, IMEI: st.IMEI, Serial: string(st.Serial), Baud: w.opt.Baud, Network: true,
		Meter: &j.meter,
		NV:    nv{filepath.Join(w.opt.Dir, "modules", string(st.IMEI)+".json")},
	})
	if err != nil {
		return nil, err
	}
	u := &unit{st: st, card: card, module: module, done: make(chan error, 1)}
	u.faults = func(try int) modemsim.Faults { return w.faultsOf(st, try) }
	ctx, cancel := context.WithCancel(context.Background())
	u.cancel = cancel
	if w.opt.Memory {
		u.link = modemsim.NewLink(module)
		go func() { u.done <- u.link.Run(ctx) }()
		return u, nil
	}
	u.pty, err = modemsim.NewPTY(module, modemsim.PTYOptions{Link: w.PortPath(j.slot), Baud: w.opt.Baud})
	if err != nil {
		cancel()
		return nil, err
	}
	go func() { u.done <- u.pty.Run(ctx) }()
	return u, nil
}

// Sums count what a unit's module saw.
type Sums struct {
	Chars    int64 `json:"chars"`    // in both directions
	APDUs    int64 `json:"apdus"`    // command APDUs
	Attempts int64 `json:"attempts"` // to register on a network
}

func (s Sums) plus(o Sums) Sums {
	return Sums{s.Chars + o.Chars, s.APDUs + o.APDUs, s.Attempts + o.Attempts}
}

// sums are those of the unit's present stay in the slot.
func (u *unit) sums() Sums {
	c := u.module.Counters()
	return Sums{c.CharsIn + c.CharsOut, c.APDUs, int64(u.module.Attempts())}
}

// remove ends the module; its power is cut.
func (u *unit) remove() error {
	u.module.PowerOff()
	u.cancel()
	return <-u.done
}

// CardOf gives a unit's card to somebody else, while the unit stands in no slot.
func (w *World) CardOf(st UnitState) (*euiccsim.Card, error) { return w.card(st) }

// card makes a unit's card from its image.
func (w *World) card(st UnitState) (*euiccsim.Card, error) {
	pki, err := w.ca.Card(st.EID)
	if err != nil {
		return nil, err
	}
	return w.cardWith(st, pki)
}

func (w *World) cardWith(st UnitState, pki *testpki.Card) (*euiccsim.Card, error) {
	opt := euiccsim.Options{
		PKI: pki, Image: euiccsim.FileImage(w.cardFile(st.EID)),
		Faults: w.cardFaults(st), Delays: w.opt.CardDelays,
		// Most cards of the line hand out an answer with the command that asks
		// for it; every fourth one keeps it for GET RESPONSE.
		Direct: hash(w.opt.Seed, st.EID, "direct")%4 != 0,
	}
	if w.opt.Factory != nil && st.Prepared {
		opt.OneTimeKeys = w.opt.Factory.Keys
	}
	if err := w.generation(st, &opt); err != nil {
		return nil, err
	}
	if w.opt.Hooks.Card != nil {
		w.opt.Hooks.Card(st, &opt)
	}
	return euiccsim.New(opt)
}

// mute is an eUICC that is dead: it answers no reset.
type mute struct{ modemsim.Card }

// Reset implements modemsim.Card.
func (mute) Reset() []byte { return nil }

// dead says which eUICCs of in-factory provisioning are: some of a harsh line, so
// that the loading report has what never answered.
func (w *World) dead(st UnitState) bool {
	return st.Prepared && w.opt.Faults == "harsh" && draw(w.opt.Seed, st.Serial, "dead") < 0.04
}

// open is the station's way to the port.
func (u *unit) open() (io.ReadWriteCloser, error) {
	if u.link == nil {
		return nil, errors.New("the unit's port is a pseudo terminal")
	}
	return u.link.Open()
}

// cardChances are how often a card has which fault, by plan.
var cardChances = map[string]map[euiccsim.Fault]float64{
	"typical": {euiccsim.FaultCatBusy: 0.05, euiccsim.FaultLoadElement: 0.01, euiccsim.FaultStateLost: 0.005},
	"harsh": {
		euiccsim.FaultCatBusy: 0.15, euiccsim.FaultNoRefresh: 0.05, euiccsim.FaultStateLost: 0.03,
		euiccsim.FaultForgetKeys: 0.05, euiccsim.FaultChannelLeak: 0.05, euiccsim.FaultLoadMemory: 0.03, euiccsim.FaultLoadElement: 0.03,
	},
}

// cardFaults are a card's own faults; they belong to the card and not to an attempt.
func (w *World) cardFaults(st UnitState) euiccsim.Faults {
	faults := euiccsim.Faults{}
	for f, chance := range cardChances[w.opt.Faults] {
		if draw(w.opt.Seed, st.Serial, "card", f) >= chance {
			continue
		}
		faults[f] = 1
		if f == euiccsim.FaultStateLost {
			faults[f] = -1
		}
	}
	return faults
}
