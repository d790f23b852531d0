package modem

import (
	"context"
	"errors"
	"fmt"
	"time"

	"linefit/atcmd"
)

// bringUp waits until the module answers, sends the init commands and switches
// the radio off where that is wanted. booting says that its start has just
// begun. A module of which nothing is known is asked for its maker before the
// other init commands, since that may end the cautious gap between commands; not
// where its radio is to be off first of all.
func (m *Module) bringUp(ctx context.Context, booting bool) error {
	limited, cancel := context.WithTimeout(ctx, m.quirks.Boot.Limit)
	defer cancel()
	first, err := m.firstAnswer(limited, booting)
	if err == nil && m.quirks.Boot.Settle > 0 {
		err = m.wait(limited, m.quirks.Boot.Settle)
	}
	m.lost, m.down, m.hushed = false, false, nil
	if err == nil && m.gap > 0 && !m.opt.RadioOff && first.Worded {
		err = m.askMaker(limited)
	}
	for _, text := range m.quirks.Init.Commands[1:] { // the first one has just been answered
		if err != nil {
			break
		}
		if text == verboseResults && first.Worded { // it holds already
			continue
		}
		_, err = m.Do(limited, atcmd.Command{Text: text, Numeric: true})
	}
	if err == nil && m.opt.RadioOff {
		err = m.hush(limited)
	}
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return fmt.Errorf("%w within %v: %w", ErrSilent, m.quirks.Boot.Limit, err)
	}
	return err
}

// verboseResults makes final results words (ITU-T V.250 section 6.2.6).
const verboseResults = "ATV1"

// firstAnswer returns when the module has answered the first init command by OK,
// or by its number.
func (m *Module) firstAnswer(ctx context.Context, booting bool) (first atcmd.Response, err error) {
	if booting {
		if err := m.awaitReady(ctx); err != nil {
			return first, err
		}
	}
	probe := atcmd.Command{Text: m.quirks.Init.Commands[0], Numeric: true, Timeout: m.quirks.Boot.Probe}
	if m.port.Err() == nil {
		resp, err := m.port.Do(ctx, probe)
		m.absorb()
		if err == nil || ctx.Err() != nil || errors.Is(err, atcmd.ErrGone) || errors.Is(err, atcmd.ErrClosed) {
			return resp, err
		}
	}
	// An unanswered try may still be answered, so the tries are one resync: it
	// waits for silence behind the first answer.
	q := atcmd.Query{Command: probe, Tries: 1 + int(m.quirks.Boot.Limit/m.quirks.Boot.Probe), Settle: m.quirks.Line.Quiet}
	resp, err := m.port.Resync(ctx, q)
	m.absorb()
	if errors.Is(err, atcmd.ErrNoSync) {
		err = fmt.Errorf("%w: %w", ErrSilent, err)
	}
	return resp, err
}

// awaitReady listens for a ready line for as long as the family usually takes. A
// module that says nothing is asked afterwards; no line is no error.
func (m *Module) awaitReady(ctx context.Context) error {
	if len(m.quirks.Boot.Ready) == 0 {
		return nil
	}
	_, err := m.listen(ctx, m.quirks.Boot.Expect, func(u atcmd.URC) bool { return u.Is(m.quirks.Boot.Ready...) })
	return err
}

// listen waits at most d for an unsolicited line that want accepts, and takes
// in all others. No such line is no error.
func (m *Module) listen(ctx context.Context, d time.Duration, want func(atcmd.URC) bool) (bool, error) {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case u, ok := <-m.port.URCs():
			if !ok {
				return false, m.port.Err()
			}
			m.hear(u)
			if want(u) {
				return true, nil
			}
		case <-t.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// wait lets a time pass that the module needs, and listens meanwhile.
func (m *Module) wait(ctx context.Context, d time.Duration) error {
	_, err := m.listen(ctx, d, func(atcmd.URC) bool { return false })
	return err
}

// optionalInit sends what a module may refuse.
func (m *Module) optionalInit(ctx context.Context) error {
	for _, text := range m.quirks.Init.Optional {
		if err := m.command(ctx, text); err != nil && !answered(err) {
			return err
		}
	}
	return nil
}

// expectStart notes that a start was asked for: its lines are no surprise.
func (m *Module) expectStart() {
	m.started, m.armed, m.lost, m.down = time.Now(), false, false, false
	m.port.Configure(m.portOptions(true))
}

// Reset restarts the module by command and returns when it answers again, with
// its settings restored, and is the same module. A port that the module takes
// away meanwhile (USB) gives an error matching atcmd.ErrGone: close, find the
// port again and [Attach] with Booting.
func (m *Module) Reset(ctx context.Context) error {
	m.absorb()
	m.expectStart()
	cmd := atcmd.Command{Text: m.quirks.Power.Reset}
	cmd.Timeout = m.quirks.Deadline(cmd.Name())
	// Some modules restart before they answer; anything but a refusal will do.
	if _, err := m.port.Do(ctx, cmd); err != nil && (!errors.Is(err, atcmd.ErrUnknown) || ctx.Err() != nil) {
		return err
	}
	if len(m.quirks.Boot.Ready) == 0 { // else the ready line is waited for
		if err := m.wait(ctx, m.quirks.Power.ResetWait); err != nil {
			return err
		}
	}
	return m.restarted(ctx)
}

// PowerCycled is to be called as soon as the fixture has switched the module's
// power on again, where the port is still the same (a UART). It returns when
// the module answers, has its settings, and is the same module: an
// *OtherModuleError otherwise.
func (m *Module) PowerCycled(ctx context.Context) error {
	m.expectStart()
	return m.restarted(ctx)
}

// Recover brings a module back that has started by itself.
func (m *Module) Recover(ctx context.Context) error {
	m.absorb()
	m.lost, m.started = false, time.Now()
	if err := m.port.Reset(ctx); err != nil {
		return err
	}
	return m.back(ctx, false)
}

// restarted waits for a start that was asked for. No answer to an earlier
// command can come any more. The boot noise that is waited out here may hold
// the ready line already.
func (m *Module) restarted(ctx context.Context) error {
	err := m.port.Reset(ctx)
	seen := m.ready
	m.absorb()
	if err != nil {
		return err
	}
	return m.back(ctx, m.ready == seen)
}

// back ends a start: settings, identity, family settings.
func (m *Module) back(ctx context.Context, booting bool) error {
	m.busy = true
	defer func() { m.busy = false }()
	if err := m.bringUp(ctx, booting); err != nil {
		return err
	}
	if err := m.sameModule(ctx); err != nil {
		return err
	}
	return m.settleIn(ctx)
}
