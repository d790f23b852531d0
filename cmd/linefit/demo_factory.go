package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"linefit/audit"
	"linefit/internal/strictyaml"
	"linefit/modem/ident"
	"linefit/modem/rsp"
	"linefit/rework"
	"linefit/station"
	"linefit/station/ifpp"
	"linefit/station/plant"
	"linefit/station/sim"
)

// Modes of the demo.
const (
	modeOnline  = "online"
	modeFactory = "factory"
)

// spareKeys are the one-time keys of an eUICC beyond the packages of one recipe:
// for the recipe that follows, and some that are deleted in the end.
const spareKeys = 4

// demoRecipe is the recipe of a mode.
func (c *demoCmd) demoRecipe() (*station.Recipe, error) {
	shipped := map[string]string{modeOnline: "consumer.yaml", modeFactory: "factory.yaml"}[c.Mode]
	r, err := loadRecipe(c.Recipe, shipped)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Mode == modeFactory && r.Mixed():
		return nil, fmt.Errorf("--mode factory: recipe %s is for units that need a network, too", r.Name)
	case r.Mixed():
		return r, nil
	case c.Mode == modeFactory && r.Factory == "":
		return nil, fmt.Errorf("--mode factory: recipe %s says neither factory: open nor factory: closing", r.Name)
	case c.Mode == modeOnline && r.Factory != "":
		return nil, fmt.Errorf("recipe %s is one of in-factory provisioning: it needs --mode factory", r.Name)
	}
	return r, nil
}

// demoOrders are the packages that a recipe needs for every eUICC, by service
// provider.
func demoOrders(r *station.Recipe) (orders []ifpp.Order, packages int) {
	for _, s := range r.Steps {
		if s.Kind != station.KindLoad {
			continue
		}
		o := ifpp.Order{Name: "demo", List: "the line's units", Operator: s.Text("operator"), Packages: int(s.Int("profiles", 1) + s.Int("spares", 0))}
		if o.Operator == "" {
			o.Operator = "linefit demo"
		}
		orders, packages = append(orders, o), packages+o.Packages
	}
	return orders, packages
}

// demoFactory is the line's part of in-factory provisioning; nil in other modes.
func (c *demoCmd) demoFactory(r *station.Recipe) *sim.Factory {
	if c.Mode != modeFactory && !r.Mixed() {
		return nil
	}
	_, packages := demoOrders(r)
	return &sim.Factory{Keys: packages + spareKeys}
}

// prepares reports whether units of in-factory provisioning are on the line.
func (d *demo) prepares() bool {
	return slices.ContainsFunc(d.world.Units(), func(u sim.UnitState) bool { return u.Prepared })
}

// noNetwork is what a station without a network has for one: nothing. It counts
// who looks for it.
type noNetwork struct{ tries atomic.Int64 }

var errNoNetwork = errors.New("this line has no network")

// RoundTrip implements http.RoundTripper.
func (n *noNetwork) RoundTrip(*http.Request) (*http.Response, error) { return nil, n.allow("") }

func (n *noNetwork) allow(string) error {
	n.tries.Add(1)
	return errNoNetwork
}

// offline takes the way to the SM-DP+ away from a plan: nothing listens, and
// nothing is dialled.
func (d *demo) offline(p *plant.Plan) {
	p.Offline = true
	p.RSP = rsp.NewClient(rsp.ClientConfig{Transport: &d.none, AllowHost: d.none.allow})
}

// procure brings packages into the stock for the units that are not done, and
// units from the shelf that have not passed this recipe into the queue.
func (d *demo) procure(ctx context.Context) error {
	var eids []ident.EID
	for _, u := range d.world.Units() {
		if u.Place == sim.PlaceOut || u.Place == sim.PlaceScrap || !u.Prepared {
			continue
		}
		eids = append(eids, u.EID)
		if u.Place != sim.PlaceShelf {
			continue
		}
		passed, err := d.passed(u.Serial)
		if err != nil {
			return err
		}
		if !passed {
			if err := d.world.Bring(u.Serial); err != nil {
				return err
			}
		}
	}
	if len(eids) == 0 {
		return nil
	}
	orders, _ := demoOrders(d.plant.Plan.Recipe)
	for _, o := range orders {
		o.EIDs = eids
		if err := d.plant.Procure(ctx, d.world, o); err != nil {
			return err
		}
	}
	return nil
}

// resupply is what the demo's lead does with a unit that is held since it has no
// prepared package left: asks for new ones, for one-time keys that none was ever
// bound to, takes them in and has the unit run again. What else is held stays.
func (d *demo) resupply(ctx context.Context, unit station.Serial) (again bool, err error) {
	defer func() { err = plant.Later(err) }()
	var u rework.Unit
	err = d.plant.Log.View(func(v audit.View) error {
		u, err = rework.UnitOf(v, unit)
		return err
	})
	switch {
	case err != nil:
		return false, err
	case u.Ticket == "" && u.Disposition == station.Retest: // decided before a kill
		return true, nil
	case u.Disposition != station.Hold || u.Reason == nil || u.Reason.Code != station.PackageNone:
		return false, nil
	}
	orders, _ := demoOrders(d.plant.Plan.Recipe)
	for _, o := range orders {
		o.Name, o.EIDs = "demo, replacement", []ident.EID{u.EID}
		err := d.plant.Supply(ctx, d.world, o)
		var lacking strictyaml.Problems
		switch {
		case errors.As(err, &lacking): // no one-time key is left for it
			return false, nil
		case err != nil:
			return false, err
		}
	}
	lead := rework.Person{Actor: "lead-1", Role: rework.RoleLead}
	_, err = d.plant.Desk.Dispose(ctx, lead, string(unit), station.Retest, "replacement packages are in the stock")
	return err == nil, err
}

// passed says whether a unit has passed the recipe of this line.
func (d *demo) passed(unit station.Serial) (passed bool, err error) {
	err = d.plant.Log.View(func(v audit.View) error {
		u, err := rework.UnitOf(v, unit)
		passed = slices.Contains(u.Passed, d.plant.Plan.Recipe.Name)
		return err
	})
	return passed, err
}

// factorySummary is what the demo says of in-factory provisioning.
type factorySummary struct {
	ifpp.Counts
	MayShip  int    `json:"may_ship"`       // eUICCs
	KeysLeft int    `json:"one_time_keys"`  // on all eUICCs, from their own memory
	LPA      int    `json:"lpa_services"`   // eUICCs of units that stand in no slot, on which LPA services work
	Network  string `json:"network"`        // none, or "shared" where other units download beside
	Requests int64  `json:"smdp_requests"`  // tries to reach a server where there is no network
	Report   string `json:"loading_report"` // its file
	Verified bool   `json:"verified"`       // every result is signed by its eUICC, and the SM-DPf takes every row
}

// summarizeFactory writes the loading report, has the eUICCs' maker's data and
// the SM-DPf check it, and holds it against the cards.
func (d *demo) summarizeFactory(s *summary) error {
	f := &factorySummary{Report: filepath.Join(d.dir, "loading-report.json"), Requests: d.none.tries.Load(), Network: "none"}
	if d.cmd.Mode != modeFactory {
		f.Network = "shared"
	}
	s.Factory = f
	write, err := d.plant.LoadingReport("")
	if err != nil {
		return err
	}
	if err := replaceFileBy(f.Report, write); err != nil {
		return err
	}
	text, err := os.ReadFile(f.Report)
	if err != nil {
		return err
	}
	r, err := ifpp.ReadReport(f.Report, text)
	if err != nil {
		return err
	}
	problems, err := d.checkReport(r, text)
	if err != nil {
		return err
	}
	f.Counts, f.Verified = r.Counts, len(problems) == 0
	for _, c := range r.EUICCs {
		if c.MayShip {
			f.MayShip++
		}
	}
	more, err := d.checkCards(f)
	if f.Requests > 0 { // only where there is no network
		more = append(more, fmt.Sprintf("a server was asked for %d times, and there is no network", f.Requests))
	}
	s.Problems = append(s.Problems, append(problems, more...)...)
	return err
}

// checkReport has those check the report who get it.
func (d *demo) checkReport(r *ifpp.Report, text []byte) (problems []string, err error) {
	data, err := os.ReadFile(d.world.MakerFile())
	if err != nil {
		return nil, err
	}
	maker, err := ifpp.ReadData(d.world.MakerFile(), data, d.plant.Plan.Issuers, time.Now())
	if err != nil {
		return nil, err
	}
	problems = problemLines(r.Check("loading-report.json", maker))
	took, err := d.world.TakeReport(text)
	if err != nil {
		return nil, err
	}
	problems = append(problems, took.Refused...)
	if err := r.CheckSeal(d.plant.Store.VKey()); err != nil {
		problems = append(problems, "loading-report.json: "+err.Error())
	}
	more, err := d.world.AccountKeys(toldBy(r))
	if err != nil {
		return nil, err
	}
	problems = append(problems, more...)
	for _, iccid := range took.Missing {
		problems = append(problems, fmt.Sprintf("package %s was delivered and is not in the loading report", iccid))
	}
	return problems, nil
}

// toldBy is what a report says of the packages.
func toldBy(r *ifpp.Report) (told []sim.Told) {
	for _, row := range r.Packages {
		told = append(told, sim.Told{
			EID: row.EID, ICCID: row.ICCID, Session: row.Transaction, Key: row.KeyNumber, Status: string(row.Status), Why: row.Why, State: row.State,
		})
	}
	return told
}

// checkCards asks the cards: none that was released has a one-time key, and LPA
// services work on those without one and on no other.
func (d *demo) checkCards(f *factorySummary) (problems []string, err error) {
	keys, err := d.world.Keys()
	if err != nil {
		return nil, err
	}
	for _, u := range d.world.Units() {
		if !u.Prepared {
			continue
		}
		f.KeysLeft += keys[u.EID]
		if u.Place == sim.PlaceSlot {
			continue
		}
		works, err := d.world.LPA(u)
		if err != nil {
			return nil, err
		}
		if works {
			f.LPA++
		}
		if works != (keys[u.EID] == 0) {
			problems = append(problems, fmt.Sprintf("%s has %d one-time keys, LPA services work: %v", u.Serial, keys[u.EID], works))
		}
		if u.Place == sim.PlaceOut && keys[u.EID] > 0 {
			problems = append(problems, fmt.Sprintf("%s was released with %d one-time keys", u.Serial, keys[u.EID]))
		}
	}
	return problems, nil
}

// String is what a person reads of it.
func (f *factorySummary) String() string {
	verified := "verified"
	if !f.Verified {
		verified = "NOT VERIFIED"
	}
	network := fmt.Sprintf("none; %d tries to reach a server", f.Requests)
	if f.Network != "none" {
		network = "for the other units only"
	}
	return fmt.Sprintf(`factory    %d packages: %d installed, %d failed, %d without a result, %d unused; report %s
eUICCs     %d closed, %d open, %d gave no answer, %d not seen, %d scrapped (%d never answered); %d may ship, LPA services work on %d
network    %s
`, f.Packages, f.Installed, f.Failed, f.NoResult, f.Unused, verified, f.Closed, f.Open, f.NoAnswer, f.NotSeen, f.Scrapped, f.Silent, f.MayShip, f.LPA, network)
}
