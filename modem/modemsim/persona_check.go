package modemsim

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// mistake is a value that no module could behave by.
type mistake struct {
	path []string
	text string
}

type checker struct{ found []mistake }

func (c *checker) fail(path, format string, args ...any) {
	c.found = append(c.found, mistake{strings.Split(path, "."), fmt.Sprintf(format, args...)})
}

func (c *checker) oneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.fail(path, "%q is not one of %q", value, allowed)
	}
}

// result checks "error", "silent" or a CME number; empty only where allowed.
func (c *checker) result(path, value string, empty bool) {
	if value == "" && empty || value == "error" || value == "silent" {
		return
	}
	if n, err := strconv.Atoi(value); err != nil || n < 0 || n > 65535 {
		c.fail(path, `%q is no result: "error", "silent" or a CME number`, value)
	}
}

func (c *checker) atLeast(path string, value, least int) {
	if value < least {
		c.fail(path, "%d is less than %d", value, least)
	}
}

func (c *checker) notNegative(path string, d time.Duration) {
	if d < 0 || d > time.Hour {
		c.fail(path, "%v is not between 0 and 1h", d)
	}
}

// check lists every mistake of a resolved persona.
func (p *Persona) check() []mistake {
	c := &checker{}
	c.identity(p.Identity)
	c.atLeast("port.baud", p.Port.Baud, 0)
	c.boot(p.Boot)
	c.at(p.AT)
	c.sim(p.SIM)
	c.apdu(p.APDU)
	c.radio(p.Radio)
	c.oneOf("nv.save", p.NV.Save, "write", "cfun0", "store", "down")
	c.need("sim.refresh.need", p.SIM.Refresh.Need, p.Commands)
	for _, u := range p.Boot.URCs {
		c.need("boot.urcs", u.Need, p.Commands)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Commands)) {
		c.command(name, p.Commands[name])
	}
	sort.SliceStable(c.found, func(i, j int) bool {
		return strings.Join(c.found[i].path, ".") < strings.Join(c.found[j].path, ".")
	})
	return c.found
}

func (c *checker) need(path, setting string, commands map[string]Command) {
	if setting != "" && commands[setting].Action != "setting" {
		c.fail(path, "%q is no setting of this persona", setting)
	}
}

func (c *checker) identity(i Identity) {
	for _, v := range [][2]string{{"manufacturer", i.Manufacturer}, {"model", i.Model}, {"firmware", i.Firmware}} {
		if v[1] == "" {
			c.fail("identity."+v[0], "is empty")
		}
	}
	if len(i.TAC) != 8 || digits(i.TAC) != 8 {
		c.fail("identity.tac", "%q is not eight digits", i.TAC)
	}
}

func (c *checker) boot(b Boot) {
	c.notNegative("boot.alive", b.Alive)
	c.notNegative("boot.sim", b.SIM)
	c.notNegative("boot.port", b.Port)
	if b.Port > b.Alive {
		c.fail("boot.port", "the port appears after AT commands are answered")
	}
	if _, err := hex.DecodeString(b.Noise); err != nil {
		c.fail("boot.noise", "is not hexadecimal: %v", err)
	}
	for _, u := range b.URCs {
		c.notNegative("boot.urcs", u.At)
		c.oneOf("boot.urcs", u.When, "", "sim", "no-sim")
	}
}

func (c *checker) at(a AT) {
	if a.CMEE < 0 || a.CMEE > 2 {
		c.fail("at.cmee", "%d is not 0, 1 or 2", a.CMEE)
	}
	c.oneOf("at.framing", a.Framing, "v250", "tight")
	c.oneOf("at.busy", a.Busy, "buffer", "drop", "abort")
	c.oneOf("at.test", a.Test, "ok", "error", "silent")
	c.result("at.unknown", a.Unknown, false)
	c.notNegative("at.gap", a.Gap)
	if a.MaxLine < 64 || a.MaxLine > 1<<16 {
		c.fail("at.max_line", "%d is not between 64 and 65536", a.MaxLine)
	}
	for name, d := range a.Delay {
		c.notNegative("at.delay."+name, d)
	}
}

func (c *checker) sim(s SIM) {
	c.result("sim.absent", s.Absent, false)
	c.result("sim.off", s.Off, false)
	c.result("sim.busy", s.Busy, false)
	if s.NoProfile.CPIN == "" {
		c.fail("sim.no_profile.cpin", "is empty")
	}
	c.result("sim.no_profile.iccid", s.NoProfile.ICCID, false)
	c.result("sim.no_profile.csim", s.NoProfile.CSIM, true)
	c.result("sim.no_profile.ccho", s.NoProfile.CCHO, true)
	c.oneOf("sim.refresh.sw", s.Refresh.SW, "pass", "9000")
	c.notNegative("sim.refresh.delay", s.Refresh.Delay)
	c.notNegative("sim.refresh.down", s.Refresh.Down)
	c.oneOf("sim.cold_start", s.ColdStart, "keep", "disable", "reset")
}

func (c *checker) apdu(a APDU) {
	if a.Channel.Supported {
		c.oneOf("apdu.channel.open", a.Channel.Open, "prefixed", "bare", "quoted")
		c.oneOf("apdu.channel.handle", a.Channel.Handle, "channel", "counter", "hex")
		c.oneOf("apdu.channel.quotes", a.Channel.Quotes, "any", "required")
		c.block("apdu.channel.max", a.Channel.Max)
		c.atLeast("apdu.channel.sessions", a.Channel.Sessions, 1)
		c.result("apdu.channel.open_error", a.Channel.OpenError, false)
	}
	if a.CSIM.Supported {
		c.block("apdu.csim.max", a.CSIM.Max)
		c.result("apdu.csim.refused", a.CSIM.Refused, false)
	}
	c.notNegative("apdu.deadline", a.Deadline)
	c.result("apdu.deadline_result", a.DeadlineResult, a.Deadline == 0)
	if a.LPA.Setting != "" {
		c.result("apdu.lpa.result", a.LPA.Result, false)
	}
}

func (c *checker) block(path string, n int) {
	if n < 16 || n > 261 {
		c.fail(path, "%d bytes is not between 16 and 261", n)
	}
}

func (c *checker) radio(r Radio) {
	if !slices.Contains(r.CFUN, r.BootCFUN) {
		c.fail("radio.boot_cfun", "%d is not among the accepted levels %v", r.BootCFUN, r.CFUN)
	}
	c.notNegative("radio.attach", r.Attach)
	c.notNegative("radio.settle", r.Settle)
	if r.Retry < time.Second || r.Retry > time.Hour {
		c.fail("radio.retry", "%v is not between 1s and 1h", r.Retry)
	}
}

func (c *checker) command(name string, v Command) {
	at := "commands." + name
	got, rest, err := nextCommand(name)
	if err != nil || rest != "" || got.form != formExec || got.name != name {
		c.found = append(c.found, mistake{[]string{"commands", name}, "is no command name in upper case"})
		return
	}
	fail := func(format string, args ...any) {
		c.found = append(c.found, mistake{[]string{"commands", name}, fmt.Sprintf(format, args...)})
	}
	if !slices.Contains([]string{"text", "setting", "keyed", "down", "reset", "none"}, v.Action) {
		fail("action %q is not one of text, setting, keyed, down, reset, none", v.Action)
	}
	for _, f := range v.Forms {
		if !slices.Contains([]string{"exec", "read", "set"}, f) {
			fail("form %q is not one of exec, read, set", f)
		}
	}
	if !slices.Contains([]string{"", "write", "cfun0", "store", "down"}, v.Save) {
		fail("save %q is not one of write, cfun0, store, down", v.Save)
	}
	if v.Action == "keyed" && len(v.Values) == 0 {
		fail("a keyed setting without values")
	}
	if v.Wait < 0 || v.Wait > time.Hour {
		fail("wait %v is not between 0 and 1h", v.Wait)
	}
	c.result(at+".refused", v.Refused, true)
}
