package apdu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"linefit/atcmd"
	"linefit/modem/wire"
)

// terminalCapability announces a local profile assistant in the device with
// user interface, download and discovery (ETSI TS 102 221 section 11.1.19,
// SGP.22 section 5.7.1); without it an eUICC may keep its ES10 functions shut.
var terminalCapability = []byte{0x80, wire.InsTerminalCapability, 0, 0, 0x0A, 0xA9, 0x08, 0x81, 0x00, 0x82, 0x01, 0x01, 0x83, 0x01, 0x07}

// Open selects the application aid on a new logical channel, over the first of
// the routes that works. After a failure it closes leftover channels and tries
// that route once more. It stops at once when the port has become unusable, when
// the module is busy with its card ([SIMBusy]), and when a card said that it has
// no such application (an error matching [ErrNoApplication]).
func Open(ctx context.Context, at Executor, aid []byte, opt Options, routes ...Route) (*Channel, error) {
	var failures []error
	for _, r := range routes {
		if err := r.Check(); err != nil {
			return nil, err
		}
		c, err := openRoute(ctx, at, aid, opt, r.withDefaults())
		if err == nil {
			return c, nil
		}
		failures = append(failures, opened(r.Kind, err))
		if SIMBusy(err) { // whatever the routes before it said, it is worth another try
			slices.Reverse(failures)
			break
		}
		if !refusedByModule(err) && !errors.Is(err, ErrRefused) && !errors.Is(err, ErrAnswer) || errors.Is(err, ErrNoApplication) {
			break
		}
	}
	if len(failures) == 0 {
		return nil, errors.New("APDU open: no route given")
	}
	return nil, errors.Join(failures...)
}

// OpenDirect is [Open] over a raw transmitter.
func OpenDirect(ctx context.Context, card Transmitter, aid []byte, opt Options, route Route) (*Channel, error) {
	route.Kind = Direct
	if err := route.Check(); err != nil {
		return nil, err
	}
	c, err := openManaged(ctx, card, aid, opt, route.withDefaults())
	if err != nil {
		return nil, opened(Direct, err)
	}
	return c, nil
}

// opened makes err an [*Error] if it is none yet.
func opened(kind Kind, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	return &Error{Op: "open", Route: kind, Unknown: errors.Is(err, atcmd.ErrUnknown), Err: err}
}

func openRoute(ctx context.Context, at Executor, aid []byte, opt Options, route Route) (*Channel, error) {
	switch route.Kind {
	case CGLA:
		return openCGLA(ctx, at, aid, opt, route)
	case CSIM:
		return openManaged(ctx, csim{at, route}, aid, opt, route)
	}
	return nil, fmt.Errorf("%w: a %v route needs a transmitter of its own", ErrRefused, route.Kind)
}

// openCGLA lets the module open the channel.
func openCGLA(ctx context.Context, at Executor, aid []byte, opt Options, route Route) (*Channel, error) {
	handle, err := openSession(ctx, at, aid, route.Deadlines.Open)
	if err != nil && refusedByModule(err) && !unsupported(err) && !SIMBusy(err) {
		if err := clearSessions(ctx, at, route); err != nil {
			return nil, err
		}
		handle, err = openSession(ctx, at, aid, route.Deadlines.Open)
	}
	if err != nil {
		return nil, err
	}
	c := newChannel(cgla{at, handle, route}, route, opt)
	if route.PatchCLA {
		c.class = sessionClass(handle)
	}
	c.release = func(ctx context.Context) error {
		if err := closeSession(ctx, at, handle, route.Deadlines.Close); err != nil {
			return &Error{Op: "close", Route: CGLA, Err: err}
		}
		return nil
	}
	return c, nil
}

// clearSessions closes what an earlier program may have left open. A refusal
// means that there was nothing.
func clearSessions(ctx context.Context, at Executor, route Route) error {
	for n := 1; n <= route.MaxChannels; n++ {
		if err := closeSession(ctx, at, fmt.Sprint(n), route.Deadlines.Open); err != nil && !refusedByModule(err) {
			return err
		}
	}
	return nil
}

// openManaged opens the channel by MANAGE CHANNEL and SELECT, once more when the
// card was reset between the two, as by a REFRESH that was asked for earlier: it
// then says that there is no such channel.
func openManaged(ctx context.Context, link Transmitter, aid []byte, opt Options, route Route) (*Channel, error) {
	c, err := openManagedOnce(ctx, link, aid, opt, route)
	var refused *SWError
	if errors.As(err, &refused) && refused.What == whatSelect && refused.SW == wire.SWChannelNotSupported {
		before := c.count
		if c, err = openManagedOnce(ctx, link, aid, opt, route); err == nil {
			c.count = c.count.Add(before)
		}
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// openManagedOnce returns the channel with an error too, for its counters.
func openManagedOnce(ctx context.Context, link Transmitter, aid []byte, opt Options, route Route) (*Channel, error) {
	c := newChannel(link, route, opt)
	if route.TerminalCapability {
		if _, err := c.opening(ctx, terminalCapability); err != nil {
			return c, err
		}
	}
	channel, err := c.manageOpen(ctx)
	if errors.Is(err, ErrNoChannel) {
		if err := c.clearManaged(ctx); err != nil {
			return c, err
		}
		channel, err = c.manageOpen(ctx)
	}
	if err != nil {
		return c, err
	}
	c.release = func(ctx context.Context) error { return c.manageClose(ctx, channel) }
	if err := c.selectApplication(ctx, aid, channel); err != nil {
		return c, errors.Join(err, c.Close(ctx))
	}
	c.class = channelClass(channel)
	return c, nil
}

// opening is one APDU on a channel that is being opened or closed, under the
// deadline for that.
func (c *Channel) opening(ctx context.Context, command []byte) (wire.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.route.Deadlines.Open)
	defer cancel()
	b, err := c.transmit(ctx, "open", command)
	if err != nil {
		return wire.Response{}, err
	}
	n := len(b) - 2
	return wire.Response{Data: b[:n], SW: wire.SW(b[n])<<8 | wire.SW(b[n+1])}, nil
}

func (c *Channel) manageOpen(ctx context.Context) (int, error) {
	r, err := c.opening(ctx, []byte{0, wire.InsManageChannel, 0, 0, 1})
	if err != nil {
		return 0, err
	}
	if !r.SW.OK() {
		return 0, &SWError{whatManage, r.SW}
	}
	if len(r.Data) != 1 || r.Data[0] == 0 || r.Data[0] > 19 {
		return 0, fmt.Errorf("%w: MANAGE CHANNEL gave %d bytes instead of a channel from 1 to 19", ErrAnswer, len(r.Data))
	}
	return int(r.Data[0]), nil
}

func (c *Channel) manageClose(ctx context.Context, channel int) error {
	c.class = func(cla byte) byte { return cla }
	b, err := c.transmit(ctx, "close", []byte{0, wire.InsManageChannel, 0x80, byte(channel), 0})
	if err != nil {
		return err
	}
	if sw := wire.SW(b[len(b)-2])<<8 | wire.SW(b[len(b)-1]); !sw.OK() {
		return &Error{Op: "close", Route: c.route.Kind, Err: &SWError{whatManage, sw}}
	}
	return nil
}

func (c *Channel) clearManaged(ctx context.Context) error {
	for n := 1; n <= c.route.MaxChannels; n++ {
		if _, err := c.opening(ctx, []byte{0, wire.InsManageChannel, 0x80, byte(n), 0}); err != nil {
			return err
		}
	}
	return nil
}

// selectApplication selects by name on the channel. The file control
// information is not fetched when the card keeps it behind 61xx: nothing here
// needs it, and it costs an APDU.
func (c *Channel) selectApplication(ctx context.Context, aid []byte, channel int) error {
	command, err := wire.Command{CLA: channelClass(channel)(0), INS: wire.InsSelect, P1: 0x04, Data: aid}.Append(nil)
	if err != nil {
		return err
	}
	sw, err := c.selectOnce(ctx, command)
	if err != nil || sw.OK() {
		return err
	}
	if !c.route.TerminalCapability {
		if _, err := c.opening(ctx, terminalCapability); err != nil {
			return err
		}
		if sw, err = c.selectOnce(ctx, command); err != nil || sw.OK() {
			return err
		}
	}
	return &SWError{whatSelect, sw}
}

func (c *Channel) selectOnce(ctx context.Context, command []byte) (wire.SW, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.route.Deadlines.Open)
	defer cancel()
	inner, stop := withGrace(ctx, c.route.Deadlines.Grace)
	defer stop()
	start := time.Now()
	r, err := c.one(inner, command)
	took := time.Since(start)
	c.count.Time += took
	c.tracer.done(command, r.SW.Append(r.Data), err, took)
	if err != nil {
		return 0, err
	}
	if _, more := r.SW.More(); more {
		return wire.SWOK, nil
	}
	return r.SW, nil
}
