package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"linefit/atcmd"
	"linefit/internal/pause"
	"linefit/modem"
	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/ident"
	"linefit/modem/wire"
)

// unit is a module on an open port, with the ways to its card. It has one user;
// close ends it.
type unit struct {
	a      *app
	c      *euiccCmd
	module *modem.Module // nil when what answers tells nobody what it is
	port   *atcmd.Port
	exec   apdu.Executor
	id     modem.Identity
	routes []apdu.Route
	trace  *traceFile
}

// open opens the port and finds out what is on it.
func (c *euiccCmd) open(a *app) (*unit, error) {
	if c.Block < 0 || c.Block > 255 {
		return nil, exit(exitUsage, errors.New("--block: 1 to 255"))
	}
	table, err := c.quirks()
	if err != nil {
		return nil, err
	}
	if c.Persona != "" {
		if _, err := table.Named(c.Persona); err != nil {
			return nil, exit(exitUsage, err)
		}
	}
	u := &unit{a: a, c: c}
	if u.trace, err = c.openTrace(); err != nil {
		return nil, err
	}
	if err := u.attach(table); err != nil {
		return nil, errors.Join(err, u.trace.close())
	}
	return u, nil
}

func (u *unit) attach(table *modem.Table) error {
	rwc, err := u.c.openPort(u.a.ctx)
	if err != nil {
		return err
	}
	cold := u.c.via != nil // in a station's slot it was started just now, and nothing may register
	m, err := modem.Attach(u.a.ctx, rwc, table, modem.Options{Quirk: u.c.Persona, AllowNoIMEI: true, Booting: cold, RadioOff: cold, Trace: u.trace.ofAT()})
	var nobody *modem.IdentityError
	switch {
	case err == nil:
		u.module, u.port, u.exec, u.id = m, m.AT(), m, m.Identity()
		q := m.Quirks()
		u.routes = u.chosen(q.Routes())
		return nil
	case errors.As(err, &nobody), apdu.RefusedByModule(err):
		return u.attachNobody(table, err)
	}
	return err
}

// attachNobody talks to something that runs AT commands and does not say what
// it is, such as a reader that only knows the APDU commands.
func (u *unit) attachNobody(table *modem.Table, cause error) error {
	name := u.c.Persona
	if name == "" {
		name = "generic"
	}
	q, err := table.Named(name)
	if err != nil {
		return err
	}
	rwc, err := u.c.openPort(u.a.ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(u.a.stderr, "the module does not say what it is (%v); it is taken for %s\n", cause, name)
	u.port = atcmd.Open(rwc, atcmd.Options{Trace: u.trace.ofAT()})
	for _, text := range []string{"ATE0", "AT+CMEE=1"} {
		if _, err := u.port.Do(u.a.ctx, atcmd.Command{Text: text, Timeout: 3 * time.Second}); errors.Is(err, atcmd.ErrUnknown) {
			return errors.Join(err, u.port.Close())
		}
	}
	u.exec, u.routes = u.port, u.chosen(q.Routes())
	return nil
}

// chosen applies --route and --block.
func (u *unit) chosen(routes []apdu.Route) []apdu.Route {
	var out []apdu.Route
	for _, r := range routes {
		if u.c.Route == "auto" || u.c.Route == r.Kind.String() {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		r := routes[0]
		_ = r.Kind.UnmarshalText([]byte(u.c.Route))
		out = append(out, r)
	}
	for i := range out {
		if u.c.Block > 0 {
			out[i].BlockSize, out[i].TryBlock = u.c.Block, 0
		}
	}
	return out
}

// channel opens a channel to an application. A card that the module has switched
// off is switched on, and a module whose own assistant holds the ISD-R is asked
// to let go of it, once.
func (u *unit) channel(ctx context.Context, aid []byte) (*apdu.Channel, error) {
	ch, err := u.open(ctx, aid)
	for _, help := range []struct {
		do   func(context.Context) (bool, error)
		said string
	}{
		{u.module.CardOn, "the card was off: it was switched on, with the radio off"},
		{u.module.UnlockISDR, "the module's own profile assistant was told to let go of the eUICC"},
	} {
		if err == nil || u.module == nil || !apdu.RefusedByModule(err) && !errors.Is(err, apdu.ErrRefused) || errors.Is(err, apdu.ErrUnknown) || ctx.Err() != nil {
			return ch, err
		}
		done, herr := help.do(ctx)
		if herr != nil {
			return nil, errors.Join(err, herr)
		}
		if done {
			fmt.Fprintln(u.a.stderr, help.said)
			ch, err = u.open(ctx, aid)
		}
	}
	return ch, err
}

// open opens a channel, again while the module is busy with its card.
func (u *unit) open(ctx context.Context, aid []byte) (ch *apdu.Channel, err error) {
	err = u.again(ctx, func() (retry bool, err error) {
		ch, err = apdu.Open(ctx, u.exec, aid, apdu.Options{Trace: u.trace.ofAPDUs()}, u.routes...)
		return apdu.SIMBusy(err), err
	})
	return ch, err
}

// A module that reads its card anew answers SIM busy for a while, with no line
// at its end.
const (
	busyLimit = 30 * time.Second
	busyPoll  = 300 * time.Millisecond
)

// card opens the ISD-R and runs work on it. The channel is closed in any case.
func (u *unit) card(ctx context.Context, work func(*euicc.Card) error) error {
	ch, err := u.channel(ctx, wire.AIDISDR)
	if err != nil {
		return err
	}
	err = work(euicc.OnChannel(ch))
	if closeErr := ch.Close(ctx); closeErr != nil {
		fmt.Fprintf(u.trace, "# closing the channel: %v\n", closeErr)
	}
	return err
}

// reading is card for work that changes nothing and may therefore be done again:
// a card that is reset in the middle of it, as by a REFRESH that was asked for
// earlier, answers SIM busy or has lost the channel.
func (u *unit) reading(ctx context.Context, work func(*euicc.Card) error) error {
	lost := 0
	return u.again(ctx, func() (retry bool, err error) {
		err = u.card(ctx, work)
		if channelLost(err) {
			lost++
		}
		return apdu.SIMBusy(err) || channelLost(err) && lost < 3, err
	})
}

// again does try over as long as it asks for that, for at most busyLimit.
func (u *unit) again(ctx context.Context, try func() (retry bool, err error)) error {
	for deadline := time.Now().Add(busyLimit); ; {
		retry, err := try()
		if !retry || !time.Now().Before(deadline) {
			return err
		}
		if perr := pause.For(ctx, busyPoll); perr != nil {
			return errors.Join(err, perr)
		}
		if serr := u.settle(ctx); serr != nil {
			return errors.Join(err, serr)
		}
	}
}

// channelLost: the card was reset under an open channel. The module then has no
// such session, or the card says that the channel is not open.
func channelLost(err error) bool {
	var cme *atcmd.CMEError
	if errors.As(err, &cme) {
		return cme.Code == atcmd.CMEInvalidIndex || cme.Code == atcmd.CMENotFound
	}
	var status *euicc.StatusError
	return errors.As(err, &status) && status.SW == wire.SWChannelNotSupported
}

// settle makes the port usable after a command without an answer.
func (u *unit) settle(ctx context.Context) error {
	if u.port.Err() == nil {
		return nil
	}
	if u.module != nil {
		err := u.module.Resync(ctx)
		if errors.Is(err, modem.ErrRestarted) {
			err = u.module.Recover(ctx)
		}
		return err
	}
	_, err := u.port.Resync(ctx, atcmd.Query{Command: atcmd.Command{Text: "AT", Timeout: 3 * time.Second}})
	return err
}

// refreshes counts the REFRESH lines that the module has shown.
func (u *unit) refreshes() int {
	if u.module == nil {
		return 0
	}
	return u.module.Refreshes()
}

// afterRefresh waits until the module has read the card again, after a command
// that asked for it when the module had shown since REFRESH lines.
func (u *unit) afterRefresh(ctx context.Context, since int) {
	if u.module == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, busyLimit)
	defer cancel()
	if _, err := u.module.AwaitRefresh(ctx, since); errors.Is(err, modem.ErrRestarted) {
		_ = u.module.Recover(ctx)
	}
}

func (u *unit) close() error {
	var err error
	if u.module != nil {
		err = u.module.Close()
	} else if u.port != nil {
		err = u.port.Close()
	}
	err = errors.Join(err, u.trace.close())
	if lost := u.trace.lost(); lost != nil {
		u.a.lost(lost)
	}
	return err
}

// imei is the unit's IMEI where the module tells one.
func (u *unit) imei(ctx context.Context) ident.IMEI {
	if u.id.IMEI != "" || u.module != nil {
		return u.id.IMEI
	}
	resp, err := u.port.Do(ctx, atcmd.Command{Text: "AT+CGSN", Prefix: "+CGSN", Timeout: 3 * time.Second, Bare: func(s string) bool { return len(s) == 15 }})
	if err != nil {
		return ""
	}
	imei, err := ident.ParseIMEI(resp.Value())
	if err != nil {
		return ""
	}
	return imei
}
