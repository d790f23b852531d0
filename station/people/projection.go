package people

import (
	"linefit/audit"
	"linefit/station"
)

const projection = "people/1"

// Projection keeps which pseudonyms are forgotten: f/<pseudonym> is there.
type Projection struct{}

// Name implements audit.Projection.
func (Projection) Name() string { return projection }

// Apply implements audit.Projection.
func (Projection) Apply(txn audit.Txn, e audit.Entry) error {
	if e.Type != (station.OperatorForgotten{}).FactType() {
		return nil
	}
	fact, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return err
	}
	if f, ok := fact.(station.OperatorForgotten); ok {
		return txn.Set([]byte("f/"+f.Operator), []byte{1})
	}
	return nil
}

func forgotten(v audit.View, who station.Actor) (bool, error) {
	r, err := v.Projection(projection)
	if err != nil {
		return false, err
	}
	_, ok, err := r.Get([]byte("f/" + string(who)))
	return ok, err
}
