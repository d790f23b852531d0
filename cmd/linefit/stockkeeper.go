package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
	"linefit/station/config"
	"linefit/station/stock"
)

// stocking takes the station file's rules for the stock.
func (p *plan) stocking(c *config.Config) error {
	p.keep, p.low = c.Stock.Keep.D(), c.Stock.Low
	p.shares = stock.ShareRule{Station: c.Station.Name, Required: c.Stock.SharesOnly}
	var errs []error
	for _, key := range c.Stock.ShareKeys {
		v, err := note.NewVerifier(key)
		if err != nil {
			errs = append(errs, fmt.Errorf("stock.share_keys: %q: %w", key, err))
			continue
		}
		p.shares.Keys = append(p.shares.Keys, v)
	}
	return errors.Join(errs...)
}

// keepEvery is the time between two looks after the stock.
const keepEvery = time.Hour

// keepStock erases the codes of profiles that are used up, and says early what
// runs out, until ctx is done.
func (pl *plant) keepStock(ctx context.Context) error {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		if pl.plan.keep > 0 {
			// A log that takes nothing now gets it in an hour.
			if n, err := pl.ledger.Erase(ctx, pl.plan.keep, pl.journal); err != nil && ctx.Err() == nil {
				pl.plan.log.Warn().Err(err).Msg("used codes could not be erased")
			} else if n > 0 {
				pl.plan.log.Info().Int("codes", n).Msg("used codes erased")
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
func (pl *plant) warnLow() {
	if pl.plan.low == 0 {
		return
	}
	var offers []stock.Offer
	err := pl.store.View(func(v audit.View) (err error) {
		offers, err = stock.Offers(v, time.Now())
		return err
	})
	if err != nil { // the log's own state says why
		return
	}
	if len(offers) == 0 {
		pl.plan.log.Warn().Msg("no profile is left")
	}
	for _, o := range offers {
		if o.Left < pl.plan.low || o.Expired {
			pl.plan.log.Warn().Str("batch", o.Batch).Str("operator", o.Operator).Str("customer", o.Customer).
				Int("left", o.Left).Bool("expired", o.Expired).Msg("profile stock is low")
		}
	}
}
