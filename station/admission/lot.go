package admission

import (
	"encoding/json"
	"errors"

	"linefit/audit"
	"linefit/station"
)

// LotProjection derives station.Lot from the log.
type LotProjection struct{}

const lotProjection = "lot/2"

var lotKey = []byte("lot")

var lotFacts = map[string]bool{
	station.RunVerdict{}.FactType(): true, station.LotHalted{}.FactType(): true, station.LotCleared{}.FactType(): true,
}

// Name implements audit.Projection.
func (LotProjection) Name() string { return lotProjection }

// Apply implements audit.Projection.
func (LotProjection) Apply(txn audit.Txn, e audit.Entry) error {
	if !lotFacts[e.Type] {
		return nil
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return err
	}
	l, err := readLot(txn)
	if err != nil {
		return err
	}
	b, err := json.Marshal(l.Evolve(station.Envelope{Run: station.RunID(e.Run), Unit: station.Serial(e.Unit)}, f))
	if err != nil {
		return err
	}
	return txn.Set(lotKey, b)
}

func readLot(r audit.Reader) (l station.Lot, err error) {
	b, ok, err := r.Get(lotKey)
	if err != nil || !ok {
		return l, err
	}
	return l, json.Unmarshal(b, &l)
}

// LotOf is the state of the lot.
func LotOf(v audit.View) (station.Lot, error) {
	r, err := v.Projection(lotProjection)
	if err != nil {
		return station.Lot{}, err
	}
	return readLot(r)
}

// lot is LotOf over the office's log.
func (o *Office) lot() (l station.Lot, err error) {
	err = o.Views(func(v audit.View) error {
		l, err = LotOf(v)
		return err
	})
	return l, err
}

// Going refuses, while the lot is halted, to start a unit, and to ask for a
// profile for one that is under way.
func (o *Office) Going() error {
	l, err := o.lot()
	if err != nil {
		return err
	}
	if l.Halted {
		return station.Refuse(station.LotStopped, "%s on units %v; find the cause, then resume", l.Cause, l.Units)
	}
	return nil
}

// Resume gives the facts by which a person lets a halted lot go on; none where
// it is not halted.
func (o *Office) Resume(why string) ([]station.Fact, error) {
	l, err := o.lot()
	if err != nil || !l.Halted {
		return nil, err
	}
	if why == "" {
		return nil, errors.New("admission: a reason is needed")
	}
	return []station.Fact{station.LotCleared{Why: why}}, nil
}
