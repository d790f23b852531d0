package modemsim

import "time"

// FaultKind names what goes wrong. The comment says at which points it acts;
// elsewhere it is ignored.
type FaultKind string

// Kinds of fault. "before" is a command's point under its own name (such as
// "+CGLA"): the command was received and has done nothing yet. "after" is the
// point with ".done" behind the name: the module and the card have done what
// was asked and the answer is about to be sent.
const (
	FaultIgnore   FaultKind = "ignore"   // before: nothing is done, nothing is answered
	FaultCME      FaultKind = "cme"      // before: refused with CME Code, nothing is done
	FaultError    FaultKind = "error"    // before: refused; after: bare ERROR though it was done
	FaultSilent   FaultKind = "silent"   // after: done, never answered
	FaultLate     FaultKind = "late"     // after: the answer comes Delay later
	FaultSlow     FaultKind = "slow"     // before: everything happens Delay later
	FaultURC      FaultKind = "urc"      // after: Text lands in the answer, behind N characters of it or, with N 0, before the final result; with Delay that long behind the answer
	FaultTruncate FaultKind = "truncate" // after: N characters of information text get through, then the final result
	FaultLength   FaultKind = "length"   // after: the announced length of +CGLA, +CSIM is N too large
	FaultDribble  FaultKind = "dribble"  // after: the answer comes character by character, Delay apart
	FaultEcho     FaultKind = "echo"     // before: echo switches over by itself
	FaultNumeric  FaultKind = "numeric"  // before: result codes become numbers by themselves (ATV0)
	FaultVanish   FaultKind = "vanish"   // before, after: the port is gone for Delay
	FaultCut      FaultKind = "cut"      // before, after, boot: power fails for Delay, then the module boots
	FaultReboot   FaultKind = "reboot"   // before, after: the module restarts by itself
	FaultNoise    FaultKind = "noise"    // boot: the bytes of Text appear
	FaultDead     FaultKind = "dead"     // boot: the module never answers
	FaultDelay    FaultKind = "delay"    // boot: everything comes Delay later; refresh: the reaction does
	FaultLost     FaultKind = "lost"     // refresh: the module does not react
	FaultLeak     FaultKind = "leak"     // before, +CCHC: OK, and the channel stays open
	FaultSW       FaultKind = "sw"       // before, +CGLA and +CSIM: status word Code, nothing reaches the card
	FaultStall    FaultKind = "stall"    // before: the module takes no characters for Delay (flow control)
)

var faultKinds = []FaultKind{
	FaultIgnore, FaultCME, FaultError, FaultSilent, FaultLate, FaultSlow, FaultURC, FaultTruncate,
	FaultLength, FaultDribble, FaultEcho, FaultNumeric, FaultVanish, FaultCut, FaultReboot, FaultNoise,
	FaultDead, FaultDelay, FaultLost, FaultLeak, FaultSW, FaultStall,
}

// Fault is one fault with its parameters.
type Fault struct {
	Kind  FaultKind     `yaml:"kind"`
	Delay time.Duration `yaml:"delay"`
	Code  int           `yaml:"code"` // CME number or status word
	N     int           `yaml:"n"`    // characters
	Text  string        `yaml:"text"` // URC or bytes
}

// Faults decides what goes wrong. Draw is asked at each point with the number
// of times that the point was passed since PowerOn, from 0. Points are "boot",
// "refresh", and for each command its name, and its name with ".done". Draw
// runs on the module's own goroutine and must not call the module.
type Faults interface {
	Draw(point string, n int) (Fault, bool)
}

// FaultFunc is a function as [Faults].
type FaultFunc func(point string, n int) (Fault, bool)

// Draw calls the function.
func (f FaultFunc) Draw(point string, n int) (Fault, bool) { return f(point, n) }

// draw asks for a fault at a point. A point's own counter starts again with
// each PowerOn, so that a seed means the same in every attempt.
func (m *Module) draw(point string) Fault {
	n := m.drawn[point]
	m.drawn[point] = n + 1
	if m.opt.Faults == nil {
		return Fault{}
	}
	f, ok := m.opt.Faults.Draw(point, n)
	if !ok {
		return Fault{}
	}
	m.counters.Faults++
	m.log.Debug().Str("point", point).Int("n", n).Str("fault", string(f.Kind)).Msg("fault")
	return f
}
