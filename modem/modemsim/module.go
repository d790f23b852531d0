package modemsim

import (
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"linefit/modem/ident"
)

// Card is the UICC in the module's card slot, seen from its contacts.
type Card interface {
	// Reset gives power and clock, or a reset to a powered card, and returns
	// the answer to reset (ISO/IEC 7816-3 section 8).
	Reset() []byte
	// PowerCut takes the power away, at any instant.
	PowerCut()
	// Transmit carries one command APDU, with the logical channel in CLA, and
	// returns the response APDU and the processing time that the card models.
	Transmit(apdu []byte) (response []byte, busy time.Duration)
}

// Meter hears of every interval in which the module makes the other side wait:
// characters at the line's rate, modelled processing of module and card, boot.
// due is when it ought to have ended, whenever the host process got round to
// it. Charge is called with the module's lock held and must not call it.
type Meter interface {
	Charge(start, due time.Time)
}

// NV keeps what a module keeps without power.
type NV interface {
	Load() (map[string]string, error)
	Save(map[string]string) error
}

// Options make a module.
type Options struct {
	Persona Persona
	Card    Card       // nil: the card slot is empty
	IMEI    ident.IMEI // AT+CGSN
	Serial  string     // the board's serial number, for vendor commands
	Baud    int        // characters take their time at this rate; 0: none
	Network bool       // a network accepts registration attempts
	Meter   Meter      // nil: nobody counts
	Faults  Faults     // nil: nothing goes wrong
	NV      NV         // nil: settings live as long as the Module value
	Log     zerolog.Logger
}

// Module is a virtual cellular module. It is safe for concurrent use: mu
// guards everything below it. Whoever needs the module to be up to date (the
// serving goroutine, or a caller of a power function) first lets the events
// run that are due; nothing else changes the state.
type Module struct {
	opt     Options
	persona Persona
	log     zerolog.Logger

	mu       sync.Mutex
	line     timeline
	power    powerState
	since    time.Time     // of the present power state
	port     *port         // nil while nobody serves
	portUp   bool          // the port can be opened
	held     []byte        // sent while the port was there and nobody served it
	changed  chan struct{} // closed and replaced when portUp or the future changes
	counters Counters
	drawn    map[string]int
	dead     bool // FaultDead

	rate    int // bit/s on the line; 0: waits for the host's
	rx, tx  lineRate
	rxBytes int      // characters on their way in
	out     []*piece // characters on their way out, in order

	at       atState
	job      *job
	pending  []byte // input that waits for the running command
	accept   time.Time
	stalled  time.Time
	cfun     int
	cold     bool // power was off before this boot
	sim      simState
	radio    radioState
	settings settings
}

type powerState byte

const (
	powerOff powerState = iota
	powerBoot
	powerOn
	powerDown // shut down in order; only the power supply brings it back
)

// Counters are sums since New.
type Counters struct {
	CharsIn  int64 // characters received
	CharsOut int64 // characters sent
	Dropped  int64 // characters received and lost: no power, booting, too near behind a result, buffer full
	APDUs    int64 // command APDUs that hosts sent through the module
	Internal int64 // command APDUs of the module itself
	Commands int64 // command lines
	Boots    int64
	Faults   int64
}

// ErrOptions is the error of options that make no module.
var ErrOptions = errors.New("options make no module")

// New makes a module without power. The persona must come from
// [LoadPersonas].
func New(opt Options) (*Module, error) {
	if opt.Persona.Name == "" {
		return nil, errors.Join(ErrOptions, errors.New("no persona"))
	}
	if opt.Baud < 0 {
		return nil, errors.Join(ErrOptions, errors.New("negative baud rate"))
	}
	m := &Module{
		opt: opt, persona: opt.Persona.clone(), log: opt.Log,
		portUp: !opt.Persona.Port.Enumerates, changed: make(chan struct{}),
		drawn: map[string]int{}, rx: lineRate{baud: opt.Baud}, tx: lineRate{baud: opt.Baud},
	}
	if err := m.settings.load(opt.NV, &m.persona); err != nil {
		return nil, err
	}
	return m, nil
}

// Persona is the module's persona.
func (m *Module) Persona() Persona { return m.persona.clone() }

// IMEI is the module's identity.
func (m *Module) IMEI() ident.IMEI { return m.opt.IMEI }

// Counters are the sums so far.
func (m *Module) Counters() Counters {
	m.lock()
	defer m.unlock()
	return m.counters
}

// Alive reports whether the module has booted and answers AT commands.
func (m *Module) Alive() bool {
	m.lock()
	defer m.unlock()
	return m.power == powerOn && !m.dead
}

// Ready reports whether the module has booted and read its card, or found none.
func (m *Module) Ready() bool {
	m.lock()
	defer m.unlock()
	return m.ready()
}

func (m *Module) ready() bool { return m.power == powerOn && !m.dead && m.simSettled() }

// lock brings the module up to date and keeps others out.
func (m *Module) lock() {
	m.mu.Lock()
	m.line.run(time.Now())
}

// unlock wakes whoever drives the module, for the next event may have changed.
func (m *Module) unlock() {
	p := m.port
	m.signal()
	m.mu.Unlock()
	if p != nil {
		p.wake()
	}
}

// signal wakes who waits for the module to reach a state.
func (m *Module) signal() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *Module) charge(start, due time.Time) {
	if m.opt.Meter != nil && due.After(start) {
		m.opt.Meter.Charge(start, due)
	}
}
