package stock

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Want says what a run needs.
type Want struct {
	Run  station.RunID
	Unit station.Serial
	EID  ident.EID // of the eUICC, as read from it

	// Kind is empty for an activation code, station.KindPreparedPackage for a
	// package that was bound to this eUICC beforehand.
	Kind string
	// Not are profiles that the run has had already: it wants another one.
	Not      []string
	Batch    string // only this batch; empty: any
	Operator string // only this operator; empty: any
	Region   string // only this region; empty: any
	// SKU, Customer and WorkOrder are the order's. A profile that names one of
	// them is for such an order only.
	SKU       string
	Customer  string
	WorkOrder string
}

// fits reports whether a kind of profile is what is wanted, and may be used.
func (w Want) fits(r audit.Reader, c class, at time.Time) (bool, error) {
	if w.mismatch(c) != "" || expired(c.Expires, at) {
		return false, nil
	}
	b, _, err := terms(r, c.Batch)
	return err == nil && w.underTerms(b), err
}

// mismatch names the first property in which a kind of profile is not what is
// wanted.
func (w Want) mismatch(c class) string {
	asked := func(want, have string) bool { return want == "" || want == have }
	reserved := func(want, have string) bool { return have == "" || want == have }
	switch {
	case !asked(w.Batch, c.Batch):
		return "batch"
	case !asked(w.Operator, c.Operator):
		return "operator"
	case !asked(w.Region, c.Region):
		return "region"
	case !reserved(w.Customer, c.Customer):
		return "customer"
	case !reserved(w.SKU, c.SKU):
		return "SKU"
	}
	return ""
}

// underTerms reports whether a batch's terms allow the order.
func (w Want) underTerms(b station.StockBatch) bool {
	return (b.Customer == "" || b.Customer == w.Customer) && (b.SKU == "" || b.SKU == w.SKU) &&
		(b.WorkOrder == "" || b.WorkOrder == w.WorkOrder)
}

// picker chooses a profile from one state of the ledger.
type picker struct {
	r       audit.Reader
	want    Want
	at      time.Time
	pending map[string]choice
	mes     bool // only what the MES has handed out for this unit
}

func (p picker) pick() (record, error) {
	if err := refuseSuspect(p.r); err != nil {
		return record{}, err
	}
	if rec, ok, err := p.own(); ok || err != nil {
		return rec, err
	}
	if rec, ok, err := p.ofEUICC(); ok || err != nil {
		return rec, err
	}
	if p.mes {
		return record{}, station.Refuse(station.StockEmpty, "the MES has handed out no code for this unit")
	}
	return p.oldest()
}

// own is what the run has already, or was getting when the log failed.
func (p picker) own() (rec record, ok bool, err error) {
	err = iterate(p.r, runKey(p.want.Run), func(found record) error {
		rec, ok = found, true
		return audit.ErrStop
	})
	if err == nil && ok && rec.EID != "" && p.want.EID != "" && rec.EID != p.want.EID {
		return record{}, false, station.Refuse(station.IdentityChanged, "profile %s is reserved for EID %s", rec.Handle, rec.EID)
	}
	if err == nil && ok && rec.Issue != "" {
		err = p.issued(rec)
	}
	if err != nil || ok {
		return rec, ok, err
	}
	for handle, c := range p.pending { // one at most
		if c.run != p.want.Run {
			continue
		}
		rec, ok, err = getRecord(p.r, handle)
		if err == nil && ok {
			ok, err = p.usable(rec)
		}
		return rec, ok, err
	}
	return record{}, false, nil
}

// issued holds what the MES has handed out for the unit against the eUICC that
// the unit really has, and against what the recipe asks for.
func (p picker) issued(rec record) error {
	if rec.Bound != "" && rec.Bound != p.want.EID {
		return station.Refuse(station.IdentityMismatch, "the MES has handed out a profile for EID %s, the unit has EID %s", rec.Bound, p.want.EID)
	}
	if what := p.want.mismatch(rec.class()); what != "" {
		return station.Refuse(station.MESProfile, "the profile that the MES has handed out is of another %s", what)
	}
	return nil
}

// taken reports whether another run is just getting the profile.
func (p picker) taken(handle string) bool {
	c, ok := p.pending[handle]
	return ok && c.run != p.want.Run
}

// ofEUICC is a profile that this eUICC has, may have or asked for in vain, or
// that its provider bound to it; in this order.
func (p picker) ofEUICC() (record, bool, error) {
	if p.want.EID == "" {
		return record{}, false, nil
	}
	var best *record
	bestRank := 0
	err := iterate(p.r, "e/"+string(p.want.EID)+"/", func(rec record) error {
		ok, err := p.usable(rec)
		if err != nil {
			return err
		}
		rank := rank(rec)
		if p.mes && rank == rankBound {
			return nil // of a list that was imported before
		}
		if rank == rankUnknown && rec.EID == p.want.EID && !ok {
			return station.Refuse(station.ProfileUnknown, "profile %s, which is not the one wanted, may be installed on this eUICC", rec.Handle)
		}
		if ok && rank > bestRank {
			best, bestRank = &rec, rank
		}
		return nil
	})
	if err != nil || best == nil {
		return record{}, false, err
	}
	return *best, true, nil
}

// Ranks of what an eUICC's own profiles are good for.
const (
	rankBound     = iota + 1 // available, bound to it
	rankAbsent               // asked for, not installed
	rankInstalled            // installed
	rankUnknown              // the eUICC must say so first
)

func rank(r record) int {
	switch r.Left() {
	case station.StateUnknown:
		return rankUnknown
	case station.StateInstalled:
		return rankInstalled
	case station.StateAbsent:
		return rankAbsent
	}
	return rankBound
}

func (p picker) usable(rec record) (bool, error) {
	if rec.Kind != p.want.Kind || !rec.Usable(p.want.EID) || p.taken(rec.Handle) || slices.Contains(p.want.Not, rec.Handle) {
		return false, nil
	}
	class := rec.class()
	switch rank(rec) {
	case rankUnknown, rankInstalled:
		class.Expires = "" // it was used in time
	case rankAbsent:
		if rec.Cap > 0 && rec.Downloads >= rec.Cap {
			return false, nil
		}
	}
	return p.want.fits(p.r, class, p.at)
}

// oldest is the first import that fits and that any eUICC may get.
func (p picker) oldest() (record, error) {
	var best *record
	var why reasons
	err := eachClass(p.r, func(c class, l list) error {
		fits, err := p.want.fits(p.r, c, p.at)
		if err != nil {
			return err
		}
		if !fits {
			why.add(p.want, c, l.Left, p.at)
			return nil
		}
		return eachOffered(p.r, c, l, func(rec record) error {
			if best != nil && rec.Order > best.Order {
				return audit.ErrStop
			}
			ok, err := p.usable(rec)
			if ok {
				best = &rec
				return audit.ErrStop
			}
			return err
		})
	})
	if err != nil {
		return record{}, err
	}
	if best == nil {
		return record{}, station.Refuse(station.StockEmpty, "%s", why.text())
	}
	return *best, nil
}

// reasons says why profiles that are there are not the ones wanted.
type reasons struct {
	names  []string
	counts map[string]int
}

func (s *reasons) add(w Want, c class, left int, at time.Time) {
	name := w.mismatch(c)
	switch {
	case name != "":
		name = "other " + name
	case expired(c.Expires, at):
		name = "expired"
	default:
		name = "for another order"
	}
	if s.counts == nil {
		s.counts = map[string]int{}
	}
	if s.counts[name] == 0 {
		s.names = append(s.names, name)
	}
	s.counts[name] += left
}

func (s *reasons) text() string {
	if len(s.names) == 0 {
		return "no profile is left"
	}
	parts := make([]string, len(s.names))
	for i, n := range s.names {
		parts[i] = fmt.Sprintf("%d %s", s.counts[n], n)
	}
	return "no profile that fits is left; not fitting: " + strings.Join(parts, ", ")
}
