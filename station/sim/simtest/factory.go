package simtest

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path"
	"slices"
	"time"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/ifpp"
	"linefit/station/sim"
)

// Factory makes the line one of in-factory provisioning: its eUICCs come with
// one-time keys, its stock are prepared packages, and no server is asked. Where
// the recipe takes other units beside them, that holds for these units only.
type Factory struct {
	Keys   int // of each eUICC
	Orders []FactoryOrder
}

// FactoryOrder are packages for every eUICC.
type FactoryOrder struct {
	Provider string
	Packages int
}

// offline reports whether the line has no network.
func (o Options) offline() bool { return o.Factory != nil && !o.Recipe.Mixed() }

// worldFactory is the line's part of it.
func (o Options) worldFactory() *sim.Factory {
	if o.Factory == nil {
		return nil
	}
	return &sim.Factory{Keys: o.Factory.Keys}
}

// noNetwork is a network that is not there. It notes who looks for it.
type noNetwork struct{ line *Line }

var errNoNetwork = errors.New("simtest: there is no network")

// RoundTrip implements http.RoundTripper.
func (n noNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	n.line.mu.Lock()
	defer n.line.mu.Unlock()
	n.line.tried[path.Base(r.URL.Path)]++
	return nil, errNoNetwork
}

// procure brings the packages into the stock.
func (s *Station) procure() {
	l := s.line
	var eids []ident.EID
	for _, u := range l.World.Units() {
		if u.Prepared {
			eids = append(eids, u.EID)
		}
	}
	if len(eids) == 0 {
		return
	}
	for _, o := range l.opt.Factory.Orders {
		l.must(s.Procure(l.t.Context(), l.World, ifpp.Order{Name: "test", EIDs: eids, Packages: o.Packages, Operator: o.Provider}))
	}
}

// Report is the loading report, and what does not hold of it before the eUICCs'
// maker.
func (l *Line) Report() (r *ifpp.Report, text []byte, doubt error) {
	l.t.Helper()
	write, err := l.Station.LoadingReport("")
	l.must(err)
	var b bytes.Buffer
	l.must(write(&b))
	text = b.Bytes()
	r, err = ifpp.ReadReport("report.json", text)
	l.must(err)
	data, err := os.ReadFile(l.World.MakerFile())
	l.must(err)
	d, err := ifpp.ReadData(l.World.MakerFile(), data, l.Station.Plan.Issuers, time.Now())
	l.must(err)
	return r, text, r.Check("report.json", d)
}

// checkFactory: only eUICCs without one-time keys were released, LPA services
// work on these and on no other, nobody was asked over a network, and the
// loading report holds before the eUICCs' maker and the SM-DPf.
func (l *Line) checkFactory(a *Account) {
	if l.opt.Factory == nil {
		return
	}
	keys, err := l.World.Keys()
	l.must(err)
	for _, u := range l.World.Units() {
		if u.Place == sim.PlaceSlot || !u.Prepared {
			continue
		}
		works, err := l.World.LPA(u)
		l.must(err)
		switch left := keys[u.EID]; {
		case works != (left == 0):
			a.problem("%s: %d one-time keys are left, LPA services work: %v", u.Serial, left, works)
		case u.Place == sim.PlaceOut && left > 0:
			a.problem("%s was released with %d one-time keys", u.Serial, left)
		}
	}
	l.mu.Lock()
	tried := l.tried
	l.mu.Unlock()
	for name, n := range tried {
		a.problem("%d requests %s, and there is no network", n, name)
	}
	r, text, doubt := l.Report()
	if doubt != nil {
		a.problem("the loading report does not hold: %v", doubt)
	}
	took, err := l.World.TakeReport(text)
	l.must(err)
	for _, refused := range took.Refused {
		a.problem("the SM-DPf does not take a row of the report: %s", refused)
	}
	if made := l.packages(a); len(took.Missing) > 0 || took.Rows != made {
		a.problem("of %d packages %d are reported, missing are %v", made, took.Rows, took.Missing)
	}
	l.checkRows(a, r, keys)
	var told []sim.Told
	for _, row := range r.Packages {
		told = append(told, sim.Told{
			EID: row.EID, ICCID: row.ICCID, Session: row.Transaction, Key: row.KeyNumber, Status: string(row.Status), Why: row.Why, State: row.State,
		})
	}
	wrong, err := l.World.AccountKeys(told)
	l.must(err)
	for _, what := range wrong {
		a.problem("%s", what)
	}
	if err := r.CheckSeal(l.st.VKey()); err != nil {
		a.problem("the loading report: %v", err)
	}
}

// packages are how many the SM-DPf has prepared.
func (l *Line) packages(a *Account) (n int) {
	for _, o := range a.Orders {
		if o.Prepared {
			n++
		}
	}
	return n
}

// checkRows holds the report against the cards.
func (l *Line) checkRows(a *Account, r *ifpp.Report, keys map[ident.EID]int) {
	for _, row := range r.Packages {
		on := slices.ContainsFunc(a.Cards[row.EID], func(p euiccsim.ProfileState) bool { return p.ICCID == row.ICCID })
		says := row.Status == ifpp.Installed || row.State == station.StateInstalled
		if on != says && row.State != station.StateUnknown {
			a.problem("the report says of package %s: %s %s; on its card: %v", row.ICCID, row.Status, row.State, on)
		}
	}
	for _, c := range r.EUICCs {
		if c.MayShip && keys[c.EID] > 0 {
			a.problem("the report lets %s ship with %d one-time keys", c.EID, keys[c.EID])
		}
	}
}
