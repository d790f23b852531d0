package plant

import (
	"context"
	"time"

	"linefit/audit"
	"linefit/rework"
	"linefit/station"
	"linefit/station/ifpp"
	"linefit/station/stock"
)

// keepEvery is the time between two looks after the stock.
const keepEvery = time.Hour

// keepStock erases the codes of profiles that are used up, and says early what
// runs out, until ctx is done.
func (pl *Plant) keepStock(ctx context.Context) error {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		if pl.Plan.Keep > 0 {
			// A log that takes nothing now gets it in an hour.
			if n, err := pl.Ledger.Erase(ctx, pl.Plan.Keep, pl.Journal); err != nil && ctx.Err() == nil {
				pl.Plan.Logger.Warn().Err(err).Msg("used codes could not be erased")
			} else if n > 0 {
				pl.Plan.Logger.Info().Int("codes", n).Msg("used codes erased")
			}
		}
		pl.warnLow()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// warnLow announces the kinds of profiles of which few are left.
func (pl *Plant) warnLow() {
	if pl.Plan.Low == 0 {
		return
	}
	var offers []stock.Offer
	err := pl.Log.View(func(v audit.View) (err error) {
		offers, err = stock.Offers(v, time.Now())
		return err
	})
	if err != nil { // the log's own state says why
		return
	}
	if len(offers) == 0 {
		pl.Plan.Logger.Warn().Msg("no profile is left")
	}
	for _, o := range offers {
		if o.Left < pl.Plan.Low || o.Expired {
			pl.Plan.Logger.Warn().Str("batch", o.Batch).Str("operator", o.Operator).Str("customer", o.Customer).
				Int("left", o.Left).Bool("expired", o.Expired).Msg("profile stock is low")
		}
	}
}

// Room is the stock as people and the MES work with it.
func (pl *Plant) Room() *stock.Room {
	return &stock.Room{
		Ledger: pl.Ledger, Journal: pl.Journal, Share: pl.Plan.Shares, Trust: stock.TrustIssuers(pl.Plan.Issuers...), Inspect: ifpp.Inspect,
		Running: RunningIn(pl.Log.View),
	}
}

// RunningIn says whether the run that has a profile is open; where that cannot
// be read, it is.
func RunningIn(views stock.Views) func(station.StockItem) bool {
	return func(i station.StockItem) bool {
		open := true
		err := views(func(v audit.View) error {
			u, err := rework.UnitOf(v, i.Unit)
			open = u.Open == i.Run
			return err
		})
		return open || err != nil
	}
}
