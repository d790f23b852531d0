package plant

import (
	"context"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/rework"
	"linefit/station"
	"linefit/station/admission"
	"linefit/station/stock"
)

// View is the engine's view, completed with what the log knows of stock, units
// and the MES.
func (pl *Plant) View() station.View {
	v := pl.Engine.View()
	v.Recipe = pl.Plan.Recipe.Name
	link, detail := pl.Outbox.Link()
	v.MES = string(link)
	if detail != "" && v.Detail == "" {
		v.Detail = detail
	}
	v.Head = pl.Log.Last()
	if h := pl.Log.State(); h.State != store.OK && v.Health == station.HealthOK {
		v.Health, v.Detail = station.HealthStopped, h.Reason
	}
	_ = pl.Log.View(func(a audit.View) error { // a stopped log is in Health already
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
	if status, err := pl.Outbox.Status(); err == nil {
		v.Pending = status.Pending
	}
	return v
}

// Do carries out a command.
func (pl *Plant) Do(ctx context.Context, cmd station.Command) (station.Reply, error) {
	return pl.Engine.Do(ctx, cmd)
}

// Changed is closed at the next change of the view.
func (pl *Plant) Changed() <-chan struct{} { return pl.Engine.Changed() }
