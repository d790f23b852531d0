package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"linefit/modem"
	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/ident"
	"linefit/modem/rsp"
	"linefit/modem/wire"
	"linefit/station"
	"linefit/station/stock"
)

// card is the ISD-R on an open channel.
type card struct {
	*euicc.Card
}

// openCard gives the ISD-R, on the channel that is open or on a new one.
func (s *session) openCard(ctx context.Context) (*card, error) {
	if s.card != nil && !s.suspect {
		return s.card, nil
	}
	s.closeCard(ctx)
	c, err := s.openApplication(ctx, wire.AIDISDR)
	if err != nil {
		return nil, err
	}
	s.channel, s.card, s.suspect = c, &card{euicc.OnChannel(c)}, false
	return s.card, nil
}

// openApplication opens an application over the route that worked last, else
// over those of the module's family. An ISD-R that the module's own profile
// assistant holds is taken from it once.
func (s *session) openApplication(ctx context.Context, aid []byte) (*apdu.Channel, error) {
	m, err := s.usable(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.cardReady(ctx, m); err != nil {
		return nil, err
	}
	q := m.Quirks()
	routes := q.Routes()
	if s.route.Kind != 0 {
		routes = []apdu.Route{s.route}
	}
	if size := s.bench.blocks.of(m.Identity()); size > 0 {
		for i := range routes {
			routes[i].BlockSize, routes[i].TryBlock = size, 0
		}
	}
	opt := apdu.Options{Trace: s.trace.apdu}
	c, err := apdu.Open(ctx, m, aid, opt, routes...)
	if err != nil && errors.Is(err, apdu.ErrRefused) && !errors.Is(err, apdu.ErrNoApplication) {
		unlocked, uerr := m.UnlockISDR(ctx)
		if uerr != nil {
			return nil, errors.Join(err, uerr)
		}
		if unlocked {
			c, err = apdu.Open(ctx, m, aid, opt, routes...)
		}
	}
	if err != nil {
		return nil, err
	}
	s.route = c.Route()
	return c, nil
}

// cardReady waits for a card that the module is reading, or is about to reset.
func (s *session) cardReady(ctx context.Context, m *modem.Module) (err error) {
	if s.refreshing {
		_, err = m.AwaitRefresh(ctx, s.refreshes)
	} else {
		_, err = m.AwaitSIM(ctx)
	}
	s.refreshing = s.refreshing && err != nil
	return err
}

// closeCard closes the channel under a deadline of its own; a channel that
// cannot be closed ends with the supply.
func (s *session) closeCard(ctx context.Context) {
	if s.channel != nil && s.module != nil && s.module.AT().Err() == nil {
		_ = s.channel.Close(ctx)
	}
	s.channel, s.card, s.seen = nil, nil, seen{}
}

// info2 is EUICCInfo2, read once on each channel.
func (s *session) info2(ctx context.Context, c *card) (euicc.Info2, error) {
	if s.seen.info != nil {
		return *s.seen.info, nil
	}
	info, err := c.Info2(ctx)
	if err == nil {
		s.seen.info = &info
	}
	return info, err
}

// readEUICC reads who the eUICC is and what it has room for.
func readEUICC(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	c, err := s.openCard(ctx)
	if err != nil {
		return s.notSGP22(ctx, a, err)
	}
	raw, err := c.EID(ctx)
	if err != nil {
		return s.notSGP22(ctx, a, err)
	}
	eid, err := ident.EIDFromBytes(raw)
	if err != nil {
		return fail(station.EUICCInvalidEID, "%v", err)
	}
	if known := a.Run.Identity.EID; known != "" && known != eid {
		return hold(station.IdentityChanged, "EID %s, before it was %s", eid, known)
	}
	info, err := s.info2(ctx, c)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	generation := string(info.Generation())
	f := station.UnitIdentified{EID: eid, Route: s.route.Kind.String(), Generation: generation, IPA: s.ipa(info), Platform: &station.Platform{
		SVN: info.SVN, Firmware: info.Firmware, Profile: info.ProfileVersion, SAS: info.SASAccreditation, EUM: eid.EUM(),
		Label: info.PlatformLabel, FreeNVM: info.FreeNonVolatile, IoT: iotVersion(info),
	}}
	if a.Run.Identity.EID == "" {
		if f.Prepared, err = s.prepared(ctx, a, c, f); err != nil {
			return failed(err, station.EUICCProtocol)
		}
		if err := a.Record(ctx, f); err != nil {
			return failed(err, station.LogStopped)
		}
	}
	res := ok(station.Measure("eid", string(eid)), station.Measure("generation", generation), station.Measure("svn", info.SVN),
		station.Measure("euicc_firmware", info.Firmware), number("free_nvm", info.FreeNonVolatile))
	res.Measured = append(res.Measured, asked(a.Step.Limits, f)...)
	return expected(a, eid, a.Run.Recipe.KindOf(a.Run.Identity), res.Measured)
}

// notSGP22 finds out whether a card that does not answer as SGP.22 does is an
// M2M eUICC (SGP.02): that has an EID and no local download.
func (s *session) notSGP22(ctx context.Context, a *station.Attempt, err error) station.StepResult {
	var refused *euicc.StatusError
	if !errors.As(err, &refused) && !errors.Is(err, apdu.ErrNoApplication) {
		return failed(err, station.EUICCProtocol)
	}
	s.closeCard(ctx)
	id, ierr := euicc.Identify(ctx, func(ctx context.Context, aid []byte) (euicc.Channel, error) {
		return s.openApplication(ctx, aid)
	}, euicc.Options{})
	if ierr != nil || id.Generation != euicc.SGP02 {
		return failed(errors.Join(err, ierr), station.EUICCAbsent)
	}
	eid, perr := ident.EIDFromBytes(id.EID)
	if perr != nil {
		return fail(station.EUICCInvalidEID, "%v", perr)
	}
	if known := a.Run.Identity.EID; known != "" && known != eid {
		return hold(station.IdentityChanged, "EID %s, before it was %s", eid, known)
	}
	f := station.UnitIdentified{EID: eid, Route: s.route.Kind.String(), Generation: string(id.Generation), Platform: &station.Platform{EUM: eid.EUM()}}
	if rerr := a.Record(ctx, f); rerr != nil {
		return failed(rerr, station.LogStopped)
	}
	measured := []station.Measurement{station.Measure("eid", string(eid)), station.Measure("generation", string(id.Generation))}
	return expected(a, eid, string(id.Generation), append(measured, asked(a.Step.Limits, f)...))
}

// precheck is what can be known before money moves.
func precheck(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	c, err := s.openCard(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	info, err := s.info2(ctx, c)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	profiles, err := c.ProfilesBrief(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	pending, err := c.Notifications(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	if res := s.judgePending(a, pending); res.Outcome != station.OK {
		return res
	}
	// What waits on the eUICC from before may be pushed out by what comes: it is
	// taken over first.
	unreported, err := s.unreported(a.Run, pending)
	if err != nil {
		return failed(err, station.StationFault)
	}
	if err := s.takeOver(ctx, a, c, unreported); err != nil {
		return failed(err, station.EUICCProtocol)
	}
	s.seen.survey = &rsp.Survey{Profiles: profiles, Pending: pending}
	measured := []station.Measurement{
		number("free_nvm", info.FreeNonVolatile), number("profiles", int64(len(profiles))), number("notifications", int64(len(pending))),
	}
	if res := s.judgeLeftovers(a, profiles, pending); res.Outcome != station.OK {
		return res
	}
	res := s.judgeCard(ctx, a, info, profiles)
	if res.Outcome == station.OK {
		res = s.judgePlatform(ctx, a, c, info)
	}
	res.Measured = append(measured, res.Measured...)
	return res
}

// judgeCard holds what the eUICC says against what the recipe and the station allow.
func (s *session) judgeCard(ctx context.Context, a *station.Attempt, info euicc.Info2, profiles []euicc.Profile) station.StepResult {
	ours, err := s.ours(a.Run)
	if err != nil {
		return failed(err, station.StationFault)
	}
	var foreign []string
	for _, p := range profiles {
		if ours[p.ICCID] {
			continue
		}
		items, err := s.bench.opt.Items.OfICCID(p.ICCID)
		if err != nil {
			return failed(fmt.Errorf("profiles with ICCID %s: %w", p.ICCID, err), station.StationFault)
		}
		if len(items) > 0 { // its code is used up, and nobody here has used it
			err := a.Record(ctx, station.StockAlarm{
				ID: stock.AlarmID(station.AlarmForeign, items[0].Handle, string(a.Run.Identity.EID)), Kind: station.AlarmForeign, Handle: items[0].Handle,
				ICCID: p.ICCID, EID: a.Run.Identity.EID, Detail: "it is on an eUICC on which this station did not install it",
				Evidence: []string{"run " + string(a.Run.ID) + " of unit " + string(a.Run.Unit)},
			})
			if err != nil {
				return failed(err, station.LogStopped)
			}
			return hold(station.ProfileDuplicate, "profile %s, which is in the stock, is on the eUICC, and this station did not install it", p.ICCID)
		}
		foreign = append(foreign, fmt.Sprintf("%s %s", p.ICCID, p.State))
	}
	if len(foreign) > 0 && a.Step.Text("leftovers") == "refuse" {
		return hold(station.EUICCLeftover, "%d profiles that this station did not install: %s", len(foreign), strings.Join(foreign, ", "))
	}
	// A profile that is there already takes no more room.
	if need := a.Step.Int("profile_nvm", 0); len(profiles) == len(foreign) && info.FreeNonVolatile >= 0 && info.FreeNonVolatile < need {
		res := fail(station.EUICCMemory, "%d bytes are free, the profile needs %d", info.FreeNonVolatile, need)
		res.Final = true
		return res
	}
	return s.bench.opt.Trust.judge(info, a.Step.Params["ci"])
}

// ours are the profiles that this station gave to this eUICC.
func (s *session) ours(run *station.Run) (map[ident.ICCID]bool, error) {
	items, err := s.bench.opt.Items.OfEUICC(run.Identity.EID)
	if err != nil {
		return nil, fmt.Errorf("profiles of EID %s: %w", run.Identity.EID, err)
	}
	ours := map[ident.ICCID]bool{}
	listed, err := s.listed(run)
	if err != nil {
		return nil, err
	}
	if listed != nil {
		ours[listed.Bootstrap] = true // it was to come with this one
	}
	for _, i := range items {
		if i.ICCID != "" {
			ours[i.ICCID] = true
		}
	}
	return ours, nil
}

// judge holds the eUICC's trusted issuers against those of the station and of
// the recipe.
func (t Trust) judge(info euicc.Info2, recipe []string) station.StepResult {
	has := func(want []string) bool {
		return slices.ContainsFunc(info.Verification, func(p euicc.PKID) bool {
			return slices.ContainsFunc(want, func(w string) bool { return strings.EqualFold(w, p.String()) })
		})
	}
	onlyTest := len(info.Verification) > 0 && !slices.ContainsFunc(info.Verification, func(p euicc.PKID) bool {
		return !slices.ContainsFunc(t.TestCIs, func(w string) bool { return strings.EqualFold(w, p.String()) })
	})
	switch {
	case t.Production && onlyTest:
		return hold(station.EUICCTest, "the eUICC trusts test issuers only: %v", info.Verification)
	case len(t.CIs) > 0 && !has(t.CIs):
		return hold(station.EUICCUntrusted, "the eUICC trusts %v, the station's servers have %v", info.Verification, t.CIs)
	case len(recipe) > 0 && !has(recipe):
		return hold(station.EUICCUntrusted, "the eUICC trusts %v, the recipe wants %v", info.Verification, recipe)
	}
	return ok()
}
