package ui

import (
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"linefit/station"
	"linefit/station/text"
	"linefit/ui/client"
)

// lastCommand is what went to the station last.
func (d *driver) lastCommand() station.Command {
	d.t.Helper()
	d.src.mu.Lock()
	defer d.src.mu.Unlock()
	if len(d.src.cmds) == 0 {
		return station.Command{}
	}
	return d.src.cmds[len(d.src.cmds)-1]
}

func (d *driver) sent() int {
	d.src.mu.Lock()
	defer d.src.mu.Unlock()
	return len(d.src.cmds)
}

// TestScanField holds that whatever is scanned goes to the station as it is,
// and that only what belongs to the screen stays here.
func TestScanField(t *testing.T) {
	d := drive(t, Options{Lang: text.English, Operator: "op17"})
	d.src.pseudo = "p-"
	d.view(aView(8))
	for _, scan := range []string{"EG25-2609-A000", "SN=A;IMEI=490154203237518", "LF:SLOT:3", "LF:HALT", "LF:RESUME", "LF:BIN:HOLD", "LF:ACK:4", "LF:NONSENSE", "two words", "LPA:1$x$y", "ünïcödé"} {
		d.scan(scan)
		if got := d.lastCommand(); got != (station.Command{Kind: station.CmdScan, Text: scan, Operator: "p-op17"}) {
			t.Errorf("%q went out as %+v", scan, got)
		}
	}
	d.keys("home", "down", "down") // slot 3
	for _, scan := range []string{"LF:ACK", "LF:ABORT", "LF:CLEAR", "LF:ENABLE", "LF:DISABLE"} {
		d.scan(scan)
		if got := d.lastCommand(); got != (station.Command{Kind: station.CmdScan, Text: scan, Slot: 3, Operator: "p-op17"}) {
			t.Errorf("%q went out as %+v", scan, got)
		}
	}
	n := d.sent()
	for _, scan := range []string{"LF:LANG:zh", "LF:LANG:xx", "LF:VIEW:rework", "LF:VIEW:nothing", "LF:OP:op18", ""} {
		d.scan(scan)
	}
	if d.sent() != n {
		t.Errorf("the screen's own codes went out: %+v", d.src.cmds[n:])
	}
	if d.m.words.Lang() != text.Chinese || d.m.view != viewRework || d.m.operator != "p-op18" {
		t.Errorf("language %s, view %s, operator %s", d.m.words.Lang(), d.m.view, d.m.operator)
	}
	d.scan("SN1") // the field has the focus in every view
	if got := d.lastCommand(); got.Text != "SN1" || got.Operator != "p-op18" {
		t.Errorf("%+v", got)
	}
	if d.m.field.Value() != "" {
		t.Errorf("the field still has %q", d.m.field.Value())
	}
}

func TestScannersWithOtherEndings(t *testing.T) {
	for name, end := range map[string]tea.KeyPressMsg{
		"enter": {Code: tea.KeyEnter}, "line feed": {Code: 'j', Mod: tea.ModCtrl}, "tab": {Code: tea.KeyTab}, "keypad": {Code: tea.KeyKpEnter},
	} {
		d := drive(t, Options{})
		d.view(aView(4))
		for _, r := range "SN1" {
			d.send(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
		d.send(end)
		if d.lastCommand().Text != "SN1" {
			t.Errorf("%s: %+v", name, d.lastCommand())
		}
	}
	d := drive(t, Options{})
	d.view(aView(4))
	d.send(tea.PasteMsg{Content: "SN1\r\nSN2\nSN"})
	if d.sent() != 2 || d.src.cmds[0].Text != "SN1" || d.src.cmds[1].Text != "SN2" || d.m.field.Value() != "SN" {
		t.Errorf("%+v, field %q", d.src.cmds, d.m.field.Value())
	}
	d.keys("ctrl+v") // the clipboard is not the scanner
	if d.m.field.Value() != "SN" {
		t.Errorf("field %q", d.m.field.Value())
	}
}

func TestFunctionKeys(t *testing.T) {
	d := drive(t, Options{Operator: "op17"})
	d.keys("f5")
	if d.sent() != 0 {
		t.Errorf("before the first snapshot: %+v", d.src.cmds)
	}
	d.view(aView(8))
	d.keys("down", "down", "down")
	for key, kind := range map[string]station.CommandKind{"f5": station.CmdAck, "f7": station.CmdClear} {
		d.keys(key)
		if got := d.lastCommand(); got != (station.Command{Kind: kind, Slot: 4, Why: "key", Operator: "op17"}) {
			t.Errorf("%s: %+v", key, got)
		}
	}
	n := d.sent()
	d.keys("f6")
	if d.sent() != n || !strings.Contains(d.screen(), "Press the key again to do this: Stop run, slot 4") {
		t.Errorf("F6 once: %s", d.screen())
	}
	d.keys("down", "f6")
	if d.sent() != n {
		t.Error("F6 for another slot counts as the second time")
	}
	d.later(6 * time.Second)
	d.keys("f6")
	if d.sent() != n {
		t.Error("F6 much later counts as the second time")
	}
	d.keys("f6")
	if got := d.lastCommand(); got.Kind != station.CmdAbort || got.Slot != 5 {
		t.Errorf("%+v", got)
	}
	d.keys("f9")
	if got := d.lastCommand(); got.Kind != station.CmdHalt {
		t.Errorf("%+v", got)
	}
	d.keys("f8")
	if d.m.words.Lang() != text.Chinese {
		t.Error("F8 does not change the language")
	}
	d.keys("f8")
	if d.m.words.Lang() != text.English {
		t.Error("F8 does not come back")
	}
	if _, cmd := d.m.Update(keyPress("ctrl+c")); cmd == nil {
		t.Error("Ctrl+C does nothing")
	}
}

func TestChoosingSlots(t *testing.T) {
	d := drive(t, Options{})
	d.view(aView(64))
	for _, c := range []struct {
		keys []string
		want int
	}{
		{[]string{"down"}, 2}, {[]string{"right"}, 16}, {[]string{"left"}, 2}, {[]string{"up", "up", "up"}, 1}, {[]string{"end"}, 64}, {[]string{"home"}, 1},
		{[]string{"tab"}, 3}, {[]string{"tab"}, 4}, {[]string{"tab"}, 7}, {[]string{"home", "pgdown"}, 64}, {[]string{"pgup"}, 1},
	} {
		d.keys(c.keys...)
		if s, _ := d.m.slot(); s.ID != c.want {
			t.Errorf("%v: slot %d, want %d", c.keys, s.ID, c.want)
		}
	}
	v := aView(2)
	d.keys("end")
	d.view(v) // the station came back with fewer slots
	if s, ok := d.m.slot(); !ok || s.ID != 2 {
		t.Errorf("%+v", s)
	}
	d.view(station.View{Health: station.HealthOK})
	d.keys("tab", "down", "f5")
	d.screen()
}

// TestOnlyLitLampsCount holds the promise of the package: PASS is on the screen
// only while the station lights its lamp, or for a unit that has left.
func TestOnlyLitLampsCount(t *testing.T) {
	last := &station.LastResult{Run: "r1", Unit: "SN1", Verdict: station.Pass, Disposition: station.Release}
	waiting := station.SlotView{ID: 1, State: station.SlotDone, Lamp: station.LampBusy, Unit: "SN1", Run: "r1", Verdict: station.Pass, Disposal: station.Release, Last: last, Waiting: station.WaitMES}
	lit := waiting
	lit.Lamp, lit.Waiting = station.LampPass, station.WaitRemoval
	gone := station.SlotView{ID: 1, State: station.SlotEmpty, Lamp: station.LampOff, Last: last}
	stopped := lit
	stopped.Lamp, stopped.Waiting = station.LampOff, station.WaitLog
	unwatched := lit
	unwatched.Lamp, unwatched.Unwatched = station.LampOff, true
	held := lit
	held.Lamp, held.Waiting, held.Disposal = station.LampHold, station.WaitBin, station.Hold
	for _, c := range []struct {
		name    string
		slot    station.SlotView
		health  station.Health
		visible bool
	}{
		{"waits for the MES", waiting, station.HealthOK, false}, {"lamp on", lit, station.HealthOK, true}, {"unit has left", gone, station.HealthOK, true},
		{"log stopped", stopped, station.HealthStopped, false}, {"held by the MES", held, station.HealthOK, false},
		{"may be another unit", unwatched, station.HealthOK, false},
	} {
		for _, n := range []int{1, 30} {
			d := drive(t, Options{})
			v := station.View{Health: c.health, Slots: []station.SlotView{c.slot}}
			for id := 2; id <= n; id++ {
				v.Slots = append(v.Slots, station.SlotView{ID: id, State: station.SlotEmpty})
			}
			d.view(v)
			frame := d.screen()
			if strings.Contains(frame, "PASS") != c.visible {
				t.Errorf("%s, %d slots:\n%s", c.name, n, frame)
			}
		}
	}
	d := drive(t, Options{})
	d.view(station.View{Health: station.HealthOK, Slots: []station.SlotView{unwatched}})
	if f := d.screen(); !strings.Contains(f, "check the label") || !strings.Contains(f, "only if its label says so") {
		t.Errorf("may be another unit:\n%s", f)
	}
	d.view(station.View{Health: station.HealthOK, Slots: []station.SlotView{lit}})
	d.send(snapshotMsg{Err: errLost, At: d.now})
	if f := d.screen(); strings.Contains(f, "PASS") {
		t.Errorf("lost connection:\n%s", f)
	}
}

// TestNewestStays holds that the big result is that of the newest decided slot
// and stays when its unit has left, without what was to be done with it.
func TestNewestStays(t *testing.T) {
	d := drive(t, Options{})
	decidedSlot := func(id int, run station.RunID, unit station.Serial) station.SlotView {
		return station.SlotView{ID: id, State: station.SlotDone, Lamp: station.LampPass, Unit: unit, Run: run, Waiting: station.WaitRemoval,
			Last: &station.LastResult{Run: run, Unit: unit, Verdict: station.Pass, Disposition: station.Release}}
	}
	empty := func(id int, last *station.LastResult) station.SlotView {
		return station.SlotView{ID: id, State: station.SlotEmpty, Last: last}
	}
	a, b := decidedSlot(1, "r1", "AAA"), decidedSlot(2, "r2", "BBB")
	step := func(slots ...station.SlotView) string {
		d.now = d.now.Add(time.Second)
		d.view(station.View{Health: station.HealthOK, Slots: slots})
		return strings.Join(strings.Split(d.screen(), "\n")[2:8], "\n")
	}
	if f := step(empty(1, nil), empty(2, nil)); !strings.Contains(f, "no result yet") {
		t.Error(f)
	}
	if f := step(a, empty(2, nil)); !strings.Contains(f, "AAA") {
		t.Error(f)
	}
	if f := step(a, b); !strings.Contains(f, "BBB") || !strings.Contains(f, "Take it out") {
		t.Error(f)
	}
	if f := step(empty(1, a.Last), empty(2, b.Last)); !strings.Contains(f, "BBB") || strings.Contains(f, "AAA") || strings.Contains(f, "Take it out") {
		t.Error(f)
	}
	if f := step(decidedSlot(1, "r3", "CCC"), empty(2, b.Last)); !strings.Contains(f, "CCC") {
		t.Error(f)
	}
}

func TestElapsedGoesOn(t *testing.T) {
	d := drive(t, Options{})
	v := station.View{Health: station.HealthOK, Slots: []station.SlotView{{ID: 1, State: station.SlotRunning, Unit: "SN1", Kind: station.KindBoot, ElapsedMS: 59_000}}}
	d.view(v)
	if f := d.screen(); !strings.Contains(f, "0:59") {
		t.Error(f)
	}
	d.later(3 * time.Second)
	if f := d.screen(); !strings.Contains(f, "1:02") {
		t.Error(f)
	}
}

func TestConnectionComesBack(t *testing.T) {
	d := drive(t, Options{})
	d.send(snapshotMsg{Err: errLost, At: d.now})
	if f := d.screen(); !strings.Contains(f, "Connecting") {
		t.Error(f)
	}
	d.send(snapshotMsg{Err: &client.Error{Kind: client.Denied, Detail: "permission denied"}, At: d.now})
	if f := d.screen(); !strings.Contains(f, "refuses this screen") {
		t.Error(f)
	}
	d.view(aView(4))
	if f := d.screen(); !strings.Contains(f, "station ready") {
		t.Error(f)
	}
	d.now = d.now.Add(2 * time.Second)
	d.send(snapshotMsg{Err: errPlain, At: d.now})
	d.scan("SN1") // what does not depend on the connection goes on
	if f := d.screen(); !strings.Contains(f, "NO CONNECTION") {
		t.Error(f)
	}
	d.view(aView(4))
	if f := d.screen(); strings.Contains(f, "NO CONNECTION") {
		t.Error(f)
	}
}

func TestFirstKeyIsToldOnce(t *testing.T) {
	n := 0
	d := drive(t, Options{FirstKey: func() { n++ }})
	d.view(aView(4))
	d.later(time.Second)
	if n != 0 {
		t.Error("told without a key")
	}
	d.keys("a", "b", "f1")
	d.send(tea.PasteMsg{Content: "c"})
	if n != 1 {
		t.Errorf("told %d times", n)
	}
}

func TestASCII(t *testing.T) {
	for _, v := range []string{"f2", "f1", "f3"} {
		d := drive(t, Options{Lang: text.English, ASCII: true})
		d.view(aView(64))
		d.keys(v)
		if i := strings.IndexFunc(d.screen(), func(r rune) bool { return r > '~' }); i >= 0 {
			t.Errorf("a sign that is no ASCII: %q", d.screen()[i:i+20])
		}
	}
}

// TestNoColorAlone holds that frames differ in more than colour between
// results.
func TestNoColorAlone(t *testing.T) {
	frames := map[string]bool{}
	for _, lamp := range []station.Lamp{station.LampPass, station.LampFail, station.LampHold} {
		d := drive(t, Options{})
		s := station.SlotView{ID: 1, State: station.SlotDone, Lamp: lamp, Unit: "SN1", Run: "r", Last: &station.LastResult{Run: "r", Unit: "SN1"}}
		d.view(station.View{Health: station.HealthOK, Slots: []station.SlotView{s}})
		frames[ansi.Strip(d.m.View().Content)] = true
	}
	if len(frames) != 3 {
		t.Errorf("%d different frames for three results", len(frames))
	}
}

// TestAnySizeAnyState holds that every frame is exactly as large as the window,
// whatever is shown in it and whatever is pressed.
func TestAnySizeAnyState(t *testing.T) {
	keys := []string{"f1", "f2", "f3", "f4", "f6", "f8", "up", "down", "left", "right", "pgup", "pgdown", "home", "end", "tab", "esc", "enter", "x", "中", "backspace"}
	texts := rapid.SampledFrom([]string{"", "SN1", "产品序列号非常非常非常非常非常长长长长长长长", strings.Repeat("W", 200), "a\tb\x1b[31m\n", "é́́́", "👩‍👩‍👧‍👦👍🏽"})
	rapid.Check(t, func(rt *rapid.T) {
		d := drive(t, Options{Lang: rapid.SampledFrom(text.Langs()).Draw(rt, "lang"), Operator: texts.Draw(rt, "operator")})
		d.send(tea.WindowSizeMsg{Width: rapid.IntRange(60, 220).Draw(rt, "width"), Height: rapid.IntRange(12, 70).Draw(rt, "height")})
		v := aView(rapid.IntRange(0, 64).Draw(rt, "slots"))
		v.Station, v.Detail, v.MES = texts.Draw(rt, "station"), texts.Draw(rt, "detail"), texts.Draw(rt, "mes")
		v.Health = rapid.SampledFrom([]station.Health{station.HealthOK, station.HealthStopped, station.HealthReadOnly, "new"}).Draw(rt, "health")
		for i := range v.Slots {
			v.Slots[i].Unit = station.Serial(texts.Draw(rt, "unit"))
			v.Slots[i].Progress = rapid.IntRange(-10, 1000).Draw(rt, "progress")
			v.Slots[i].ElapsedMS = rapid.Int64Range(0, 1<<40).Draw(rt, "elapsed")
			v.Slots[i].Kind = texts.Draw(rt, "kind")
		}
		d.src.tickets = []station.Ticket{{ID: texts.Draw(rt, "ticket"), Unit: station.Serial(texts.Draw(rt, "unit")), Reason: station.NewReason("x.y", "%s", texts.Draw(rt, "reason"))}}
		d.src.unit.Entries = []client.Entry{{Type: texts.Draw(rt, "type"), Data: []byte(`{"why":"` + strings.Repeat("长", 300) + `"}`)}, {Type: "lot.cleared/1", Data: []byte(`{"why":"` + strings.Repeat("长w ", 300) + `"}`)}}
		d.view(v)
		for _, k := range rapid.SliceOfN(rapid.SampledFrom(keys), 0, 12).Draw(rt, "keys") {
			d.keys(k)
			d.screen()
		}
		if rapid.Bool().Draw(rt, "lost") {
			d.send(snapshotMsg{Err: errLost, At: d.now})
			d.screen()
		}
	})
	d := drive(t, Options{})
	d.send(tea.WindowSizeMsg{Width: 20, Height: 5})
	if !strings.HasPrefix(d.m.View().Content, "This window is too") {
		t.Error(d.m.View().Content)
	}
	d.send(tea.WindowSizeMsg{})
	d.m.View()
}

// TestEverySlotIsOnSomePage holds the layouts against all numbers of slots.
func TestEverySlotIsOnSomePage(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {60, 12}, {132, 43}, {200, 60}} {
		for n := 1; n <= 64; n++ {
			l := arrange(size[0], size[1], n)
			if l.pages*l.perPage() < n || l.cell*l.columns > size[0] || l.banner+l.rows > l.body() || l.banner < 1 {
				t.Errorf("%v, %d slots: %+v", size, n, l)
			}
			if size == [2]int{80, 24} && l.pages != 1 {
				t.Errorf("80x24, %d slots: %d pages", n, l.pages)
			}
		}
	}
}

func TestWrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.RuneFrom([]rune("ab ，。配置👍e\u0301"))).Draw(t, "text")
		w, n := rapid.IntRange(4, 40).Draw(t, "width"), rapid.IntRange(1, 5).Draw(t, "lines")
		lines := wrap(s, w, n, "…")
		if len(lines) > n || slices.ContainsFunc(lines, func(l string) bool { return columns(l) > w }) {
			t.Errorf("%q in %d columns: %q", s, w, lines)
		}
	})
	if got := wrap("打开夹具，检查探针和供电，重新放入产品。", 12, 9, "…"); !slices.Equal(got, []string{"打开夹具，检", "查探针和供", "电，重新放入", "产品。"}) {
		t.Errorf("%q", got)
	}
	if got := wrap("one two three four", 7, 2, "~"); !slices.Equal(got, []string{"one two", "three ~"}) {
		t.Errorf("%q", got)
	}
}

// FuzzScanField types anything into the scan field, as keys and as a paste.
func FuzzScanField(f *testing.F) {
	for _, s := range []string{"SN1", "LF:SLOT:1", "LF:LANG:zh\r\nLF:VIEW:log", "\x1b[200~x", strings.Repeat("9", 600), "中文\x00\xff", "LF:ACK", "LPA:1$a$b", "\t\n\r"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := drive(t, Options{})
		d.view(aView(8))
		for i, r := range s {
			if i > 700 {
				break
			}
			d.send(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
		d.screen()
		d.keys("enter")
		d.send(tea.PasteMsg{Content: s})
		d.screen()
		for _, cmd := range d.src.cmds {
			if cmd.Kind != station.CmdScan || len([]rune(cmd.Text)) > maxScan || strings.TrimSpace(cmd.Text) != cmd.Text || cmd.Text == "" {
				t.Errorf("%+v", cmd)
			}
		}
	})
}
