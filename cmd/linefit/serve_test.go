package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// hangs guards against a test that hangs; how fast a loaded machine is decides
// nothing.
const hangs = 5 * time.Minute

// background runs a subcommand until the test ends. Its output comes line by
// line; want is the exit code.
type background struct {
	t    *testing.T
	stop context.CancelFunc
	done chan int
	out  *bufio.Scanner
	rest *io.PipeReader // what the scanner has not taken yet
	in   io.Writer
	err  bytes.Buffer
}

// start runs a subcommand in the background. lines says which output is read:
// "stdout" or "stderr".
func start(t *testing.T, lines string, args ...string) *background {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r, w := io.Pipe()
	inR, inW := io.Pipe()
	b := &background{t: t, stop: stop, done: make(chan int, 1), out: bufio.NewScanner(r), rest: r, in: inW}
	b.out.Buffer(nil, 1<<20)
	var stdout, stderr io.Writer = w, &b.err
	if lines == "stderr" {
		stdout, stderr = &b.err, w
	}
	go func() {
		b.done <- run(ctx, args, inR, stdout, stderr)
		_ = w.Close()
	}()
	t.Cleanup(func() { b.end(); _ = inW.Close() })
	return b
}

// line waits for a line that contains a text.
func (b *background) line(text string) string {
	b.t.Helper()
	for b.out.Scan() {
		if strings.Contains(b.out.Text(), text) {
			return b.out.Text()
		}
	}
	b.t.Fatalf("it ended before it said %q: %s", text, b.err.String())
	return ""
}

// drain lets it say what it likes: nobody waits for a line any more, and it is
// not held up by that.
func (b *background) drain() {
	go func() {
		for b.out.Scan() {
		}
	}()
}

// end stops it, as SIGTERM would, and returns its exit code.
func (b *background) end() int {
	b.stop()
	go func() { _, _ = io.Copy(io.Discard, b.rest) }()
	select {
	case code := <-b.done:
		b.done <- code
		return code
	case <-time.After(hangs):
		b.t.Fatal("it does not end")
		return -1
	}
}

// virtualBench is a station of four slots in a folder, over virtual parts that are
// programs of their own: sim modules, which is the fixture too, and sim smdp.
type virtualBench struct {
	t       *testing.T
	dir     string
	modules *background
	units   []simModule
}

// newVirtualBench starts the virtual parts and writes the station's files. more are
// lines of the station file.
func newVirtualBench(t *testing.T, more ...string) *virtualBench {
	t.Helper()
	b := &virtualBench{t: t, dir: t.TempDir()}
	b.modules = start(t, "stdout", "sim", "modules", "--count", "4", "--persona", "demo-generic", "--json", "--control",
		"--link", filepath.Join(b.dir, "mods"), "--fixture", "unix:"+filepath.Join(b.dir, "fx.sock"))
	var first simModulesStart
	b.decode(b.modules.line("modules"), &first)
	b.modules.drain()
	b.units = first.Modules
	server := start(t, "stdout", "sim", "smdp", "--listen", "127.0.0.1:0", "--count", "6", "--json")
	var offer struct {
		CA, Address string
		Profiles    []struct {
			ICCID string `json:"iccid"`
			Code  string `json:"activation_code"`
		}
	}
	b.decode(server.line("profiles"), &offer)
	server.drain()
	codes := "batch,activation_code,iccid,operator,cap\n"
	for _, p := range offer.Profiles {
		codes += fmt.Sprintf("b1,%s,%s,op,3\n", p.Code, p.ICCID)
	}
	pairs := "serial,imei,eid\n"
	for _, u := range b.units {
		pairs += fmt.Sprintf("U%d,%s,%s\n", u.Slot, u.IMEI, u.EID)
	}
	b.write("codes.csv", codes)
	b.write("units.csv", pairs)
	b.write("token", "a-token-of-the-bench-0123456789\n")
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	file := "station: {name: bench, data: store}\nslots:\n"
	for _, u := range b.units {
		file += fmt.Sprintf("  - {id: %d, port: {path: mods/slot%d}, fixture: {unix: fx.sock}}\n", u.Slot, u.Slot)
	}
	file += fmt.Sprintf("recipe: %s/configs/recipes/consumer.yaml\npolicy: %s/configs/policies/default.yaml\nunits: units.csv\n"+
		"audit: {key: audit.key}\nvault: {key: vault.key}\napi: {socket: st.sock}\n"+
		"smdp: {hosts: [%q], ci: [%s], test_ci: true}\n", repo, repo, offer.Address, offer.CA)
	b.write("station.yaml", file+strings.Join(append(more, ""), "\n"))
	return b
}

func (b *virtualBench) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *virtualBench) decode(text string, v any) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		b.t.Fatalf("%v: %s", err, text)
	}
}

func (b *virtualBench) file() string { return filepath.Join(b.dir, "station.yaml") }

// linefit runs a subcommand to its end.
func (b *virtualBench) linefit(code int, out any, args ...string) (stdout, stderr string) {
	b.t.Helper()
	var o, e bytes.Buffer
	ctx, cancel := context.WithTimeout(b.t.Context(), hangs)
	defer cancel()
	if got := run(ctx, args, strings.NewReader(""), &o, &e); got != code {
		b.t.Fatalf("%v: exit %d, want %d\n%s%s", args, got, code, o.String(), e.String())
	}
	if out != nil {
		b.decode(o.String(), out)
	}
	return o.String(), e.String()
}

func (b *virtualBench) serve() *background {
	b.t.Helper()
	s, _ := b.serveAt()
	return s
}

// serveAt runs the daemon; at is where its API is on TCP.
func (b *virtualBench) serveAt() (s *background, at string) {
	b.t.Helper()
	s = start(b.t, "stderr", "serve", "--config", b.file())
	var up struct{ Listen string }
	b.decode(s.line("station is up"), &up)
	s.drain()
	return s, up.Listen
}

// outcome is what run --json prints: a result, or why there is none.
type outcome struct {
	runResult
	Failure failure
}

// one runs a unit through the station, or by itself where none runs.
func (b *virtualBench) one(code int, unit string, slot int) (r outcome) {
	b.t.Helper()
	stdout, _ := b.linefit(code, nil, "run", "--config", b.file(), "--unit", unit, "--slot", fmt.Sprint(slot), "--json")
	b.decode(stdout, &r.runResult)
	b.decode(stdout, &r.Failure)
	return r
}

// control gives the modules an order and returns when it has been carried out:
// they take the empty line behind it only then, and read on only after that.
func (b *virtualBench) control(order string) {
	b.t.Helper()
	for _, line := range []string{order, "", ""} {
		if _, err := io.WriteString(b.modules.in, line+"\n"); err != nil {
			b.t.Fatal(err)
		}
	}
}

// A station over virtual parts that are programs of their own, as a person
// tries it first: doctor, serve, stock, one unit after another, a board and a
// label that were swapped, a unit scanned twice, a second station on the same
// store, an orderly end, and a unit without the daemon.
func TestStationOverVirtualParts(t *testing.T) {
	if testing.Short() {
		t.Skip("runs units in real time")
	}
	b := newVirtualBench(t, "mes: none")
	var found struct {
		OK     bool
		Checks []check
	}
	b.linefit(0, &found, "doctor", "--config", b.file(), "--json")
	if !found.OK {
		t.Errorf("doctor: %+v", found.Checks)
	}
	daemon := b.serve()
	b.linefit(4, &failure{}, "profiles", "import", filepath.Join(b.dir, "codes.csv"), "--config", b.file(), "--by", "op", "--json")
	b.linefit(0, nil, "profiles", "import", filepath.Join(b.dir, "codes.csv"), "--config", b.file(), "--by", "lead", "--role", "lead")

	if r := b.one(0, "U1", 1); r.Verdict != "pass" || r.Disposition != "release" {
		t.Errorf("U1: %+v", r)
	}
	if r := b.one(1, "U1", 2); r.Failure.Code != 1 || r.Failure.Reason == nil || r.Failure.Reason.Code != "unit.duplicate" {
		t.Errorf("the same unit in two slots: %+v", r)
	}
	for _, wrong := range [][2]string{{"LF:HALT", "1"}, {"", "1"}, {"U2", "9"}, {"LPA:1$a$b", "0"}} {
		b.linefit(2, &failure{}, "run", "--config", b.file(), "--unit", wrong[0], "--slot", wrong[1], "--json")
	}
	b.control("out 1")
	b.control("in 1")
	b.linefit(0, nil, "rework", "list", "--config", b.file())
	if r := b.one(1, "U1", 2); r.Failure.Reason == nil || r.Failure.Reason.Code != "unit.duplicate" {
		t.Errorf("a unit that is done: %+v", r)
	}
	if r := b.one(1, "U9", 2); r.Failure.Reason == nil || r.Failure.Reason.Code != "unit.unlisted" {
		t.Errorf("a unit that is not expected: %+v", r)
	}
	if r := b.one(1, "U4", 3); r.Verdict != "inconclusive" || r.Disposition != "hold" || r.Reason == nil || r.Reason.Code != "identity.mismatch" {
		t.Errorf("board and label swapped: %+v", r)
	}
	// What changes an eUICC in a slot of the station goes through the station.
	port := filepath.Join(b.dir, "mods", "slot1")
	for _, verb := range [][]string{{"delete", "8988"}, {"enable", "8988"}, {"reset", "--operational"}, {"notifications", "remove", "1"}, {"nickname", "8988", "x"}} {
		_, stderr := b.linefit(4, nil, append([]string{"euicc", "--port", port, "--record", filepath.Join(b.dir, "record")}, verb...)...)
		if !strings.Contains(stderr, "slot 1") {
			t.Errorf("euicc %v: %s", verb, stderr)
		}
	}
	if _, stderr := b.linefit(3, nil, "serve", "--config", b.file()); !strings.Contains(stderr, "in use by") {
		t.Errorf("a second station on the same store: %s", stderr)
	}
	if _, stderr := b.linefit(3, nil, "rework", "list", "--store", filepath.Join(b.dir, "store")); !strings.Contains(stderr, "in use by") {
		t.Errorf("the store of a running station: %s", stderr)
	}
	if code := daemon.end(); code != 0 {
		t.Errorf("serve ended with %d: %s", code, daemon.err.String())
	}

	// The stock is counted from the log where no daemon is there to be asked.
	b.linefit(0, &found, "doctor", "--config", b.file(), "--json")
	if i := slices.IndexFunc(found.Checks, func(c check) bool { return c.Name == "profile stock" }); i < 0 || found.Checks[i].Verdict != checkOK || found.Checks[i].Found != "5 of 6 profiles are left" {
		t.Errorf("doctor: %+v", found.Checks)
	}

	// Without the daemon run holds the store itself, and the station remembers.
	if r := b.one(0, "U2", 2); r.Verdict != "pass" {
		t.Errorf("U2 without the daemon: %+v", r)
	}
	if _, stderr := b.linefit(2, nil, "demo", "--headless", "--units", "1", "--slots", "1", "--dir", filepath.Join(b.dir, "store")); !strings.Contains(stderr, "no simulator runs on it") {
		t.Errorf("a simulator on a production store: %s", stderr)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "store", "sim")); !os.IsNotExist(err) {
		t.Error("the simulator wrote into a production store")
	}
	b.linefit(0, nil, "audit", "verify", "--store", filepath.Join(b.dir, "store"))
	stdout, _ := b.linefit(0, nil, "why", "U4", "--store", filepath.Join(b.dir, "store"))
	if !strings.Contains(stdout, "hold") {
		t.Errorf("why: %s", stdout)
	}
}

// A demo that is stopped says so, and is no fault of linefit.
func TestDemoStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a unit in real time")
	}
	d := start(t, "stderr", "demo", "--headless", "--units", "40", "--slots", "2", "--baud", "0", "--json")
	d.line("slot")
	said := make(chan string, 1)
	go func() {
		last := ""
		for d.out.Scan() && !strings.Contains(last, "stopped before all units were done") {
			last = d.out.Text()
		}
		said <- last
	}()
	d.stop()
	if last := <-said; !strings.Contains(last, "stopped before all units were done") {
		t.Errorf("it does not say that it was stopped: %s", last)
	}
	if code := d.end(); code != 1 {
		t.Errorf("exit %d", code)
	}
}

// The daemon on TCP: only with its token, and the slots' fixtures make
// themselves safe when their controller has gone.
func TestStationLosesItsFixtures(t *testing.T) {
	if testing.Short() {
		t.Skip("runs units in real time")
	}
	b := newVirtualBench(t, "mes: none")
	text, err := os.ReadFile(b.file())
	if err != nil {
		t.Fatal(err)
	}
	b.write("station.yaml", strings.Replace(string(text), "socket: st.sock", "socket: st.sock, token_file: token, listen: \"127.0.0.1:0\"", 1))
	_, at := b.serveAt()
	ask := func(method, path, token string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+at+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if code, _ := ask("POST", "/v1/station/halt", ""); code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", code)
	}
	b.modules.end()
	ctx, cancel := context.WithTimeout(t.Context(), hangs)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	events := bufio.NewScanner(stream.Body)
	events.Buffer(nil, 1<<20)
	for events.Scan() && strings.Count(events.Text(), `"state":"fault"`) < 4 { // the station sees it by itself
	}
	if err := events.Err(); err != nil {
		t.Errorf("the slots are not in fault: %v", err)
	}
	if code, body := ask("POST", "/v1/slots/1/start", "a-token-of-the-bench-0123456789"); code == http.StatusOK {
		t.Errorf("a slot without a fixture took a unit: %s", body)
	}
}
