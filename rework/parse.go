package rework

import (
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"linefit/internal/strictyaml"
	"linefit/station"
)

// policySchema is the JSON Schema of a policy file.
//
//go:embed policy.schema.json
var policySchema string

// Schema is the JSON Schema of a policy file.
func Schema() []byte { return []byte(policySchema) }

var compiled = sync.OnceValue(func() *jsonschema.Schema { return strictyaml.Compile("policy.schema.json", policySchema) })

type policyFile struct {
	Policy            string
	Version           int
	Title             string
	RetestLimit       int `yaml:"retest_limit"`
	InconclusiveLimit int `yaml:"inconclusive_limit"`
	ScrapAfter        int `yaml:"scrap_after"`
	Rerun             string
	Queues            map[string]string
	Rules             []ruleFile
	Lot               []lotFile // nil: station.DefaultLot
}

type lotFile struct {
	Reason []string
	Units  int
	Within int
}

type ruleFile struct {
	Name  string
	When  conditionFile
	Then  string
	Queue string
}

type conditionFile struct {
	Verdict  []string
	Reason   []string
	Class    []string
	Step     []string
	Failures int
	Repairs  int
	Same     int
}

// ParsePolicy reads a policy. The error is strictyaml.Problems: every mistake,
// with its line.
func ParsePolicy(name string, data []byte) (*Policy, error) {
	doc, err := strictyaml.Parse(name, data)
	if err != nil {
		return nil, err
	}
	shape := doc.Validate(compiled())
	var f policyFile
	if len(shape) == 0 {
		err = doc.Decode(&f)
	} else if shape.At(decisive) || doc.DecodeKnown(&f) != nil {
		err = shape.Err()
	}
	if err != nil {
		return nil, err
	}
	p := f.policy()
	if err := append(shape, shape.Beside(lint(doc, p))...).Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// decisive are the places of what the order of rules is judged by.
var decisive = regexp.MustCompile(`^$|^rules$|^rules\[\d+\](\.when)?$`)

func (f policyFile) policy() *Policy {
	p := &Policy{
		Name: f.Policy, Version: f.Version, RetestLimit: f.RetestLimit, InconclusiveLimit: f.InconclusiveLimit,
		ScrapAfter: f.ScrapAfter, Rerun: f.Rerun == "allow", Queues: map[station.Disposition]string{},
	}
	for d, q := range f.Queues {
		p.Queues[station.Disposition(d)] = q
	}
	for _, r := range f.Rules {
		p.Rules = append(p.Rules, Rule{
			Name: r.Name, Then: station.Disposition(r.Then), Queue: r.Queue,
			When: Condition{
				Verdict: typed[station.Verdict](r.When.Verdict), Reason: r.When.Reason, Class: typed[station.Class](r.When.Class),
				Step: r.When.Step, Failures: r.When.Failures, Repairs: r.When.Repairs, Same: r.When.Same,
			},
		})
	}
	if p.Lot = station.DefaultLot(); f.Lot != nil {
		p.Lot = nil
	}
	for _, r := range f.Lot {
		p.Lot = append(p.Lot, station.LotRule{Reason: r.Reason, Units: r.Units, Within: r.Within})
	}
	return p
}

func typed[T ~string](texts []string) []T {
	var out []T
	for _, t := range texts {
		out = append(out, T(t))
	}
	return out
}

// lint finds what the schema cannot say: reasons that do not exist, rules that
// never apply, rules that would let a unit go that must be held.
func lint(doc *strictyaml.Doc, p *Policy) strictyaml.Problems {
	l := linter{doc: doc, codes: station.Codes(), names: map[string]int{}}
	for i, r := range p.Rules {
		l.rule(i, r)
	}
	for i, r := range p.Lot {
		l.lot(i, r)
	}
	if l.closed < 0 {
		l.add(strictyaml.Path("rules", len(p.Rules)-1), "the last rule must apply to everything that is left: no when")
	}
	return l.found
}

type linter struct {
	doc    *strictyaml.Doc
	codes  map[station.Code]station.Class
	names  map[string]int
	closed int // 1 + index of the rule after which none applies; -1 while there is none
	found  strictyaml.Problems
}

func (l *linter) add(path []string, format string, args ...any) {
	l.found = append(l.found, l.doc.Problem(path, format, args...))
}

func (l *linter) rule(i int, r Rule) {
	at := func(parts ...any) []string { return strictyaml.Path(append([]any{"rules", i}, parts...)...) }
	if i == 0 {
		l.closed = -1
	}
	if first, ok := l.names[r.Name]; ok {
		l.add(at("name"), "rule %q is already the name of rule %d", r.Name, first+1)
	}
	l.names[r.Name] = i
	if l.closed > 0 {
		l.add(at("name"), "rule %q never applies: rule %d before it always does", r.Name, l.closed)
	}
	if r.When.empty() && l.closed < 0 {
		l.closed = i + 1
	}
	passes := len(r.When.Verdict) == 1 && r.When.Verdict[0] == station.Pass
	if r.Then == station.Release && !passes {
		l.add(at("then"), "release needs when: {verdict: [pass]}: only a person lets a unit go that has not passed")
	}
	if r.Then == station.Scrap && (len(r.When.Verdict) != 1 || r.When.Verdict[0] != station.Failed) {
		l.add(at("then"), "scrap needs when: {verdict: [fail]}: a unit is not scrapped for another's fault")
	}
	for j, pattern := range r.When.Reason {
		l.reason(at("when", "reason", j), pattern, r.Then)
	}
}

// lot is a rule by which the lot stops.
func (l *linter) lot(i int, r station.LotRule) {
	if r.Within < r.Units {
		l.add(strictyaml.Path("lot", i, "within"), "%d units cannot be found in %d verdicts", r.Units, r.Within)
	}
	for j, pattern := range r.Reason {
		l.known(strictyaml.Path("lot", i, "reason", j), pattern)
	}
}

// known reports whether a pattern names a reason at all.
func (l *linter) known(path []string, pattern string) bool {
	for code := range l.codes {
		if code.Matches(pattern) {
			return true
		}
	}
	l.add(path, "%q matches no reason code", pattern)
	return false
}

func (l *linter) reason(path []string, pattern string, then station.Disposition) {
	if !l.known(path, pattern) {
		return
	}
	exact := !strings.HasSuffix(pattern, "*")
	if exact && then != station.Hold && slices.Contains(alwaysHeld, station.Code(pattern)) {
		l.add(path, "%q is always held, whatever a policy says", pattern)
	}
}
