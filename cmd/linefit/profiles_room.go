package main

import (
	"context"
	"io"
	"net/url"
	"strconv"
	"time"

	"linefit/audit/store"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/ifpp"
	"linefit/station/plant"
	"linefit/station/stock"
	"linefit/ui/client"
)

// stockroom is the stock of a running station, or of a store.
type stockroom interface {
	list(ctx context.Context, id string, f stock.Filter, limit int) (stock.Stocked, error)
	// importList takes a list in; eids are the only eUICCs that its packages may
	// be for, nil: any.
	importList(ctx context.Context, by station.Person, src stock.Source, eids *list) (stock.Imported, error)
	release(ctx context.Context, d stock.Decision) (station.StockItem, error)
	resolve(ctx context.Context, d stock.Decision, f stock.Finding) (station.StockItem, error)
	quarantine(ctx context.Context, by station.Person, batch, why string) (int, error)
	notifications(ctx context.Context, by station.Person, batch, to, why string) error
	erase(ctx context.Context, by station.Person, keep time.Duration) (int, error)
	claims(ctx context.Context, batch string) ([]stock.Claim, error)
	needed(ctx context.Context, l list) ([]ident.EID, error)
	// reconcile compares, and says what the lists let go, or lets it go.
	reconcile(ctx context.Context, q reconciling) ([]stock.Disagreement, *stock.Application, error)
	alarms(ctx context.Context, all bool) ([]stock.Alarm, error)
	endAlarm(ctx context.Context, by station.Person, id, why string) error
	loadingReport(ctx context.Context, batch string, w io.Writer) error
}

// reconciling is a comparison with lists.
type reconciling struct {
	by            station.Person
	server, units *list
	batch, why    string
	apply, noMES  bool
}

// applies reports whether it can be said what the lists let go.
func (q reconciling) applies() bool { return q.apply || q.server != nil && (q.units != nil || q.noMES) }

// withStock works with the stock of the station that was named.
func (w where) withStock(a *app, s shares, fn func(context.Context, stockroom) error) error {
	rule, err := s.rule()
	if err != nil {
		return err
	}
	return w.station(a, func(ctx context.Context, c *client.Client) error { return fn(ctx, remoteRoom{c}) }, func(ctx context.Context, o *offline) error {
		vault, err := w.vault(ctx)
		if err != nil {
			return err
		}
		ledger := stock.NewLedger(o.store.View, vault, func(ctx context.Context) error { _, err := o.store.Gate(ctx); return err })
		if err := ledger.Recover(ctx, o.journal); err != nil {
			return exit(exitMissing, err)
		}
		room := stock.Room{Ledger: ledger, Journal: o.journal, Share: rule, Inspect: ifpp.Inspect, Running: plant.RunningIn(o.store.View)}
		if room.Trust, err = s.trust(); err != nil {
			return err
		}
		return fn(ctx, storeRoom{room, o.store, o})
	})
}

// storeRoom is the stock of a store.
type storeRoom struct {
	stock.Room
	log *store.Store
	o   *offline
}

func (r storeRoom) list(_ context.Context, id string, f stock.Filter, limit int) (stock.Stocked, error) {
	out, err := r.List(f, limit)
	if err == nil && id != "" {
		out.More = false
		out.Profiles, err = r.Find(id)
	}
	return out, err
}

func (r storeRoom) importList(ctx context.Context, by station.Person, src stock.Source, eids *list) (stock.Imported, error) {
	room := r.Room
	if eids != nil {
		if err := room.Only(eids.name, eids.data); err != nil {
			return stock.Imported{}, err
		}
	}
	by, err := r.o.as(ctx, by)
	if err != nil {
		return stock.Imported{}, err
	}
	return room.Import(ctx, by, src)
}

func (r storeRoom) release(ctx context.Context, d stock.Decision) (station.StockItem, error) {
	var err error
	if d.By, err = r.o.as(ctx, d.By); err != nil {
		return station.StockItem{}, err
	}
	return r.Release(ctx, d)
}

func (r storeRoom) resolve(ctx context.Context, d stock.Decision, f stock.Finding) (station.StockItem, error) {
	var err error
	if d.By, err = r.o.as(ctx, d.By); err != nil {
		return station.StockItem{}, err
	}
	return r.Resolve(ctx, d, f)
}

func (r storeRoom) quarantine(ctx context.Context, by station.Person, batch, why string) (int, error) {
	by, err := r.o.as(ctx, by)
	if err != nil {
		return 0, err
	}
	return r.Quarantine(ctx, by, stock.Filter{Batch: batch}, why)
}

func (r storeRoom) notifications(ctx context.Context, by station.Person, batch, to, why string) error {
	by, err := r.o.as(ctx, by)
	if err != nil {
		return err
	}
	return r.Notifications(ctx, by, batch, to, why)
}

func (r storeRoom) erase(ctx context.Context, by station.Person, keep time.Duration) (int, error) {
	by, err := r.o.as(ctx, by)
	if err != nil {
		return 0, err
	}
	return r.Erase(ctx, by, keep)
}

func (r storeRoom) claims(_ context.Context, batch string) ([]stock.Claim, error) {
	return r.Claims(stock.Filter{Batch: batch})
}

func (r storeRoom) needed(_ context.Context, l list) ([]ident.EID, error) {
	eids, err := stock.ReadEIDList(l.name, l.data)
	if err != nil {
		return nil, err
	}
	return r.Needed(eids)
}

func (r storeRoom) alarms(_ context.Context, all bool) ([]stock.Alarm, error) { return r.Alarms(all) }

func (r storeRoom) endAlarm(ctx context.Context, by station.Person, id, why string) error {
	by, err := r.o.as(ctx, by)
	if err != nil {
		return err
	}
	return r.EndAlarm(ctx, by, id, why)
}

func (r storeRoom) reconcile(ctx context.Context, q reconciling) (found []stock.Disagreement, a *stock.Application, err error) {
	lists, err := stock.ReadLists(q.server.file(), q.units.file())
	if err != nil {
		return nil, nil, err
	}
	lists.Batch = q.batch
	by := q.by
	if by.Actor == "" {
		by.Actor = "operator"
	} else if by, err = r.o.as(ctx, by); err != nil {
		return nil, nil, err
	}
	if q.applies() {
		plan, err := r.Apply(ctx, by, q.why, lists, q.noMES, !q.apply)
		if err != nil {
			return nil, nil, err
		}
		a = &plan
	}
	found, err = r.Reconcile(ctx, by.Actor, lists)
	return found, a, err
}

// remoteRoom is the stock of a running station.
type remoteRoom struct{ c *client.Client }

type body = map[string]any

// listTimeout bounds the answer to a list: the largest one takes minutes, and the
// station goes on with what it has begun.
const listTimeout = 20 * time.Minute

func listBody(l *list) any {
	if l == nil {
		return nil
	}
	return body{"name": l.name, "data": string(l.data)}
}

// without drops what was not given: the API takes no null.
func without(b body) body {
	for k, v := range b {
		if v == nil || v == "" && k != "data" {
			delete(b, k)
		}
	}
	return b
}

func (r remoteRoom) list(ctx context.Context, id string, f stock.Filter, limit int) (out stock.Stocked, err error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	for name, v := range map[string]string{"id": id, "state": string(f.State), "batch": f.Batch, "operator": f.Operator, "customer": f.Customer, "sku": f.SKU} {
		if v != "" {
			q.Set(name, v)
		}
	}
	err = r.c.Get(ctx, "/v1/stock?"+q.Encode(), &out)
	return out, err
}

func (r remoteRoom) importList(ctx context.Context, by station.Person, src stock.Source, eids *list) (out stock.Imported, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	b := without(body{"operator": by.Actor, "role": by.Role, "name": src.Name, "data": string(src.Data), "batch": src.Batch, "eids": listBody(eids)})
	err = r.c.Post(ctx, "/v1/stock/import", b, &out)
	return out, err
}

func (r remoteRoom) release(ctx context.Context, d stock.Decision) (out station.StockItem, err error) {
	err = r.c.Post(ctx, "/v1/stock/"+url.PathEscape(d.Handle)+"/release", body{"operator": d.By.Actor, "role": d.By.Role, "why": d.Why}, &out)
	return out, err
}

func (r remoteRoom) resolve(ctx context.Context, d stock.Decision, f stock.Finding) (out station.StockItem, err error) {
	err = r.c.Post(ctx, "/v1/stock/"+url.PathEscape(d.Handle)+"/resolve",
		without(body{"operator": d.By.Actor, "role": d.By.Role, "why": d.Why, "finding": f, "iccid": string(d.ICCID)}), &out)
	return out, err
}

func (r remoteRoom) notifications(ctx context.Context, by station.Person, batch, to, why string) error {
	var out struct {
		Profiles int `json:"profiles"`
	}
	return r.c.Post(ctx, "/v1/stock/notifications", without(body{"operator": by.Actor, "role": by.Role, "batch": batch, "to": to, "why": why}), &out)
}

func (r remoteRoom) quarantine(ctx context.Context, by station.Person, batch, why string) (int, error) {
	var out struct{ Profiles int }
	err := r.c.Post(ctx, "/v1/stock/quarantine", without(body{"operator": by.Actor, "role": by.Role, "batch": batch, "why": why}), &out)
	return out.Profiles, err
}

func (r remoteRoom) erase(ctx context.Context, by station.Person, keep time.Duration) (int, error) {
	var out struct{ Profiles int }
	hours := int((keep + time.Hour - 1) / time.Hour) // kept for longer rather than shorter
	err := r.c.Post(ctx, "/v1/stock/erase", body{"operator": by.Actor, "role": by.Role, "keep_hours": hours}, &out)
	return out.Profiles, err
}

func (r remoteRoom) claims(ctx context.Context, batch string) ([]stock.Claim, error) {
	var out struct{ Claims []stock.Claim }
	err := r.c.Get(ctx, "/v1/stock/claims?"+url.Values{"batch": {batch}}.Encode(), &out)
	return out.Claims, err
}

func (r remoteRoom) needed(ctx context.Context, l list) ([]ident.EID, error) {
	var out struct{ EIDs []ident.EID }
	err := r.c.Post(ctx, "/v1/stock/needed", listBody(&l), &out)
	return out.EIDs, err
}

func (r remoteRoom) alarms(ctx context.Context, all bool) ([]stock.Alarm, error) {
	var out struct{ Alarms []stock.Alarm }
	err := r.c.Get(ctx, "/v1/stock/alarms?"+url.Values{"all": {strconv.FormatBool(all)}}.Encode(), &out)
	return out.Alarms, err
}

func (r remoteRoom) endAlarm(ctx context.Context, by station.Person, id, why string) error {
	var out struct{ Alarms []stock.Alarm }
	return r.c.Post(ctx, "/v1/stock/alarms/"+url.PathEscape(id)+"/end", body{"operator": by.Actor, "role": by.Role, "why": why}, &out)
}

func (r remoteRoom) reconcile(ctx context.Context, q reconciling) ([]stock.Disagreement, *stock.Application, error) {
	var out struct {
		Disagreements []stock.Disagreement
		Application   *stock.Application
	}
	b := without(body{"operator": string(q.by.Actor), "server": listBody(q.server), "units": listBody(q.units), "batch": q.batch, "why": q.why})
	if q.by.Actor != "" {
		b["role"] = q.by.Role
	}
	if q.apply {
		b["apply"] = true
	}
	if q.noMES {
		b["no_mes"] = true
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	err := r.c.Post(ctx, "/v1/stock/reconcile", b, &out)
	return out.Disagreements, out.Application, err
}
