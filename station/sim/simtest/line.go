package simtest

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"linefit/audit"
	"linefit/audit/store/storetest"
	"linefit/configs"
	"linefit/modem"
	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/modemsim"
	"linefit/modem/smdpsim"
	"linefit/rework"
	"linefit/station"
	"linefit/station/admission"
	"linefit/station/eim"
	"linefit/station/engine"
	"linefit/station/mes/mestest"
	"linefit/station/recipe"
	"linefit/station/sim"
	"linefit/station/steps"
	"linefit/station/stock"
)

// Options say what line to make. The zero value is one unit, a demo EG25 over
// +CGLA, in one slot, with three profiles in stock and the shipped recipe and
// policy.
type Options struct {
	Units, Slots int
	Persona      string    // of every unit, or
	Mix          []string  // in turn
	Fleet        sim.Fleet // of eUICCs; empty: those that the recipe accepts
	CSIM         bool      // the modules have no +CCHO
	Seed         uint64
	Faults       string // the simulated line's own plan
	Spare        int    // profiles beyond one per unit; negative: none
	Cap          int    // downloads per profile; 0: 5
	Size         int    // bytes of a profile package; 0: as small as it gets

	Factory   *Factory // nil: the units download from the SM-DP+
	Recipe    *station.Recipe
	Policy    *rework.Policy
	Pairing   admission.Units
	Trust     steps.Trust                    // without CIs: the line's own
	Trusting  func(ci string) steps.Trust    // in place of Trust, from the line's own CI
	EIMs      map[string][]eim.Configuration // that orders may name
	Carried   steps.Carried                  // packages of eIMs
	MES       string                         // default "http://mes.test"; "none"
	AllowHost func(string) error
	Pace      Pace
	Grace     time.Duration
	Observer  engine.Observer
	Shard     uint64 // entries in a shard of the log; 0: the store's own number

	Label  func(sim.UnitState) string
	Card   func(sim.UnitState, *euiccsim.Options)
	Order  func(n int, o *smdpsim.Order)
	Server func(smdpsim.FaultPoint) smdpsim.Fault
	Module func(unit sim.UnitState, point string, n int) (modemsim.Fault, bool)
	// Route adds to the MES's answer to the route check of a unit.
	Route func(unit station.Serial) map[string]string
	// MESCodes makes the MES the source of codes, Profile changes what it hands out.
	MESCodes bool
	// MESBreaks is how its answers break docs/mes-openapi.json on purpose.
	MESBreaks string
	// WebhookOrigin makes the station ask for leave before it sends events.
	WebhookOrigin string
	Profile       func(unit station.Serial, iccid ident.ICCID) map[string]any
	Low           stock.LowRule
	// Beside puts a second station on another line's world: it has the slots named
	// in Only, a log and a vault of its own, and no profile. Only of the first one
	// says which slots are left to it.
	Beside *Line
	Only   []int
	Shares stock.ShareRule
	// Bare leaves the stock empty.
	Bare bool
	// Code changes the n-th line of the imported list: batch, activation code,
	// confirmation code, ICCID, cap. False leaves it out.
	Code func(n int, row []string) bool
	// Hosts are other names by which the SM-DP+ is reached.
	Hosts []string
	// Wire hears of every exchange with SM-DP+ and MES, in clear.
	Wire func(path string, request, reply []byte)
	Logs io.Writer // gets what the station logs beside its facts
	Key  audit.Key // of the audit log; nil: a new one
	// Answer changes what an eUICC answers to a function, status word included.
	Answer func(unit sim.UnitState, function string, response []byte) []byte
	// Instead answers a function in the eUICC's place, from its request; nil
	// leaves it to the eUICC.
	Instead func(unit sim.UnitState, function string, request []byte) []byte
}

// Line is a simulated line with its station. It is driven by the test's
// goroutine.
type Line struct {
	t   testing.TB
	opt Options
	// Dir has the store, the vault and, in sim, the world.
	Dir     string
	World   *sim.World
	Station *Station // of the present process

	key        audit.Key
	mes        *mestest.Checker     // of the present process
	shards     map[uint32]audit.Key // of the log's later shards
	disk       *storetest.Disk
	st         *storetest.Station
	plan       plan
	witness    *witness
	process    atomic.Pointer[process]
	vault      atomic.Pointer[stock.Vault] // for the witness
	killAfter  atomic.Uint64
	killBefore atomic.Uint64
	failAt     atomic.Uint64
	failHow    atomic.Int32
	failDelay  atomic.Int64
	restarts   int
	again      []uint64
	cut        bool  // the next kill takes the machine's power, too
	radio      int64 // registration attempts in worlds that were closed

	mu       sync.Mutex // guards what follows
	sockets  map[station.Serial]*socket
	said     map[int]said
	started  map[string]map[string]bool // runs by unit
	passes   int
	requests []smdpsim.Event
	tried    map[string]int // requests without a network, by function
}

// New makes a line and starts the station, with every code in stock. In a
// bubble call it inside; everything ends with the test.
func New(t testing.TB, o Options) *Line {
	t.Helper()
	l := &Line{t: t, Dir: folder(t), witness: newWitness(), disk: storetest.NewDisk(), sockets: map[station.Serial]*socket{}, said: map[int]said{}, started: map[string]map[string]bool{}, tried: map[string]int{}, shards: map[uint32]audit.Key{}}
	l.opt = l.defaults(o)
	if l.key = o.Key; l.key == nil {
		l.key = testKey(t)
	}
	if o.Beside != nil {
		l.World = o.Beside.World
		l.must(os.MkdirAll(filepath.Join(l.Dir, "sim"), 0o700)) // the vault's key
	} else {
		l.openWorld()
		t.Cleanup(func() { l.must(l.World.Close()) })
	}
	l.st = storetest.Start(t, l.disk, l.storeOptions())
	l.begin()
	return l
}

// folder is a folder for a line that goes with the test, in memory where the
// machine has a place for that: nothing here is about a disk.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "linefit-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove: %v", err)
		}
	})
	return dir
}

func (l *Line) defaults(o Options) Options {
	var err error
	if o.Units == 0 {
		o.Units = 1
	}
	if o.Slots == 0 {
		o.Slots = 1
	}
	if o.Persona == "" {
		o.Persona = "demo-eg25"
	}
	if o.Mix == nil {
		o.Mix = []string{o.Persona}
	}
	if o.Faults == "" {
		o.Faults = "none"
	}
	switch {
	case o.Spare == 0:
		o.Spare = 2
	case o.Spare < 0:
		o.Spare = 0
	}
	if o.Cap == 0 {
		o.Cap = 5
	}
	if o.Size == 0 {
		o.Size = 1
	}
	if o.MES == "" {
		o.MES = "http://mes.test"
	}
	if o.Recipe == nil {
		o.Recipe, err = shared.recipe()
		l.must(err)
	}
	if o.Fleet == nil {
		o.Fleet = sim.FleetOf(o.Recipe.Accepts)
	}
	if o.Policy == nil {
		o.Policy, err = shared.policy()
		l.must(err)
	}
	return o
}

func (l *Line) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// Recipe is one of the shipped recipes by its file's name, without ".yaml".
func Recipe(t testing.TB, name string) *station.Recipe {
	t.Helper()
	r, err := recipe.LoadFS(configs.FS, "recipes/"+name+".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func itoa(n int) string { return strconv.Itoa(n) }

// personas are those of the demo line, with or without +CCHO.
func (l *Line) personas() modemsim.Personas {
	all, err := shared.personas()
	l.must(err)
	out := modemsim.Personas{}
	for _, name := range l.opt.Mix {
		p, err := all.Get(name)
		l.must(err)
		if l.opt.CSIM {
			p.APDU.Channel.Supported = false
			p.APDU.CSIM.Supported, p.APDU.CSIM.Channels, p.APDU.CSIM.Open, p.APDU.CSIM.Except = true, true, true, nil
			p.SIM.NoProfile.CSIM = ""
		}
		out[name] = p
	}
	return out
}

// openWorld opens the world in its folder.
func (l *Line) openWorld() {
	l.t.Helper()
	o := l.opt
	w, err := sim.Open(sim.Options{
		Dir: filepath.Join(l.Dir, "sim"), Units: o.Units, Slots: o.Slots, Seed: o.Seed, Faults: o.Faults,
		Personas: l.personas(), Mix: o.Mix, Fleet: o.Fleet, Spare: o.Spare, Cap: o.Cap, Memory: true, ProfileSize: o.Size, MESCodes: o.MESCodes, Factory: o.worldFactory(),
		Hooks: sim.Hooks{Label: o.Label, Card: o.Card, Order: o.Order, Server: o.Server, Request: l.heard, Route: o.Route, Profile: o.Profile, Socket: l.socket, Module: l.drawn},
	})
	l.must(err)
	l.World = w
}

// socket puts the plan between a module and its card.
func (l *Line) socket(u sim.UnitState, c modemsim.Card) modemsim.Card {
	s := &socket{Card: c, line: l, unit: u}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sockets[u.Serial] = s
	return s
}

// drawn is what a module does at a point.
func (l *Line) drawn(u sim.UnitState, point string, n int) (modemsim.Fault, bool) {
	l.mu.Lock()
	s := l.sockets[u.Serial]
	l.mu.Unlock()
	if s != nil {
		if f, ok := s.draw(point); ok {
			return f, ok
		}
	}
	if l.opt.Module != nil {
		return l.opt.Module(u, point, n)
	}
	return modemsim.Fault{}, false
}

// Passes counts how often a pass lamp was lit.
func (l *Line) Passes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.passes
}

// Restarts counts the kills so far.
func (l *Line) Restarts() int { return l.restarts }

// opener opens a slot's port in memory, with the errors of a real one.
func (s *Station) opener(j *sim.Jig) steps.Opener {
	return func(context.Context) (rwc io.ReadWriteCloser, err error) {
		rwc, err = s.p.open(j)
		switch {
		case errors.Is(err, modemsim.ErrPortGone), errors.Is(err, errFault):
			err = &modem.PortError{Path: "memory", Op: "open", Err: errors.Join(modem.ErrMissing, err)}
		case errors.Is(err, modemsim.ErrPortBusy):
			err = &modem.PortError{Path: "memory", Op: "open", Err: errors.Join(modem.ErrBusy, err)}
		}
		return rwc, err
	}
}
