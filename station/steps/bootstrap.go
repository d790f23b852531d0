package steps

import (
	"context"
	"errors"
	"slices"

	"linefit/atcmd"
	"linefit/modem"
	"linefit/modem/ident"
	"linefit/station"
)

// bootstrap reads the profile with which a unit was delivered through its
// module: an M2M eUICC (SGP.02) shows its profiles to nobody else here.
func bootstrap(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	m, err := s.usable(ctx)
	if err != nil {
		return failed(err, station.ModuleSilent)
	}
	s.closeCard(ctx)
	status, err := m.AwaitSIM(ctx)
	if err != nil {
		return failed(err, station.SIMFault)
	}
	iccid, err := m.ICCID(ctx)
	var refused *atcmd.CMEError
	switch {
	case errors.As(err, &refused) || errors.Is(err, modem.ErrAnswer):
		res := fail(station.BootstrapAbsent, "the module shows no ICCID (card %v): %v", status, err)
		res.Final = true
		return res
	case err != nil:
		return failed(err, station.SIMFault)
	}
	listed, err := s.listed(a.Run)
	switch {
	case err != nil:
		return failed(err, station.StationFault)
	case listed != nil && listed.Bootstrap != "" && listed.Bootstrap != iccid:
		return hold(station.IdentityMismatch, "the pairing list says bootstrap ICCID %s, the module shows %s", listed.Bootstrap, iccid)
	}
	res := ok(station.Measure("iccid", string(iccid)), station.Measure("eid", string(a.Run.Identity.EID)), station.Measure("state", "enabled"))
	if slices.ContainsFunc(a.Step.Limits, func(l station.Limit) bool { return l.Measure == "operator" }) {
		imsi, err := m.IMSI(ctx)
		if err != nil {
			return failed(err, station.SIMFault)
		}
		res.Measured = append(res.Measured, station.Measure("operator", operatorOf(imsi, a.Step.Limits)))
	}
	return res
}

// operatorOf is MCC and MNC of an IMSI, with as many digits as the limit names
// (the card's own word on the length of its MNC is not for the module), and no
// digit of the subscriber more.
func operatorOf(imsi ident.IMSI, limits []station.Limit) string {
	digits := imsi.Reveal()
	for _, l := range limits {
		if l.Measure != "operator" {
			continue
		}
		for _, want := range append(slices.Clone(l.In), l.Prefix...) {
			if len(want) == 6 && len(digits) >= 6 && digits[:6] == want {
				return digits[:6]
			}
		}
	}
	return digits[:min(5, len(digits))]
}
