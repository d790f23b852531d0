package stock

import (
	"context"
	"crypto/x509"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Room is the stock as people work with it: the ledger with the journal that it
// writes to and the rules of this station. The API and the command line are on
// top of it.
type Room struct {
	Ledger  *Ledger
	Journal Journal
	// Share says which split lists this station takes.
	Share ShareRule
	// Claim asks for the sole use of lists that do not say for which station they
	// are; nil: nobody is there to be asked.
	Claim func(ctx context.Context, c ListClaim) (ref string, err error)
	// Trust says whose batches of prepared packages count; nil: nobody's.
	Trust func(pb *x509.Certificate) error
	// Known says which eUICCs may be on this line; nil: all.
	Known func(ident.EID) bool
	// Formats and Inspect are those of [PackageRules].
	Formats []PackageFormat
	Inspect func(Prepared) (provider string, err error)
	// Running says whether the run that has a profile is open.
	Running func(station.StockItem) bool
}

// Stocked is what is in stock: counts, what is left of every kind, profiles.
type Stocked struct {
	Count    station.StockCount  `json:"count"`
	Offers   []Offer             `json:"offers"`
	Profiles []station.StockItem `json:"profiles"`
	// More says that there are more profiles than were asked for.
	More bool `json:"more,omitempty"`
	// Vault is the random name of this station's vault.
	Vault string `json:"vault"`
}

// List shows the stock, with at most limit profiles.
func (r *Room) List(f Filter, limit int) (Stocked, error) {
	out := Stocked{Vault: r.Ledger.vault.id, Offers: []Offer{}, Profiles: []station.StockItem{}}
	err := r.Ledger.views(func(v audit.View) (err error) {
		if out.Count, err = Count(v); err != nil {
			return err
		}
		offers, err := Offers(v, time.Now())
		if err != nil {
			return err
		}
		out.Offers = append(out.Offers, offers...)
		return List(v, f, func(i station.StockItem) error {
			if len(out.Profiles) == limit {
				out.More = true
				return audit.ErrStop
			}
			out.Profiles = append(out.Profiles, i)
			return nil
		})
	})
	return out, err
}

// Find finds profiles by handle, ICCID, EID or run, as [Find] does.
func (r *Room) Find(id string) (items []station.StockItem, err error) {
	err = r.Ledger.views(func(v audit.View) error {
		items, err = Find(v, id)
		return err
	})
	return items, err
}

// Import takes a list of codes, or a batch of prepared packages, in; it takes a
// lead.
func (r *Room) Import(ctx context.Context, by station.Person, src Source) (Imported, error) {
	if err := by.Allow(station.RoleLead, "importing profiles"); err != nil {
		return Imported{}, err
	}
	rules := PackageRules{Formats: r.Formats, Trust: r.Trust, Known: r.Known, Inspect: r.Inspect}
	if rules.format(src.Data) != nil {
		return r.Ledger.ImportPackages(ctx, src, rules, station.Scope{Actor: by.Actor}, r.Journal)
	}
	src.Share, src.Claim = r.Share, r.Claim
	return r.Ledger.Import(ctx, src, station.Scope{Actor: by.Actor}, r.Journal)
}

// Only lets in packages for the eUICCs of a list alone, as [ReadEIDList] reads
// it.
func (r *Room) Only(name string, list []byte) error {
	eids, err := ReadEIDList(name, list)
	if err != nil {
		return err
	}
	listed := map[ident.EID]bool{}
	for _, eid := range eids {
		listed[eid] = true
	}
	before := r.Known
	r.Known = func(eid ident.EID) bool { return listed[eid] && (before == nil || before(eid)) }
	return nil
}

// Release is [Ledger.Release].
func (r *Room) Release(ctx context.Context, d Decision) (station.StockItem, error) {
	d.Running = r.Running
	return r.Ledger.Release(ctx, d, r.Journal)
}

// Resolve is [Ledger.Resolve].
func (r *Room) Resolve(ctx context.Context, d Decision, found Finding) (station.StockItem, error) {
	d.Running = r.Running
	return r.Ledger.Resolve(ctx, d, found, r.Journal)
}

// Notifications is [Ledger.Notifications].
func (r *Room) Notifications(ctx context.Context, by station.Person, batch, to, why string) error {
	return r.Ledger.Notifications(ctx, by, batch, to, why, r.Journal)
}

// Quarantine is [Ledger.Quarantine].
func (r *Room) Quarantine(ctx context.Context, by station.Person, f Filter, why string) (int, error) {
	return r.Ledger.Quarantine(ctx, by, f, why, r.Journal)
}

// Erase is [Ledger.Erase]; it takes a lead.
func (r *Room) Erase(ctx context.Context, by station.Person, keep time.Duration) (int, error) {
	if err := by.Allow(station.RoleLead, "erasing used codes"); err != nil {
		return 0, err
	}
	return r.Ledger.Erase(ctx, keep, r.Journal)
}

// Claims is [Ledger.Claims].
func (r *Room) Claims(f Filter) ([]Claim, error) { return r.Ledger.Claims(f, time.Now()) }

// Needed is [Needed].
func (r *Room) Needed(eids []ident.EID) (out []ident.EID, err error) {
	err = r.Ledger.views(func(v audit.View) error {
		out, err = Needed(v, eids)
		return err
	})
	return out, err
}

// Reconcile is [Reconcile]. A code that somebody else has used raises an alarm in
// the name of who reconciles; else nothing is changed.
func (r *Room) Reconcile(ctx context.Context, by station.Actor, lists Lists) (out []Disagreement, err error) {
	err = r.Ledger.views(func(v audit.View) error {
		out, err = Reconcile(v, lists)
		return err
	})
	if err != nil {
		return nil, err
	}
	var alarms []station.StockAlarm
	for _, d := range out {
		if d.Kind == Foreign {
			alarms = append(alarms, station.StockAlarm{
				ID: AlarmID(station.AlarmForeign, d.Handle, string(d.EID)), Kind: station.AlarmForeign, Handle: d.Handle, ICCID: d.ICCID, EID: d.EID,
				Detail: d.Text, Evidence: d.Evidence,
			})
		}
	}
	_, err = r.Ledger.Raise(ctx, station.Scope{Actor: by}, r.Journal, alarms...)
	return out, err
}

// Apply is [Ledger.Apply].
func (r *Room) Apply(ctx context.Context, by station.Person, why string, lists Lists, noMES, dry bool) (Application, error) {
	return r.Ledger.Apply(ctx, by, why, lists, noMES, dry, r.Journal)
}

// Alarms is [Alarms].
func (r *Room) Alarms(all bool) (out []Alarm, err error) {
	err = r.Ledger.views(func(v audit.View) error {
		out, err = Alarms(v, all)
		return err
	})
	return out, err
}

// EndAlarm is [Ledger.EndAlarm].
func (r *Room) EndAlarm(ctx context.Context, by station.Person, id, why string) error {
	return r.Ledger.EndAlarm(ctx, by, id, why, r.Journal)
}
