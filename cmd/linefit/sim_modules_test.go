//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"linefit/modem/testpki"
)

// modulesProcess is a running `linefit sim modules`.
type modulesProcess struct {
	t     *testing.T
	start simModulesStart
	lines *bufio.Reader
	stdin *io.PipeWriter
	stop  func() int
}

func startModules(t *testing.T, args ...string) *modulesProcess {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	in, control := io.Pipe()
	var stderr bytes.Buffer
	done := make(chan int, 1)
	go func() {
		code := run(ctx, append([]string{"sim", "modules", "--json", "--boot", "10ms"}, args...), in, w, &stderr)
		_ = w.Close()
		done <- code
	}()
	p := &modulesProcess{t: t, lines: bufio.NewReader(r), stdin: control}
	p.stop = func() int {
		cancel()
		_ = control.Close()
		code := <-done
		return code
	}
	t.Cleanup(cancel)
	line, err := p.lines.ReadBytes('\n')
	if err != nil {
		t.Fatalf("no first line: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(line, &p.start); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return p
}

// end stops the process and returns its last line.
func (p *modulesProcess) end() (end simModulesEnd) {
	p.t.Helper()
	got := make(chan []byte, 1)
	go func() {
		var last []byte
		for {
			line, err := p.lines.ReadBytes('\n')
			if err != nil {
				got <- last
				return
			}
			last = line
		}
	}()
	if code := p.stop(); code != exitOK {
		p.t.Errorf("exit %d", code)
	}
	if line := <-got; json.Unmarshal(line, &end) != nil || end.Event != "end" {
		p.t.Errorf("last line %s", line)
	}
	return end
}

// ask opens a terminal, sends lines and returns what comes up to the last OK
// or ERROR.
func askTTY(t *testing.T, path string, lines ...string) string {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	r, out := bufio.NewReader(f), ""
	ask := func(line string, within time.Duration) error {
		if err := f.SetDeadline(time.Now().Add(within)); err != nil {
			return err
		}
		if line != "" {
			if _, err := f.WriteString(line + "\r"); err != nil {
				return err
			}
		}
		for {
			l, err := r.ReadString('\n')
			out += l
			if l = strings.TrimSpace(l); err != nil || l == "OK" || l == "ERROR" || strings.HasPrefix(l, "+CME") {
				return err
			}
		}
	}
	// What is said to a module that boots is lost.
	for i := 0; ; i++ {
		err := ask("AT", 3*time.Second)
		if err == nil {
			break
		}
		if i == 20 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("AT: %q, %v", out, err)
		}
	}
	// Each of these AT may still be answered; only this question has a number for an
	// answer, and is asked once.
	for line, imei := "AT+CGSN", false; !imei; line = "" {
		if err := ask(line, hangs); err != nil {
			t.Fatalf("AT+CGSN: %q, %v", out, err)
		}
		imei = imeiLine.MatchString(out)
	}
	out = ""
	for _, line := range lines {
		if err := ask(line, hangs); err != nil {
			t.Fatalf("%s: %q, %v", line, out, err)
		}
	}
	return out
}

var imeiLine = regexp.MustCompile(`\b\d{15}\b`)

// openISDR and readEID are the least that an LPA does.
var (
	openISDR = `AT+CCHO="A0000005591010FFFFFFFF8900000100"`
	readEID  = `AT+CGLA=1,22,"81E2910006BF3E035C015A"`
	fetchEID = `AT+CGLA=1,10,"01C0000015"`
)

func TestSimModules(t *testing.T) {
	dir := t.TempDir()
	p := startModules(t, "--count", "3", "--persona", "quectel-eg25,telit-le910", "--link", dir)
	if len(p.start.Modules) != 3 {
		t.Fatalf("%+v", p.start)
	}
	seen := map[string]bool{}
	for i, m := range p.start.Modules {
		want := []string{"quectel-eg25", "telit-le910"}[i%2]
		if m.Slot != i+1 || m.Persona != want || !strings.HasPrefix(m.PTY, "/dev/pts/") || seen[m.PTY] || seen[string(m.IMEI)] || seen[string(m.EID)] {
			t.Errorf("%+v", m)
		}
		seen[m.PTY], seen[string(m.IMEI)], seen[string(m.EID)] = true, true, true
		if target, err := os.Readlink(m.Link); err != nil || target != m.PTY {
			t.Errorf("link %s shows to %q, %v", m.Link, target, err)
		}
		got := askTTY(t, m.Link, "ATE0", "AT+CGSN", openISDR, readEID, fetchEID)
		if !strings.Contains(got, string(m.IMEI)) || !strings.Contains(got, "BF3E125A10"+string(m.EID)+"9000") {
			t.Errorf("slot %d: %q", m.Slot, got)
		}
	}
	end := p.end()
	if len(end.Modules) != 3 || end.Modules[0].APDUs != 2 || end.Modules[0].CharsIn == 0 || end.Modules[0].Boots != 1 {
		t.Errorf("%+v", end)
	}
	if _, err := os.Lstat(filepath.Join(dir, "slot1")); !os.IsNotExist(err) {
		t.Errorf("the link is left: %v", err)
	}
}

// The fixture by hand, and faults from a file: the port of the second attempt
// vanishes and returns.
func TestSimModulesControl(t *testing.T) {
	plan := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(plan, []byte("name: x\nrules:\n- {point: +CSQ, chance: 1, fault: {kind: vanish, delay: 1ms}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startModules(t, "--control", "--faults", plan)
	pty := p.start.Modules[0].PTY
	for _, line := range []string{"nonsense", "off 7", "off 1", "on 1"} {
		if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := os.OpenFile(pty, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	read := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(fd) // ends when the terminal vanishes
		read <- string(b)
	}()
	// The module hears nothing while it boots: ask until it answers.
	for i := 0; ; i++ {
		if _, err := fd.WriteString("AT+CSQ\r"); err != nil {
			break
		}
		select {
		case got := <-read:
			read <- got
		case <-time.After(20 * time.Millisecond):
			if i < 15_000 { // five minutes: a guard against hanging
				continue
			}
			t.Fatal("the port does not vanish")
		}
		break
	}
	if got := <-read; !strings.Contains(got, "RDY") {
		t.Errorf("boot text: %q", got)
	}
	var port simModulesPort
	line, err := p.lines.ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &port) != nil || port.Event != "port" || port.Slot != 1 || port.PTY == "" {
		t.Errorf("%s, %v", line, err)
	}
	if got := askTTY(t, port.PTY, "AT+CGMM"); !strings.Contains(got, "EG25") {
		t.Errorf("%q", got)
	}
	if end := p.end(); end.Modules[0].Boots != 2 || end.Modules[0].Faults != 1 {
		t.Errorf("%+v", end)
	}
}

// A folder keeps settings and card, and has one owner.
func TestSimModulesState(t *testing.T) {
	dir := t.TempDir()
	p := startModules(t, "--state", dir)
	first := p.start.Modules[0]
	askTTY(t, first.PTY, "AT+QSIMDET=1,1")
	var out, stderr bytes.Buffer
	if code := run(context.Background(), []string{"sim", "modules", "--state", dir}, nil, &out, &stderr); code != exitMissing || !strings.Contains(stderr.String(), "another process") {
		t.Errorf("exit %d, %s", code, stderr.String())
	}
	p.end()
	p = startModules(t, "--state", dir)
	if again := p.start.Modules[0]; again.EID != first.EID || again.IMEI != first.IMEI {
		t.Errorf("%+v", again)
	}
	if got := askTTY(t, p.start.Modules[0].PTY, "AT+QSIMDET?"); !strings.Contains(got, "+QSIMDET: 1,1") {
		t.Errorf("%q", got)
	}
	p.end()
	stderr.Reset()
	code := run(context.Background(), []string{"sim", "modules", "--state", dir, "--seed", "2"}, nil, &out, &stderr)
	if code != exitUsage || !strings.Contains(stderr.String(), "belongs to EID") {
		t.Errorf("another card's memory: exit %d, %s", code, stderr.String())
	}
}

// Given certificates make one card, and more with the EUM's key.
func TestSimModulesPKI(t *testing.T) {
	ca, err := testpki.New([]byte("sim modules"))
	if err != nil {
		t.Fatal(err)
	}
	card, err := ca.Card("89049032123451234512345678901235")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("ci.der", ca.CI.Cert.Raw)
	write("eum.der", card.EUM.Raw)
	write("euicc.der", card.Cert.Raw)
	write("euicc.d.hex", hexScalar(t, card.Key))
	p := startModules(t, "--pki", dir)
	if got := p.start.Modules[0].EID; got != card.EID {
		t.Errorf("EID %s", got)
	}
	p.end()
	var out, stderr bytes.Buffer
	if code := run(context.Background(), []string{"sim", "modules", "--pki", dir, "--count", "2"}, nil, &out, &stderr); code != exitUsage || !strings.Contains(stderr.String(), "eum") {
		t.Errorf("exit %d, %s", code, stderr.String())
	}
	write("eum.d.hex", hexScalar(t, ca.EUM.Key))
	p = startModules(t, "--pki", dir, "--count", "2")
	if ms := p.start.Modules; ms[0].EID != card.EID || ms[1].EID == card.EID || !strings.HasPrefix(string(ms[1].EID), "89049032") {
		t.Errorf("%+v", ms)
	}
	p.end()
}

// Everything that is wrong is told at once, and nothing is started.
func TestSimModulesMistakes(t *testing.T) {
	empty := t.TempDir()
	file := filepath.Join(empty, "plan.yaml")
	if err := os.WriteFile(file, []byte("rules:\n- {point: x, chance: 3, fault: {kind: silent}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"everything":   {[]string{"--count", "0", "--persona", "nokia", "--faults", file, "--pki", empty, "--baud=-1"}, exitUsage, []string{"--count 0", `"nokia"`, "plan.yaml:2:4", "ci.der", "--baud"}},
		"plan":         {[]string{"--faults", "gentle"}, exitUsage, []string{"typical"}},
		"no plan":      {[]string{"--faults", "none.yaml"}, exitUsage, []string{"none.yaml"}},
		"no personas":  {[]string{"--personas", empty}, exitUsage, []string{"plan.yaml:"}},
		"generation":   {[]string{"--generation", "sgp99"}, exitUsage, []string{"sgp99"}},
		"unknown flag": {[]string{"--cuont", "1"}, exitUsage, []string{"--cuont"}},
		"link folder":  {[]string{"--link", filepath.Join(file, "x")}, exitMissing, []string{"not a directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out, stderr bytes.Buffer
			if code := run(context.Background(), append([]string{"sim", "modules"}, c.args...), nil, &out, &stderr); code != c.code {
				t.Errorf("exit %d: %s", code, stderr.String())
			}
			for _, s := range c.says {
				if !strings.Contains(stderr.String(), s) {
					t.Errorf("%q is not in\n%s", s, stderr.String())
				}
			}
			if out.Len() > 0 {
				t.Errorf("stdout: %s", out.String())
			}
		})
	}
}

func TestSimModulesList(t *testing.T) {
	var out, stderr bytes.Buffer
	if code := run(context.Background(), []string{"sim", "modules", "--persona", "list", "--json"}, nil, &out, &stderr); code != exitOK || !strings.Contains(out.String(), `"ublox-sara-r5"`) {
		t.Errorf("exit %d: %s%s", code, out.String(), stderr.String())
	}
}

func hexScalar(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	b, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return []byte(hex.EncodeToString(b))
}
