package main

import (
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/station"
	"linefit/ui/client"
)

// handBench is a virtual bench with a running station, and `linefit euicc` on
// the ports of its slots.
type handBench struct {
	*virtualBench
	codes []string // activation codes that its server knows
}

func newHandBench(t *testing.T) *handBench {
	t.Helper()
	h := &handBench{virtualBench: newVirtualBench(t, "mes: none")}
	f, err := os.Open(filepath.Join(h.dir, "codes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		h.codes = append(h.codes, row[1])
	}
	return h
}

// euicc runs a verb on a slot's port, with one JSON document.
func (h *handBench) euicc(code, slot int, out any, args ...string) string {
	h.t.Helper()
	stdout, stderr := h.linefit(code, out, append([]string{"euicc", "--port", h.units[slot-1].PTY, "--record", filepath.Join(h.dir, "record"), "--json"}, args...)...)
	if strings.Count(stdout, "\n") != 1 {
		h.t.Errorf("%v: not one document: %s", args, stdout)
	}
	return stdout + stderr
}

// log is what the audit log has of work by hand.
func (h *handBench) log() string {
	h.t.Helper()
	stdout, _ := h.linefit(0, nil, "audit", "export", "--store", filepath.Join(h.dir, "store"), "--format", "jsonl", "--out", "-")
	var lines []string
	for line := range strings.Lines(stdout) {
		if strings.Contains(line, `"hand.`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

var asLead = []string{"--by", "ann", "--role", "lead"}

// Every verb on a port of a running station goes through the station: reading by
// anybody, a change by a lead, and all of it stands in the log.
func TestByHandThroughTheStation(t *testing.T) {
	if testing.Short() {
		t.Skip("starts modules in real time")
	}
	h := newHandBench(t)
	s := h.serve()
	var info euiccInfo
	h.euicc(exitOK, 2, &info, "info")
	if info.EID != string(h.units[1].EID) || len(info.Profiles) != 0 {
		t.Errorf("%+v", info)
	}
	download := []string{"download", "--activation-code", h.codes[0]}
	for _, who := range [][]string{nil, {"--by", "ann"}, {"--by", "ann", "--role", "operator"}} {
		if text := h.euicc(exitRefused, 2, nil, append(who, download...)...); !strings.Contains(text, "role") {
			t.Errorf("%v: %s", who, text)
		}
	}
	var d euiccDownload
	trace := filepath.Join(h.dir, "trace")
	h.euicc(exitOK, 2, &d, append(append([]string{"--trace", trace}, asLead...), download...)...)
	if !d.OK || !d.Verified || d.Notification != "delivered" {
		t.Fatalf("%+v", d)
	}
	if text, err := os.ReadFile(trace); err != nil || !strings.Contains(string(text), "BF38") {
		t.Errorf("trace: %v: %.300s", err, text)
	}
	iccid := string(d.ICCID)
	for _, step := range [][]string{{"enable", iccid}, {"nickname", iccid, "bench"}, {"disable", iccid}} {
		var c changed
		h.euicc(exitOK, 2, &c, append(asLead, step...)...)
		if !c.OK || len(c.Profile) != 1 {
			t.Errorf("%v: %+v", step, c)
		}
	}
	var list struct{ Notifications []notificationView }
	h.euicc(exitOK, 2, &list, "notifications", "list")
	if len(list.Notifications) != 2 {
		t.Errorf("%+v", list)
	}
	h.euicc(exitOK, 2, &list, append(asLead, "notifications", "send")...)
	var profiles struct{ Profiles []profileView }
	h.euicc(exitOK, 2, &profiles, "list")
	if len(profiles.Profiles) != 1 || profiles.Profiles[0].Nickname != "bench" {
		t.Errorf("%+v", profiles)
	}
	h.euicc(exitVerdict, 2, nil, append(asLead, "delete", "89000000000000000009")...)
	h.euicc(exitOK, 2, nil, append(asLead, "delete", iccid)...)
	h.euicc(exitOK, 2, nil, append(asLead, "notifications", "remove", "4")...)
	h.euicc(exitUsage, 2, nil, append(asLead, "reset")...)
	h.euicc(exitVerdict, 2, nil, append(asLead, "reset", "--default-address")...) // there is none

	if code := s.end(); code != exitOK {
		t.Errorf("serve ended with %d: %s", code, s.err.String())
	}
	if _, err := os.Stat(filepath.Join(h.dir, "record")); err == nil {
		t.Error("a record of changes was written beside the station's log")
	}
	log := h.log()
	for _, want := range []string{"get_bpp", "load", "remove_notification", "enable", "disable", "delete", "set_nickname", "memory_reset", iccid, string(h.units[1].EID)} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not have %s", want)
		}
	}
	if strings.Contains(log, `"ann"`) {
		t.Error("the log has a person's name in place of a pseudonym")
	}
	for _, code := range h.codes {
		if secret := code[strings.LastIndex(code, "$")+1:]; strings.Contains(log, secret) {
			t.Errorf("the log has the matching id %s", secret)
		}
	}
	if n, m := strings.Count(log, "hand.started/1"), strings.Count(log, "hand.ended/1"); n != m || n < 10 {
		t.Errorf("%d begun, %d ended", n, m)
	}
	h.linefit(exitOK, nil, "audit", "verify", "--store", filepath.Join(h.dir, "store"))
}

// The station's rules hold by hand too: its codes are given out by runs, a slot
// at work or empty is left alone, a released unit is QA's, a held one for whoever
// claimed it.
func TestByHandUnderTheStationsRules(t *testing.T) {
	if testing.Short() {
		t.Skip("runs units in real time")
	}
	h := newHandBench(t)
	h.serve()
	h.linefit(0, nil, "profiles", "import", filepath.Join(h.dir, "codes.csv"), "--config", h.file(), "--by", "lead", "--role", "lead")
	if text := h.euicc(exitRefused, 3, nil, append(asLead, "download", "--activation-code", h.codes[5])...); !strings.Contains(text, "stock") || strings.Contains(text, h.codes[5][strings.LastIndex(h.codes[5], "$")+1:]) {
		t.Error(text)
	}
	h.control("out 4")
	if text := h.euicc(exitVerdict, 4, nil, "list"); !strings.Contains(text, "no unit is in slot 4") {
		t.Error(text)
	}
	h.control("in 4")

	if r := h.one(0, "U1", 1); r.Verdict != "pass" {
		t.Fatalf("U1: %+v", r)
	}
	if text := h.euicc(exitVerdict, 1, nil, "list"); !strings.Contains(text, "slot 1 is done") {
		t.Error(text)
	}
	h.control("out 1")
	h.await(1, station.SlotEmpty)
	h.control("in 1")
	var list struct{ Profiles []profileView }
	h.euicc(exitOK, 1, &list, "list")
	iccid := list.Profiles[0].ICCID
	if text := h.euicc(exitRefused, 1, nil, append(asLead, "disable", iccid)...); !strings.Contains(text, "has passed") {
		t.Error(text)
	}
	h.euicc(exitOK, 1, nil, "--by", "quinn", "--role", "qa", "disable", iccid)
	h.euicc(exitOK, 1, nil, "--by", "quinn", "--role", "qa", "delete", iccid)
	stdout, _ := h.linefit(0, nil, "profiles", "list", "--config", h.file(), "--json")
	if !strings.Contains(stdout, `"spent"`) {
		t.Errorf("the stock does not know that the profile is gone: %s", stdout)
	}

	// Board and label were swapped: the unit is on hold, for whoever claims it.
	if r := h.one(1, "U3", 4); r.Disposition != "hold" {
		t.Fatalf("U3: %+v", r)
	}
	if _, err := h.station().Do(t.Context(), station.Command{Kind: station.CmdAck, Slot: 4, Operator: "ann"}); err != nil {
		t.Fatal(err)
	}
	h.control("out 4")
	h.await(4, station.SlotEmpty)
	h.control("in 4")
	remove := append(asLead, "notifications", "remove", "9")
	if text := h.euicc(exitVerdict, 4, nil, remove...); !strings.Contains(text, "open ticket") {
		t.Error(text)
	}
	h.linefit(0, nil, "rework", "claim", "U3", "--config", h.file(), "--by", "ann", "--role", "lead")
	if text := h.euicc(exitVerdict, 4, nil, remove...); !strings.Contains(text, "no notification has the number 9") {
		t.Error(text)
	}
}

func (h *handBench) station() *client.Client {
	h.t.Helper()
	c, err := client.New(client.Options{Address: "unix:" + filepath.Join(h.dir, "st.sock")})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(c.Close)
	return c
}

// await waits until a slot has a state.
func (h *handBench) await(slot int, state station.SlotState) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), hangs)
	defer cancel()
	ctx, found := context.WithCancel(ctx)
	reached := false
	h.station().Watch(ctx, func(s client.Snapshot) {
		for _, v := range s.View.Slots {
			if v.ID == slot && v.State == state {
				reached = true
				found()
			}
		}
	})
	found()
	if !reached {
		h.t.Fatalf("slot %d is never %s", slot, state)
	}
}
