package modem

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"linefit/atcmd"
)

// FunctionalityLevel reads the level of +CFUN (3GPP TS 27.007 section 8.2).
func (m *Module) FunctionalityLevel(ctx context.Context) (int, error) {
	resp, err := m.read(ctx, m.query(m.quirks.Radio.Query, nil))
	if err != nil {
		return 0, err
	}
	field, _, _ := strings.Cut(resp.Value(), ",")
	level, err := strconv.ParseUint(strings.TrimSpace(field), 10, 8)
	if err != nil {
		return 0, fmt.Errorf("%w: functionality level %.20q", ErrAnswer, field)
	}
	return int(level), nil
}

// RadioIsOff reads back whether the radio is off.
func (m *Module) RadioIsOff(ctx context.Context) (bool, error) {
	level, err := m.FunctionalityLevel(ctx)
	return err == nil && slices.Contains(m.quirks.Radio.OffLevels, level), err
}

// RadioOff switches the radio off, with the card still in reach, and returns
// when that was read back; a *RadioError otherwise.
func (m *Module) RadioOff(ctx context.Context) error {
	for _, text := range m.quirks.Radio.Off {
		if err := m.command(ctx, text); err != nil {
			return err
		}
	}
	return m.proveLevel(ctx, m.quirks.Radio.OffLevels)
}

// RadioOn switches the radio on and returns when that was read back and the
// family's settle time has passed.
func (m *Module) RadioOn(ctx context.Context) error {
	for _, text := range m.quirks.Radio.On {
		if err := m.command(ctx, text); err != nil {
			return err
		}
	}
	if m.quirks.Radio.OnSettle > 0 {
		if err := m.wait(ctx, m.quirks.Radio.OnSettle); err != nil {
			return err
		}
	}
	return m.proveLevel(ctx, m.quirks.Radio.OnLevels)
}

// hush switches the radio off as soon as the module answers, before it is known
// which family it is: it would register while it is being identified.
func (m *Module) hush(ctx context.Context) error {
	for _, text := range m.quirks.Radio.Off {
		if err := m.command(ctx, text); err != nil && !answered(err) {
			return err
		}
		m.hushed = append(m.hushed, text)
	}
	return nil
}

// proveRadioOff is [Module.RadioOff] after hush: once the family is known, its
// own commands are sent if they are others, and the level is read back.
func (m *Module) proveRadioOff(ctx context.Context) error {
	rest := m.quirks.Radio.Off
	if len(m.hushed) <= len(rest) && slices.Equal(m.hushed, rest[:len(m.hushed)]) {
		rest = rest[len(m.hushed):]
	}
	for _, text := range rest {
		if err := m.command(ctx, text); err != nil {
			return err
		}
	}
	return m.proveLevel(ctx, m.quirks.Radio.OffLevels)
}

// proveLevel reads the level until it is one of those wanted.
func (m *Module) proveLevel(ctx context.Context, levels []int) error {
	for until := time.Now().Add(m.quirks.Radio.Limit); ; {
		level, err := m.FunctionalityLevel(ctx)
		if err != nil {
			return err
		}
		if slices.Contains(levels, level) {
			return nil
		}
		if !time.Now().Before(until) {
			return &RadioError{Want: levels, Got: level}
		}
		if err := m.wait(ctx, m.quirks.SIM.Poll); err != nil {
			return err
		}
	}
}

// SaveSettings makes the module write its settings to non-volatile memory, the
// way its family does. On some families this switches the card off (nRF91:
// CFUN=0), so it is the last thing before [Module.PowerDown] or the cut of the
// power.
func (m *Module) SaveSettings(ctx context.Context) error {
	for _, text := range m.quirks.Power.Save {
		if err := m.command(ctx, text); err != nil {
			return fmt.Errorf("save settings: %w", err)
		}
	}
	if m.quirks.Power.SaveWait > 0 {
		return m.wait(ctx, m.quirks.Power.SaveWait)
	}
	return nil
}

// PowerDown switches the module off in good order, where its family has a
// command for that, and returns when power may be cut: its line came, its port
// went away, or its time has passed.
func (m *Module) PowerDown(ctx context.Context) error {
	if m.quirks.Power.Down == "" {
		return nil
	}
	m.absorb()
	m.down = false
	err := m.command(ctx, m.quirks.Power.Down)
	if err == nil && !m.down {
		_, err = m.listen(ctx, m.quirks.Power.DownLimit, func(atcmd.URC) bool { return m.down })
	}
	if err != nil && !errors.Is(err, atcmd.ErrGone) {
		return fmt.Errorf("power down: %w", err)
	}
	return nil
}
