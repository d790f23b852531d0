//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"linefit/modem/rsp"
	"linefit/modem/testpki"
)

// startServer runs `linefit sim smdp` until the test ends.
func startServer(t *testing.T, args ...string) simSmdpStart {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	var stderr bytes.Buffer
	done := make(chan int, 1)
	go func() {
		code := run(ctx, append([]string{"sim", "smdp", "--listen", "127.0.0.1:0", "--name", "localhost", "--json"}, args...), strings.NewReader(""), w, &stderr)
		_ = w.Close()
		done <- code
	}()
	lines := bufio.NewReader(r)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		t.Fatalf("no first line: %v\n%s", err, stderr.String())
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	t.Cleanup(func() { cancel(); <-done })
	var start simSmdpStart
	if err := json.Unmarshal(line, &start); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return start
}

// hand is one eUICC worked on by hand.
type hand struct {
	t   *testing.T
	pty string
	dir string
}

// run runs `linefit euicc` and reads its document.
func (h *hand) run(want int, out any, args ...string) string {
	h.t.Helper()
	var stdout, stderr bytes.Buffer
	all := append([]string{"euicc", "--port", h.pty, "--trace", filepath.Join(h.dir, "trace"), "--json"}, args...)
	code := run(h.t.Context(), all, strings.NewReader(""), &stdout, &stderr)
	if code != want {
		h.t.Fatalf("%v: exit %d, want %d\n%s%s", args, code, want, stdout.String(), stderr.String())
	}
	if out != nil {
		if err := json.Unmarshal(stdout.Bytes(), out); err != nil {
			h.t.Fatalf("%v: %v\n%s", args, err, stdout.String())
		}
		if strings.Count(strings.TrimSpace(stdout.String()), "\n") != 0 {
			h.t.Errorf("%v: more than one document:\n%s", args, stdout.String())
		}
	}
	return stderr.String()
}

func newHand(t *testing.T, args ...string) *hand {
	if !slices.Contains(args, "--persona") {
		args = append(args, "--persona", "demo-eg25")
	}
	m := startModules(t, args...)
	go func() { _, _ = io.Copy(io.Discard, m.lines) }()
	t.Cleanup(func() { m.stop() })
	return &hand{t: t, pty: m.start.Modules[0].PTY, dir: t.TempDir()}
}

// A profile's life by hand, with linefit's own parts on a pty and over TLS.
func TestEUICCByHand(t *testing.T) {
	s := startServer(t, "--count", "2")
	h := newHand(t)
	var info map[string]any
	h.run(exitOK, &info, "info")
	for _, field := range []string{"eid", "generation", "svn", "free_nvm", "ci_pkids", "profiles"} {
		if _, ok := info[field]; !ok {
			t.Errorf("info has no %s: %v", field, info)
		}
	}
	var d euiccDownload
	h.run(exitOK, &d, "download", "--activation-code", s.Profiles[0].ActivationCode, "--ca", s.CA)
	if !d.OK || string(d.ICCID) != s.Profiles[0].ICCID || d.Outcome != rsp.Installed || !d.Verified || d.Notification != "delivered" || d.APDUs == 0 || d.RoundTrips != 4 {
		t.Errorf("%+v", d)
	}
	iccid := string(d.ICCID)
	var c changed
	h.run(exitOK, &c, "enable", iccid)
	if c.State != "enabled" {
		t.Errorf("%+v", c)
	}
	var refused map[string]any
	if h.run(exitVerdict, &refused, "enable", iccid); refused["ok"] != false || refused["advice"] == "" {
		t.Errorf("%v", refused)
	}
	if text := h.run(exitVerdict, nil, "delete", iccid); !strings.Contains(text, "disable it first") || !strings.Contains(text, "profileNotInDisabledState (2)") {
		t.Errorf("no advice: %s", text)
	}
	h.run(exitOK, &c, "disable", d.AID)
	h.run(exitOK, &c, "nickname", iccid, "line 7")
	var list struct {
		Profiles []profileView `json:"profiles"`
	}
	h.run(exitOK, &list, "list")
	if len(list.Profiles) != 1 || list.Profiles[0].Nickname != "line 7" || list.Profiles[0].State.String() != "disabled" {
		t.Errorf("%+v", list)
	}
	var waiting struct {
		Notifications []notificationView `json:"notifications"`
	}
	h.run(exitOK, &waiting, "notifications", "list")
	if len(waiting.Notifications) != 2 {
		t.Fatalf("%+v", waiting)
	}
	h.run(exitOK, &waiting, "notifications", "send", "--ca", s.CA)
	if len(waiting.Notifications) != 2 || !*waiting.Notifications[0].Sent || !*waiting.Notifications[1].Removed {
		t.Errorf("%+v", waiting)
	}
	c = changed{}
	h.run(exitOK, &c, "delete", iccid)
	h.run(exitOK, &waiting, "notifications", "list")
	if len(c.Profile) != 0 || len(waiting.Notifications) != 1 {
		t.Errorf("%+v %+v", c, waiting)
	}
	h.run(exitOK, nil, "notifications", "remove", "4")
	h.run(exitVerdict, nil, "notifications", "remove", "4")
	h.secrets(s)
}

// secrets: nothing on disk has an activation code's matching id.
func (h *hand) secrets(s simSmdpStart) {
	h.t.Helper()
	for _, name := range []string{"trace", "trace.jsonl"} {
		b, err := os.ReadFile(filepath.Join(h.dir, name))
		if err != nil {
			h.t.Fatal(err)
		}
		for _, p := range s.Profiles {
			if bytes.Contains(b, []byte(p.MatchingID)) || bytes.Contains(bytes.ToUpper(b), []byte(strings.ToUpper(hexOf(p.MatchingID)))) {
				h.t.Errorf("%s has a matching id", name)
			}
		}
		if !bytes.Contains(b, []byte(`"intent"`)) && !bytes.Contains(b, []byte("BF2D")) {
			h.t.Errorf("%s is empty", name)
		}
	}
}

func hexOf(s string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(digits[s[i]>>4])
		b.WriteByte(digits[s[i]&15])
	}
	return b.String()
}

// A module that dies at the last block: the profile is installed, the command
// says so, and nothing is downloaded twice.
func TestEUICCUnknownOutcome(t *testing.T) {
	s := startServer(t, "--count", "1")
	plan := filepath.Join(t.TempDir(), "plan.yaml")
	rules := "name: last\nabout: the last block is answered by ERROR though it was installed\nrules:\n"
	rules += "  - {point: +CGLA.done, chance: 1, from: 67, to: 67, fault: {kind: error}}\n"
	if err := os.WriteFile(plan, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHand(t, "--faults", plan)
	var d euiccDownload
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"euicc", "--port", h.pty, "--route", "cgla", "--record", filepath.Join(h.dir, "r"), "--json", "download", "--activation-code", s.Profiles[0].ActivationCode, "--ca", s.CA}, strings.NewReader(""), &stdout, &stderr)
	if err := json.Unmarshal(stdout.Bytes(), &d); err != nil {
		t.Fatalf("exit %d: %v\n%s%s", code, err, stdout.String(), stderr.String())
	}
	if !strings.Contains(stderr.String(), "reading the eUICC back") {
		t.Fatalf("the fault did not strike in the load: %+v\n%s", d, stderr.String())
	}
	if d.OK != (d.Outcome == rsp.Installed) || (code == exitOK) != d.OK || d.Outcome == rsp.Unknown {
		t.Errorf("exit %d, %+v", code, d)
	}
	var rec euiccReconciled
	out := h.runRecord(&rec)
	if rec.Outcome != d.Outcome || rec.Phase != rsp.PhaseLoad {
		t.Errorf("%+v\n%s", rec, out)
	}
}

func (h *hand) runRecord(out any) string {
	h.t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(h.t.Context(), []string{"euicc", "--port", h.pty, "--record", filepath.Join(h.dir, "r"), "--json", "reconcile"}, strings.NewReader(""), &stdout, &stderr); code != exitOK {
		h.t.Fatalf("exit %d: %s", code, stderr.String())
	}
	if err := json.Unmarshal(stdout.Bytes(), out); err != nil {
		h.t.Fatal(err)
	}
	return stdout.String()
}

func TestEUICCGenerations(t *testing.T) {
	for _, generation := range []string{"sgp22", "sgp32", "sgp02"} {
		h := newHand(t, "--generation", generation)
		var info euiccInfo
		h.run(exitOK, &info, "info")
		if string(info.Generation) != generation || len(info.EID) != 32 || !info.EIDValid {
			t.Errorf("%s: %+v", generation, info)
		}
	}
}

// An eUICC that is locked for in-factory provisioning is called what it is, and
// nobody is told to try again.
func TestEUICCLockedForTheFactory(t *testing.T) {
	s := startServer(t, "--count", "1")
	h := newHand(t, "--one-time-keys", "1")
	var out euiccDownload
	h.run(exitVerdict, &out, "download", "--activation-code", s.Profiles[0].ActivationCode, "--ca", s.CA, "--record", filepath.Join(h.dir, "record"))
	if out.Outcome != rsp.Absent || !strings.Contains(out.Error, "6985") || !strings.Contains(out.Advice, "in-factory") || strings.Contains(out.Advice, "try again") {
		t.Errorf("%+v", out)
	}
}

// What is wrong with the command line, the port or the server has its exit code.
func TestEUICCExitCodes(t *testing.T) {
	t.Chdir(t.TempDir())
	s := startServer(t, "--count", "1")
	h := newHand(t)
	notSerial := filepath.Join(h.dir, "file")
	if err := os.WriteFile(notSerial, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := testpki.New([]byte("another authority"))
	if err != nil {
		t.Fatal(err)
	}
	otherCA := filepath.Join(h.dir, "other.der")
	if err := os.WriteFile(otherCA, other.CI.Cert.Raw, 0o600); err != nil {
		t.Fatal(err)
	}
	code := s.Profiles[0].ActivationCode
	for _, c := range []struct {
		want int
		args []string
	}{
		{exitUsage, []string{"--port", h.pty, "download", "--activation-code", "LPA:1$x", "--ca", s.CA}},
		{exitUsage, []string{"--port", h.pty, "download", "--activation-code", code}},
		{exitUsage, []string{"--port", h.pty, "download", "--activation-code", code, "--ca", notSerial}},
		{exitUsage, []string{"--port", h.pty, "download", "--activation-code", code, "--ca", s.CA, "--smdp-address", "a b"}},
		{exitUsage, []string{"--port", h.pty, "--persona", "nosuch", "info"}},
		{exitUsage, []string{"--port", h.pty, "--route", "qmi", "info"}},
		{exitUsage, []string{"--port", h.pty, "reset"}},
		{exitUsage, []string{"--port", h.pty, "nickname", "8900", strings.Repeat("x", 65)}},
		{exitUsage, []string{"info"}},
		{exitMissing, []string{"--port", h.pty, "--trace", "/dev/full", "info"}},
		{exitMissing, []string{"--port", "/dev/nosuch", "info"}},
		{exitMissing, []string{"--port", notSerial, "info"}},
		{exitMissing, []string{"--port", h.pty, "download", "--activation-code", code, "--ca", "/nosuch"}},
		{exitMissing, []string{"--port", h.pty, "download", "--activation-code", code, "--ca", otherCA}},
		{exitMissing, []string{"--port", h.pty, "reconcile"}},
		{exitVerdict, []string{"--port", h.pty, "download", "--activation-code", "LPA:1$" + s.Address + "$NOSUCH", "--ca", s.CA}},
		{exitVerdict, []string{"--port", h.pty, "enable", "8900"}},
	} {
		var stdout, stderr bytes.Buffer
		if got := run(t.Context(), append([]string{"euicc"}, c.args...), strings.NewReader(""), &stdout, &stderr); got != c.want {
			t.Errorf("%v: exit %d, want %d\n%s", c.args, got, c.want, stderr.String())
		}
		if strings.Contains(stderr.String(), s.Profiles[0].MatchingID) {
			t.Errorf("%v: the matching id is shown: %s", c.args, stderr.String())
		}
	}
}

// Enabling and disabling with a REFRESH on every family, one after the other
// without a pause: each command waits for the card that the module resets, also
// when it does so late.
func TestEUICCRefreshByFamily(t *testing.T) {
	plan := filepath.Join(t.TempDir(), "plan.yaml")
	rules := "name: late\nabout: the module resets the card later than it should\nrules:\n"
	for i, late := range []string{"0ms", "60ms", "120ms"} {
		rules += fmt.Sprintf("  - {point: refresh, chance: 1, from: %d, to: %d, fault: {kind: delay, delay: %s}}\n", i, i, late)
	}
	if err := os.WriteFile(plan, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	personas := []string{"demo-eg25", "demo-le910", "demo-generic", "demo-nrf91"}
	s := startServer(t, "--count", strconv.Itoa(len(personas)))
	for i, persona := range personas {
		t.Run(persona, func(t *testing.T) {
			t.Parallel()
			h := newHand(t, "--persona", persona, "--faults", plan)
			var d euiccDownload
			h.run(exitOK, &d, "download", "--activation-code", s.Profiles[i].ActivationCode, "--ca", s.CA)
			var c changed
			for _, step := range [][2]string{{"enable", "enabled"}, {"disable", "disabled"}, {"enable", "enabled"}} {
				c = changed{}
				h.run(exitOK, &c, step[0], string(d.ICCID))
				if c.State != step[1] {
					t.Errorf("%s: %+v", step[0], c)
				}
			}
			var info euiccInfo
			h.run(exitOK, &info, "info")
			if len(info.Profiles) != 1 || info.Pending != 3 {
				t.Errorf("%+v", info)
			}
		})
	}
}

// A change without an answer is decided by what is read back: done where the
// eUICC has done it, made again where the module was reading its card, and bad
// with the state that is there where it has not.
func TestEUICCChangeWithoutAnAnswer(t *testing.T) {
	s := startServer(t, "--count", "5")
	for i, c := range []struct {
		name, point, fault string
		want               int
		state              string
	}{
		{"error, took effect", "+CGLA.done", "kind: error", exitOK, "enabled"},
		{"busy, took effect", "+CGLA.done", "kind: cme, code: 14", exitOK, "enabled"},
		{"busy, failed", "+CGLA", "kind: cme, code: 14", exitOK, "enabled"},
		{"error, failed", "+CGLA", "kind: error", exitVerdict, "disabled"},
		{"the module restarts, took effect", "+CGLA.done", "kind: reboot", exitOK, "enabled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var d euiccDownload
			t.Run("download", func(t *testing.T) {
				newHand(t, "--state", dir).run(exitOK, &d, "download", "--activation-code", s.Profiles[i].ActivationCode, "--ca", s.CA)
			})
			plan := filepath.Join(t.TempDir(), "plan.yaml")
			rule := fmt.Sprintf("name: one\nabout: the command is lost\nrules:\n  - {point: %s, chance: 1, from: 2, to: 2, fault: {%s}}\n", c.point, c.fault)
			if err := os.WriteFile(plan, []byte(rule), 0o600); err != nil {
				t.Fatal(err)
			}
			h := newHand(t, "--state", dir, "--faults", plan)
			var got changed
			h.run(c.want, &got, "enable", "--no-refresh", string(d.ICCID))
			if got.OK != (c.want == exitOK) || got.State != c.state || !got.OK && (got.Error == "" || got.Advice == "") {
				t.Errorf("%+v", got)
			}
		})
	}
}
