package steps

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"linefit/modem/euicc"
	"linefit/modem/rsp"
	"linefit/station"
	"linefit/station/stock"
)

// Servers are the SM-DP+ servers that the station may use.
type Servers struct {
	Client *rsp.Client
	// Address replaces the host of activation codes, for a station that reaches
	// its servers through a relay; empty: the code's own.
	Address string
}

// download installs the reserved profile. Before anything is asked of the
// server it finds out what earlier tries, of this run or of others, have left
// on this eUICC.
func download(ctx context.Context, s *session, a *station.Attempt) station.StepResult {
	run := a.Run
	if run.Profile == nil {
		return hold(station.StationFault, "no profile is reserved")
	}
	c, err := s.openCard(ctx)
	if err != nil {
		return failed(err, station.EUICCProtocol)
	}
	if mustReconcile(run) {
		res, done := s.reconcile(ctx, a, c)
		if done {
			return res
		}
	}
	if n, limit := run.Profile.Downloads+run.Downloads(), downloadCap(a); limit > 0 && n >= limit {
		return hold(station.CodeSpent, "%d downloads were asked for, %d are allowed", n, limit)
	}
	res := s.install(ctx, a, c)
	if res.Outcome == station.Timeout {
		return s.inSession(ctx, a, res)
	}
	return res
}

// inSession asks an IoT eUICC at once what became of a load whose end was lost:
// in this session only ImmediateEnable enables the profile, and the restart with
// which another attempt begins would end it. Nothing is sent again.
func (s *session) inSession(ctx context.Context, a *station.Attempt, res station.StepResult) station.StepResult {
	if a.Run.Identity.Generation != string(euicc.SGP32) || ctx.Err() != nil {
		return res
	}
	c, err := s.openCard(ctx)
	if err != nil {
		return res
	}
	if found, done := s.reconcile(ctx, a, c); done && found.Outcome == station.OK {
		return found
	}
	return res
}

// downloadCap is the smaller one of the operator's and the recipe's cap.
func downloadCap(a *station.Attempt) int {
	limit := int(a.Step.Int("max_downloads", 0))
	if operators := a.Run.Profile.Cap; operators > 0 && (limit == 0 || operators < limit) {
		limit = operators
	}
	return limit
}

// install is one download.
func (s *session) install(ctx context.Context, a *station.Attempt, c *card) station.StepResult {
	opt, run := s.bench.opt, a.Run
	code, err := opt.Stock.Code(ctx, run.Profile.Handle)
	if err != nil {
		return failed(err, station.VaultFault)
	}
	device, err := deviceOf(run, a.Step.Params["capabilities"])
	if err != nil {
		return hold(station.StationFault, "%v", err)
	}
	params := rsp.Params{
		Card: c.Card, Client: opt.Server.Client, Address: opt.Server.Address, Device: device, EID: run.Identity.EID.Bytes(),
		Code:         rsp.ActivationCode{Address: code.SMDP, MatchingID: rsp.Secret(code.MatchingID.RevealText()), OID: code.OID},
		Confirmation: rsp.Secret(code.Confirmation.RevealText()),
		Policy:       rsp.Policy{ICCID: run.Profile.ICCID},
		Info2:        s.seen.info, Survey: s.seen.survey,
		Recorder: s.recorder(a),
		KeepPackage: func(ctx context.Context, p *euicc.BoundPackage, _ rsp.Detail) error {
			if err := opt.Stock.Vault().Replace(stock.KindPackage, run.Profile.Handle, stock.NewSecret(p.Raw())); err != nil {
				return err
			}
			return s.closeEffect(ctx, a, station.EffectGetBPP, station.Result{Outcome: station.OK, By: "answer"})
		},
		KeepResult: func(ctx context.Context, r *euicc.InstallationResult) error {
			return s.keep(ctx, a, r.Notification, r.Raw)
		},
		Progress: func(p rsp.Progress) {
			if p.Total > 0 {
				a.Progress(100 * p.Done / p.Total)
			}
		},
	}
	if run.Recipe.Consent != "" {
		params.Consent = rsp.Consent{Contract: run.Recipe.Consent, PPRs: []int{1, 2}}
	}
	s.seen.survey = nil // it is old from now on
	result, err := rsp.Download(ctx, params)
	s.bench.blocks.learn(s.module.Identity(), result, err)
	if err != nil {
		return s.notInstalled(ctx, a, result, err)
	}
	return s.installed(ctx, a, result)
}

// deviceOf is the unit's own device information.
func deviceOf(run *station.Run, capabilities []string) (euicc.Device, error) {
	d := euicc.Device{IMEI: run.Identity.IMEI}
	for _, text := range capabilities {
		name, version, _ := strings.Cut(text, " ")
		v, err := euicc.ParseVersion(version)
		if err != nil {
			return d, fmt.Errorf("capability %q: %w", text, err)
		}
		switch name {
		case "gsm":
			d.Capabilities.GSM = v
		case "utran":
			d.Capabilities.UTRAN = v
		case "eutran":
			d.Capabilities.EUTRAN = v
		case "nr5gc":
			d.Capabilities.NR5GC = v
		default:
			return d, fmt.Errorf("capability %q: one of gsm, utran, eutran, nr5gc", text)
		}
	}
	return d, nil
}

// recorder writes an intent before each effect of the LPA.
func (s *session) recorder(a *station.Attempt) rsp.Recorder {
	return rsp.RecorderFunc(func(ctx context.Context, p rsp.Phase, d rsp.Detail) error {
		effect, known := effects[p]
		if !known {
			return fmt.Errorf("phase %q is none of this step", p)
		}
		if p == rsp.PhaseGetPackage { // the last moment before it costs an attempt
			if err := s.bench.lot(); err != nil {
				return err
			}
		}
		in := station.Intent{
			Effect: effect, Number: a.Run.NextIntent(), ICCID: d.ICCID, SMDP: d.SMDP, Transaction: d.TransactionID.String(),
			Watermark: d.HighWater, Class: int(d.Class), Consent: d.Consent, Cause: int(d.Reason),
		}
		if a.Run.Profile != nil {
			in.Profile = a.Run.Profile.Handle
		}
		if d.WasPresent {
			in.Present = "yes"
		}
		return a.Record(ctx, in)
	})
}

// closeEffect writes the result of the newest open intent of an effect.
func (s *session) closeEffect(ctx context.Context, a *station.Attempt, effect station.EffectName, res station.Result) error {
	number := openIntent(a.Run, effect)
	if number == 0 {
		return nil
	}
	res.Effect, res.Number = effect, number
	return a.Record(ctx, res)
}

func (s *session) installed(ctx context.Context, a *station.Attempt, r *rsp.Result) station.StepResult {
	err := s.closeEffect(ctx, a, station.EffectLoad, station.Result{
		Outcome: station.OK, State: station.StateInstalled, By: "answer", ICCID: r.ICCID,
		AID: hex.EncodeToString(r.Installation.AID), Sequence: r.Installation.Notification.Sequence,
	})
	if err != nil {
		return failed(err, station.LogStopped)
	}
	return s.committed(ctx, a, number("apdus", int64(r.APDUs.APDUs)), number("round_trips", int64(r.RoundTrips)),
		number("bpp_bytes", int64(r.Detail.PackageBytes)))
}

// notInstalled closes what is known to be over and leaves open what is not.
func (s *session) notInstalled(ctx context.Context, a *station.Attempt, r *rsp.Result, err error) station.StepResult {
	res := failed(err, station.ProfileUnknown)
	var f *rsp.Failure
	if !errors.As(err, &f) || f.Unknown {
		s.suspect = true
		return res
	}
	var facts []error
	if r.Installation != nil && r.Installation.Failure != nil {
		evidence, err := s.keepFailure(r.Installation)
		facts = append(facts, err, s.closeEffect(ctx, a, station.EffectLoad, station.Result{
			Outcome: station.Fail, State: station.StateAbsent, By: "answer", ICCID: r.Detail.ICCID,
			Code: r.Installation.Failure.Error(), Sequence: r.Installation.Notification.Sequence, Evidence: evidence,
		}))
	}
	var refused *rsp.ServerError
	if errors.As(err, &refused) && usedUp[refused.Subject+"/"+refused.Reason] && untried(a.Run) {
		facts = append(facts, a.Record(ctx, elsewhere(a.Run, station.AlarmRefused,
			fmt.Sprintf("the SM-DP+ refuses it (%s/%s), and nobody here has tried it: somebody else has used it, or the code is wrong", refused.Subject, refused.Reason))))
	}
	if errors.As(err, &refused) && refused.Function == rsp.GetBoundProfilePackage {
		facts = append(facts, s.closeEffect(ctx, a, station.EffectGetBPP, station.Result{Outcome: station.Fail, By: "answer", Code: refused.Subject + "/" + refused.Reason}))
	}
	if f.Cancelled || f.CancelErr != nil {
		outcome := station.OK
		switch { // the order lives in every case: see rsp.Download
		case !f.Cancelled:
			outcome = station.Timeout
		case f.CancelErr != nil:
			outcome = station.Error
		}
		facts = append(facts, s.closeEffect(ctx, a, station.EffectCancel, station.Result{Outcome: outcome, By: "answer"}))
	}
	if err := errors.Join(facts...); err != nil {
		return failed(err, station.LogStopped)
	}
	s.forgetPackage(a.Run)
	return s.refused(ctx, err, res)
}

// usedUp are the refusals of an order that others have used, or tried too often
// (SGP.22 annex on status codes; the rows 3a and 3b of modem/rsp without those of
// an order that is over by its date).
var usedUp = map[string]bool{
	"8.1.1/3.8": true, "8.1.1/3.10": true, "8.2.6/3.8": true, "8.2.6/3.10": true, "8.2.1/3.3": true, "8.2.1/3.9": true,
	"8.8.5/6.4": true, "8.2/3.7": true, "8.2.7/6.4": true, "8.2.5/3.7": true,
}

// untried reports whether no run of this station has ever asked for the profile
// of this one.
func untried(run *station.Run) bool {
	return run.Profile.Downloads == 0 && run.Profile.Was == "" && run.Downloads() == 0
}

// elsewhere is the alarm that somebody else has the run's profile.
func elsewhere(run *station.Run, kind, detail string) station.StockAlarm {
	p := run.Profile
	return station.StockAlarm{
		ID: stock.AlarmID(kind, p.Handle, ""), Kind: kind, Handle: p.Handle, ICCID: p.ICCID, Detail: detail,
		Evidence: []string{"run " + string(run.ID) + " of unit " + string(run.Unit)},
	}
}

// forgetPackage erases the run's bound package, whose outcome is known: it is
// never loaded again. It lies under its profile's handle, so that one that
// cannot be erased now, or was kept by a process that died, goes with the next
// one or at the next look.
func (s *session) forgetPackage(run *station.Run) {
	_ = s.bench.opt.Stock.Vault().Delete(stock.KindPackage, run.Profile.Handle)
}
