package mes_test

import (
	"errors"
	"testing"

	"linefit/audit"
	"linefit/station"
	"linefit/station/mes"
)

// What the outbox needs is not archived, and that is an error of its own: the
// result of a run whose unit stands in the slot, an event that nobody has taken.
func TestArchivable(t *testing.T) {
	log := openLog(t, nil)
	check := func(when string, needed bool) {
		t.Helper()
		err := log.View(func(v audit.View) error { return mes.Archivable(v, 1000) })
		if errors.Is(err, mes.ErrNeeded) != needed || err != nil && !needed {
			t.Errorf("%s: %v", when, err)
		}
	}
	gate(t, log, audit.Draft{Actor: "station"}, opened)
	check("before all runs", false)
	build(t, log, "SN1", "r1", 1, station.Pass, station.Release)
	check("in the slot", true)
	left(t, log, "SN1", "r1", 1)
	check("not delivered", true)
	if err := log.View(func(v audit.View) error { return mes.Archivable(v, 1) }); err != nil {
		t.Errorf("entries behind it: %v", err)
	}
}
