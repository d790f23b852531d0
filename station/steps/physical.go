package steps

import (
	"context"
	"errors"
	"time"

	"linefit/modem"
	"linefit/station"
)

// clamp waits until the unit is in the slot and closes the clamp.
func clamp(ctx context.Context, s *session, _ *station.Attempt) station.StepResult {
	for {
		present, err := s.fx.Present(ctx)
		if err != nil {
			return failed(err, station.FixtureFault)
		}
		if present {
			break
		}
		select {
		case <-s.fx.Edges():
		case <-ctx.Done():
			return hold(station.UnitAbsent, "no unit was put into the slot")
		}
	}
	if err := s.fx.Clamp(ctx, true); err != nil {
		return failed(err, station.FixtureFault)
	}
	return ok()
}

func power(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	var err error
	if a.Step.Text("state") == "on" {
		err = s.coldStart(ctx, a.Step.Duration("off", 0))
	} else {
		err = s.setSupply(ctx, false)
	}
	if err != nil {
		return failed(err, station.FixtureFault)
	}
	return ok()
}

// boot opens the port and brings the module to a known state, radio off before
// anything else.
func boot(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	if err := s.boot(ctx, a.Run); err != nil {
		return failed(err, station.ModuleSilent)
	}
	return ok(number("boot_ms", time.Since(s.since).Milliseconds()))
}

func (s *session) boot(ctx context.Context, run *station.Run) error {
	s.closeCard(ctx)
	if s.module != nil {
		_ = s.module.Close()
		s.module = nil
	}
	rwc, err := s.openPort(ctx)
	if err != nil {
		return err
	}
	// The run's identity may be an earlier process's: who stands here now may start
	// in another way, and be on the air before that family's ready line is due.
	m, err := modem.Attach(ctx, rwc, s.bench.opt.Quirks, modem.Options{
		Quirk: s.bench.opt.Quirk, Booting: true, RadioOff: true, Trace: s.trace.at, Known: s.known,
	})
	if err != nil {
		return err
	}
	if known := run.Identity.IMEI; known != "" && m.Identity().IMEI != known {
		return errors.Join(&modem.OtherModuleError{Want: known, Got: m.Identity().IMEI}, m.Close())
	}
	s.module, s.known, s.suspect, s.refreshing = m, m.Identity(), false, false
	return nil
}

// usable is the open module, brought back where it has restarted by itself or
// its port was poisoned.
func (s *session) usable(ctx context.Context) (*modem.Module, error) {
	if s.module == nil {
		return nil, errNoModule
	}
	if s.module.AT().Err() == nil {
		return s.module, nil
	}
	if err := s.module.Resync(ctx); err != nil {
		return nil, err
	}
	return s.module, nil
}

var errNoModule = errors.New("the module was not brought up before this step")

func radioOff(ctx context.Context, s *session, _ *station.Attempt) station.StepResult {
	m, err := s.usable(ctx)
	if err != nil {
		return failed(err, station.ModuleSilent)
	}
	if off, err := m.RadioIsOff(ctx); err == nil && off {
		return ok()
	}
	if err := m.RadioOff(ctx); err != nil {
		return failed(err, station.ModuleRadio)
	}
	return ok()
}

// restart is the cold restart by fixture power: what is stored is what a cold
// unit shows.
func restart(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	s.closeCard(ctx)
	if err := s.coldStart(ctx, a.Step.Duration("off", 0)); err != nil {
		return failed(err, station.FixtureFault)
	}
	if err := s.boot(ctx, a.Run); err != nil {
		return failed(err, station.ModuleSilent)
	}
	return ok(number("boot_ms", time.Since(s.since).Milliseconds()))
}

// shipState leaves the module as the customer is to get it, and reads it back.
func shipState(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	m, err := s.usable(ctx)
	if err != nil {
		return failed(err, station.ModuleSilent)
	}
	s.closeCard(ctx)
	if a.Step.Text("radio") == "on" {
		// The module starts with its radio on by itself; saved settings must
		// not say otherwise. Here it stays quiet until its supply is cut.
		if err := m.SaveSettings(ctx); err != nil {
			return failed(err, station.ModuleSettings)
		}
		return ok()
	}
	off, err := m.RadioIsOff(ctx)
	if err != nil {
		return failed(err, station.ModuleSettings)
	}
	if !off {
		return fail(station.ModuleRadio, "the radio is on before shipping")
	}
	if err := m.SaveSettings(ctx); err != nil {
		return failed(err, station.ModuleSettings)
	}
	return ok()
}

// powerDown shuts the module down in order; one that is not up needs none.
func powerDown(ctx context.Context, s *session, _ *station.Attempt) station.StepResult {
	if s.module == nil {
		return skipped()
	}
	s.closeCard(ctx)
	m, err := s.usable(ctx)
	if err != nil {
		return failed(err, station.ModuleSilent)
	}
	if err := m.PowerDown(ctx); err != nil {
		return failed(err, station.ModuleSilent)
	}
	return ok()
}
