package main

import (
	"context"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/modem/ident"
	"linefit/rework"
	"linefit/station"
	"linefit/station/admission"
	"linefit/station/stock"
)

// stockItems reads the ledger for the steps.
type stockItems struct{ s *store.Store }

// OfEUICC implements steps.Items.
func (i stockItems) OfEUICC(eid ident.EID) (items []station.StockItem, err error) {
	err = i.s.View(func(v audit.View) error {
		items, err = stock.ByEID(v, eid)
		return err
	})
	return items, err
}

// View is the engine's view, completed with what the log knows of stock, units
// and the MES.
func (pl *plant) View() station.View {
	v := pl.engine.View()
	v.Recipe = pl.plan.recipe.Name
	link, detail := pl.outbox.Link()
	v.MES = string(link)
	if detail != "" && v.Detail == "" {
		v.Detail = detail
	}
	v.Head = pl.store.Last()
	if h := pl.store.State(); h.State != store.OK && v.Health == station.HealthOK {
		v.Health, v.Detail = station.HealthStopped, h.Reason
	}
	_ = pl.store.View(func(a audit.View) error { // a stopped log is in Health already
		if n, err := stock.Count(a); err == nil {
			v.Stock = n
		}
		if n, err := rework.Count(a); err == nil {
			v.Counts = n.Counts
		}
		if l, err := admission.LotOf(a); err == nil && l.Halted && v.Health == station.HealthOK {
			v.Health, v.Detail = station.HealthHalted, string(l.Cause)
		}
		return nil
	})
	if status, err := pl.outbox.Status(); err == nil {
		v.Pending = status.Pending
	}
	return v
}

// Do and Changed are the engine's.
func (pl *plant) Do(ctx context.Context, cmd station.Command) (station.Reply, error) {
	return pl.engine.Do(ctx, cmd)
}

// Changed implements sim.Station and mes.Station.
func (pl *plant) Changed() <-chan struct{} { return pl.engine.Changed() }
