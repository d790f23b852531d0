package apdu

import (
	"context"
	"errors"
	"fmt"
	"time"

	"linefit/modem/wire"
)

// Transmitter sends one command APDU and returns its response, status word at
// the end. A raw one may answer 61xx, and returns at most 258 bytes where the
// module does not fetch by itself; a
// [*Channel] returns the whole response.
type Transmitter interface {
	Transmit(ctx context.Context, command []byte) (response []byte, err error)
}

// MaxResponse bounds one assembled response in bytes.
const MaxResponse = 64 << 10

// Counters count what went over a channel since it was opened, opening included.
type Counters struct {
	APDUs        int // command APDUs, GET RESPONSE included; CCHO and CCHC are none
	GetResponses int // of them
	BytesOut     int // bytes of command APDUs
	BytesIn      int // bytes of response APDUs
	Time         time.Duration
}

// Add returns the sum of both.
func (c Counters) Add(o Counters) Counters {
	return Counters{c.APDUs + o.APDUs, c.GetResponses + o.GetResponses, c.BytesOut + o.BytesOut, c.BytesIn + o.BytesIn, c.Time + o.Time}
}

// Options are for one channel.
type Options struct {
	// Trace, if set, is called after every APDU from the goroutine that sent it.
	// What it gets is redacted (see [Event]).
	Trace func(Event)
}

// Channel is an application selected on a logical channel. It is not safe for
// use by several goroutines at once. Its owner closes it.
type Channel struct {
	link    Transmitter     // carries one raw APDU
	class   func(byte) byte // puts the channel into a class byte
	release func(context.Context) error
	route   Route
	tracer  tracer
	count   Counters
	getCLA  byte // class byte of GET RESPONSE, without channel
	closed  bool
}

func newChannel(link Transmitter, route Route, opt Options) *Channel {
	return &Channel{
		link: link, route: route, tracer: tracer{emit: opt.Trace}, getCLA: route.GetResponseCLA,
		class: func(cla byte) byte { return cla },
	}
}

// Route returns the route in use, defaults filled in.
func (c *Channel) Route() Route { return c.route }

// Counters returns the counters so far.
func (c *Channel) Counters() Counters { return c.count }

// Transmit sends command, whose class byte names no channel, and returns the
// whole response. See the package's comment for errors.
func (c *Channel) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if c.closed {
		return nil, &Error{Op: "transmit", Route: c.route.Kind, Header: header(command), Err: ErrClosed}
	}
	return c.transmit(ctx, "transmit", command)
}

func (c *Channel) transmit(ctx context.Context, op string, command []byte) ([]byte, error) {
	if len(command) < 4 {
		return nil, &Error{Op: op, Route: c.route.Kind, Err: fmt.Errorf("%w: %d bytes", wire.ErrAPDU, len(command))}
	}
	if err := ctx.Err(); err != nil {
		return nil, &Error{Op: op, Route: c.route.Kind, Header: header(command), Err: err}
	}
	inner, stop := withGrace(ctx, c.route.Deadlines.Grace)
	defer stop()
	start := time.Now()
	response, err := c.conversation(inner, command)
	took := time.Since(start)
	c.count.Time += took
	if err != nil {
		// Opening and closing change nothing on the card that would have to be
		// read back: a refusal is a refusal there.
		unknown := (c.route.Kind == Direct || maybeProcessed(err)) && (op == "transmit" || !refusedByModule(err))
		err = &Error{Op: op, Route: c.route.Kind, Header: header(command), Unknown: unknown, Err: err}
	}
	c.tracer.done(command, response, err, took)
	return response, err
}

// conversation is a command with what belongs to it: 6Cxx once, 61xx until the
// response is whole.
func (c *Channel) conversation(ctx context.Context, command []byte) ([]byte, error) {
	cmd := append([]byte(nil), command...)
	cmd[0] = c.class(cmd[0])
	r, err := c.one(ctx, cmd)
	if err != nil {
		return nil, err
	}
	if n, wrong := r.SW.WrongLe(); wrong {
		if r, err = c.one(ctx, withLe(cmd, n)); err != nil {
			return nil, err
		}
	}
	data := r.Data
	for {
		n, more := r.SW.More()
		if !more {
			return r.SW.Append(data), nil
		}
		before := len(data)
		if r, err = c.getResponse(ctx, n); err != nil {
			return nil, afterCommand(err)
		}
		data = append(data, r.Data...)
		if len(data) > MaxResponse {
			return nil, afterCommand(ErrTooLong)
		}
		if _, again := r.SW.More(); again && len(data) == before {
			return nil, afterCommand(fmt.Errorf("%w: GET RESPONSE makes no progress", ErrAnswer))
		}
	}
}

// getResponse fetches n bytes. A card that does not answer under one class byte
// is asked under the other: fetching changes nothing on the card.
func (c *Channel) getResponse(ctx context.Context, n int) (wire.Response, error) {
	ask := func(cla byte, n int) (wire.Response, error) {
		c.count.GetResponses++
		return c.one(ctx, []byte{c.class(cla), wire.InsGetResponse, 0, 0, byte(n)})
	}
	r, err := ask(c.getCLA, n)
	if err != nil {
		return r, err
	}
	if le, wrong := r.SW.WrongLe(); wrong {
		return ask(c.getCLA, le)
	}
	silent := len(r.Data) == 0 && (r.SW == wire.SWOK || r.SW == wire.SWClaNotSupported || r.SW == wire.SWInsNotSupported)
	if !silent {
		return r, nil
	}
	other := c.getCLA ^ 0x80
	second, err := ask(other, n)
	if err == nil && len(second.Data) > 0 {
		c.getCLA = other
		return second, nil
	}
	return r, err
}

// one is a single raw exchange.
func (c *Channel) one(ctx context.Context, cmd []byte) (wire.Response, error) {
	c.count.APDUs++
	c.count.BytesOut += len(cmd)
	b, err := c.link.Transmit(ctx, cmd)
	if err != nil {
		return wire.Response{}, err
	}
	c.count.BytesIn += len(b)
	n := len(b) - 2
	if n < 0 {
		return wire.Response{}, fmt.Errorf("%w: response of %d bytes", ErrAnswer, len(b))
	}
	return wire.Response{Data: b[:n:n], SW: wire.SW(b[n])<<8 | wire.SW(b[n+1])}, nil
}

// afterCommand marks a failure behind a command that the card has processed.
func afterCommand(err error) error { return fmt.Errorf("%w: %w", errFetch, err) }

var errFetch = errors.New("the response could not be fetched")

// withLe sets the Le byte of a command.
func withLe(cmd []byte, n int) []byte {
	c, err := wire.ParseCommand(cmd)
	if err != nil {
		return cmd
	}
	c.Ne = n
	b, err := c.Append(nil)
	if err != nil {
		return cmd
	}
	return b
}

func header(cmd []byte) string {
	if len(cmd) < 4 {
		return ""
	}
	return fmt.Sprintf("%02X %02X %02X %02X", cmd[0], cmd[1], cmd[2], cmd[3])
}

// Close closes the logical channel. It works under its own deadline, also when
// ctx has ended. A second call does nothing.
func (c *Channel) Close(ctx context.Context) error {
	if c.closed {
		return nil
	}
	c.closed = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.route.Deadlines.Close)
	defer cancel()
	return c.release(ctx)
}

// errGrace is the cause when an APDU outlived its context and the grace.
var errGrace = errors.New("context ended and the grace is over")

// withGrace is ctx with its end put off by grace, so that what is in flight can
// be answered.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, func()) {
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-over:
		case <-timer.C:
			cancel(errGrace)
		}
	})
	return inner, func() {
		stop()
		close(over)
		cancel(nil)
	}
}
