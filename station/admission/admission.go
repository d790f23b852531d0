// Package admission decides which unit may run and where it goes afterwards: it
// joins what rework knows of the unit, the MES's route check and the list of
// expected units. It is the engine's Admission and Policy; every question that
// gets no answer is a refusal.
package admission

import (
	"context"
	"fmt"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/rework"
	"linefit/station"
	"linefit/station/engine"
	"linefit/station/mes"
	"linefit/station/stock"
)

// Units is the list of expected units; see [ParseUnits].
type Units interface {
	// Expect returns what the list says of a unit; known is false for a unit
	// that is not on it.
	Expect(unit station.Serial) (expect station.Expect, known bool)
}

// Office is the station's admission and policy.
type Office struct {
	Views  func(fn func(audit.View) error) error
	Policy *rework.Policy
	MES    *mes.Client
	Recipe *station.Recipe
	Units  Units // nil: no list
	Name   string
	MESis  string // what every run states: "none" or the MES's URL
	// Codes takes what the MES hands out with its route checks; nil: this
	// station's codes are its own, and none is taken from there.
	Codes Codes
	// Refused hears of what was handed out and is not taken.
	Refused func(ctx context.Context, ref string, o stock.Ordered, cause error) error
}

// Codes are where codes go that the MES hands out: vault and ledger.
type Codes interface {
	// Take returns the handle of a code once it is the run's, durably; empty
	// where the unit has it here already.
	Take(ctx context.Context, in stock.Issue, o stock.Ordered) (handle string, err error)
	// GiveBack gives back what was taken for a run that did not begin.
	GiveBack(ctx context.Context, handle string)
}

// Admit implements engine.Admission.
func (o *Office) Admit(ctx context.Context, run station.RunID, ask engine.Ask) (engine.Grant, error) {
	if err := o.Going(); err != nil {
		return engine.Grant{}, err
	}
	expect, err := o.expected(ask)
	if err != nil {
		return engine.Grant{}, err
	}
	unit, before, err := o.history(ask.Unit, run, expect.Sample != "")
	if err != nil {
		return engine.Grant{}, err
	}
	route, err := o.MES.Validate(ctx, mes.RouteRequest{
		Station: o.Name, Slot: ask.Slot, Unit: ask.Unit, Run: run, Recipe: o.Recipe.Name, Version: o.Recipe.Version,
		Digest: o.Recipe.Digest(), Operator: ask.Operator, IMEI: expect.IMEI, EID: expect.EID,
	})
	if err != nil {
		return engine.Grant{}, err
	}
	if route.Recipe != "" && route.Recipe != o.Recipe.Name {
		err = station.Refuse(station.MESRejected, "the order asks for recipe %s, %s is active", route.Recipe, o.Recipe.Name)
	} else {
		expect, err = merge(expect, route.Expect())
	}
	handle, err := o.profile(ctx, route, stock.Ordered{Unit: ask.Unit, Run: run, Customer: route.Customer, SKU: route.SKU, WorkOrder: route.Order}, err)
	if err != nil {
		return engine.Grant{}, err
	}
	grant := engine.Grant{Recipe: o.Recipe, Before: before, Started: station.RunStarted{
		WorkOrder: route.Order, SKU: route.SKU, Customer: route.Customer, Route: route.Answer, RouteRef: route.Ref, Batch: route.Batch, EIM: route.EIM,
		Number: unit.Runs + 1, Expect: expect, Profile: handle,
	}}
	if handle != "" {
		grant.Undo = func(ctx context.Context) { o.Codes.GiveBack(ctx, handle) }
	}
	return grant, nil
}

// profile takes what the MES has handed out for the run. refused is why the unit
// is not admitted: then the MES is told that its code was not taken.
func (o *Office) profile(ctx context.Context, route mes.Route, order stock.Ordered, refused error) (handle string, err error) {
	switch {
	case route.Profile == nil:
		return "", refused
	case refused == nil && o.Codes != nil:
		return o.Codes.Take(ctx, route.Profile.Issue(), order)
	case refused == nil:
		refused = station.Refuse(station.MESProfile, "the MES hands out a code, and this station's codes are its own (stock.source)")
	}
	if o.Refused == nil {
		return "", refused
	}
	return "", o.Refused(ctx, route.Profile.Ref, order, refused)
}

// history asks rework whether the unit may run again. A reference unit is there
// to be run again and again.
func (o *Office) history(serial station.Serial, run station.RunID, sample bool) (unit rework.Unit, before []station.Fact, err error) {
	policy := *o.Policy
	policy.Rerun = policy.Rerun || sample
	err = o.Views(func(v audit.View) error {
		u, open, err := rework.UnitAndTicket(v, serial)
		if err != nil {
			return err
		}
		unit = u
		before, err = policy.Admit(u, open, o.Recipe.Name, run)
		return err
	})
	return unit, before, err
}

// expected joins label and list. Only the list makes a reference unit.
func (o *Office) expected(ask engine.Ask) (station.Expect, error) {
	ask.Expect.Sample = ""
	if o.Units == nil {
		return ask.Expect, nil
	}
	listed, known := o.Units.Expect(ask.Unit)
	if !known {
		return station.Expect{}, station.Refuse(station.UnitUnlisted, "serial %s is not on the list of expected units", ask.Unit)
	}
	expect, err := merge(ask.Expect, listed)
	expect.Sample = listed.Sample
	return expect, err
}

// merge joins two words on a unit; where they contradict each other the unit
// does not run. The source is the one that says most.
func merge(a, b station.Expect) (station.Expect, error) {
	if a.IMEI != "" && b.IMEI != "" && a.IMEI != b.IMEI {
		return a, station.Refuse(station.IdentityMismatch, "%s says IMEI %s, %s says %s", a.Source, a.IMEI, b.Source, b.IMEI)
	}
	if a.EID != "" && b.EID != "" && a.EID != b.EID {
		return a, station.Refuse(station.IdentityMismatch, "%s says EID %s, %s says %s", a.Source, a.EID, b.Source, b.EID)
	}
	out := a
	if b.IMEI != "" || b.EID != "" || out.Source == "" {
		out.Source = b.Source
	}
	out.IMEI, out.EID = either(a.IMEI, b.IMEI), either(a.EID, b.EID)
	return out, nil
}

func either[T ident.IMEI | ident.EID](a, b T) T {
	if a != "" {
		return a
	}
	return b
}

// Dispose implements engine.Policy.
func (o *Office) Dispose(_ context.Context, run *station.Run) (d station.Dispose, err error) {
	err = o.Views(func(v audit.View) error {
		u, open, err := rework.UnitAndTicket(v, run.Unit)
		if err != nil {
			return err
		}
		d = o.Policy.Dispose(run, u, open)
		lot, err := LotOf(v)
		if halt, now := lot.Decide(o.Policy.Lot); now {
			d.Before = append(d.Before, halt)
		}
		return err
	})
	if err != nil {
		return d, fmt.Errorf("disposition of %s: %w", run.Unit, err)
	}
	return d, nil
}

// Hold makes the facts that hold a unit whose result the MES does not take.
func (o *Office) Hold(_ context.Context, run *station.Run, reason *station.Reason) (facts []station.Fact, err error) {
	err = o.Views(func(v audit.View) error {
		u, open, err := rework.UnitAndTicket(v, run.Unit)
		if err != nil {
			return err
		}
		facts = o.Policy.Reject(run, u, open, reason)
		return nil
	})
	return facts, err
}
