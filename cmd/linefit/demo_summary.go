package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/rework"
	"linefit/station"
	"linefit/station/sim"
	"linefit/station/stock"
)

// summary is what the demo ends with.
type summary struct {
	Units       int           `json:"units"`
	Passed      int           `json:"passed"`
	Failed      int           `json:"failed"`
	Held        int           `json:"held"`
	Scrapped    int           `json:"scrapped"`
	Unaccounted int           `json:"unaccounted"`
	Runs        int           `json:"runs"`
	Retests     int           `json:"retests"`
	Profiles    sim.Profiles  `json:"profiles"`
	Audit       auditSummary  `json:"audit"`
	MES         mesSummary    `json:"mes"`
	Rework      reworkSummary `json:"rework"`
	Seconds     float64       `json:"seconds"`
	PerHour     float64       `json:"units_per_hour"`
	Efficiency  *float64      `json:"wire_efficiency"`
	Chars       float64       `json:"chars_per_unit"`
	APDUs       float64       `json:"apdus_per_unit"`
	CPU         float64       `json:"cpu_seconds"`
	RSS         int64         `json:"peak_rss_bytes"`
	Radio       int64         `json:"registration_attempts"`
	// Factory is there where units of in-factory provisioning are on the line.
	Factory  *factorySummary `json:"factory,omitempty"`
	Problems []string        `json:"problems,omitempty"`

	left bool // before all units were done
}

type auditSummary struct {
	Entries    uint64 `json:"entries"`
	Checkpoint string `json:"checkpoint"`
	Verified   bool   `json:"verified"`
}

type mesSummary struct {
	Delivered int `json:"delivered"`
	Pending   int `json:"pending"`
	Rejected  int `json:"rejected"`
}

type reworkSummary struct {
	Open   int `json:"open"`
	Closed int `json:"closed"`
}

// good says whether the demo ends with 0: the accounting holds, the log
// verifies, and without faults every unit passed.
func (s summary) good(faults string) bool {
	holds := s.Unaccounted == 0 && s.Profiles.Unaccounted == 0 && s.Profiles.Reserved == 0 && s.Audit.Verified && len(s.Problems) == 0
	return holds && (faults != "none" || s.Passed == s.Units)
}

// summarize counts over the whole folder, from the log and from the world.
func (d *demo) summarize(ctx context.Context) (summary, error) {
	s := summary{Units: *d.cmd.Units, Seconds: time.Since(d.begin).Seconds()}
	account, err := d.world.Account()
	if err != nil {
		return s, err
	}
	var books sim.Books
	var misplaced []string
	err = d.plant.Store.View(func(v audit.View) error {
		n, err := rework.Count(v)
		if err != nil {
			return err
		}
		s.Passed, s.Failed, s.Held, s.Scrapped, s.Runs = n.Passed, n.Failed, n.Held, n.Scrapped, n.Runs
		s.Rework = reworkSummary{Open: n.Tickets, Closed: n.Closed}
		if misplaced, err = d.misplaced(v); err != nil {
			return err
		}
		books, err = readBooks(v)
		return err
	})
	if err != nil {
		return s, err
	}
	s.Unaccounted = s.Units - s.Passed - s.Failed - s.Held - s.Scrapped
	s.Retests = s.Runs - s.Units
	s.Profiles, s.Problems = books.Compare(account)
	s.Problems = append(s.Problems, misplaced...)
	s.Radio = account.Registrations
	if d.prepares() {
		if err := d.summarizeFactory(&s); err != nil {
			return s, err
		}
	}
	if err := d.summarizeLog(ctx, &s); err != nil {
		return s, err
	}
	status, err := d.plant.Outbox.Status()
	if err != nil {
		return s, err
	}
	s.MES = mesSummary{Delivered: status.Delivered, Pending: status.Pending, Rejected: status.Rejected}
	s.rates(account, d.cmd.Baud)
	return s, nil
}

// misplaced are the units that people have carried away as good ones although the
// log does not say so of them.
func (d *demo) misplaced(v audit.View) (problems []string, err error) {
	good := map[sim.Place]station.Disposition{sim.PlaceOut: station.Release, sim.PlaceShelf: station.Next}
	for _, u := range d.world.Units() {
		want, out := good[u.Place]
		if !out {
			continue
		}
		said, err := rework.UnitOf(v, u.Serial)
		if err != nil {
			return nil, err
		}
		if said.Disposition != want {
			problems = append(problems, fmt.Sprintf("unit %s was carried away (%s); the log's last word after %d runs is %q", u.Serial, u.Place, said.Runs, said.Disposition))
		}
	}
	return problems, nil
}

func (d *demo) summarizeLog(ctx context.Context, s *summary) error {
	note, err := d.plant.Store.Checkpoint()
	if err != nil {
		return err
	}
	report, err := store.Verify(ctx, d.dir, store.VerifyOptions{Key: d.plant.Store.VKey(), Checkpoint: note})
	if err != nil {
		return err
	}
	s.Audit = auditSummary{Entries: report.Entries, Checkpoint: base64.StdEncoding.EncodeToString(note), Verified: report.OK}
	return nil
}

func (s *summary) rates(a sim.Account, baud int) {
	if done := float64(s.Units - s.Unaccounted); done > 0 {
		s.PerHour = 3600 * done / s.Seconds
		s.Chars, s.APDUs = float64(a.Chars)/done, float64(a.APDUs)/done
	}
	if baud > 0 && a.Windows > 0 {
		e := a.Charged.Seconds() / a.Windows.Seconds()
		s.Efficiency = &e
	}
	s.CPU, s.RSS = usage()
}

func readBooks(v audit.View) (b sim.Books, err error) {
	if b.Count, err = stock.Count(v); err != nil {
		return b, err
	}
	err = stock.List(v, stock.Filter{}, func(i station.StockItem) error {
		b.Items = append(b.Items, i)
		return nil
	})
	return b, err
}

// print prints the summary: one JSON document, or a text for people.
func (d *demo) print(a *app, s summary) error {
	if d.cmd.JSON {
		return printJSON(a.stdout, s)
	}
	efficiency := "-"
	if s.Efficiency != nil {
		efficiency = fmt.Sprintf("%.3f", *s.Efficiency)
	}
	verified := "verified"
	if !s.Audit.Verified {
		verified = "NOT VERIFIED"
	}
	open := fmt.Sprintf("%d unaccounted", s.Unaccounted)
	retests := fmt.Sprintf(", of these retests %d", s.Retests)
	if s.left { // the screen was left before the end
		open, retests = fmt.Sprintf("%d not done yet", s.Unaccounted), ""
	}
	fmt.Fprintf(a.stdout, `units      %d: %d passed, %d failed, %d held, %d scrapped, %s
runs       %d%s
profiles   %d: %d available, %d installed, %d quarantined, %d spent, %d unaccounted
audit log  %d entries, %s
MES        %d results delivered, %d pending
rework     %d tickets open, %d closed
time       %.1f s, %.0f units per hour, wire efficiency %s
per unit   %.0f characters, %.1f APDUs; %d registration attempts in all
process    %.1f s CPU, %.0f MB
`, s.Units, s.Passed, s.Failed, s.Held, s.Scrapped, open, s.Runs, retests,
		s.Profiles.Total, s.Profiles.Available, s.Profiles.Installed, s.Profiles.Quarantined, s.Profiles.Spent, s.Profiles.Unaccounted,
		s.Audit.Entries, verified, s.MES.Delivered, s.MES.Pending, s.Rework.Open, s.Rework.Closed,
		s.Seconds, s.PerHour, efficiency, s.Chars, s.APDUs, s.Radio, s.CPU, float64(s.RSS)/1e6)
	if s.Factory != nil {
		fmt.Fprint(a.stdout, s.Factory)
	}
	for _, p := range s.Problems {
		fmt.Fprintln(a.stdout, "problem   ", p)
	}
	return nil
}
