package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"linefit/audit"
	"linefit/station"
)

// Query is a containment question: which runs share something. Empty fields
// ask nothing. Texts may have "*" for any characters.
type Query struct {
	Slots     []int     `json:"slots,omitempty"`
	Since     time.Time `json:"since,omitzero"` // runs started then or later
	Until     time.Time `json:"until,omitzero"` // runs started before
	Recipe    string    `json:"recipe,omitempty"`
	Digest    string    `json:"digest,omitempty"` // of the recipe; a beginning of 8 digits or more is enough
	WorkOrder string    `json:"work_order,omitempty"`
	SKU       string    `json:"sku,omitempty"`
	Software  string    `json:"software,omitempty"` // of the station
	Maker     string    `json:"maker,omitempty"`
	Model     string    `json:"model,omitempty"`
	Firmware  string    `json:"firmware,omitempty"` // of the module
	Route     string    `json:"route,omitempty"`    // of APDUs: cgla, csim
	// Generation of the eUICC: sgp22, sgp32 or sgp02; or sgp41: units of in-factory
	// provisioning.
	Generation string            `json:"generation,omitempty"`
	Platform   map[string]string `json:"platform,omitempty"` // of the eUICC: eum, firmware, svn, pp_version, sas, label
	SMDP       string            `json:"smdp,omitempty"`
	Batch      string            `json:"batch,omitempty"` // of profiles
	Verdict    string            `json:"verdict,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	// SinceGolden takes of each slot the runs after its last golden sample
	// that passed.
	SinceGolden bool `json:"since_golden,omitempty"`
}

// PlatformNames are the names that Query.Platform knows.
func PlatformNames() []string {
	return []string{"eum", "firmware", "svn", "pp_version", "sas", "label"}
}

func platformField(p *station.Platform, name string) string {
	if p == nil {
		return ""
	}
	return map[string]string{
		"eum": p.EUM, "firmware": p.Firmware, "svn": p.SVN, "pp_version": p.Profile, "sas": p.SAS, "label": p.Label,
	}[name]
}

// Check says what is wrong with a query.
func (q Query) Check() error {
	for name := range q.Platform {
		if !slices.Contains(PlatformNames(), name) {
			return fmt.Errorf("an eUICC platform has no %q; it has %s", name, strings.Join(PlatformNames(), ", "))
		}
	}
	if q.Digest != "" && len(q.Digest) < 8 {
		return fmt.Errorf("a recipe's digest needs 8 digits at least, %q has %d", q.Digest, len(q.Digest))
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return fmt.Errorf("the window from %s to %s is empty", q.Since.Format(time.RFC3339), q.Until.Format(time.RFC3339))
	}
	return nil
}

// Found answers a Query. Runs have everything that was asked for. Undetermined
// are those that have everything else, but ended, or are still running, before
// the log knew what was asked: who wants to contain a fault must look at these
// too.
type Found struct {
	Runs         []Run             `json:"runs"`
	Undetermined []Run             `json:"undetermined"`
	Units        []station.Serial  `json:"units"` // of both, each once, in the order of their first run here
	Golden       map[string]Golden `json:"golden,omitempty"`
	Unread       uint64            `json:"unread"` // entries whose facts this version does not understand
}

// Golden is a slot's last golden sample that passed.
type Golden struct {
	Unit station.Serial `json:"unit"`
	Run  station.RunID  `json:"run"`
	Seq  uint64         `json:"seq"` // of its last entry
	At   time.Time      `json:"at"`
}

// Finder answers a Query from the entries of a log, in order.
type Finder struct {
	q       Query
	t       *tracker
	batches map[string]bool // stock handle to: of the batch asked for
	used    map[station.RunID]answer
	runs    map[int][]Run // by slot
	maybe   map[int][]Run
	golden  map[int]Golden
}

// NewFinder returns a Finder; the query has passed Check.
func NewFinder(q Query) *Finder {
	f := &Finder{
		q: q, t: newTracker(), batches: map[string]bool{}, used: map[station.RunID]answer{},
		runs: map[int][]Run{}, maybe: map[int][]Run{}, golden: map[int]Golden{},
	}
	f.t.want = f.want
	return f
}

// finds are the types that tell what a query can ask.
var finds = map[string]bool{
	station.RunStarted{}.FactType(): true, station.RunResumed{}.FactType(): true, station.UnitIdentified{}.FactType(): true,
	station.ProfileReserved{}.FactType(): true, station.RunVerdict{}.FactType(): true, station.UnitDisposed{}.FactType(): true,
	station.UnitLeft{}.FactType(): true,
}

// want says whether an entry of a run can matter: not if the run is out already.
func (f *Finder) want(r *Run, factType string) bool {
	if !finds[factType] {
		return false
	}
	if !r.judged {
		r.judged, r.out = true, f.q.begun(r) == no && !(f.q.SinceGolden && r.Sample == station.SampleGolden)
	}
	return !r.out || factType == station.UnitLeft{}.FactType()
}

// See takes the next entry.
func (f *Finder) See(e audit.Entry) {
	if e.Type == (station.StockImported{}).FactType() && f.q.Batch != "" {
		if s, ok := f.t.decode(e).(station.StockImported); ok {
			f.batches[s.Handle] = match(f.q.Batch, s.Batch) == yes
		}
		return
	}
	ev := f.t.see(e)
	if r, ok := ev.fact.(station.ProfileReserved); ok && f.q.Batch != "" {
		f.reserved(ev.run, r)
	}
	for _, r := range ev.over {
		f.over(r)
	}
}

func (f *Finder) reserved(r *Run, p station.ProfileReserved) {
	if is, known := f.batches[p.Handle]; !known {
		f.used[r.ID] = max(f.used[r.ID], unknown)
	} else if is {
		f.used[r.ID] = yes
	}
}

func (f *Finder) over(r *Run) {
	used := f.used[r.ID]
	delete(f.used, r.ID)
	if f.q.SinceGolden && r.Sample != "" {
		f.reference(r)
		return
	}
	a := f.q.begun(r)
	if a != no {
		a = min(a, f.q.ended(r))
	}
	if f.q.Batch != "" {
		if r.Verdict == station.Unset {
			used = max(used, unknown) // it may still reserve one
		}
		a = min(a, used)
	}
	switch a {
	case yes:
		f.runs[r.Slot] = append(f.runs[r.Slot], *r)
	case unknown:
		f.maybe[r.Slot] = append(f.maybe[r.Slot], *r)
	}
}

// reference takes a reference unit's run: a golden sample that passed shows
// that the slot was right until then.
func (f *Finder) reference(r *Run) {
	late := !f.q.Until.IsZero() && !r.Started.Before(f.q.Until)
	if r.Sample != station.SampleGolden || r.Verdict != station.Pass || late || len(f.q.Slots) > 0 && !slices.Contains(f.q.Slots, r.Slot) {
		return
	}
	f.golden[r.Slot] = Golden{Unit: r.Unit, Run: r.ID, Seq: r.Last, At: r.Ended}
	delete(f.runs, r.Slot)
	delete(f.maybe, r.Slot)
}

// Result is the answer over all entries seen. The finder is used up.
func (f *Finder) Result() Found {
	for _, r := range f.t.rest() {
		f.over(r)
	}
	out := Found{Runs: gather(f.runs), Undetermined: gather(f.maybe), Units: []station.Serial{}, Unread: f.t.unread}
	seen := map[station.Serial]bool{}
	both := append(slices.Clone(out.Runs), out.Undetermined...)
	slices.SortFunc(both, byFirst)
	for _, r := range both {
		if !seen[r.Unit] {
			seen[r.Unit] = true
			out.Units = append(out.Units, r.Unit)
		}
	}
	if f.q.SinceGolden {
		out.Golden = map[string]Golden{}
		for slot, g := range f.golden {
			out.Golden[fmt.Sprint(slot)] = g
		}
	}
	return out
}

func gather(bySlot map[int][]Run) []Run {
	all := []Run{}
	for _, runs := range bySlot {
		all = append(all, runs...)
	}
	slices.SortFunc(all, byFirst)
	return all
}

func byFirst(a, b Run) int {
	if a.First < b.First {
		return -1
	}
	return 1
}

// answer is to one condition; the smallest of several is that to all of them.
type answer int

const (
	no answer = iota
	unknown
	yes
)

// generationOf is what a run is held against where a generation is asked for.
func (q Query) generationOf(r *Run) string {
	if q.Generation == station.KindSGP41 {
		return r.Kind
	}
	return r.Generation
}

func (q Query) inWindow(r *Run) bool {
	return (q.Since.IsZero() || !r.Started.Before(q.Since)) && (q.Until.IsZero() || r.Started.Before(q.Until))
}

// begun answers what a run's beginning tells.
func (q Query) begun(r *Run) answer {
	if len(q.Slots) > 0 && !slices.Contains(q.Slots, r.Slot) || !q.inWindow(r) ||
		match(q.Recipe, r.Recipe) == no || q.Digest != "" && !strings.HasPrefix(r.Digest, q.Digest) ||
		match(q.WorkOrder, r.WorkOrder) == no || match(q.SKU, r.SKU) == no {
		return no
	}
	return known(match(q.Software, r.Software), r.Software)
}

// ended answers what the rest of a run tells. What was asked for and is not
// known is unknown: a module that never answered has some firmware.
func (q Query) ended(r *Run) answer {
	a := yes
	for _, c := range []struct{ want, have string }{
		{q.Maker, r.Maker}, {q.Model, r.Model}, {q.Firmware, r.Firmware}, {q.Route, r.Route}, {q.Generation, q.generationOf(r)},
	} {
		a = min(a, known(match(c.want, c.have), c.have))
	}
	for name, want := range q.Platform {
		have := platformField(r.Platform, name)
		a = min(a, known(match(want, have), have))
	}
	// A run without a server or a verdict has none, unless it is still going on.
	open := r.Verdict == station.Unset
	code := ""
	if r.Reason != nil {
		code = string(r.Reason.Code)
	}
	for _, c := range []struct{ want, have string }{{q.SMDP, r.SMDP}, {q.Verdict, string(r.Verdict)}, {q.Reason, code}} {
		m := match(c.want, c.have)
		if open {
			m = known(m, c.have)
		}
		a = min(a, m)
	}
	return a
}

// known turns no into unknown where there is nothing to compare with.
func known(a answer, have string) answer {
	if a == no && have == "" {
		return unknown
	}
	return a
}

// match compares a text with a pattern in which "*" stands for any characters;
// an empty pattern asks nothing.
func match(pattern, s string) answer {
	if pattern == "" || wildcard(pattern, s) {
		return yes
	}
	return no
}

func wildcard(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	rest, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	for _, p := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, p)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, last)
}
