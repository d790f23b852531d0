package steps

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"linefit/modem/euicc"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/eim"
	"linefit/station/stock"
)

// maxConnectivity bounds what is kept of the connectivity parameters, bytes.
const maxConnectivity = 512

// readEIM reads what makes a cold IoT unit reachable, and writes its onboarding
// record.
func readEIM(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	c, err := s.openCard(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	there, err := c.EIMs(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	missing := slices.DeleteFunc(s.wantedEIMs(a), func(id string) bool {
		return slices.ContainsFunc(there, func(e euicc.EIM) bool { return e.ID == id })
	})
	if len(missing) > 0 || len(there) == 0 {
		return fail(station.EIMMissing, "the cold eUICC shows eIMs %q, %q are missing", namesOf(there), missing)
	}
	f := station.EIMOnboarded{EID: a.Run.Identity.EID, IMEI: a.Run.Identity.IMEI, IPA: a.Run.Identity.IPA}
	if f.EIMs, err = s.eimRecords(a.Run, there); err != nil {
		return failed(err, station.EIMMissing)
	}
	if err := s.attributes(ctx, c, &f); err != nil {
		return failed(err, station.EUICCProtocol)
	}
	if res := s.certificates(ctx, c, &f); res.Outcome != station.OK {
		return res
	}
	if err := s.carriedResult(ctx, a.Run, c, &f); err != nil {
		return failed(err, station.EUICCProtocol)
	}
	if err := a.Record(ctx, f); err != nil {
		return failed(err, station.LogStopped)
	}
	return ok(number("eims", int64(len(there))), station.Measure("fallback", having(f.Profiles, attributeFallback)),
		station.Measure("emergency", having(f.Profiles, attributeEmergency)), number("connectivity", int64(len(f.Connectivity)/2)))
}

// wantedEIMs are those that the run's recipe and order associate.
func (s *session) wantedEIMs(a *station.Attempt) []string {
	var ids []string
	for _, step := range a.Run.Recipe.Steps {
		if step.Kind == station.KindAddEIM && step.For(a.Run.Identity.Generation) {
			list, _ := s.configurations(&station.Attempt{Run: a.Run, Step: step}) // that step has said what is wrong
			ids = append(ids, eim.IDs(list)...)
		}
	}
	return ids
}

// eimRecords are the eIMs as the record has them; a token that the eUICC shows
// and the vault does not have yet is kept.
func (s *session) eimRecords(run *station.Run, there []euicc.EIM) ([]station.EIMRecord, error) {
	var list []station.EIMRecord
	for _, e := range there {
		r := station.EIMRecord{ID: e.ID, FQDN: e.FQDN, Counter: e.Counter, Protocol: e.Protocol}
		known, err := s.association(run.Identity.EID, e.ID)
		switch {
		case err != nil:
			return nil, err
		case known == nil || known.Token < 0 && e.Token >= 0:
			known = &eim.Association{EIM: e.ID, EID: run.Identity.EID, Counter: max(e.Counter, 0), Token: e.Token}
			if _, err := s.keepAssociation(*known); err != nil {
				return nil, err
			}
		case e.Token >= 0 && e.Token != known.Token:
			return nil, fmt.Errorf("eIM %s has another association token than the eUICC gave when it was added", e.ID)
		}
		if known.Token >= 0 {
			r.Token = s.tokenHandle(run.Identity.EID, e.ID)
		}
		list = append(list, r)
	}
	return list, nil
}

// Attributes of profiles that SGP.32 adds.
const (
	attributeFallback  = "fallback"
	attributeAllowed   = "fallback_allowed"
	attributeEmergency = "emergency"
)

// attributes reads the profiles with what SGP.32 says of them, and the enabled
// one's connectivity parameters.
func (s *session) attributes(ctx context.Context, c *card, f *station.EIMOnboarded) error {
	profiles, err := c.IoTProfiles(ctx)
	if err != nil {
		return err
	}
	for _, p := range profiles {
		r := station.CardRecord{ICCID: p.ICCID, State: p.State.String(), Class: p.Class.String()}
		for name, has := range map[string]bool{attributeFallback: p.Fallback, attributeAllowed: p.Allowed, attributeEmergency: p.Emergency} {
			if has {
				r.Attributes = append(r.Attributes, name)
			}
		}
		slices.Sort(r.Attributes)
		f.Profiles = append(f.Profiles, r)
		f.ICCIDs = append(f.ICCIDs, p.ICCID)
	}
	params, err := c.ConnectivityParameters(ctx)
	if err != nil {
		return err
	}
	if len(params) > maxConnectivity {
		params = params[:maxConnectivity]
	}
	f.Connectivity = hex.EncodeToString(params)
	return nil
}

func having(profiles []station.CardRecord, attribute string) string {
	for _, p := range profiles {
		if slices.Contains(p.Attributes, attribute) {
			return string(p.ICCID)
		}
	}
	return ""
}

// certificates reads the eUICC's and its maker's; the eUICC's must name the EID.
func (s *session) certificates(ctx context.Context, c *card, f *station.EIMOnboarded) station.StepResult {
	own, eum, err := c.Certificates(ctx)
	if err != nil {
		return failed(err, station.EUICCRefused)
	}
	named, err := euicc.CertificateEID(own)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	if named != string(f.EID) {
		return hold(station.IdentityChanged, "the eUICC's certificate is for EID %s, the eUICC is %s", named, f.EID)
	}
	f.EUICC, f.EUM = base64.StdEncoding.EncodeToString(own), base64.StdEncoding.EncodeToString(eum)
	return ok()
}

// carriedResult names the eUICC's signed answer to a package that was carried to
// it: its eIM has not heard of it. One that was lost on its way is still on the
// eUICC, and stays there for the eIM.
func (s *session) carriedResult(ctx context.Context, run *station.Run, c *card, f *station.EIMOnboarded) error {
	p, found, err := s.carried(run.Identity.EID)
	if err != nil || !found {
		return nil // one that cannot be read was not loaded
	}
	vault, handle := s.bench.opt.Stock.Vault(), s.resultHandle(run.Identity.EID, p)
	if _, err := vault.Get(stock.KindResult, handle); errors.Is(err, stock.ErrNoItem) {
		results, err := c.EIMPackageResults(ctx)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(results, func(r euicc.EIMPackageResult) bool { return r.EIM == p.EIM && r.Counter == p.Counter })
		if at < 0 {
			return nil // it was not loaded
		}
		if err := vault.Replace(stock.KindResult, handle, stock.NewSecret(results[at].Raw)); err != nil {
			return &keepError{err}
		}
	} else if err != nil {
		return &keepError{err}
	}
	f.Package = handle
	if p.Rollback {
		f.Rollback = "yes"
	}
	return nil
}

// resultHandle is where the signed answer to a carried package lies.
func (s *session) resultHandle(eid ident.EID, p euicc.EIMPackage) string {
	return s.bench.opt.Stock.Vault().HandleFor(stock.KindResult, fmt.Sprintf("%s/%s/%d", eid, p.EIM, p.Counter))
}
