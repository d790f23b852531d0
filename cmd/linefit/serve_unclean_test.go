package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"linefit/audit"
	"linefit/station"
	"linefit/station/mes"
	"linefit/ui/client"
)

// daemon is a station whose one slot has no hardware.
type daemon struct {
	t      *testing.T
	config string
	data   string
	stop   context.CancelFunc
	code   chan int
	errs   *lockedBuffer
}

// lockedBuffer takes what several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func bareStation(t *testing.T, more string) (config, data string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "lf") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	recipe, err := filepath.Abs("../../configs/recipes/consumer.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config, data = filepath.Join(dir, "station.yaml"), filepath.Join(dir, "store")
	text := fmt.Sprintf(`station: {name: st-1, data: %s, origin: test.example/st-1}
slots:
  - {id: 1, port: {path: /dev/null}, gpio: {power: {name: NOT_HERE}}}
recipe: %s
mes: none
api: {socket: %s%s}
`, data, recipe, filepath.Join(dir, "sock"), more)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config, data
}

func startDaemon(t *testing.T, config, data string) *daemon {
	t.Helper()
	d := &daemon{t: t, config: config, data: data, code: make(chan int, 1), errs: &lockedBuffer{}}
	var ctx context.Context
	ctx, d.stop = context.WithCancel(t.Context())
	go func() {
		var out bytes.Buffer
		d.code <- run(ctx, []string{"serve", "--config", config}, nil, &out, d.errs)
	}()
	t.Cleanup(d.stop)
	return d
}

// view waits until the daemon answers as wanted.
func (d *daemon) view(want func(station.View) bool) station.View {
	d.t.Helper()
	c, err := client.New(client.Options{Address: "unix:" + filepath.Join(filepath.Dir(d.config), "sock")})
	if err != nil {
		d.t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(d.t.Context(), hangs)
	defer cancel()
	var last station.View
	c.Watch(ctx, func(s client.Snapshot) {
		if s.Err == nil {
			if last = s.View; want(last) {
				cancel()
			}
		}
	})
	if !want(last) {
		d.t.Fatalf("%+v\n%s", last, d.errs)
	}
	return last
}

func (d *daemon) end() int {
	d.t.Helper()
	d.stop()
	return <-d.code
}

func cliRun(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, nil, &out, &errs)
	return code, out.String() + errs.String()
}

func health(h station.Health) func(station.View) bool {
	return func(v station.View) bool { return v.Health == h }
}

// A log that is not what it must be is shown, starts nothing, and goes on when
// two people have decided so.
func TestServeUnclean(t *testing.T) {
	config, data := bareStation(t, "")
	d := startDaemon(t, config, data)
	d.view(health(station.HealthOK))
	if code := d.end(); code != exitOK {
		t.Fatalf("exit %d\n%s", code, d.errs)
	}
	segs, err := filepath.Glob(filepath.Join(data, "segments", "*.seg"))
	if err != nil || len(segs) != 1 {
		t.Fatal(segs, err)
	}
	b, err := os.ReadFile(segs[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 4
	if err := os.WriteFile(segs[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := cliRun(t, "run", "--config", config, "--unit", "SN1", "--slot", "1"); code != exitVerdict || !strings.Contains(out, "audit accept") {
		t.Fatalf("run: exit %d, %s", code, out)
	}
	d = startDaemon(t, config, data)
	d.view(health(station.HealthReadOnly))
	if code := d.end(); code != exitVerdict {
		t.Fatalf("a damaged log at the end: exit %d\n%s", code, d.errs)
	}
	d = startDaemon(t, config, data)
	d.view(health(station.HealthReadOnly))
	code, out := cliRun(t, "audit", "accept", "--config", config, "--json")
	var alarm mes.AlarmBody
	if err := json.Unmarshal([]byte(out), &alarm); err != nil || code != exitVerdict || len(alarm.Findings) == 0 || alarm.Findings[0].Code != audit.FindFrame {
		t.Fatalf("exit %d, %s", code, out)
	}
	accept := func(by, with, role, digest string) (int, string) {
		return cliRun(t, "audit", "accept", "--config", config, "--by", by, "--with", with, "--role", role, "--digest", digest, "--why", "disk replaced")
	}
	for _, c := range []struct {
		by, with, role, digest string
		code                   int
	}{
		{"a", "b", "lead", alarm.Digest, exitRefused},
		{"a", "a", "qa", alarm.Digest, exitRefused},
		{"a", "b", "qa", "0123456789abcdef", exitVerdict},
		{"a", "", "qa", alarm.Digest, exitUsage},
		{"a", "b", "qa", alarm.Digest, exitOK},
		{"a", "b", "qa", alarm.Digest, exitUsage}, // nothing is left to accept
	} {
		if code, out := accept(c.by, c.with, c.role, c.digest); code != c.code {
			t.Fatalf("%+v: exit %d, %s", c, code, out)
		}
	}
	d.view(health(station.HealthOK))
	if code := d.end(); code != exitOK {
		t.Fatalf("exit %d\n%s", code, d.errs)
	}
	code, out = cliRun(t, "audit", "verify", "--store", data)
	if code != exitVerdict || !strings.Contains(out, "disk replaced") {
		t.Errorf("what people accepted is told: exit %d, %s", code, out)
	}
}

// eventually waits for what another process brings about.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(hangs); !is(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", hangs, what)
		}
		time.Sleep(20 * time.Millisecond) // another process has nothing to wait on
	}
}
