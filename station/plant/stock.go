package plant

import (
	"context"
	"time"

	"linefit/audit"
	"linefit/internal/pause"
	"linefit/rework"
	"linefit/station"
	"linefit/station/ifpp"
	"linefit/station/stock"
)

// Times between two looks after the stock, and the age from which on what the
// MES has handed out for a run that never began goes back to it.
const (
	keepEvery = time.Hour
	tidyEvery = time.Minute
	tidyAge   = time.Minute
)

// watchEvery bounds how often the levels of the stock are looked at.
const watchEvery = time.Second

// codes takes what the MES hands out.
type codes struct{ pl *Plant }

// Take implements admission.Codes.
func (c codes) Take(ctx context.Context, in stock.Issue, o stock.Ordered) (string, error) {
	return c.pl.Ledger.Issue(ctx, in, o, c.pl.Journal)
}

// GiveBack implements admission.Codes. What cannot be given back now is found by
// the next look.
func (c codes) GiveBack(ctx context.Context, handle string) {
	if err := c.pl.Ledger.Withdraw(ctx, handle, "the run did not begin", c.pl.Journal); err != nil {
		c.pl.Plan.Logger.Warn().Err(err).Str("profile", handle).Msg("not given back to the MES yet")
	}
}

// refused tells the log, and so the MES, that a code was not taken.
func (pl *Plant) refused(ctx context.Context, ref string, o stock.Ordered, cause error) error {
	return pl.Ledger.Refuse(ctx, ref, o, cause, pl.Journal)
}

// keepStock erases the codes of profiles that are used up, and gives back what
// the MES has handed out in vain, until ctx is done.
func (pl *Plant) keepStock(ctx context.Context) error {
	keep, tidy := time.NewTicker(keepEvery), time.NewTicker(tidyEvery)
	defer keep.Stop()
	defer tidy.Stop()
	if !pl.Plan.FromMES {
		tidy.Stop()
	}
	pl.eraseUsed(ctx)
	for {
		select {
		case <-keep.C:
			pl.eraseUsed(ctx)
		case <-tidy.C:
			if _, err := pl.Ledger.Tidy(ctx, RunningIn(pl.Log.View), tidyAge, pl.Journal); err != nil && ctx.Err() == nil {
				pl.Plan.Logger.Warn().Err(err).Msg("what the MES has handed out in vain could not be given back")
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (pl *Plant) eraseUsed(ctx context.Context) {
	if pl.Plan.Keep <= 0 {
		return
	}
	// A log that takes nothing now gets it in an hour.
	if n, err := pl.Ledger.Erase(ctx, pl.Plan.Keep, pl.Journal); err != nil && ctx.Err() == nil {
		pl.Plan.Logger.Warn().Err(err).Msg("used codes could not be erased")
	} else if n > 0 {
		pl.Plan.Logger.Info().Int("codes", n).Msg("used codes erased")
	}
}

// watchStock announces kinds of profiles that run out, as soon as the log says
// so, until ctx is done.
func (pl *Plant) watchStock(ctx context.Context) error {
	if pl.Plan.Low.Low == 0 || pl.Plan.FromMES {
		<-ctx.Done()
		return nil
	}
	for {
		changed := pl.Log.Changed()
		said, next, err := pl.Ledger.Announce(ctx, pl.Plan.Low, time.Now(), pl.Journal)
		for _, f := range said {
			if low, ok := f.(station.StockLow); ok {
				pl.Plan.Logger.Warn().Str("customer", low.Customer).Str("sku", low.SKU).Str("operator", low.Operator).Str("region", low.Region).
					Int("left", low.Left).Int("low", low.Low).Int("again", low.Again).Msg("profile stock is low")
			}
		}
		if err != nil && ctx.Err() == nil {
			pl.Plan.Logger.Warn().Err(err).Msg("the level of the stock could not be announced")
		}
		if pause.For(ctx, watchEvery) != nil {
			return nil
		}
		repeat := time.NewTimer(max(time.Until(next), 0))
		if next.IsZero() {
			repeat.Stop()
		}
		select {
		case <-changed:
		case <-repeat.C:
		case <-ctx.Done():
		}
		repeat.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// Room is the stock as people and the MES work with it.
func (pl *Plant) Room() *stock.Room {
	room := &stock.Room{
		Ledger: pl.Ledger, Journal: pl.Journal, Share: pl.Plan.Shares, Trust: stock.TrustIssuers(pl.Plan.Issuers...), Inspect: ifpp.Inspect,
		Running: RunningIn(pl.Log.View),
	}
	if client := pl.Office.MES; !client.None() {
		room.Claim = func(ctx context.Context, c stock.ListClaim) (string, error) {
			return client.Claim(ctx, pl.Plan.Place.Station, c)
		}
	}
	return room
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
