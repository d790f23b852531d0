package simtest

import (
	"fmt"
	"slices"
	"sync"

	"linefit/modem/smdpsim"
)

// Point is a place where something can go wrong; see the package's comment.
type Point string

// Card is the command with which the eUICC carries out an ES10 function, named
// as in [functions].
func Card(function string) Point { return Point("card/" + function) }

// Load is the n-th block of a bound profile package, from 1; -1 is the last.
func Load(n int) Point { return Point(fmt.Sprintf("card/load#%d", n)) }

// Server is a request at the SM-DP+.
func Server(p smdpsim.Point) Point { return Point("server/" + string(p)) }

// Fact is a batch of facts of which one has this type.
func Fact(name string) Point { return Point("fact/" + name) }

// Fixture is an operation of a fixture: power-on, power-off, clamp, open,
// present, lamp, halt.
func Fixture(op string) Point { return Point("fixture/" + op) }

// How says what happens at a point.
type How string

// What can happen.
const (
	Failed       How = "failed"        // an error; nothing was done
	TookEffect   How = "took effect"   // an error; it was done
	Lost         How = "lost"          // no answer; nothing was done
	AnswerLost   How = "answer lost"   // no answer; it was done
	KilledBefore How = "killed before" // the station is killed, nothing was done
	KilledAfter  How = "killed after"  // the station is killed, it was done
	PowerBefore  How = "power before"  // the unit loses power for a moment before it is done
	PowerAfter   How = "power after"   // and after it was done
	Undisturbed  How = "as it is"      // nothing happens beside what the scenario is about
	Reboot       How = "reboot"        // it is done, then the module starts anew by itself
)

// before reports whether the effect does not take place.
func (h How) before() bool {
	return h == Failed || h == Lost || h == KilledBefore || h == PowerBefore
}

// kills reports whether the station is killed.
func (h How) kills() bool { return h == KilledBefore || h == KilledAfter }

// plan is what shall go wrong in a line. It outlives the station's processes.
type plan struct {
	mu      sync.Mutex
	strikes []*strike
	struck  int
}

type strike struct {
	at   Point
	how  How
	skip int // passings that go well first
	left int // strikes still to come; negative: always
}

func (p *plan) add(s strike) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strikes = append(p.strikes, &s)
}

// clear takes away what has not struck yet.
func (p *plan) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strikes = nil
}

// at asks what happens at a point that goes by one of these names.
func (p *plan) at(names ...Point) How {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.strikes {
		for _, name := range names {
			if s.at != name || s.left == 0 {
				continue
			}
			if s.skip > 0 {
				s.skip--
				continue
			}
			s.left--
			p.struck++
			return s.how
		}
	}
	return ""
}

// count is how many faults have struck.
func (p *plan) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.struck
}

// remove takes away what is ordered at a point.
func (p *plan) remove(at Point) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strikes = slices.DeleteFunc(p.strikes, func(s *strike) bool { return s.at == at })
}
