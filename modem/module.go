package modem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"linefit/atcmd"
	"linefit/modem/ident"
)

// Module is one cellular module on one port. It has one owner, the step that
// runs: its methods are not for concurrent use. It owns the port it was
// attached to, and the port's queue of unsolicited lines; it has no goroutine
// of its own.
//
// Every method may return the errors of [linefit/atcmd.Port.Do]. After one that
// matches atcmd.ErrUnknown the port is poisoned and [Module.Resync] comes
// first. After [ErrRestarted] it is [Module.Recover].
type Module struct {
	port  *atcmd.Port
	table *Table
	opt   Options

	id      Identity
	quirks  Quirks
	slow    bool          // a command sent too soon was lost
	maker   string        // asked for, and not yet part of id
	gap     time.Duration // least time between commands while the family is not known
	hushed  []string      // radio-off commands answered since the last start
	started time.Time     // of the start under way or last seen
	armed   bool          // a restart line means a restart; false while the lines of a known start may still come
	lost    bool          // restarted by itself, not yet recovered
	starts  int           // starts by itself
	busy    bool          // a start is being dealt with: start lines are no surprise
	ready   int           // ready lines seen
	refresh int           // REFRESH lines seen
	down    bool          // a power-down line was seen since the last start
}

// Options of [Attach].
type Options struct {
	// Quirk names an entry of the table to start from, where the family is
	// known beforehand; the module's own answers then still decide. "" starts
	// from the generic entry.
	Quirk string

	// Known is what the module on this port said when it was attached before:
	// its family's quirks are in force from the first character. The module's
	// own answers then still decide.
	Known Identity

	// Booting says that the module was just powered or reset: its ready line is
	// waited for instead of sending characters into a starting module.
	Booting bool

	// RadioOff keeps the radio off: sent and read back after every start, before
	// anything else, so that nothing registers by accident.
	RadioOff bool

	// IMEI, if set, is who must answer: another module is an *OtherModuleError.
	// It is for ports that are opened again.
	IMEI ident.IMEI

	// AllowNoIMEI accepts a module that has no valid IMEI yet; its Identity then
	// has none.
	AllowNoIMEI bool

	// OnURC, if set, sees every unsolicited line, in the goroutine of the method
	// that found it.
	OnURC func(atcmd.URC)

	// Trace is the port's trace (atcmd.Options.Trace).
	Trace func(atcmd.Direction, []byte)
}

// Identity is what a module says it is.
type Identity struct {
	Maker    string     `json:"maker"`
	Model    string     `json:"model"`
	Firmware string     `json:"firmware"`
	IMEI     ident.IMEI `json:"imei"`
}

// Attach takes over a port and brings the module on it to a known state: it
// waits for the first answer, sets echo, result and error format, identifies
// the module and chooses its quirks. On error the port is closed.
//
// The error matches [ErrSilent] when nothing answers, is an *IdentityError when
// what answers is no module, an *OtherModuleError when it is not the one that
// was asked for, or one of the AT engine's.
func Attach(ctx context.Context, rwc io.ReadWriteCloser, table *Table, opt Options) (*Module, error) {
	q, err := table.start(opt)
	if err != nil {
		return nil, errors.Join(err, rwc.Close())
	}
	m := &Module{table: table, opt: opt, quirks: q, started: time.Now(), armed: !opt.Booting}
	if opt.Quirk == "" && opt.Known.Maker == "" {
		m.gap = q.Line.UnknownGap
	}
	m.port = atcmd.Open(rwc, m.portOptions(false))
	if err := m.attach(ctx); err != nil {
		_ = m.port.Close()
		return nil, err
	}
	return m, nil
}

func (t *Table) start(opt Options) (Quirks, error) {
	if opt.Quirk != "" {
		return t.Named(opt.Quirk)
	}
	return t.For(opt.Known.Maker, opt.Known.Model, opt.Known.Firmware)
}

// attach retries once with a slow line: a module that loses characters sent
// too early is only known for it once it is identified. The retry begins with
// a question that only the IMEI answers: whoever used the port before may have
// left an answer under way.
func (m *Module) attach(ctx context.Context) error {
	m.busy = true
	defer func() { m.busy = false }()
	err := m.introduce(ctx, m.opt.Booting)
	if err != nil && errors.Is(err, atcmd.ErrUnknown) && !errors.Is(err, ErrSilent) && ctx.Err() == nil && m.port.Err() != nil {
		m.gap, m.slow = m.quirks.Line.SlowGap, true
		m.port.Configure(m.portOptions(false))
		if _, err := m.port.Resync(ctx, m.alignment()); err != nil && !errors.Is(err, atcmd.ErrNoSync) {
			return err
		}
		err = m.introduce(ctx, false)
	}
	if err != nil {
		return err
	}
	return m.settleIn(ctx)
}

func (m *Module) introduce(ctx context.Context, booting bool) error {
	m.maker = ""
	if err := m.bringUp(ctx, booting); err != nil {
		return err
	}
	return m.identify(ctx)
}

// settleIn applies the family's quirks after identification.
func (m *Module) settleIn(ctx context.Context) error {
	m.port.Configure(m.portOptions(true))
	if m.opt.RadioOff {
		if err := m.proveRadioOff(ctx); err != nil {
			return err
		}
	}
	return m.optionalInit(ctx)
}

// portOptions are the line's properties from the quirks. Before the module is
// identified any family's lines are expected.
func (m *Module) portOptions(identified bool) atcmd.Options {
	q := &m.quirks
	o := atcmd.Options{
		Timeout: q.Deadlines["default"], Gap: q.Line.Gap, ByteGap: q.Line.ByteGap, Quiet: q.Line.Quiet,
		DrainLimit: q.Boot.Limit, URCs: q.allURCs(), Trace: m.opt.Trace,
	}
	if !identified {
		o.URCs = m.table.allURCs
		o.Gap = max(o.Gap, m.gap)
	} else if m.armed {
		o.Restarts = q.Boot.Restart
	}
	return o
}

// Identity is what the module said at [Attach].
func (m *Module) Identity() Identity { return m.id }

// Quirks are the quirks in force; their Names tell which entries made them.
func (m *Module) Quirks() Quirks { return m.quirks }

// AT is the module's port. Its URCs are the module's; commands are better sent
// by [Module.Do].
func (m *Module) AT() *atcmd.Port { return m.port }

// Restarts counts the starts that nobody asked for.
func (m *Module) Restarts() int {
	m.absorb()
	return m.starts
}

// Close closes the port. The module keeps its state.
func (m *Module) Close() error { return m.port.Close() }

// absorb takes in what the module said unasked.
func (m *Module) absorb() {
	for {
		select {
		case u, ok := <-m.port.URCs():
			if !ok {
				return
			}
			m.hear(u)
		default:
			return
		}
	}
}

// hear classifies one unsolicited line.
func (m *Module) hear(u atcmd.URC) {
	if m.opt.OnURC != nil {
		m.opt.OnURC(u)
	}
	if u.Is(m.quirks.Boot.Ready...) {
		m.ready++
	}
	switch {
	case u.Is(m.quirks.Boot.Restart...):
		if m.busy || m.awaitingLines() {
			m.arm()
			return
		}
		m.lost = true
		m.starts++
	case u.Is(m.quirks.SIM.Refresh...):
		m.refresh++
	case u.Is(m.quirks.Power.DownLines...):
		m.down = true
	}
}

// awaitingLines: the lines of the start that we know of may still come.
func (m *Module) awaitingLines() bool {
	return !m.armed && time.Since(m.started) < m.quirks.Boot.Limit
}

// arm makes the next restart line a restart.
func (m *Module) arm() {
	if !m.armed {
		m.armed = true
		m.port.Configure(m.portOptions(m.id.Maker != ""))
	}
}

// Do sends one command, by default with its deadline from the quirks, and notices
// a restart of the module before or during it: it is the executor for the
// transport of APDUs, and for commands that this package has no word for.
func (m *Module) Do(ctx context.Context, cmd atcmd.Command) (atcmd.Response, error) {
	m.absorb()
	if m.lost {
		return atcmd.Response{}, ErrRestarted
	}
	if !m.armed && !m.awaitingLines() {
		m.arm()
	}
	if cmd.Timeout == 0 {
		cmd.Timeout = m.quirks.Deadline(cmd.Name())
	}
	resp, err := m.port.Do(ctx, cmd)
	m.absorb()
	if errors.Is(err, atcmd.ErrRestarted) {
		err = fmt.Errorf("%w: %w", ErrRestarted, err)
	}
	return resp, err
}

// command sends a command without an answer of its own.
func (m *Module) command(ctx context.Context, text string) error {
	_, err := m.Do(ctx, atcmd.Command{Text: text})
	return err
}

// answered says that the module answered, though not by OK.
func answered(err error) bool {
	var cme *atcmd.CMEError
	var cms *atcmd.CMSError
	var result *atcmd.ResultError
	return errors.As(err, &cme) || errors.As(err, &cms) || errors.As(err, &result)
}

// refused says that the module has no such command or will not do it, so that
// the next way may be tried. What it says about the card is not of this kind.
func refused(err error) bool {
	var cme *atcmd.CMEError
	if errors.As(err, &cme) {
		switch cme.Code {
		case atcmd.CMENotAllowed, atcmd.CMENotSupported, atcmd.CMEIncorrectParameter, atcmd.CMEUnknown, -1:
			return true
		}
		return false
	}
	return errors.Is(err, atcmd.ErrError)
}
