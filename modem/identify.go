package modem

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"linefit/atcmd"
	"linefit/modem/ident"
)

// identify asks who the module is and chooses its quirks.
func (m *Module) identify(ctx context.Context) error {
	var err error
	if m.maker == "" {
		if err := m.askMaker(ctx); err != nil {
			return err
		}
	}
	id := Identity{Maker: m.maker}
	m.maker = ""
	if id.Model, err = m.askName(ctx, "model", m.quirks.Identify.Model); err != nil {
		return err
	}
	// How to ask for the firmware depends on the family, and the family may
	// depend on the firmware.
	if m.quirks, err = m.table.For(id.Maker, id.Model, ""); err != nil {
		return err
	}
	if !m.slow {
		m.gap = 0
	}
	m.port.Configure(m.portOptions(false))
	if id.Firmware, err = m.askName(ctx, "firmware", m.quirks.Identify.Firmware); err != nil {
		return err
	}
	if m.quirks, err = m.table.For(id.Maker, id.Model, id.Firmware); err != nil {
		return err
	}
	id.IMEI, err = m.askIMEI(ctx)
	if err != nil && !(m.opt.AllowNoIMEI && isIdentity(err)) {
		return err
	}
	if m.opt.IMEI != "" && id.IMEI != m.opt.IMEI {
		return &OtherModuleError{Want: m.opt.IMEI, Got: id.IMEI}
	}
	m.id, m.gap = id, 0
	return nil
}

// askMaker finds out whose module it is, and with that what its family may need
// between commands.
func (m *Module) askMaker(ctx context.Context) error {
	maker, err := m.askName(ctx, "maker", m.quirks.Identify.Maker)
	if err != nil {
		return err
	}
	m.maker = maker
	if m.gap > 0 && !m.slow {
		m.gap = m.table.makerGap(maker)
		m.port.Configure(m.portOptions(false))
	}
	return nil
}

func isIdentity(err error) bool {
	var e *IdentityError
	return errors.As(err, &e)
}

// query makes the command of an Ask; shape accepts an answer without a prefix.
func (m *Module) query(ask Ask, shape func(string) bool) atcmd.Command {
	cmd := atcmd.Command{Text: ask.Command, Prefix: ask.Prefix, Bare: shape, Require: true}
	if cmd.Prefix == "" {
		cmd.Prefix = strings.TrimPrefix(cmd.Name(), "AT")
	}
	cmd.Timeout = m.quirks.Deadline(cmd.Name())
	return cmd
}

// ask tries queries in order until one is answered and the answer is accepted.
// Only a module's refusal or an answer of the wrong kind leads to the next.
func (m *Module) ask(ctx context.Context, what string, asks []Ask, shape func(string) bool, accept func(atcmd.Response) error) error {
	var last error
	for _, a := range asks {
		resp, err := m.Do(ctx, m.query(a, shape))
		if err == nil {
			err = accept(resp)
		}
		if err == nil {
			return nil
		}
		if errors.Is(err, atcmd.ErrUnknown) || !answered(err) && !errors.Is(err, ErrAnswer) {
			return fmt.Errorf("%s: %w", what, err)
		}
		last = err
	}
	return &IdentityError{what, last}
}

// read is Do for a query of a module that is known. OK without an answer, which
// some give when they have none, poisons the port, for nobody knows what the OK
// belonged to; a query changes nothing, so the line is put in order at once.
func (m *Module) read(ctx context.Context, cmd atcmd.Command) (atcmd.Response, error) {
	resp, err := m.Do(ctx, cmd)
	if !errors.Is(err, atcmd.ErrNoAnswer) {
		return resp, err
	}
	if err := m.Resync(ctx); err != nil {
		return resp, err
	}
	return resp, fmt.Errorf("%s: %w: OK alone", cmd.Name(), ErrAnswer)
}

func (m *Module) askName(ctx context.Context, what string, asks []Ask) (string, error) {
	var name string
	err := m.ask(ctx, what, asks, looksLikeName, func(r atcmd.Response) error {
		for _, label := range []string{"Manufacturer:", "Model:", "Revision:"} {
			if rest, ok := strings.CutPrefix(r.Value(), label); ok {
				name = strings.TrimSpace(rest)
				return nil
			}
		}
		name = strings.Trim(r.Value(), `" `)
		if !looksLikeName(name) {
			return fmt.Errorf("%w: %q", ErrAnswer, name)
		}
		return nil
	})
	return name, err
}

// looksLikeName is the shape of a maker, model or firmware name. Lines that are
// somebody else's have a shape of their own: a command, or "+NAME:" and the like.
func looksLikeName(s string) bool {
	if len(s) == 0 || len(s) > 128 || strings.HasPrefix(s, "AT+") {
		return false
	}
	if strings.IndexByte("+^*%#!$&", s[0]) >= 0 && strings.Contains(s, ":") {
		return false
	}
	return strings.ContainsFunc(s, func(r rune) bool {
		return '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
	})
}

func (m *Module) askIMEI(ctx context.Context) (ident.IMEI, error) {
	var imei ident.IMEI
	err := m.ask(ctx, "IMEI", m.quirks.Identify.IMEI, looksLikeIMEI, func(r atcmd.Response) (err error) {
		imei, err = parseIMEI(r)
		return err
	})
	return imei, err
}

// looksLikeIMEI accepts what may stand for an IMEI without a prefix: the digits,
// in quotes or not, of an IMEI, an IMEISV or a serial number.
func looksLikeIMEI(s string) bool {
	s = strings.Trim(s, `"`)
	return len(s) >= 8 && len(s) <= 20 && strings.Trim(s, "0123456789") == ""
}

// parseIMEI takes an IMEI of 15 digits with a valid check digit and nothing
// else: an IMEISV has no check digit, a serial number is another thing.
func parseIMEI(r atcmd.Response) (ident.IMEI, error) {
	text := strings.Trim(r.Value(), `" `)
	imei, err := ident.ParseIMEI(text)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return imei, nil
}

// sameModule reads the IMEI again.
func (m *Module) sameModule(ctx context.Context) error {
	imei, err := m.askIMEI(ctx)
	switch {
	case err != nil && (m.id.IMEI != "" || !isIdentity(err)):
		return err
	case err == nil && imei != m.id.IMEI:
		return &OtherModuleError{Want: m.id.IMEI, Got: imei}
	}
	return nil
}

// Resync makes a poisoned port usable again: it drains the line and waits for
// the answer to a query that no other command's answer can be taken for, the
// module's own IMEI (its model, while it has none). If that fails, only a reset
// or the power helps. [ErrRestarted] says that the line is in order and the
// module has started anew.
func (m *Module) Resync(ctx context.Context) error {
	q := m.alignment()
	valid := q.Valid
	q.Valid = func(r atcmd.Response) error {
		if err := valid(r); err != nil {
			return err
		}
		if got, _ := parseIMEI(r); got != m.id.IMEI {
			return &OtherModuleError{Want: m.id.IMEI, Got: got}
		}
		return nil
	}
	if m.id.IMEI == "" {
		q.Command = m.query(m.quirks.Identify.Model[0], looksLikeName)
		q.Valid = func(r atcmd.Response) error {
			if strings.Trim(r.Value(), `" `) != m.id.Model {
				return fmt.Errorf("%w: not the module's model", ErrAnswer)
			}
			return nil
		}
	}
	_, err := m.port.Resync(ctx, q)
	m.absorb()
	if err == nil && m.lost {
		return ErrRestarted
	}
	return err
}

// alignment is a query that only an IMEI answers, whichever.
func (m *Module) alignment() atcmd.Query {
	q := atcmd.Query{Command: m.query(m.quirks.Identify.IMEI[0], looksLikeIMEI)}
	q.Numeric = true
	q.Valid = func(r atcmd.Response) error {
		_, err := parseIMEI(r)
		return err
	}
	return q
}
