package ui

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"linefit/station"
	"linefit/station/text"
)

// An activation code in the scan field is on no frame, at no character of it; the
// station gets it whole.
func TestScanFieldHidesActivationCode(t *testing.T) {
	const code = "LPA:1$smdp.linefit.test$CANARY-MATCH-05-Q7X"
	d := drive(t, Options{Lang: text.English})
	d.view(aView(8))
	for i, r := range code {
		d.send(tea.KeyPressMsg{Code: r, Text: string(r)})
		if s := d.screen(); strings.Contains(s, "CANARY") || strings.Contains(s, "smdp.l") {
			t.Fatalf("after %d characters:\n%s", i+1, s)
		}
	}
	d.keys("enter")
	if got := d.lastCommand(); got != (station.Command{Kind: station.CmdScan, Text: code}) {
		t.Errorf("%+v", got)
	}
	d.keys("S", "N", "1")
	if !strings.Contains(d.screen(), "SN1") {
		t.Error("a serial is not shown")
	}
}
