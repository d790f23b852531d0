package text

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"linefit/station"
)

// holders lists the placeholders of a text, sorted.
func holders(s string) []string {
	var names []string
	for {
		_, rest, ok := strings.Cut(s, "{")
		if !ok {
			slices.Sort(names)
			return names
		}
		name, after, _ := strings.Cut(rest, "}")
		names, s = append(names, name), after
	}
}

func TestCataloguesAgree(t *testing.T) {
	en := For(English)
	for _, l := range Langs() {
		c := For(l)
		for id, s := range c.texts {
			other, ok := en.texts[id]
			if !ok {
				t.Errorf("%s: %q is not in the English catalogue", l, id)
			}
			if !slices.Equal(holders(s), holders(other)) {
				t.Errorf("%s: %q has the placeholders %v, English has %v", l, id, holders(s), holders(other))
			}
			checkForm(t, l, id, s)
		}
		for id := range en.texts {
			if !c.Has(id) {
				t.Errorf("%s: %q is missing", l, id)
			}
		}
	}
}

func checkForm(t *testing.T, l Lang, id, s string) {
	t.Helper()
	depth := 0
	for _, r := range s {
		switch r {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		if depth < 0 || depth > 2 {
			t.Fatalf("%s: %q: brackets do not match", l, id)
		}
	}
	if depth != 0 || strings.TrimSpace(s) != s {
		t.Errorf("%s: %q: brackets do not match, or space at an end", l, id)
	}
}

// columns counts terminal columns: everything beyond U+2E80 in these
// catalogues is a wide character.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r >= 0x2E80 {
			n++
		}
	}
	return n
}

func TestEveryCodeHasTitleAndAdvice(t *testing.T) {
	for _, l := range Langs() {
		c := For(l)
		for code, class := range station.Codes() {
			for _, id := range []string{"reason." + string(code), "advice." + string(code), "class." + string(class), "class_advice." + string(class)} {
				if !c.Has(id) {
					t.Errorf("%s: %q is missing", l, id)
				}
			}
			if n := columns(c.Reason(code)); n > 36 {
				t.Errorf("%s: the title of %s has %d columns, more than 36", l, code, n)
			}
			if n := columns(c.Advice(code)); n > 150 || n < 20 {
				t.Errorf("%s: the advice of %s has %d columns, not 20 to 150", l, code, n)
			}
		}
	}
	known := station.Codes()
	for id := range For(English).texts {
		for _, group := range []string{"reason.", "advice."} {
			if code, ok := strings.CutPrefix(id, group); ok && known[station.Code(code)] == "" {
				t.Errorf("%q is the text of no code", id)
			}
		}
	}
}

func TestEveryWordOfTheVocabulary(t *testing.T) {
	ids := []string{}
	add := func(group string, values ...string) {
		for _, v := range values {
			ids = append(ids, group+"."+v)
		}
	}
	add("outcome", strs(station.OK, station.Fail, station.Error, station.Timeout, station.Aborted, station.Skipped)...)
	add("verdict", "unset", string(station.Pass), string(station.Failed), string(station.Inconclusive))
	add("disposition", strs(station.Release, station.Retest, station.Rework, station.Hold, station.Scrap)...)
	add("todo", strs(station.Release, station.Retest, station.Rework, station.Hold, station.Scrap)...)
	add("slot", strs(station.SlotEmpty, station.SlotArmed, station.SlotRunning, station.SlotDone, station.SlotFault, station.SlotDisabled, station.SlotHand)...)
	add("waiting", strs(station.WaitPresence, station.WaitBin, station.WaitRemoval, station.WaitMES, station.WaitLog)...)
	add("result", strs(station.LampPass, station.LampFail, station.LampHold)...)
	add("cell", strs(station.SlotEmpty, station.SlotFault, station.SlotDisabled, station.SlotHand)...)
	add("ticket", strs(station.TicketOpen, station.TicketTaken, station.TicketDone, station.TicketInRetest, station.TicketShut)...)
	add("stock", strs(station.StockAvailable, station.StockReserved, station.StockInstalled, station.StockQuarantined, station.StockSpent, station.StockReturned)...)
	healths := strs(station.HealthOK, station.HealthStopped, station.HealthReadOnly, station.HealthHalted, station.HealthStopping, station.HealthEmergency)
	add("health", healths...)
	add("health_advice", healths...)
	add("state", station.StateInstalled, station.StateAbsent, station.StateUnknown, "enabled", "disabled")
	add("command", strs(station.CmdScan, station.CmdStart, station.CmdAbort, station.CmdAck, station.CmdDisable, station.CmdEnable, station.CmdClear, station.CmdHalt, station.CmdResume)...)
	add("effect", strs(station.EffectGetBPP, station.EffectLoad, station.EffectEnable, station.EffectDisable, station.EffectDelete, station.EffectReset,
		station.EffectCancel, station.EffectRemove, station.EffectSetDP, station.EffectAddEIM, station.EffectDeleteKeys, station.EffectNickname)...)
	for _, k := range station.Kinds() {
		add("kind", k.Name)
	}
	for _, l := range Langs() {
		for _, id := range ids {
			if !For(l).Has(id) {
				t.Errorf("%s: %q is missing", l, id)
			}
		}
	}
}

func strs[T ~string](values ...T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// TestEveryFact holds each fact's text against the fact's fields.
func TestEveryFact(t *testing.T) {
	for _, name := range station.FactTypes() {
		f, err := station.Decode(name, []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		fields := map[string]bool{}
		typ := reflect.TypeOf(f)
		for i := range typ.NumField() {
			tag, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			fields[tag] = true
		}
		for _, l := range Langs() {
			s, ok := For(l).texts["fact."+name]
			if !ok {
				t.Errorf("%s: %q is missing", l, "fact."+name)
			}
			for _, h := range holders(s) {
				if !fields[h] {
					t.Errorf("%s: the text of %s speaks of %q, which is none of its fields", l, name, h)
				}
			}
		}
	}
}

func TestFactForAPerson(t *testing.T) {
	reason := station.NewReason(station.SMDPUnreachable, "dial tcp: \x1b[2Jrefused")
	for _, c := range []struct {
		lang Lang
		fact station.Fact
		want string
	}{
		{English, station.UnitLeft{}, "Unit has left the slot"},
		{English, station.UnitAcknowledged{Bin: "A"}, "Seen by a person, bin A"},
		{English, station.UnitAcknowledged{}, "Seen by a person"},
		{English, station.StepEnded{Step: "download", Kind: station.KindDownload, Attempt: 2, Outcome: station.Timeout, Millis: 120, Reason: reason}, "Install profile (download): no answer in time, 120 ms, try 2: Profile server not reachable (dial tcp: \uFFFD[2Jrefused)"},
		{Chinese, station.RunVerdict{Verdict: station.Pass}, "判定：合格"},
		{Chinese, station.LotHalted{Cause: station.ProfileRefused, Units: []station.Serial{"A", "B"}}, "批次停止：eUICC 拒绝安装配置，产品 A, B"},
		{English, station.Intent{Effect: station.EffectLoad, ICCID: "8949"}, "About to load the profile, ICCID 8949"},
		{English, station.StationOpened{Station: "S1", Slots: 4, Software: "1", MES: "none", Simulated: "yes"}, "Station S1 opened with 4 slots, software 1, MES: off, SIMULATED"},
	} {
		if got := For(c.lang).Fact(c.fact); got != c.want {
			t.Errorf("%s: %q, want %q", c.lang, got, c.want)
		}
	}
	if got := For(English).Entry("future.fact/9", []byte("{}")); got != "future.fact/9" {
		t.Errorf("an unknown fact is %q", got)
	}
}

func TestTexts(t *testing.T) {
	c := For(English)
	for _, l := range []string{"en", "en_US.UTF-8", "EN-gb", "zh", "zh_CN.UTF-8", "zh-Hans"} {
		if got, ok := ParseLang(l); !ok || string(got) != strings.ToLower(l[:2]) {
			t.Errorf("ParseLang(%q) = %q, %t", l, got, ok)
		}
	}
	for _, l := range []string{"", "C", "de_DE", "english", "zhx"} {
		if _, ok := ParseLang(l); ok {
			t.Errorf("ParseLang(%q) finds a language", l)
		}
	}
	if got := For("xx").Lang(); got != English {
		t.Errorf("an unknown language gives %q", got)
	}
	if got := c.T("scan.started", "slot", 7); got != "Slot 7: unit started" {
		t.Error(got)
	}
	if got := c.T("scan.started"); !strings.Contains(got, "{slot}") {
		t.Errorf("a missing value is not seen: %q", got)
	}
	if got := c.T("no.such.id"); got != "no.such.id" {
		t.Error(got)
	}
	if got := c.Reason("future.code"); got != "reason.future.code" && got != "future.code" {
		t.Error(got)
	}
	if got := c.Advice("future.code"); got != c.T("class_advice.station") {
		t.Errorf("advice for an unknown code: %q", got)
	}
}

func TestParseIsStrict(t *testing.T) {
	for _, bad := range []string{"", "[]", `{"a":"x","a":"y"}`, `{"a":1}`, `{"a":""}`, `{"a":{"b":"c"}}`, `{"a":"x"`, `{"a"`} {
		if _, err := parse("test", []byte(bad)); err == nil {
			t.Errorf("%q is taken for a catalogue", bad)
		}
	}
}

func TestExpandNeverPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.RuneFrom([]rune("ab{}[]")), 0, 20, -1).Draw(t, "text")
		expand(s, func(name string) string { return name })
	})
}
