package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"linefit/rework"
	"linefit/station"
	"linefit/station/text"
	"linefit/ui"
	"linefit/ui/client"
)

// tape is a terminal that remembers everything.
type tape struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{}
}

func (p *tape) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() {
		select {
		case p.more <- struct{}{}:
		default:
		}
	}()
	return p.buf.Write(b)
}

// await returns when a text was drawn.
func (p *tape) await(t *testing.T, want string) {
	for {
		p.mu.Lock()
		found := strings.Contains(p.buf.String(), want)
		p.mu.Unlock()
		if found {
			return
		}
		select {
		case <-p.more:
		case <-t.Context().Done():
			t.Fatalf("%q was not drawn", want)
		}
	}
}

// recorded is a station that was.
type recorded struct {
	views []station.View
	shown func()
}

func (recorded) Address() string { return "unix:/run/linefit.sock" }
func (r recorded) Watch(ctx context.Context, fn func(client.Snapshot)) {
	for _, v := range r.views {
		fn(client.Snapshot{View: v, At: time.Unix(0, 0)})
		r.shown()
	}
	<-ctx.Done()
}
func (recorded) Do(context.Context, station.Command) (client.Reply, error) {
	return client.Reply{}, station.Refuse(station.ScanInvalid, "no barcode of linefit")
}
func (recorded) Unit(context.Context, string) (client.Unit, error)     { return client.Unit{}, nil }
func (recorded) SignOn(context.Context, string) (station.Actor, error) { return "", nil }
func (recorded) Tickets(context.Context, rework.Filter) ([]station.Ticket, error) {
	return nil, nil
}

// screens shows what the operator saw, with a code scanned into the scan field.
func (s *spy) screens(t *testing.T, views []station.View) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &tape{more: make(chan struct{}, 1)}
	in, keyboard := io.Pipe()
	shown := make(chan struct{}, len(views))
	done := make(chan error, 1)
	go func() {
		done <- ui.Run(ctx, ui.Options{Source: recorded{views, func() { shown <- struct{}{} }}, Lang: text.English},
			ui.Terminal{In: in, Out: out, Env: []string{"TERM=xterm-256color"}, Width: 120, Height: 40})
	}()
	for range views {
		<-shown
	}
	if _, err := keyboard.Write([]byte("LPA:1$smdp.linefit.test$CANARY-MATCH-05-Q7X\r")); err != nil {
		t.Error(err)
	}
	out.await(t, "no barcode of linefit")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	_ = keyboard.Close()
	s.see("screen", out.buf.Bytes())
}
