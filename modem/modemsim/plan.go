package modemsim

import (
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"time"

	"linefit/internal/strictyaml"
)

//go:embed plans/*.yaml
var planFiles embed.FS

// Plan is a list of rules that say how often which fault strikes where.
type Plan struct {
	Name  string `yaml:"name"`
	About string `yaml:"about"`
	Rules []Rule `yaml:"rules"`
}

// Rule is one kind of accident. In an attempt it happens with probability
// Chance, at one passing of the point between From and To, and with Count at
// the next ones too.
type Rule struct {
	Point  string  `yaml:"point"`  // "boot", "refresh", a command's name, or that with ".done"
	Chance float64 `yaml:"chance"` // 0 to 1
	From   int     `yaml:"from"`   // number of the passing since power-on, from 0
	To     int     `yaml:"to"`
	Count  int     `yaml:"count"` // passings in a row, 0 means 1
	Fault  Fault   `yaml:"fault"`
}

// Plans are the names of the plans that come with the package.
func Plans() []string { return []string{"harsh", "none", "typical"} }

// BuiltinPlan is a plan that comes with the package: "none", "typical" or
// "harsh".
func BuiltinPlan(name string) (Plan, error) {
	if name == "none" {
		return Plan{Name: name}, nil
	}
	file := path.Join("plans", name+".yaml")
	data, err := planFiles.ReadFile(file)
	if err != nil {
		return Plan{}, fmt.Errorf("no plan of faults %q; there are %q", name, Plans())
	}
	return ParsePlan(file, data)
}

// ParsePlan reads a plan strictly. All mistakes come back together, as
// [strictyaml.Problems].
func ParsePlan(file string, data []byte) (Plan, error) {
	var p Plan
	doc, err := strictyaml.Parse(file, data)
	if err == nil {
		err = doc.Decode(&p)
	}
	if err != nil {
		return Plan{}, err
	}
	var found strictyaml.Problems
	for i, r := range p.Rules {
		for _, text := range r.check() {
			found = append(found, doc.Problem(strictyaml.Path("rules", i), "%s", text))
		}
	}
	return p, found.Err()
}

func (r Rule) check() (texts []string) {
	say := func(format string, args ...any) { texts = append(texts, fmt.Sprintf(format, args...)) }
	if r.Point == "" {
		say("no point")
	}
	if !(r.Chance >= 0 && r.Chance <= 1) {
		say("chance %v is not between 0 and 1", r.Chance)
	}
	if r.From < 0 || r.To < r.From {
		say("passings from %d to %d", r.From, r.To)
	}
	if r.Count < 0 || r.Count > 1000 {
		say("count %d is not between 0 and 1000", r.Count)
	}
	if !slices.Contains(faultKinds, r.Fault.Kind) {
		say("fault kind %q is not one of %q", r.Fault.Kind, faultKinds)
	}
	if r.Fault.Delay < 0 || r.Fault.Delay > time.Hour {
		say("delay %v is not between 0 and 1h", r.Fault.Delay)
	}
	if r.Fault.Code < 0 || r.Fault.Code > 0xFFFF {
		say("code %d is not between 0 and 65535", r.Fault.Code)
	}
	return texts
}

// Faults are the accidents of one attempt of one unit. They follow from seed,
// unit and attempt alone, whatever the order or speed of drawing.
func (p Plan) Faults(seed uint64, unit string, attempt int) Faults {
	type strike struct {
		point string
		n     int
	}
	strikes := map[strike]Fault{}
	for i, r := range p.Rules {
		h := sha256.New()
		fmt.Fprintf(h, "%d\x00%s\x00%d\x00%s\x00%d", seed, unit, attempt, r.Point, i)
		sum := h.Sum(nil)
		chance := float64(binary.BigEndian.Uint64(sum)>>11) / (1 << 53)
		if chance >= r.Chance {
			continue
		}
		n := r.From + int(binary.BigEndian.Uint64(sum[8:])%uint64(r.To-r.From+1))
		for i := range max(r.Count, 1) {
			if at := (strike{r.Point, n + i}); strikes[at].Kind == "" {
				strikes[at] = r.Fault
			}
		}
	}
	return FaultFunc(func(point string, n int) (Fault, bool) {
		f, ok := strikes[strike{point, n}]
		return f, ok
	})
}

// SetFaults replaces what decides about faults, as a new attempt does.
func (m *Module) SetFaults(f Faults) {
	m.lock()
	defer m.unlock()
	m.opt.Faults = f
}
