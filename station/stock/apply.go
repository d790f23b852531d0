package stock

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Application is what the lists let go of those profiles that are kept back since
// the log may not know what became of them (station.StockUnreconciled).
type Application struct {
	// Release are those of which every list, and the log, says that nobody has
	// used them.
	Release []station.StockItem `json:"release"`
	Keep    []Kept              `json:"keep"`
	Applied bool                `json:"applied"` // else nothing was changed
}

// Kept is a profile that stays where it is.
type Kept struct {
	Handle string      `json:"handle"`
	ICCID  ident.ICCID `json:"iccid,omitempty"`
	Why    string      `json:"why"`
}

// ErrLists says that lists are missing without which nothing is applied.
var ErrLists = errors.New("two lists are needed, the SM-DP+'s and the MES's; a station without an MES says so")

// byICCID is what the lists and the log say, by ICCID.
type byICCID struct {
	orders map[ident.ICCID][]ServerRow
	onUnit map[ident.ICCID]string // which unit has it, by whose word
}

func (c *comparison) index() byICCID {
	l := byICCID{orders: map[ident.ICCID][]ServerRow{}, onUnit: map[ident.ICCID]string{}}
	for _, row := range c.lists.Server {
		l.orders[row.ICCID] = append(l.orders[row.ICCID], row)
	}
	for serial, m := range c.h.units {
		for _, iccid := range m.iccids {
			l.onUnit[iccid] = fmt.Sprintf("unit %s passed with it (entry %d)", serial, m.seq)
		}
	}
	for _, u := range c.lists.Units {
		if u.ICCID != "" {
			l.onUnit[u.ICCID] = fmt.Sprintf("the MES's list has it on unit %s (%s)", u.Serial, u.At)
		}
	}
	return l
}

// judge says why a profile is kept; empty where it may go.
func (c *comparison) judge(i station.StockItem, l byICCID) string {
	rows := l.orders[i.ICCID]
	switch {
	case i.Kind == station.KindPreparedPackage:
		return "it is a package for one try: the eUICC must say"
	case i.ICCID == "":
		return "its ICCID is not known here, so no list can speak of it"
	case len(c.byICCID[i.ICCID]) > 1:
		return "its ICCID is in the stock twice"
	case len(rows) == 0:
		return "the SM-DP+'s list does not have it"
	case len(rows) > 1:
		return "the SM-DP+'s list has it twice: " + rows[0].At + ", " + rows[1].At
	case rows[0].State != ServerUnused:
		return fmt.Sprintf("%s at the SM-DP+ (%s)", rows[0].State, rows[0].At)
	case rows[0].EID != "" && rows[0].EID != i.Bound:
		return fmt.Sprintf("the SM-DP+ knows EID %s for it (%s)", rows[0].EID, rows[0].At)
	}
	return l.onUnit[i.ICCID]
}

// apply sorts what is kept back by what the lists say.
func apply(v audit.View, lists Lists) (out Application, err error) {
	out.Release, out.Keep = []station.StockItem{}, []Kept{}
	r, err := projection(v)
	if err != nil {
		return out, err
	}
	if err := refuseSuspect(r); err != nil {
		return out, err
	}
	h, err := readHistory(v)
	if err != nil {
		return out, err
	}
	c := comparison{h: h, lists: lists}
	if err := c.readLedger(v); err != nil {
		return out, err
	}
	l := c.index()
	for _, i := range c.items {
		if !i.Unreconciled() || lists.Batch != "" && i.Batch != lists.Batch {
			continue
		}
		if why := c.judge(i, l); why != "" {
			out.Keep = append(out.Keep, Kept{Handle: i.Handle, ICCID: i.ICCID, Why: why})
		} else {
			out.Release = append(out.Release, i)
		}
	}
	return out, nil
}

// Apply puts back what every list and the log say nobody has used, of what is
// kept back since a log was continued that is not what it must be, or since a
// person took the stock out of use. It takes QA, a reason, and both lists; a
// station without an MES (noMES) takes the SM-DP+'s alone. It is all or nothing,
// also across a crash: a sealed note is finished by [Ledger.Recover]. With dry
// nothing is changed.
func (l *Ledger) Apply(ctx context.Context, by station.Person, why string, lists Lists, noMES, dry bool, j Journal) (out Application, err error) {
	if lists.Server == nil || lists.Units == nil && !noMES {
		return out, ErrLists
	}
	if !dry {
		if err := by.Allow(station.RoleQA, "putting stock back after a reconciliation"); err != nil {
			return out, err
		}
		if err := checkWhy(why); err != nil {
			return out, err
		}
	}
	l.importing.Lock()
	defer l.importing.Unlock()
	l.mu.Lock() // no run gets one meanwhile
	defer l.mu.Unlock()
	err = l.views(func(v audit.View) error {
		out, err = apply(v, lists)
		return err
	})
	if err != nil || dry || len(out.Release) == 0 {
		return out, err
	}
	detail := why
	if len(lists.Names) > 0 {
		detail += "; by " + strings.Join(lists.Names, ", ")
	}
	facts := []station.Fact{station.Overridden{
		What: fmt.Sprintf("%d profiles", len(out.Release)), From: string(station.StockQuarantined), To: string(station.StockAvailable), Why: detail,
	}}
	for _, i := range out.Release {
		facts = append(facts, station.ProfileReleased{Handle: i.Handle, Why: why})
	}
	at := station.Scope{Actor: by.Actor}
	note, err := l.stageFacts(facts, at, "")
	if err != nil {
		return out, err
	}
	if err := writeFacts(ctx, at, j, facts); err != nil {
		return out, fmt.Errorf("stock: the decision is kept; the log took it not or not whole, and gets the rest at the next start: %w", err)
	}
	out.Applied = true
	return out, l.unstage(note)
}
