package main

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"linefit/station/config"
	"linefit/station/stock"
)

// stocking takes the station file's rules for the stock.
func (p *plan) stocking(c *config.Config) error {
	p.Keep, p.FromMES = c.Stock.Keep.D(), c.Stock.Source == config.SourceMES
	p.Low = stock.LowRule{Low: stock.Twentieth, Clear: c.Stock.LowClear, Repeat: c.Stock.LowRepeat.D()}
	if c.Stock.Low != nil {
		p.Low.Low = *c.Stock.Low
	}
	p.Shares = stock.ShareRule{Station: c.Station.Name, Required: c.Stock.SharesOnly}
	var errs []error
	for _, key := range c.Stock.ShareKeys {
		v, err := note.NewVerifier(key)
		if err != nil {
			errs = append(errs, fmt.Errorf("stock.share_keys: %q: %w", key, err))
			continue
		}
		p.Shares.Keys = append(p.Shares.Keys, v)
	}
	return errors.Join(errs...)
}
