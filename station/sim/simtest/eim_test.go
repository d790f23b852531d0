package simtest_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/testpki"
	"linefit/modem/wire"
	"linefit/station"
	"linefit/station/eim"
	"linefit/station/recipe"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

// manager is an eIM with its key: what its operator would do.
type manager struct {
	t  *testing.T
	ca *testpki.Authority
	id string
}

func newManager(t *testing.T) manager {
	t.Helper()
	ca, err := testpki.New([]byte("eim"))
	if err != nil {
		t.Fatal(err)
	}
	return manager{t, ca, "eim.carrier.test"}
}

// data is EimConfigurationData's content.
func (m manager) data() []byte {
	m.t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(m.ca.EUM.PublicKey())
	if err != nil {
		m.t.Fatal(err)
	}
	n, err := wire.Parse(spki)
	if err != nil {
		m.t.Fatal(err)
	}
	return bytes.Join([][]byte{
		wire.TLV(0x80, []byte(m.id)), wire.TLV(0x81, []byte(m.id)), wire.Integer(0x83, 0), wire.TLV(0xA5, wire.TLV(0xA0, n.Value)),
	}, nil)
}

// enables is a package that enables a profile on one eUICC (SGP.32 section
// 2.11.1.1.3, PSMO enable), with leave to roll back.
func (m manager) enables(eid ident.EID, iccid ident.ICCID) []byte {
	m.t.Helper()
	signed := wire.TLV(0x30, wire.TLV(0x80, []byte(m.id)), wire.TLV(0x5A, eid.Bytes()), wire.Integer(0x81, 1), wire.TLV(0x82, []byte{9}),
		wire.TLV(0xA0, wire.TLV(0xA3, wire.TLV(0x5A, iccid.Bytes()), wire.TLV(0x05))))
	signature, err := testpki.Sign(m.ca.EUM.Key, signed, wire.Integer(0x84, 0))
	if err != nil {
		m.t.Fatal(err)
	}
	return wire.TLV(0xBF51, signed, wire.TLV(0x5F37, signature))
}

// carriedRecipe is the shipped IoT recipe for cards that come with their eIM.
func carriedRecipe(t *testing.T, ipa string) *station.Recipe {
	t.Helper()
	data, err := os.ReadFile("../../../configs/recipes/iot.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, id := range []string{"immediate", "eim"} {
		from := strings.Index(text, "  - id: "+id+"\n")
		to := from + strings.Index(text[from:], "\n\n")
		text = text[:from] + text[to+2:]
	}
	for old, now := range map[string]string{
		"eim: none, ipa: [device]": "eim: delivered, ipa: [" + ipa + "]", "routes: [immediate_enable, es10c]": "routes: [carried]", "recipe: iot": "recipe: iot-carried",
	} {
		text = strings.Replace(text, old, now, 1)
	}
	r, err := recipe.Parse("../../../configs/recipes/carried.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestDeliveredWithEIM: a card that comes with its eIM, and one whose IPA is in
// the eUICC, are handled as such where the recipe says so: enabled by the package
// that the eIM has signed, nothing added, the eIM and the armed rollback in the
// onboarding record, and the eUICC's answer kept for the eIM.
func TestDeliveredWithEIM(t *testing.T) {
	for _, ipa := range []string{station.IPADevice, station.IPAInEUICC} {
		for _, how := range append([]simtest.How{""}, iotHows...) {
			t.Run(fmt.Sprintf("%s/%s", ipa, how), func(t *testing.T) {
				t.Parallel()
				r, m, folder := carriedRecipe(t, ipa), newManager(t), t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					l := simtest.New(t, simtest.Options{Recipe: r, Carried: eim.Packages(folder), Card: func(_ sim.UnitState, o *euiccsim.Options) {
						o.EIMs, o.ES10cOnIoT, o.IPAe = [][]byte{m.data()}, false, ipa == station.IPAInEUICC
					}})
					m.t = t
					if how != "" {
						l.Fault(simtest.Card("LoadEuiccPackage"), how)
					}
					deliveredRun(t, l, m, folder, ipa)
				})
			})
		}
	}
}

func deliveredRun(t *testing.T, l *simtest.Line, m manager, folder, ipa string) {
	t.Helper()
	u, _ := l.World.Queued()
	codes, err := l.World.Codes()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, string(u.EID)+".der"), m.enables(u.EID, codes[0].ICCID), 0o600); err != nil {
		t.Fatal(err)
	}
	run := l.RunUnit(1)
	if run.Verdict == nil || run.Verdict.Verdict != station.Pass {
		t.Fatalf("%+v", run.Verdict)
	}
	if !slices.Equal(run.Verdict.EIMs, []string{m.id}) || !slices.Equal(run.Identity.EIMs, []string{m.id}) || run.Identity.IPA != ipa {
		t.Errorf("eIMs %v, came with %v, IPA %q", run.Verdict.EIMs, run.Identity.EIMs, run.Identity.IPA)
	}
	if slices.ContainsFunc(run.Intents, func(in station.Intent) bool { return in.Effect == station.EffectAddEIM }) {
		t.Error("an eIM was added")
	}
	for _, e := range l.Entries() {
		if e.Type != (station.EIMOnboarded{}).FactType() {
			continue
		}
		f, err := station.Decode(e.Type, e.Data)
		if err != nil {
			t.Fatal(err)
		}
		o := f.(station.EIMOnboarded)
		if o.Rollback != "yes" || o.Package == "" || o.IPA != ipa || len(o.EIMs) != 1 || o.EIMs[0].Counter != 1 {
			t.Errorf("onboarding record %+v", o)
		}
	}
	l.Check()
}

// Without a package, with another eUICC's, or with one for another profile the
// unit does not pass, and nothing was enabled.
func TestNoPackageForThisUnit(t *testing.T) {
	for _, name := range []string{"none", "of another eUICC", "for another profile", "damaged", "of another eIM"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, m, folder := carriedRecipe(t, station.IPADevice), newManager(t), t.TempDir()
			data := m.data()
			synctest.Test(t, func(t *testing.T) {
				l := simtest.New(t, simtest.Options{Recipe: r, Carried: eim.Packages(folder), Card: func(_ sim.UnitState, o *euiccsim.Options) {
					o.EIMs, o.ES10cOnIoT = [][]byte{data}, false
				}})
				m.t = t
				u, _ := l.World.Queued()
				codes, err := l.World.Codes()
				if err != nil {
					t.Fatal(err)
				}
				var raw []byte
				switch name {
				case "of another eUICC":
					raw = m.enables("89049032123451234512345678901235", codes[0].ICCID)
				case "for another profile":
					raw = m.enables(u.EID, codes[1].ICCID)
				case "damaged":
					raw = m.enables(u.EID, codes[0].ICCID)[:40]
				case "of another eIM":
					m.id = "somebody.else.test"
					raw = m.enables(u.EID, codes[0].ICCID)
				}
				if raw != nil {
					if err := os.WriteFile(filepath.Join(folder, string(u.EID)+".der"), raw, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				run := l.RunUnit(1)
				if run.Verdict == nil || run.Verdict.Verdict == station.Pass || l.OnCard(u, codes[0].ICCID) != "disabled" {
					t.Fatalf("%+v, card %s", run.Verdict, l.OnCard(u, codes[0].ICCID))
				}
				t.Log(run.Code(), run.Verdict.Reason.Detail, run.Disposition.Disposition)
				l.Check()
			})
		})
	}
}

// TestOrderNamesItsEIM: the order's eIM is added in place of the recipe's; one
// that the station does not have stops the unit before the eUICC is changed by it.
func TestOrderNamesItsEIM(t *testing.T) {
	r, m := simtest.Recipe(t, "iot"), newManager(t)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "carrier.der"), wire.TLV(0x30, m.data()), 0o600); err != nil {
		t.Fatal(err)
	}
	named, err := eim.LoadFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"carrier": "", "nobody": string(station.EIMConfiguration)} {
		synctest.Test(t, func(t *testing.T) {
			l := simtest.New(t, simtest.Options{Recipe: r, EIMs: named, Route: func(station.Serial) map[string]string { return map[string]string{"eim": name} }})
			u, _ := l.World.Queued()
			run := l.RunUnit(1)
			if run.Verdict == nil || string(run.Code()) != want || run.Started.EIM != name {
				t.Fatalf("%s: %+v", name, run.Verdict)
			}
			if got := l.Check().EIMs[u.EID]; want == "" && !slices.Equal(got, []string{m.id}) || want != "" && len(got) > 0 {
				t.Errorf("%s: the card has eIMs %v", name, got)
			}
		})
	}
}

// TestAttributesAreReported: fallback, fallback-allowed and emergency profiles
// and connectivity parameters, as the cold card shows them, are in the record.
func TestAttributesAreReported(t *testing.T) {
	r := simtest.Recipe(t, "iot")
	params := []byte{0x35, 0x02, 0x01, 0x02}
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Recipe: r, Card: func(_ sim.UnitState, o *euiccsim.Options) { o.Direct = true },
			Answer: func(_ sim.UnitState, function string, response []byte) []byte {
				switch function {
				case "GetProfilesInfo":
					return marked(response)
				case "GetConnectivityParameters":
					return append(wire.TLV(0xBF5F, wire.TLV(0xA0, wire.TLV(0x81, params))), 0x90, 0x00)
				}
				return response
			}})
		run := l.RunUnit(1)
		if run.Verdict == nil || run.Verdict.Verdict != station.Pass {
			t.Fatalf("%+v", run.Verdict)
		}
		for _, e := range l.Entries() {
			switch {
			case e.Type == (station.EIMOnboarded{}).FactType():
				if want := `"attributes":["emergency","fallback","fallback_allowed"]`; !strings.Contains(string(e.Data), want) {
					t.Errorf("%s\nwithout %s", e.Data, want)
				}
				if want := `"connectivity":"35020102"`; !strings.Contains(string(e.Data), want) {
					t.Errorf("%s\nwithout %s", e.Data, want)
				}
			case e.Type == (station.StepEnded{}).FactType() && strings.Contains(string(e.Data), `"step":"eim-readback"`):
				iccid := string(l.Item(run).ICCID)
				for _, want := range []string{`{"name":"fallback","value":"` + iccid + `"}`, `{"name":"emergency","value":"` + iccid + `"}`, `{"name":"connectivity","value":"4"}`} {
					if !strings.Contains(string(e.Data), want) {
						t.Errorf("%s\nwithout %s", e.Data, want)
					}
				}
			}
		}
	})
}

// marked gives every profile of a list all attributes of SGP.32.
func marked(response []byte) []byte {
	sw := len(response) - 2
	n, err := wire.Parse(response[:sw])
	if err != nil || n.Tag != 0xBF2D {
		return response
	}
	list, ok := n.Find(0xA0)
	if !ok {
		return response
	}
	profiles, err := list.Children()
	if err != nil {
		return response
	}
	var out []byte
	for _, p := range profiles {
		out = append(out, wire.TLV(0xE3, p.Value, wire.TLV(0x9F7B, []byte{0xFF}), wire.TLV(0x9F26, []byte{0xFF}), wire.TLV(0x9F67, []byte{0xFF}))...)
	}
	return append(wire.TLV(0xBF2D, wire.TLV(0xA0, out)), response[sw:]...)
}
