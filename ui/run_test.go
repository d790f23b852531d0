package ui

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"linefit/station"
	"linefit/station/text"
	"linefit/ui/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// liveSource shows snapshots as a test gives them.
type liveSource struct {
	fakeSource
	snapshots chan client.Snapshot
	asked     chan station.Command
}

func (l *liveSource) Watch(ctx context.Context, fn func(client.Snapshot)) {
	for {
		select {
		case s := <-l.snapshots:
			fn(s)
		case <-ctx.Done():
			return
		}
	}
}

// Do answers only when the screen goes: a screen must not wait for it.
func (l *liveSource) Do(ctx context.Context, cmd station.Command) (client.Reply, error) {
	l.asked <- cmd
	<-ctx.Done()
	return client.Reply{}, ctx.Err()
}

// tape is a terminal's output that a test waits on.
type tape struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{}
}

func (t *tape) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, err := t.buf.Write(p)
	select {
	case t.more <- struct{}{}:
	default:
	}
	return n, err
}

// await returns when a text was written.
func (t *tape) await(tb testing.TB, s string) {
	tb.Helper()
	for {
		t.mu.Lock()
		found := strings.Contains(t.buf.String(), s)
		t.mu.Unlock()
		if found {
			return
		}
		select {
		case <-t.more:
		case <-tb.Context().Done():
			tb.Fatalf("%q was not written", s)
		}
	}
}

// TestRun runs a whole screen on a terminal: snapshots are drawn, scans go out,
// and everything has ended when it returns, also with a command under way.
func TestRun(t *testing.T) {
	for _, end := range []string{"ctrl+c", "context"} {
		t.Run(end, func(t *testing.T) {
			src := &liveSource{fakeSource: fakeSource{t: t}, snapshots: make(chan client.Snapshot), asked: make(chan station.Command)}
			in, keyboard := io.Pipe()
			out := &tape{more: make(chan struct{}, 1)}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				done <- Run(ctx, Options{Source: src, Lang: text.English}, Terminal{In: in, Out: out, Env: []string{"TERM=xterm-256color"}, Width: 80, Height: 24})
			}()
			src.snapshots <- client.Snapshot{View: aView(4), At: epoch}
			out.await(t, "EG25-2609-D003")
			if _, err := keyboard.Write([]byte("SN7\r")); err != nil {
				t.Fatal(err)
			}
			if cmd := <-src.asked; cmd.Kind != station.CmdScan || cmd.Text != "SN7" {
				t.Errorf("%+v", cmd)
			}
			src.snapshots <- client.Snapshot{Err: errLost, At: epoch}
			out.await(t, "NO CONNECTION")
			if end == "context" {
				cancel()
			} else if _, err := keyboard.Write([]byte{3}); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
			_ = keyboard.Close()
		})
	}
}
