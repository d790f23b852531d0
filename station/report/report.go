package report

import (
	"time"

	"linefit/station"
)

// Report is what a [Builder] found. Lists are in the order in which they are
// shown.
type Report struct {
	Format  string  `json:"format"`
	Log     Source  `json:"log"`
	Window  Window  `json:"window"`
	Station Station `json:"station"`
	Yield   Yield   `json:"yield"`
	Trend   []Bar   `json:"trend"`
	// TrendStep is the length of the trend's bars in seconds.
	TrendStep int64       `json:"trend_step_s"`
	Failures  []Failure   `json:"failures"`
	Steps     []StepStat  `json:"steps"`
	Cycle     Cycle       `json:"cycle"`
	Slots     []SlotStat  `json:"slots"`
	Kinds     []KindStat  `json:"kinds"`
	Interop   []Interop   `json:"interoperability"`
	Samples   []Sample    `json:"samples"`
	Refused   []Refusal   `json:"refused"`
	Waiting   []Waiting   `json:"waiting"`
	Capped    []string    `json:"capped,omitempty"` // lists that had to leave something out
	Unread    uint64      `json:"unread"`           // entries whose facts this version does not understand
	Excluded  Excluded    `json:"excluded"`
	Effects   EffectCount `json:"effects"`
}

// Format is the value of a report's format field.
const Format = "linefit-report/1"

// Source says which log a report was made from. The caller knows it.
type Source struct {
	Origin     string `json:"origin"`
	Sim        bool   `json:"sim"`
	First      uint64 `json:"first"` // seq of the first entry read
	Last       uint64 `json:"last"`  // seq of the last one
	Size       uint64 `json:"size"`  // of the checkpoint's tree
	Root       string `json:"root"`
	Checkpoint string `json:"checkpoint"` // signed note
	VKey       string `json:"vkey"`
}

// Window is the time that a report is about: what was asked for, and the first
// and last start of a run in it.
type Window struct {
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

// Station is who did the work, as it last opened.
type Station struct {
	station.StationOpened
	Starts int `json:"starts"` // of the program, in the whole log
}

// Yield counts runs and units. See the package documentation for what counts.
type Yield struct {
	Runs         int `json:"runs"` // counted: Pass + Fail + Inconclusive
	Pass         int `json:"pass"`
	Fail         int `json:"fail"`
	Inconclusive int `json:"inconclusive"`
	Retests      int `json:"retests"` // counted runs of units that had run before
	Units        int `json:"units"`   // with a counted run
	FirstPass    int `json:"first_pass"`
	FirstFail    int `json:"first_fail"`
	FirstOther   int `json:"first_inconclusive"`
	FinalPass    int `json:"final_pass"`
	FinalFail    int `json:"final_fail"`
	FinalOther   int `json:"final_inconclusive"`
	Scrapped     int `json:"scrapped"`
	Held         int `json:"held"` // Hold or rework or retest is still open
	FPYPermille  int `json:"fpy_permille"`
	FinPermille  int `json:"final_permille"`
	FPYLow       int `json:"fpy_low_permille"` // 95 % interval (Wilson)
	FPYHigh      int `json:"fpy_high_permille"`
}

// Excluded counts what is in no yield.
type Excluded struct {
	Aborted map[station.Code]int `json:"aborted"` // runs ended by something that is not their own
	Samples int                  `json:"samples"` // runs of reference units
	Open    int                  `json:"open"`    // runs without a verdict yet
}

// Bar is one bar of the trend.
type Bar struct {
	At           time.Time `json:"at"`
	Pass         int       `json:"pass"`
	Fail         int       `json:"fail"`
	Inconclusive int       `json:"inconclusive"`
	Aborted      int       `json:"aborted"`
}

// Failure is one reason of the Pareto.
type Failure struct {
	Code     station.Code  `json:"code"`
	Class    station.Class `json:"class"`
	Runs     int           `json:"runs"`     // counted runs that it decided
	Attempts int           `json:"attempts"` // attempts that ended with it, those saved by a retry included
	Step     string        `json:"step"`     // where it decided most runs, or ended most attempts
	Example  string        `json:"example"`  // detail of the first one
	Slots    []int         `json:"slots"`    // where it was seen
	Last     time.Time     `json:"last"`
}

// StepStat is one step of the recipes.
type StepStat struct {
	Step     string `json:"step"`
	Kind     string `json:"kind"`
	Attempts int    `json:"attempts"`
	Failed   int    `json:"failed"`   // attempts that did not end OK
	Decided  int    `json:"decided"`  // counted runs that it decided
	Retried  int    `json:"retried"`  // attempts after the first in a run
	Times    Times  `json:"times_ok"` // of attempts that ended OK
}

// Cycle are the times of runs that passed.
type Cycle struct {
	Slot Times `json:"slot"` // from admission until the unit has left
	Work Times `json:"work"` // the attempts alone
	// Lost is the time spent in attempts that did not end OK, in milliseconds.
	Lost int64 `json:"lost_ms"`
	Used int64 `json:"used_ms"` // in all attempts
}

// SlotStat is one slot.
type SlotStat struct {
	Slot         int   `json:"slot"`
	Runs         int   `json:"runs"`
	Pass         int   `json:"pass"`
	Fail         int   `json:"fail"`
	Inconclusive int   `json:"inconclusive"`
	Aborted      int   `json:"aborted"`
	Samples      int   `json:"samples"`
	Faults       int   `json:"faults"`
	Permille     int   `json:"pass_permille"`
	Low          int   `json:"low_permille"` // 95 % interval (Wilson)
	High         int   `json:"high_permille"`
	Worse        bool  `json:"worse"` // its whole interval is below what the others reach together
	Work         Times `json:"work"`
}

// Interop is one row of the interoperability table: counted runs of one
// combination of module, route, eUICC platform and server.
type Interop struct {
	Combination
	Runs         int            `json:"runs"`
	Pass         int            `json:"pass"`
	Fail         int            `json:"fail"`
	Inconclusive int            `json:"inconclusive"`
	Download     Times          `json:"download"` // profile.download attempts that ended OK
	Reasons      []InteropCause `json:"reasons"`
}

// InteropCause is why runs of a combination did not pass.
type InteropCause struct {
	Code station.Code `json:"code"`
	Runs int          `json:"runs"`
}

// KindStat is what became of the units of one kind: sgp22, sgp32, sgp02, or sgp41
// for in-factory provisioning; "" is what was never identified. All kinds have
// the same fields.
type KindStat struct {
	Kind         string `json:"kind"`
	Units        int    `json:"units"` // by the kind that their first run found
	Runs         int    `json:"runs"`
	Pass         int    `json:"pass"`
	Fail         int    `json:"fail"`
	Inconclusive int    `json:"inconclusive"`
	Permille     int    `json:"permille"` // of the runs, that passed
	Profiles     int    `json:"profiles"` // that the verdicts of passing runs name
	Work         Times  `json:"work"`     // of passing runs
}

// Combination is what a run was made of. "" is what the run never learnt.
type Combination struct {
	Maker    string `json:"maker"`
	Model    string `json:"model"`
	Firmware string `json:"firmware"`
	Route    string `json:"route"`
	// Generation of the eUICC: sgp22, sgp32 or sgp02.
	Generation string `json:"generation"`
	// Kind of the unit: its generation, or sgp41 for in-factory provisioning.
	Kind     string `json:"kind"`
	EUM      string `json:"eum"`
	Platform string `json:"platform"`
	EUICC    string `json:"euicc_firmware"`
	SVN      string `json:"svn"`
	Package  string `json:"pp_version"`
	SAS      string `json:"sas"`
	SMDP     string `json:"smdp"`
}

// Sample counts the runs of reference units in one slot.
type Sample struct {
	Slot   int       `json:"slot"`
	Kind   string    `json:"kind"`
	Runs   int       `json:"runs"`
	AsTold int       `json:"as_told"` // golden ones that passed, failing ones that did not
	Last   time.Time `json:"last"`
}

// Refusal counts requests that changed nothing.
type Refusal struct {
	Code  station.Code `json:"code"`
	Count int          `json:"count"`
}

// Waiting is a unit that was not released after its last run.
type Waiting struct {
	Unit     station.Serial      `json:"unit"`
	Disposal station.Disposition `json:"disposition"`
	Queue    string              `json:"queue,omitempty"`
	Code     station.Code        `json:"code,omitempty"`
	Step     string              `json:"step,omitempty"`
	Slot     int                 `json:"slot"`
	Since    time.Time           `json:"since"`
}

// EffectCount counts irreversible effects.
type EffectCount struct {
	Intents map[station.EffectName]int `json:"intents"`
	// Unanswered are intents of counted runs for which no result stands in the
	// log: what became of them was not known when the run ended.
	Unanswered int `json:"unanswered"`
	Downloads  int `json:"profiles_installed"`
}
