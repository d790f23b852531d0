package ui

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"linefit/rework"
	"linefit/station"
	"linefit/station/text"
	"linefit/ui/client"
)

var update = flag.Bool("update", false, "write the golden frames anew")

// fakeSource answers at once. It fails the test when it is asked from within
// Update: the screen does no I/O there.
type fakeSource struct {
	t testing.TB

	mu       sync.Mutex
	inUpdate bool
	cmds     []station.Command
	do       func(station.Command) (client.Reply, error)
	unit     client.Unit
	tickets  []station.Ticket
	pseudo   string // makes pseudonyms of names
	err      error
}

func (f *fakeSource) asked() {
	f.t.Helper()
	if f.inUpdate {
		f.t.Error("I/O within Update")
	}
}

func (f *fakeSource) Address() string { return "unix:/run/linefit.sock" }

func (f *fakeSource) Watch(ctx context.Context, _ func(client.Snapshot)) { <-ctx.Done() }

func (f *fakeSource) Do(_ context.Context, cmd station.Command) (client.Reply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked()
	f.cmds = append(f.cmds, cmd)
	if f.do != nil {
		return f.do(cmd)
	}
	return client.Reply{Reply: station.Reply{Slot: cmd.Slot, Text: "scan.done"}}, nil
}

func (f *fakeSource) Unit(context.Context, string) (client.Unit, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked()
	return f.unit, f.err
}

func (f *fakeSource) SignOn(_ context.Context, entered string) (station.Actor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked()
	return station.Actor(f.pseudo + entered), f.err
}

func (f *fakeSource) Tickets(context.Context, rework.Filter) ([]station.Ticket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked()
	return f.tickets, f.err
}

// driver runs a screen without a terminal and without waiting: commands are
// carried out at once, ticks are given by the test.
type driver struct {
	t   testing.TB
	m   *Model
	src *fakeSource
	now time.Time
}

var epoch = time.Date(2026, 9, 1, 6, 0, 0, 0, time.UTC)

func drive(t testing.TB, opt Options) *driver {
	t.Helper()
	src := &fakeSource{t: t}
	opt.Source = src
	d := &driver{t: t, m: New(t.Context(), opt), src: src, now: epoch}
	d.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	return d
}

// send updates the model and carries out what follows.
func (d *driver) send(msg tea.Msg) {
	d.t.Helper()
	d.src.mu.Lock()
	d.src.inUpdate = true
	d.src.mu.Unlock()
	_, cmd := d.m.Update(msg)
	d.src.mu.Lock()
	d.src.inUpdate = false
	d.src.mu.Unlock()
	if _, isTick := msg.(tickMsg); isTick {
		d.run(d.m.refresh()) // the other half of it is the next tick, which waits
		return
	}
	d.run(cmd)
}

func (d *driver) run(cmd tea.Cmd) {
	d.t.Helper()
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			d.run(c)
		}
	default:
		if cmds, ok := sequence(msg); ok {
			for _, c := range cmds {
				d.run(c)
			}
			return
		}
		d.send(msg)
	}
}

func (d *driver) view(v station.View) { d.send(snapshotMsg{View: v, At: d.now}) }

func (d *driver) later(by time.Duration) {
	d.now = d.now.Add(by)
	d.send(tickMsg(d.now))
}

// keys types a text, or presses a named key.
func (d *driver) keys(names ...string) {
	d.t.Helper()
	for _, name := range names {
		d.send(keyPress(name))
	}
}

func (d *driver) scan(s string) {
	d.t.Helper()
	for _, r := range s {
		d.send(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	d.keys("enter")
}

func keyPress(name string) tea.KeyPressMsg {
	named := map[string]rune{
		"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight,
		"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd, "backspace": tea.KeyBackspace,
		"f1": tea.KeyF1, "f2": tea.KeyF2, "f3": tea.KeyF3, "f4": tea.KeyF4, "f5": tea.KeyF5, "f6": tea.KeyF6, "f7": tea.KeyF7, "f8": tea.KeyF8, "f9": tea.KeyF9,
	}
	if code, ok := named[name]; ok {
		return tea.KeyPressMsg{Code: code}
	}
	if rest, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: rune(rest[0]), Mod: tea.ModCtrl}
	}
	return tea.KeyPressMsg{Code: []rune(name)[0], Text: name}
}

// screen is the frame without colours; its size is checked.
func (d *driver) screen() string {
	d.t.Helper()
	content := d.m.View().Content
	lines := strings.Split(content, "\n")
	if len(lines) != d.m.height {
		d.t.Errorf("%d lines, not %d", len(lines), d.m.height)
	}
	for i, line := range lines {
		if n := ansi.StringWidth(line); n != d.m.width {
			d.t.Errorf("line %d has %d columns, not %d: %q", i+1, n, d.m.width, ansi.Strip(line))
		}
		lines[i] = strings.TrimRight(ansi.Strip(line), " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// golden holds the frame against a file.
func (d *driver) golden(name string) {
	d.t.Helper()
	got := d.screen()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			d.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			d.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		d.t.Fatal(err)
	}
	if got != string(want) {
		d.t.Errorf("%s differs (go test ./ui -update writes it anew):\n%s", file, got)
	}
}

// slots makes n slots in all kinds of states, the same each time.
func slots(n int) []station.SlotView {
	var out []station.SlotView
	for i := range n {
		id := i + 1
		unit := station.Serial("EG25-2609-" + string(rune('A'+i%26)) + "00" + string(rune('0'+i%10)))
		s := station.SlotView{ID: id, State: station.SlotRunning, Lamp: station.LampBusy, Unit: unit, Run: station.RunID(rune('a' + i)), Steps: 17, ElapsedMS: int64(1000 * (7 + 13*i%90))}
		s.StartedAt = epoch.Add(time.Duration(i) * time.Second).Format(time.RFC3339)
		pass := &station.LastResult{Run: "old", Unit: unit, Verdict: station.Pass, Disposition: station.Release, Millis: 8120}
		fail := &station.LastResult{Run: s.Run, Unit: unit, Verdict: station.Failed, Disposition: station.Rework, Millis: 4100, Step: "boot", Reason: station.NewReason(station.ModuleSilent, "no answer on /dev/ttyUSB2 within 60s")}
		hold := &station.LastResult{Run: s.Run, Unit: unit, Verdict: station.Inconclusive, Disposition: station.Hold, Millis: 9100, Step: "bind", Reason: station.NewReason(station.IdentityMismatch, "IMEI")}
		kinds := []string{station.KindDownload, station.KindBoot, station.KindReadback, station.KindEUICC}
		switch i % 8 {
		case 0, 1, 5:
			s.Kind, s.Progress, s.Attempt, s.Last = kinds[i%4], (i*23+11)%100, 1+i%3, pass
		case 2:
			done := *pass
			done.Run = s.Run
			s.State, s.Lamp, s.Waiting, s.Progress, s.Last = station.SlotDone, station.LampPass, station.WaitRemoval, 100, &done
		case 3:
			s.State, s.Lamp, s.Waiting, s.Progress, s.Last, s.Reason, s.Disposal = station.SlotDone, station.LampFail, station.WaitBin, 100, fail, fail.Reason, station.Rework
		case 4:
			s = station.SlotView{ID: id, State: station.SlotEmpty, Lamp: station.LampOff, Last: pass}
		case 6:
			s = station.SlotView{ID: id, State: station.SlotFault, Lamp: station.LampFail, Fault: station.NewReason(station.PortMissing, "/dev/ttyUSB9: no such device")}
		case 7:
			s.State, s.Lamp, s.Waiting, s.Progress, s.Last, s.Reason, s.Disposal = station.SlotDone, station.LampHold, station.WaitBin, 100, hold, hold.Reason, station.Hold
		}
		out = append(out, s)
	}
	return out
}

func aView(n int) station.View {
	return station.View{
		Station: "ST-3", Software: "1.0", Simulated: true, Health: station.HealthOK, Recipe: "consumer", MES: "ok", Pending: 2, Head: 12345,
		Stock: station.StockCount{Total: 100, Available: 62}, Counts: station.Counts{Passed: 34, Failed: 2, Held: 1, Tickets: 3, Runs: 40}, Slots: slots(n),
	}
}

var errLost = &client.Error{Kind: client.Unreachable, Detail: "dial unix /run/linefit.sock: connect: connection refused"}

func TestFrames(t *testing.T) {
	for _, lang := range text.Langs() {
		for _, c := range []struct {
			name string
			play func(d *driver)
		}{
			{"start", func(*driver) {}},
			{"slots4", func(d *driver) { d.view(aView(4)) }},
			{"slots8", func(d *driver) { d.view(aView(8)); d.keys("down", "down", "down") }},
			{"slots16", func(d *driver) { d.view(aView(16)) }},
			{"slots40", func(d *driver) { d.view(aView(40)) }},
			{"slots64", func(d *driver) { d.view(aView(64)) }},
			{"refused", func(d *driver) {
				d.view(aView(8))
				d.src.do = func(station.Command) (client.Reply, error) {
					return client.Reply{}, station.Refuse(station.UnitDuplicate, "unit is in slot 2")
				}
				d.scan("EG25-2609-B001")
			}},
			{"typing", func(d *driver) {
				d.view(aView(8))
				d.src.do = func(cmd station.Command) (client.Reply, error) {
					return client.Reply{Reply: station.Reply{Slot: 5, Text: "scan.slot_chosen"}}, nil
				}
				d.scan("LF:SLOT:5")
				d.keys("E", "G")
			}},
			{"logstopped", func(d *driver) {
				v := aView(8)
				v.Health, v.Detail = station.HealthStopped, "append: write /var/lib/linefit/segments/0: no space left on device"
				for i := range v.Slots {
					v.Slots[i].Waiting, v.Slots[i].Lamp = station.WaitLog, station.LampOff
				}
				d.view(v)
			}},
			{"lothalted", func(d *driver) {
				v := aView(8)
				v.Health, v.Detail = station.HealthHalted, string(station.ProfileRefused)
				v.Lot = &station.LotView{Cause: station.ProfileRefused, Units: []station.Serial{"EG25-2609-A001", "EG25-2609-A004"}}
				v.Notifications = station.Notifications{Pending: 12, Recipients: []station.Recipient{{Address: "smdp.example.com", Pending: 12, Tries: 9, Error: "HTTP status 404"}}}
				d.view(v)
			}},
			{"witnesses", func(d *driver) {
				v := aView(8)
				v.Witnesses = []station.Witness{
					{Name: "w.example/1", Log: "linefit.example/st-1", Size: 1812}, {Name: "w.example/2", Tries: 3, Error: "no route"},
					{Name: "w.example/3", Tries: 1, Error: "fork", Fork: true},
				}
				d.view(v)
			}},
			{"lost", func(d *driver) {
				d.view(aView(8))
				d.now = d.now.Add(3 * time.Second)
				d.send(snapshotMsg{Err: errLost, At: d.now})
				d.later(4 * time.Second)
			}},
			{"rework", func(d *driver) {
				d.src.tickets = []station.Ticket{
					{ID: "T-1", Unit: "EG25-2609-D003", State: station.TicketOpen, Wanted: station.Rework, Queue: "rework", Reason: station.NewReason(station.ModuleSilent, ""), Failures: 1},
					{ID: "T-2", Unit: "EG25-2609-H007", State: station.TicketTaken, Wanted: station.Hold, Queue: "hold", Actor: "rw7", Reason: station.NewReason(station.IdentityMismatch, ""), Failures: 2},
				}
				d.view(aView(8))
				d.keys("f3")
			}},
			{"log", func(d *driver) {
				for i, f := range []station.Fact{
					station.RunStarted{Recipe: "consumer", Version: 1, Route: "confirmed", WorkOrder: "WO-1"},
					station.StepEnded{Step: "boot", Kind: station.KindBoot, Attempt: 1, Outcome: station.OK, Millis: 2310},
					station.UnitIdentified{Maker: "Quectel\x1b[31m", Model: "EG25-G", IMEI: "490154203237518"},
					station.StepEnded{Step: "download", Kind: station.KindDownload, Attempt: 1, Outcome: station.Timeout, Millis: 30000, Reason: station.NewReason(station.SMDPUnreachable, "read: connection reset")},
					station.RunVerdict{Verdict: station.Inconclusive, Step: "download", Reason: station.NewReason(station.SMDPUnreachable, "")},
				} {
					name, data, err := station.Encode(f)
					if err != nil {
						d.t.Fatal(err)
					}
					d.src.unit.Entries = append(d.src.unit.Entries, client.Entry{Seq: uint64(i + 1), Type: name, Data: data, UTC: epoch.Add(time.Duration(i) * time.Second)})
				}
				d.view(aView(8))
				d.keys("f4")
			}},
			{"help", func(d *driver) { d.view(aView(8)); d.keys("f1") }},
		} {
			t.Run(string(lang)+"/"+c.name, func(t *testing.T) {
				d := drive(t, Options{Lang: lang, Operator: "op17"})
				c.play(d)
				d.golden(string(lang) + "-" + c.name)
			})
		}
	}
}

var errPlain = errors.New("plain")
