package admission

import (
	"linefit/audit"
	"linefit/station"
)

// StopProjection derives from the log whether an emergency stop is in force.
type StopProjection struct{}

const stopProjection = "stop/1"

var stopKey = []byte("stop")

// Name implements audit.Projection.
func (StopProjection) Name() string { return stopProjection }

// Apply implements audit.Projection.
func (StopProjection) Apply(txn audit.Txn, e audit.Entry) error {
	switch e.Type {
	case station.StationHalted{}.FactType():
		return txn.Set(stopKey, []byte{1})
	case station.StationResumed{}.FactType():
		return txn.Delete(stopKey)
	}
	return nil
}

// Stopped reports whether an emergency stop is in force: nobody has said since
// then that work may go on.
func (o *Office) Stopped() (stopped bool, err error) {
	err = o.Views(func(v audit.View) error {
		r, err := v.Projection(stopProjection)
		if err != nil {
			return err
		}
		_, stopped, err = r.Get(stopKey)
		return err
	})
	return stopped, err
}
