package recipe_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"linefit/internal/strictyaml"
	"linefit/station/recipe"
)

// iotSteps are the steps of an IoT recipe by their ids, as short as they get.
var iotSteps = map[string]string{
	"on":        `{id: "on", kind: fixture.power, with: {state: "on"}, timeout: 1s}`,
	"boot":      `{id: boot, kind: module.boot, timeout: 1s}`,
	"quiet":     `{id: quiet, kind: module.radio_off, timeout: 1s}`,
	"identify":  `{id: identify, kind: module.identify, timeout: 1s}`,
	"euicc":     `{id: euicc, kind: euicc.identify, timeout: 1s}`,
	"bind":      `{id: bind, kind: unit.bind, with: {require: scan}, timeout: 1s}`,
	"precheck":  `{id: precheck, kind: euicc.precheck, timeout: 1s}`,
	"reserve":   `{id: reserve, kind: profile.reserve, timeout: 1s}`,
	"immediate": `{id: immediate, kind: euicc.immediate_enable, timeout: 1s}`,
	"download":  `{id: download, kind: profile.download, timeout: 1s}`,
	"enable":    `{id: enable, kind: profile.enable, with: {routes: [immediate_enable]}, timeout: 1s}`,
	"eim":       `{id: eim, kind: eim.add, with: {configuration: [demo.json]}, timeout: 1s}`,
	"eim2":      `{id: eim2, kind: eim.add, with: {configuration: [demo.json]}, timeout: 1s}`,
	"restart":   `{id: restart, kind: unit.restart, timeout: 1s}`,
	"restart2":  `{id: restart2, kind: unit.restart, timeout: 1s}`,
	"readback":  `{id: readback, kind: profile.readback, with: {state: enabled}, timeout: 1s}`,
	"eimback":   `{id: eimback, kind: eim.readback, timeout: 1s}`,
	"notify":    `{id: notify, kind: notification.handover, timeout: 1s}`,
	"reset":     `{id: reset, kind: euicc.reset, with: {what: [operational]}, timeout: 1s}`,
	"off":       `{id: "off", kind: fixture.power, with: {state: "off"}, timeout: 1s, always: true}`,
}

const iotOrder = "on boot quiet identify euicc bind precheck reserve immediate download enable eim restart readback eimback notify off"

func parseIoT(t *testing.T, dir, order, accepts string) error {
	t.Helper()
	text := "recipe: iot\nversion: 1\naccepts: [" + accepts + "]\nrestart: \"on\"\nsteps:\n"
	for _, id := range strings.Fields(order) {
		step, known := iotSteps[id]
		if !known {
			t.Fatalf("no step %q", id)
		}
		text += "  - " + step + "\n"
	}
	_, err := recipe.Parse(dir+"/r.yaml", []byte(text))
	return err
}

// TestIoTLint: the order that an IoT eUICC asks for, and every way to leave it.
func TestIoTLint(t *testing.T) {
	dir := t.TempDir()
	data, err := os.ReadFile("../../configs/eim/demo.json")
	if err == nil {
		err = os.WriteFile(dir+"/demo.json", data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := parseIoT(t, dir, iotOrder, "sgp32"); err != nil {
		t.Fatal(err)
	}
	without := func(id string) string { return strings.Replace(iotOrder, " "+id+" ", " ", 1) }
	move := func(id, behind string) string {
		return strings.Replace(without(id), " "+behind+" ", " "+behind+" "+id+" ", 1)
	}
	add := func(id, behind string) string {
		return strings.Replace(iotOrder, " "+behind+" ", " "+behind+" "+id+" ", 1)
	}
	for name, c := range map[string]struct{ order, accepts, want string }{
		"enable allowed after the download": {move("immediate", "download"), "sgp32", "immediate_enable needs euicc.immediate_enable before"},
		"enable never allowed":              {without("immediate"), "sgp32", "immediate_enable needs euicc.immediate_enable before"},
		"allowed when an eIM is there":      {move("immediate", "eim"), "sgp32", "only while no eIM is associated"},
		"enabled after a restart":           {add("restart2", "download"), "sgp32", "works in the session of the download only"},
		"enabled behind the eIM":            {move("enable", "eim"), "sgp32", "AddInitialEim is the last change of the eUICC"},
		"downloaded behind the eIM":         {move("download", "eim"), "sgp32", "AddInitialEim is the last change of the eUICC"},
		"reset behind the eIM":              {add("reset", "eim"), "sgp32", "AddInitialEim is the last change of the eUICC"},
		"two first eIMs":                    {add("eim2", "eim"), "sgp32", "works only while no eIM is associated"},
		"eIM not read back":                 {without("eimback"), "sgp32", "nothing would prove the eIM"},
		"eIM read back warm":                {move("eimback", "eim"), "sgp32", "what is stored is what a cold unit shows"},
		"no restart behind the eIM":         {move("restart", "quiet"), "sgp32", "only a cold restart shows what is stored"},
		"eIM unchecked":                     {without("precheck"), "sgp32", "whether an eIM is there already was not checked"},
		"eIM of a consumer eUICC":           {iotOrder, "sgp22", "only SGP.32 eUICCs have this function"},
		"M2M":                               {iotOrder, "sgp32, sgp02", "an SGP.02 eUICC has no such local function"},
	} {
		err := parseIoT(t, dir, c.order, c.accepts)
		var p strictyaml.Problems
		if !errors.As(err, &p) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q in:\n%v", name, c.want, err)
		}
	}
}
