package station

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Recipe is an immutable, versioned process. station/recipe reads it from
// strict YAML; its digest is in every run.
type Recipe struct {
	Name    string
	Version int
	Title   string
	// Accepts lists the eUICC generations: sgp22, sgp32, sgp02; and KindSGP41 where
	// units of in-factory provisioning go through it beside others.
	Accepts []string
	// Restart is the step from which an interrupted run goes on. It lies before
	// the steps that read identity.
	Restart string
	// Rework marks a recipe that prepares a unit for its next run: one that passes
	// goes to retest and never out.
	Rework bool `json:",omitempty"`
	// Consent declares that profile policy rules are allowed and under which
	// contract; empty means that none are.
	Consent string
	// Factory says what the recipe is to in-factory provisioning (SGP.41):
	// FactoryOpen leaves one-time keys for a later recipe, FactoryClosing ends
	// with their deletion and lets nothing pass that has one left. Empty: a
	// recipe that loads no prepared packages.
	Factory string `json:",omitempty"`
	Steps   []Step
	// Files are the files that its steps name (ParamFiles), by the names there.
	// They are a part of the recipe: who changes one has another recipe.
	Files map[string][]byte `json:",omitempty"`
}

// Values of Recipe.Factory.
const (
	FactoryOpen    = "open"
	FactoryClosing = "closing"
)

// FactoryClosed is, beside FactoryOpen, a value of RunVerdict.Factory.
const FactoryClosed = "closed"

// KindSGP41 is, beside the eUICC generations, what a recipe may accept and a step
// be only for: eUICCs of SGP.22 with in-factory one-time keys (SGP.41). Their LPA
// services are shut, so what is done with them is something else. In a recipe
// that does not name it they are what their generation is.
const KindSGP41 = "sgp41"

// UnitKind is what a unit is in reports: KindSGP41 where in-factory provisioning
// has to do with it (what its eUICC was identified as, or what the verdict says of
// it), else the generation of its eUICC.
func UnitKind(generation, prepared, factory string) string {
	if prepared != "" || factory != "" {
		return KindSGP41
	}
	return generation
}

// Step is one step of a recipe.
type Step struct {
	ID     string
	Kind   string
	Params map[string][]string
	Limits []Limit
	// Timeout bounds one attempt.
	Timeout time.Duration
	// Attempts bounds the tries in one run, 1 to 20.
	Attempts int
	// RetryFrom is the step with which another try begins; empty is this one.
	RetryFrom string
	// RetryOn are the outcomes after which another try makes sense.
	RetryOn []Outcome
	// Irreversible steps write an intent before each effect that cannot be undone.
	Irreversible bool
	// Always marks a closing step: it runs whatever happened before.
	Always bool
	// Optional steps do not decide the verdict.
	Optional bool
	// Final marks the step that ends in-factory provisioning.
	Final bool `json:",omitempty"`
	// Only names the generations of eUICCs, and KindSGP41, with which the step is
	// done, where it is not done with all that the recipe accepts.
	Only []string `json:",omitempty"`
}

// For reports whether a step is done with an eUICC of a kind ([Recipe.KindOf]);
// empty: one that was not read yet.
func (s Step) For(kind string) bool {
	return len(s.Only) == 0 || slices.Contains(s.Only, kind)
}

// KindOf is what an eUICC is to the recipe: KindSGP41 or its generation.
func (r *Recipe) KindOf(id UnitIdentified) string {
	if r.Mixed() && id.Prepared != "" {
		return KindSGP41
	}
	return id.Generation
}

// Mixed reports whether units of in-factory provisioning go through the recipe
// beside others.
func (r *Recipe) Mixed() bool { return slices.Contains(r.Accepts, KindSGP41) }

// Limit bounds a measurement. Exactly one kind of bound is set.
type Limit struct {
	Measure string
	Min     *int64
	Max     *int64
	In      []string // one of these texts
	Prefix  []string // begins with one of these
}

// Check reports whether a value is inside; a value that is no number is
// outside of a numeric bound.
func (l Limit) Check(value string) bool {
	if len(l.In) > 0 {
		return slices.Contains(l.In, value)
	}
	if len(l.Prefix) > 0 {
		return slices.ContainsFunc(l.Prefix, func(p string) bool { return len(value) >= len(p) && value[:len(p)] == p })
	}
	n, err := strconv.ParseInt(value, 10, 64)
	return err == nil && (l.Min == nil || n >= *l.Min) && (l.Max == nil || n <= *l.Max)
}

// Text is a parameter's first value, or the empty string.
func (s Step) Text(name string) string {
	if v := s.Params[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Flag reports whether a parameter is "yes" or "true".
func (s Step) Flag(name string) bool { return s.Text(name) == "yes" || s.Text(name) == "true" }

// Int is a parameter as a number, or def where it is absent. The recipe was
// checked against the kind's parameters, so it is a number where it is there.
func (s Step) Int(name string, def int64) int64 {
	if n, err := strconv.ParseInt(s.Text(name), 10, 64); err == nil {
		return n
	}
	return def
}

// Duration is a parameter as a duration, or def where it is absent.
func (s Step) Duration(name string, def time.Duration) time.Duration {
	if d, err := time.ParseDuration(s.Text(name)); err == nil {
		return d
	}
	return def
}

// Retries reports whether another try makes sense after an outcome.
func (s Step) Retries(o Outcome) bool { return slices.Contains(s.RetryOn, o) }

// Index is the position of a step, -1 where there is none of that name.
func (r *Recipe) Index(id string) int {
	return slices.IndexFunc(r.Steps, func(s Step) bool { return s.ID == id })
}

// Digest is the SHA-256 over the recipe's canonical JSON, in hexadecimal.
func (r *Recipe) Digest() string {
	b, err := json.Marshal(r)
	if err != nil { // plain data always marshals
		panic(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// String is a limit for a person.
func (l Limit) String() string {
	switch {
	case len(l.In) > 0:
		return fmt.Sprintf("%s is one of %s", l.Measure, strings.Join(l.In, ", "))
	case len(l.Prefix) > 0:
		return fmt.Sprintf("%s begins with %s", l.Measure, strings.Join(l.Prefix, " or "))
	case l.Min != nil && l.Max != nil:
		return fmt.Sprintf("%d <= %s <= %d", *l.Min, l.Measure, *l.Max)
	case l.Min != nil:
		return fmt.Sprintf("%s >= %d", l.Measure, *l.Min)
	case l.Max != nil:
		return fmt.Sprintf("%s <= %d", l.Measure, *l.Max)
	}
	return l.Measure
}
