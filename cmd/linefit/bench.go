package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"text/tabwriter"
)

type benchCmd struct {
	Slots   []int  `default:"1,16,64" placeholder:"N,..." help:"Numbers of slots to compare, 1 to 64 each."`
	PerSlot int    `default:"2" placeholder:"N" help:"Units that each slot gets, one after the other."`
	Runs    int    `default:"3" placeholder:"N" help:"Runs of each number of slots; the median is printed."`
	Baud    int    `default:"115200" help:"Line rate of the virtual modules; 0: no pacing."`
	Faults  string `default:"none" enum:"none,typical,harsh" help:"How much goes wrong: none, typical or harsh."`
	JSON    bool   `name:"json" help:"Print the figures as one JSON document."`
}

// benchRow is the median of some whole runs with one number of slots.
type benchRow struct {
	Slots      int      `json:"slots"`
	Units      int      `json:"units"`
	Runs       int      `json:"runs"`
	Seconds    float64  `json:"seconds"`
	PerHour    float64  `json:"units_per_hour"`
	Ratio      float64  `json:"throughput_ratio"` // to the first row
	Efficiency *float64 `json:"wire_efficiency"`
	CPU        float64  `json:"cpu_seconds_per_unit"`
	RSS        int64    `json:"peak_rss_bytes"`
}

// Run measures whole runs of the demo, each in a process of its own, so that CPU
// time and memory are that run's and nothing is warm. The rounds go through all
// numbers of slots in turn: what disturbs the machine disturbs all of them.
func (c *benchCmd) Run(a *app) error {
	if err := c.check(); err != nil {
		return exit(exitUsage, err)
	}
	self, err := os.Executable()
	if err != nil {
		return exit(exitMissing, err)
	}
	sums := make([][]summary, len(c.Slots))
	for round := range c.Runs {
		for i, slots := range c.Slots {
			fmt.Fprintf(a.stderr, "round %d of %d: %d slots\n", round+1, c.Runs, slots)
			s, err := c.once(a.ctx, self, slots, round)
			if err != nil {
				return err
			}
			sums[i] = append(sums[i], s)
		}
	}
	rows := make([]benchRow, len(sums))
	for i := range sums {
		rows[i] = c.row(c.Slots[i], sums[i])
		rows[i].Ratio = rows[i].PerHour / rows[0].PerHour
	}
	if c.JSON {
		return printJSON(a.stdout, rows)
	}
	return c.print(a, rows)
}

func (c *benchCmd) check() error {
	var errs []error
	for _, n := range c.Slots {
		if n < 1 || n > 64 {
			errs = append(errs, fmt.Errorf("--slots %d: 1 to 64 are possible", n))
		}
	}
	if len(c.Slots) == 0 {
		errs = append(errs, errors.New("--slots: at least one number is needed"))
	}
	if c.PerSlot < 1 || c.PerSlot > 1000 {
		errs = append(errs, fmt.Errorf("--per-slot %d: 1 to 1000 are possible", c.PerSlot))
	}
	if c.Runs < 1 || c.Runs > 100 {
		errs = append(errs, fmt.Errorf("--runs %d: 1 to 100 are possible", c.Runs))
	}
	return errors.Join(errs...)
}

// once is one whole run. A run whose accounting does not hold is no measurement.
func (c *benchCmd) once(ctx context.Context, self string, slots, round int) (summary, error) {
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, self, "demo", "--headless", "--json", "--faults", c.Faults, "--slots", strconv.Itoa(slots),
		"--units", strconv.Itoa(slots*c.PerSlot), "--baud", strconv.Itoa(c.Baud), "--seed", strconv.Itoa(round+1))
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return summary{}, exit(exitVerdict, fmt.Errorf("%d slots, round %d: %w\n%s", slots, round+1, err, errOut.Bytes()))
	}
	var s summary
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		return s, exit(exitInternal, fmt.Errorf("the demo's summary: %w", err))
	}
	return s, nil
}

func (c *benchCmd) row(slots int, sums []summary) benchRow {
	units := slots * c.PerSlot
	r := benchRow{
		Slots: slots, Units: units, Runs: len(sums),
		Seconds: median(sums, func(s summary) float64 { return s.Seconds }),
		PerHour: median(sums, func(s summary) float64 { return s.PerHour }),
		CPU:     median(sums, func(s summary) float64 { return s.CPU / float64(units) }),
		RSS:     median(sums, func(s summary) int64 { return s.RSS }),
	}
	if sums[0].Efficiency != nil {
		e := median(sums, func(s summary) float64 { return *s.Efficiency })
		r.Efficiency = &e
	}
	return r
}

// median is the middle one, or the lower of the two middle ones.
func median[N int64 | float64](sums []summary, of func(summary) N) N {
	var values []N
	for _, s := range sums {
		values = append(values, of(s))
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

func (c *benchCmd) print(a *app, rows []benchRow) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "slots\tunits\tseconds\tunits per hour\tratio\twire efficiency\tCPU s per unit\tpeak MB\t")
	for _, r := range rows {
		efficiency := "-"
		if r.Efficiency != nil {
			efficiency = fmt.Sprintf("%.3f", *r.Efficiency)
		}
		fmt.Fprintf(w, "%d\t%d\t%.1f\t%.0f\t%.2f\t%s\t%.3f\t%d\t\n", r.Slots, r.Units, r.Seconds, r.PerHour, r.Ratio, efficiency, r.CPU, r.RSS>>20)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "medians of %d runs each\n", c.Runs)
	return err
}
