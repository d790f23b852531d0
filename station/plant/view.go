package plant

import (
	"context"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station"
	"linefit/station/admission"
)

// View is the engine's view with the health of the log and of the lot.
func (pl *Plant) View() station.View {
	v := pl.Engine.View()
	v.Notifications, v.Witnesses = pl.Notify.Status(), pl.Witness.Status()
	if _, detail := pl.Outbox.Link(); detail != "" && v.Detail == "" {
		v.Detail = detail
	}
	h := pl.Log.State()
	if h.Cause == store.CauseAlarm {
		v.Health, v.Detail = station.HealthReadOnly, h.Reason
		return v
	}
	if v.Health == station.HealthStopped && h.State != store.OK { // the log knows why, and whether that has changed
		v.Detail = h.Reason
	}
	if v.Health != station.HealthOK {
		return v
	}
	if h.State != store.OK {
		v.Health, v.Detail = station.HealthStopped, h.Reason
		return v
	}
	_ = pl.Log.View(func(a audit.View) error { // a log that stops right here is in the next view
		if l, err := admission.LotOf(a); err == nil && l.Halted {
			v.Health, v.Detail, v.Lot = station.HealthHalted, string(l.Cause), &station.LotView{Cause: l.Cause, Units: l.Units}
		}
		return nil
	})
	return v
}

// Do carries out a command.
func (pl *Plant) Do(ctx context.Context, cmd station.Command) (station.Reply, error) {
	return pl.Engine.Do(ctx, cmd)
}

// Changed is closed at the next change of the view.
func (pl *Plant) Changed() <-chan struct{} { return pl.Engine.Changed() }
