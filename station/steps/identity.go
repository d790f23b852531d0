package steps

import (
	"context"

	"linefit/station"
)

// identify records what the module said it is when it was brought up.
func identify(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	m, err := s.usable(ctx)
	if err != nil {
		return failed(err, station.ModuleSilent)
	}
	id := m.Identity()
	if known := a.Run.Identity.IMEI; known != "" && known != id.IMEI {
		return hold(station.IdentityChanged, "IMEI %s, before it was %s", id.IMEI, known)
	}
	f := station.UnitIdentified{Maker: id.Maker, Model: id.Model, Firmware: id.Firmware, IMEI: id.IMEI}
	if a.Run.Identity.IMEI == "" {
		if err := a.Record(ctx, f); err != nil {
			return failed(err, station.LogStopped)
		}
	}
	return ok(station.Measure("model", id.Model), station.Measure("firmware", id.Firmware), station.Measure("maker", id.Maker),
		station.Measure("imei", string(id.IMEI)), station.Measure("tac", id.IMEI.TAC()))
}

// bind shows that the unit on the port is the one that was scanned. A
// mismatch is nobody's proven fault: the unit is held.
func bind(_ context.Context, s *session, a *station.Attempt) station.StepResult {
	if res := s.paired(a); res.Outcome != station.OK {
		return res
	}
	read, want := a.Run.Identity, a.Run.Started.Expect
	switch {
	case want.IMEI != "" && want.IMEI != read.IMEI:
		return hold(station.IdentityMismatch, "%s says IMEI %s, the module %s", want.Source, want.IMEI, read.IMEI)
	case want.EID != "" && want.EID != read.EID:
		return hold(station.IdentityMismatch, "%s says EID %s, the eUICC %s", want.Source, want.EID, read.EID)
	}
	if want.Source == station.SourceUnlisted {
		return hold(station.UnitUnlisted, "serial %s is not on the list of expected units", a.Run.Unit)
	}
	by := want.Source
	known := want.IMEI != "" || want.EID != ""
	switch require := a.Step.Text("require"); {
	case known || require == "none":
	case require == "identity":
		return hold(station.IdentityMismatch, "neither the label nor a pairing list says which IMEI or EID this unit has")
	case by != "scan" && by != "presence":
		return hold(station.IdentityMismatch, "nothing ties the scanned serial to slot %d: scan the slot, then the unit", a.Slot)
	}
	if by == "" {
		by = "none"
	}
	return ok(station.Measure("bound_by", by))
}
