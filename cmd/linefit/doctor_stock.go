package main

import (
	"errors"
	"io/fs"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station"
	"linefit/station/config"
	"linefit/station/stock"
)

func (d *doctor) stock(n station.StockCount) {
	if n.Alarms > 0 {
		d.add("profile alarms", checkFail, "linefit profiles alarms", "%d open: somebody else has codes of this station", n.Alarms)
	}
	switch {
	case d.cfg.Stock.Source == config.SourceMES:
		d.add("profile stock", checkOK, "", "codes come with the MES's route checks; %d are out, %d went back", n.Total, n.Returned)
	case n.Low > 0 && n.Available > 0:
		d.add("profile stock", checkWarn, "order more, then linefit profiles import", "%d of %d profiles are left; of %d kinds only few", n.Available, n.Total, n.Low)
	case n.Available == 0:
		d.add("profile stock", checkFail, "linefit profiles import", "no profile is left of %d", n.Total)
	case n.Available*20 < n.Total:
		d.add("profile stock", checkWarn, "order more, then linefit profiles import", "%d of %d profiles are left", n.Available, n.Total)
	default:
		d.add("profile stock", checkOK, "", "%d of %d profiles are left", n.Available, n.Total)
	}
}

// stockOfLog counts the stock of a station that does not run, by its log: that
// takes no lock and changes nothing.
func (d *doctor) stockOfLog() {
	ask := "start the station, or ask linefit profiles list --store " + d.cfg.Station.Data
	log, err := store.OpenLog(d.cfg.Station.Data, "")
	if errors.Is(err, store.ErrNoStore) || errors.Is(err, fs.ErrNotExist) {
		d.add("profile stock", checkWarn, "start the station, then linefit profiles import", "there is no store yet: no profile is in stock")
		return
	}
	if err != nil {
		d.add("profile stock", checkUnknown, ask, "%v", err)
		return
	}
	var tally stock.Tally
	_, err = log.Read(d.ctx, func(e audit.Entry, _ []byte) error { return tally.Add(e) })
	if err != nil {
		d.add("profile stock", checkUnknown, "linefit audit verify --store "+d.cfg.Station.Data, "%v", err)
		return
	}
	n, whole := tally.Count()
	if !whole {
		d.add("profile stock", checkUnknown, ask, "the log's beginning is in the archive")
		return
	}
	d.stock(n)
}
