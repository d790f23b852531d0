package steps

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"linefit/modem/euicc"
	"linefit/modem/ident"
	"linefit/modem/rsp"
	"linefit/station"
)

// expected holds an eUICC's maker and kind against what the recipe takes.
func expected(a *station.Attempt, eid ident.EID, kind string, measured []station.Measurement) station.StepResult {
	res := ok()
	eums, recipe := a.Step.Params["eum"], a.Run.Recipe
	switch {
	case len(eums) > 0 && !slices.ContainsFunc(eums, func(p string) bool { return strings.HasPrefix(string(eid), p) }):
		res = fail(station.EUICCMaker, "EID %s; expected here are makers %s", eid, strings.Join(eums, ", "))
	case slices.Contains(recipe.Accepts, kind):
	case kind == string(euicc.SGP02) && slices.ContainsFunc(recipe.Steps, installs):
		res = fail(station.EUICCM2M, "the eUICC follows SGP.02: its profiles come from its SM-SR, and this recipe installs one")
	default:
		res = fail(station.EUICCGeneration, "the eUICC follows %s, the recipe accepts %s", strings.ToUpper(kind), strings.ToUpper(strings.Join(recipe.Accepts, ", ")))
	}
	res.Measured, res.Final = measured, res.Outcome != station.OK
	return res
}

func installs(s station.Step) bool {
	return s.Kind == station.KindReserve || s.Kind == station.KindDownload || s.Kind == station.KindLoad
}

// asked are measurements that are worth an entry only where a limit asks.
func asked(limits []station.Limit, f station.UnitIdentified) []station.Measurement {
	var p station.Platform
	if f.Platform != nil {
		p = *f.Platform
	}
	var out []station.Measurement
	for name, value := range map[string]string{"eum": p.EUM, "sas": p.SAS, "pp_version": p.Profile, "iot_version": p.IoT, "ipa": f.IPA} {
		if value != "" && slices.ContainsFunc(limits, func(l station.Limit) bool { return l.Measure == name }) {
			out = append(out, station.Measure(name, value))
		}
	}
	slices.SortFunc(out, func(x, y station.Measurement) int { return strings.Compare(x.Name, y.Name) })
	return out
}

// ipa says where an IoT eUICC's IPA is: in the eUICC by its own word, in the
// module where its family is known to have a profile assistant of its own.
func (s *session) ipa(info euicc.Info2) string {
	switch {
	case info.Generation() != euicc.SGP32:
		return ""
	case info.IPAMode == 1:
		return station.IPAInEUICC
	case s.module != nil && len(s.module.Quirks().APDU.Unlock.Commands) > 0:
		return station.IPAInModule
	}
	return station.IPADevice
}

func iotVersion(info euicc.Info2) string {
	if len(info.IoTVersions) == 0 {
		return ""
	}
	return slices.Max(info.IoTVersions)
}

// judgeLeftovers finds what an eUICC that comes to this station should not show:
// a test profile that is enabled, and an installation that somebody else has
// begun. (Profiles that are there are judged with the memory.)
func (s *session) judgeLeftovers(a *station.Attempt, profiles []euicc.Profile, pending []euicc.Notification) station.StepResult {
	if a.Step.Text("test_profiles") != "allow" {
		for _, p := range profiles {
			if p.Class == euicc.Test && p.State == euicc.Enabled {
				return hold(station.EUICCTestProfile, "test profile %s is enabled", p.ICCID)
			}
		}
	}
	if a.Step.Text("leftovers") != "refuse" {
		return ok()
	}
	ours, err := s.ours(a.Run)
	if err != nil {
		return failed(err, station.StationFault)
	}
	for _, n := range pending {
		there := slices.ContainsFunc(profiles, func(p euicc.Profile) bool { return p.ICCID == n.ICCID })
		if n.Event == euicc.EventInstall && n.ICCID != "" && !ours[n.ICCID] && !there {
			return hold(station.EUICCSession, "notification %d tells of an installation of %s from %s, which this station did not begin", n.Sequence, n.ICCID, n.Address)
		}
	}
	return ok()
}

// judgePending refuses notifications of profiles that this station did not
// install, where the recipe wants none of them.
func (s *session) judgePending(a *station.Attempt, pending []euicc.Notification) station.StepResult {
	if a.Step.Text("notifications") != "refuse" || len(pending) == 0 {
		return ok()
	}
	ours, err := s.ours(a.Run)
	if err != nil {
		return failed(err, station.StationFault)
	}
	foreign := slices.DeleteFunc(slices.Clone(pending), func(n euicc.Notification) bool { return ours[n.ICCID] })
	if len(foreign) == 0 {
		return ok()
	}
	n := foreign[0]
	return hold(station.EUICCPending, "%d notifications of profiles that this station did not install wait, the first is %d, %s of %s for %s", len(foreign), n.Sequence, n.Event, n.ICCID, n.Address)
}

// judgePlatform holds policy rules, IPA and eIMs against what the recipe says.
func (s *session) judgePlatform(ctx context.Context, a *station.Attempt, c *card, info euicc.Info2) station.StepResult {
	if res := s.judgeRules(ctx, a, c, info); res.Outcome != station.OK {
		return res
	}
	if info.Generation() != euicc.SGP32 {
		return ok()
	}
	accepted := a.Step.Params["ipa"]
	if len(accepted) == 0 {
		accepted = []string{station.IPADevice}
	}
	switch is := s.ipa(info); {
	case slices.Contains(accepted, is):
	case is == station.IPAInEUICC:
		return hold(station.IPAEUICC, "the IPA is in the eUICC, the recipe takes it in %s", strings.Join(accepted, ", "))
	case is == station.IPAInModule:
		return hold(station.IPAModule, "the module has a profile assistant of its own, the recipe takes the IPA in %s", strings.Join(accepted, ", "))
	default:
		return hold(station.EUICCGeneration, "no IPA but the device's, the recipe takes it in %s", strings.Join(accepted, ", "))
	}
	return s.judgeEIMs(ctx, a, c)
}

// judgeEIMs: with which eIMs an eUICC has come. Those that this station added in
// an earlier run are no reason.
func (s *session) judgeEIMs(ctx context.Context, a *station.Attempt, c *card) station.StepResult {
	there, err := c.EIMs(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	ours, err := s.ourEIMs(a.Run, there)
	if err != nil {
		return failed(err, station.VaultFault)
	}
	measured := number("eims", int64(len(there)))
	added := slices.ContainsFunc(a.Run.Intents, func(in station.Intent) bool { return in.Effect == station.EffectAddEIM })
	if len(there) > 0 && a.Run.Identity.EIMs == nil && !added {
		f := station.UnitIdentified{}
		for _, e := range there {
			f.EIMs = append(f.EIMs, e.ID)
		}
		if err := a.Record(ctx, f); err != nil {
			return failed(err, station.LogStopped)
		}
	}
	res := ok()
	switch want := a.Step.Text("eim"); {
	case want == "any":
	case want == "delivered" && len(there) == 0:
		res = hold(station.EIMMissing, "the eUICC was to come with an eIM")
	case want != "delivered" && len(there) > 0 && !ours:
		res = hold(station.EIMPresent, "the eUICC came with eIM %s", namesOf(there))
	}
	res.Measured = []station.Measurement{measured}
	return res
}

// judgeRules holds the policy rules that the profile will have against the
// eUICC's table, before an order is touched for it.
func (s *session) judgeRules(ctx context.Context, a *station.Attempt, c *card, info euicc.Info2) station.StepResult {
	var rules []int
	for _, text := range a.Step.Params["pprs"] {
		rule, err := strconv.Atoi(text)
		if err != nil {
			return hold(station.StationFault, "policy rule %q", text)
		}
		rules = append(rules, rule)
	}
	if len(rules) == 0 {
		return ok()
	}
	owner, err := euicc.ParseOwner(a.Step.Text("owner"))
	if err != nil {
		return hold(station.StationFault, "%v", err)
	}
	table, err := c.RAT(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	consent := rsp.Consent{Contract: a.Run.Recipe.Consent, PPRs: []int{1, 2}}
	if _, err := rsp.CheckRules(rules, owner, info.ForbiddenPPRs, table, consent); err != nil {
		return hold(station.ProfilePolicy, "%v", err)
	}
	return ok()
}

// paired holds the unit against the module maker's list, and against every unit
// that had this module or eUICC before.
func (s *session) paired(a *station.Attempt) station.StepResult {
	want := a.Step.Text("pairing")
	if want == "off" || s.bench.opt.Pairing == nil {
		if want == "required" {
			return hold(station.UnitUnlisted, "the recipe wants a pairing list, this station has none")
		}
		return ok()
	}
	j, err := s.bench.opt.Pairing.Judge(a.Run.Unit, a.Run.Identity)
	id := a.Run.Identity
	switch {
	case err != nil:
		return failed(fmt.Errorf("pairing list: %w", err), station.StationFault)
	case j.Wrong != nil:
		return fault(j.Wrong)
	case j.Reused != nil && a.Run.Started.Expect.Sample == "":
		return fault(j.Reused)
	case j.Listed == nil && (j.Any || want == "required"):
		return hold(station.UnitUnlisted, "neither IMEI %s nor EID %s is on a pairing list", id.IMEI, id.EID)
	}
	return ok()
}

// listed is the line of a run's unit on the pairing list, nil where there is none.
func (s *session) listed(run *station.Run) (*station.PairedUnit, error) {
	if s.bench.opt.Pairing == nil {
		return nil, nil
	}
	j, err := s.bench.opt.Pairing.Judge(run.Unit, run.Identity)
	return j.Listed, err
}
