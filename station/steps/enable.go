package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/ident"
	"linefit/modem/wire"
	"linefit/station"
	"linefit/station/stock"
)

// Carried gives the packages that eIMs have signed for single eUICCs, as the
// order brought them. They are never made here.
type Carried interface {
	// Package is an eUICC's package, DER; found is false where there is none.
	Package(eid ident.EID) (raw []byte, found bool, err error)
}

// carried is the package for an eUICC, read and checked.
func (s *session) carried(eid ident.EID) (p euicc.EIMPackage, found bool, err error) {
	if s.bench.opt.Carried == nil {
		return p, false, nil
	}
	raw, found, err := s.bench.opt.Carried.Package(eid)
	if err != nil || !found {
		return p, false, err
	}
	p, err = euicc.ParseEIMPackage(raw)
	if err == nil && p.EID != eid {
		err = fmt.Errorf("eUICC package for EID %s is signed for %s", eid, p.EID)
	}
	return p, true, err
}

// routeError says that no way to enable the profile was open.
type routeError struct {
	code    station.Code
	refused []error
}

func (e *routeError) Error() string {
	if len(e.refused) == 0 {
		return "the recipe has no way to enable that this eUICC knows"
	}
	texts := make([]string, len(e.refused))
	for i, err := range e.refused {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (e *routeError) Unwrap() []error { return e.refused }

// enable enables the run's profile by the recipe's routes. What it did is read
// back: a REFRESH may take the answer away.
func enable(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	routes := a.Step.Params["routes"]
	if len(routes) == 0 {
		routes = []string{station.RouteES10c}
	}
	if slices.Contains(routes, station.RouteNone) {
		return ok(station.Measure("route", station.RouteNone)) // the read-back shows it disabled
	}
	used := ""
	var closed *routeError
	res := s.change(ctx, a, station.EffectEnable, euicc.Enabled, func(ctx context.Context, c *card, p euicc.Profile) (err error) {
		used, err = s.enableBy(ctx, a, c, p, routes)
		errors.As(err, &closed)
		return err
	})
	switch {
	case closed != nil && res.Outcome != station.OK:
		r := station.NewReason(closed.code, "%v", closed)
		if r.Class == station.ClassUnit {
			return station.StepResult{Outcome: station.Fail, Reason: r, Final: true}
		}
		return fault(r)
	case res.Outcome == station.OK && used != "" && len(a.Step.Params["routes"]) > 0:
		res.Measured = append(res.Measured, station.Measure("route", used))
	}
	return res
}

// enableBy tries the routes in order. One that is refused without having changed
// anything leads to the next; every other error is the last word.
func (s *session) enableBy(ctx context.Context, a *station.Attempt, c *card, p euicc.Profile, routes []string) (string, error) {
	closed := &routeError{code: station.EnableRoute}
	for _, route := range routes {
		if route != station.RouteES10c && a.Run.Identity.Generation != string(euicc.SGP32) {
			continue
		}
		var err error
		switch route {
		case station.RouteImmediate:
			err = c.ImmediateEnable(ctx, true)
		case station.RouteCarried:
			err = s.enableCarried(ctx, a, c, p)
		default:
			err = enableInAnyWay(ctx, c, p)
		}
		if err == nil {
			return route, nil
		}
		if a.Run.Identity.Generation != string(euicc.SGP32) || !unchanged(err) {
			return route, err
		}
		switch {
		case errors.Is(err, euicc.ErrNoSession):
			closed.code = station.EnableSession
		case errors.Is(err, errNoPackage): // not the unit's fault
			closed.code = station.EIMConfiguration
		}
		closed.refused = append(closed.refused, err)
	}
	return "", closed
}

// enableInAnyWay names the profile by its ICCID or by its AID, with a REFRESH or
// without one (the unit is restarted cold afterwards): there are eUICCs that take
// only one of them. Only what is refused for good, with nothing changed, leads to
// the next way.
func enableInAnyWay(ctx context.Context, c *card, p euicc.Profile) (err error) {
	usual := c.Enable(ctx, euicc.ByICCID(p.ICCID), true)
	if !anotherWay(usual) {
		return usual
	}
	all, err := c.Profiles(ctx) // with the AIDs
	if err != nil {
		return err
	}
	aid := euicc.Handle{}
	for _, has := range all {
		if has.ICCID == p.ICCID {
			aid.AID = has.AID
		}
	}
	for _, way := range []struct {
		handle  euicc.Handle
		refresh bool
	}{{aid, true}, {euicc.ByICCID(p.ICCID), false}, {aid, false}} {
		if len(way.handle.ICCID)+len(way.handle.AID) == 0 {
			continue
		}
		if err := c.Enable(ctx, way.handle, way.refresh); !anotherWay(err) {
			return err
		}
	}
	return usual
}

// anotherWay: the eUICC refused the way in which it was asked, and not the
// change itself.
func anotherWay(err error) bool {
	var status *euicc.StatusError
	var function *euicc.FunctionError
	switch {
	case errors.As(err, &status):
		return slices.Contains([]wire.SW{wire.SWWrongData, wire.SWDataNotFound, wire.SWFunctionNotSupported}, status.SW)
	case errors.As(err, &function):
		return errors.Is(err, euicc.ErrNotFound) || function.Code == 127 // undefinedError
	}
	return false
}

// unchanged: the eUICC does not have the function, or has it not for this
// profile and not now; nothing has changed.
func unchanged(err error) bool {
	var status *euicc.StatusError
	if errors.As(err, &status) {
		return slices.Contains([]wire.SW{wire.SWDataNotFound, wire.SWInsNotSupported, wire.SWClaNotSupported, wire.SWFunctionNotSupported}, status.SW)
	}
	return errors.Is(err, euicc.ErrNotConfigured) || errors.Is(err, euicc.ErrNoSession) || errors.Is(err, errNoPackage)
}

var errNoPackage = errors.New("no eIM-signed package was carried for this eUICC that enables this profile")

// enableCarried loads the package that an eIM has signed for this eUICC. The
// eUICC's signed answer is kept: the eIM is to have it.
func (s *session) enableCarried(ctx context.Context, a *station.Attempt, c *card, p euicc.Profile) error {
	eid := a.Run.Identity.EID
	pkg, found, err := s.carried(eid)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoPackage, err)
	}
	if !found || !slices.Contains(pkg.Enables, p.ICCID) {
		return errNoPackage
	}
	r, err := c.LoadEIMPackage(ctx, pkg)
	if err != nil {
		return err
	}
	if err := s.bench.opt.Stock.Vault().Replace(stock.KindResult, s.resultHandle(eid, pkg), stock.NewSecret(r.Raw)); err != nil {
		return fmt.Errorf("%w: the eUICC's answer could not be kept: %w", apdu.ErrUnknown, err) // the next attempt reads the state
	}
	return r.Enabled()
}
