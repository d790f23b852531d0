package simtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"linefit/modem/smdpsim"
	"linefit/station"
	"linefit/station/fixture"
	"linefit/station/mes/mestest"
	"linefit/station/sim"
)

// errDead is what a killed process gets for whatever it still tries.
var errDead = errors.New("simtest: the process was killed")

// errFault is the error of a fault that was ordered.
var errFault = errors.New("simtest: fault on command")

// process is one life of the station. Whatever the station reaches of the world
// goes through it, so that a killed one reaches nothing any more.
type process struct {
	line   *Line
	dead   atomic.Bool
	killed chan struct{}
	once   sync.Once
	// supplies are on their way down after a kill.
	supplies sync.WaitGroup

	mu    sync.Mutex // guards what follows
	ports map[*port]bool
}

func newProcess(l *Line) *process {
	return &process{line: l, killed: make(chan struct{}), ports: map[*port]bool{}}
}

// kill may be called by anyone at any moment, by a card in the middle of a
// function too, so it does not wait. With the process go the supplies that it
// held (docs/fixture.md).
func (p *process) kill() {
	p.once.Do(func() {
		p.dead.Store(true)
		close(p.killed)
		for _, slot := range p.line.World.Slots() {
			jig := p.line.World.Jig(slot)
			p.supplies.Go(func() { _ = jig.Halt() }) // never fails
		}
	})
}

// at lets the plan strike. It reports whether what was about to happen goes on,
// and the error that the station gets in the end.
func (p *process) at(names ...Point) (goOn bool, err error) {
	if p.dead.Load() {
		return false, errDead
	}
	how := p.line.plan.at(names...)
	switch {
	case how == "":
		return true, nil
	case how.kills():
		p.kill()
		return !how.before(), errDead
	}
	return !how.before(), errFault
}

// close takes every port away from a dead process.
func (p *process) close() {
	p.mu.Lock()
	ports := p.ports
	p.ports = map[*port]bool{}
	p.mu.Unlock()
	for port := range ports {
		_ = port.ReadWriteCloser.Close() // a port that is gone already
	}
}

// port is an open serial port.
type port struct {
	io.ReadWriteCloser
	p *process
}

func (p *process) open(jig *sim.Jig) (io.ReadWriteCloser, error) {
	if goOn, err := p.at(Point("port/open")); !goOn {
		return nil, err
	}
	rwc, err := jig.Open()
	if err != nil {
		return nil, err
	}
	port := &port{rwc, p}
	p.mu.Lock()
	p.ports[port] = true
	p.mu.Unlock()
	return port, nil
}

func (o *port) Write(b []byte) (int, error) {
	if o.p.dead.Load() {
		return 0, errDead
	}
	return o.ReadWriteCloser.Write(b)
}

func (o *port) Read(b []byte) (int, error) {
	n, err := o.ReadWriteCloser.Read(b)
	if o.p.dead.Load() {
		return 0, errDead
	}
	return n, err
}

func (o *port) Close() error {
	o.p.mu.Lock()
	delete(o.p.ports, o)
	o.p.mu.Unlock()
	return o.ReadWriteCloser.Close()
}

// transport carries requests to SM-DP+ or MES.
type transport struct {
	p    *process
	kind string
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	goOn, err := t.p.at(Point(t.kind + "/" + path.Base(r.URL.Path)))
	if !goOn {
		return nil, err
	}
	if slices.Contains(t.p.line.opt.Hosts, r.URL.Host) {
		r = r.Clone(r.Context())
		r.URL.Host = sim.SMDPHost
	}
	resp, rerr := t.listen(r)
	if err == nil && t.p.dead.Load() {
		err = errDead
	}
	if err != nil {
		if rerr == nil {
			rerr = resp.Body.Close()
		}
		return nil, errors.Join(err, rerr)
	}
	return resp, rerr
}

// listen passes a request on and lets the line's listener hear it.
func (t transport) listen(r *http.Request) (*http.Response, error) {
	wire := t.p.line.opt.Wire
	if wire == nil {
		return t.next.RoundTrip(r)
	}
	var request, reply []byte
	var err error
	if r.Body != nil {
		if request, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(request))
	}
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if reply, err = io.ReadAll(resp.Body); err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	resp.Body = io.NopCloser(bytes.NewReader(reply))
	wire(r.URL.Path, request, reply)
	return resp, nil
}

// jig is a slot's fixture as the station has it.
type jig struct {
	*sim.Jig
	p    *process
	slot int
}

var _ fixture.Fixture = jig{}

// act lets the plan strike at an operation.
func (j jig) act(op string, do func() error) error {
	goOn, err := j.p.at(Fixture(op))
	if goOn {
		err = errors.Join(err, do())
	}
	return err
}

// Power implements fixture.Fixture.
func (j jig) Power(ctx context.Context, on bool) error {
	op := "power-off"
	if on {
		op = "power-on"
	}
	return j.act(op, func() error { return j.Jig.Power(ctx, on) })
}

// Clamp implements fixture.Fixture.
func (j jig) Clamp(ctx context.Context, shut bool) error {
	op := "open"
	if shut {
		op = "clamp"
	}
	return j.act(op, func() error { return j.Jig.Clamp(ctx, shut) })
}

// Lamp implements fixture.Fixture, and watches the pass lamp.
func (j jig) Lamp(ctx context.Context, lamp station.Lamp) error {
	if lamp == station.LampPass && !j.p.dead.Load() {
		j.p.line.passShown(j.slot)
	}
	return j.act("lamp", func() error { return j.Jig.Lamp(ctx, lamp) })
}

// Present implements fixture.Fixture.
func (j jig) Present(ctx context.Context) (present bool, err error) {
	err = j.act("present", func() (err error) {
		present, err = j.Jig.Present(ctx)
		return err
	})
	return present && err == nil, err
}

// Halt implements fixture.Fixture.
func (j jig) Halt() error { return j.act("halt", j.Jig.Halt) }

// Rearm implements fixture.Fixture.
func (j jig) Rearm() error { return j.act("rearm", j.Jig.Rearm) }

// heard is told of every request at the SM-DP+: a session must never be
// cancelled with a reason that ends the order.
func (l *Line) heard(e smdpsim.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = append(l.requests, e)
}

// checkMES is the way to the MES, with both sides held to the document between
// them.
func (l *Line) checkMES() http.RoundTripper {
	c := mestest.Checked(l.World.MES().RoundTripper())
	l.mes = c
	l.t.Cleanup(func() {
		for _, what := range c.Problems() {
			if l.opt.MESBreaks != "" && strings.Contains(what, l.opt.MESBreaks) {
				continue
			}
			l.t.Errorf("against docs/mes-openapi.json: %s", what)
		}
	})
	return c
}

// MESSeen counts what the present process asked the MES, see [mestest.Checker.Seen].
func (l *Line) MESSeen(what string) int { return l.mes.Seen(what) }
