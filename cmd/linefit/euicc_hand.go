package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"linefit/modem/euicc"
	"linefit/modem/ident"
	"linefit/modem/rsp"
	"linefit/station"
	"linefit/station/mes"
	"linefit/station/plant"
)

// handSide is the station in which a verb of `linefit euicc` runs: its slot's
// port, its SM-DP+ client and its audit log in place of the command line's. Nil is
// the command line's.
type handSide struct {
	plant *plant.Plant
	hand  *plant.Hand
	ctx   context.Context
	trace *memory
}

// memory is a trace that is kept in memory, nothing where nobody asked for it.
type memory struct {
	bytes.Buffer
	wanted bool
}

// Write implements io.Writer.
func (m *memory) Write(b []byte) (int, error) {
	if !m.wanted || m.Len() > maxTraceKept {
		return len(b), nil
	}
	return m.Buffer.Write(b)
}

// Close implements io.Closer.
func (*memory) Close() error { return nil }

// maxTraceKept bounds a trace that a station sends along, in bytes.
const maxTraceKept = 4 << 20

// byHand is what a station does of `linefit euicc` for a person: the same verbs,
// by the same code.
func byHand(pl *plant.Plant) func(context.Context, station.Person, int, mes.HandBody) (mes.HandReply, error) {
	return func(ctx context.Context, by station.Person, slot int, body mes.HandBody) (reply mes.HandReply, err error) {
		err = pl.ByHand(ctx, by, slot, body.Verb, body.Changes(), func(ctx context.Context, h *plant.Hand) station.HandEnded {
			side := &handSide{plant: pl, hand: h, ctx: ctx, trace: &memory{wanted: body.Trace}}
			reply = side.run(slot, body)
			ended := station.HandEnded{Outcome: station.OK, Exit: reply.Exit}
			if reply.Exit != exitOK {
				ended.Outcome, ended.Detail = station.Fail, station.NewReason(station.StationFault, "%s", reply.Error).Detail
			}
			return ended
		})
		return reply, err
	}
}

// run runs a verb.
func (s *handSide) run(slot int, body mes.HandBody) mes.HandReply {
	var out, messages bytes.Buffer
	e := &euiccCmd{Port: fmt.Sprintf("slot %d", slot), Persona: body.Quirk, Route: body.Route, Block: body.Block, JSON: body.JSON, via: s}
	if e.Route == "" {
		e.Route = "auto"
	}
	a := &app{ctx: s.ctx, stdin: strings.NewReader(""), stdout: &out, stderr: &messages}
	err := verbOf(body).Run(a, e)
	reply := mes.HandReply{Exit: report(io.Discard, err), Output: out.String(), Messages: messages.String(), Trace: s.trace.String()}
	if err != nil && !isSilent(err) {
		reply.Error = err.Error()
	}
	return reply
}

// isSilent: what there is to say was printed.
func isSilent(err error) bool {
	coded, ok := err.(*exitError)
	return ok && coded.err == nil
}

// verb is a command of `linefit euicc`.
type verb interface {
	Run(a *app, e *euiccCmd) error
}

func verbOf(b mes.HandBody) verb {
	switch b.Verb {
	case "info":
		return &euiccInfoCmd{}
	case "list":
		return &euiccListCmd{}
	case "download":
		return &euiccDownloadCmd{
			ActivationCode: b.ActivationCode, ConfirmationCode: b.ConfirmationCode, IMEI: b.IMEI, TAC: b.TAC, ICCID: b.ICCID, Consent: b.Consent, Keep: b.Keep,
		}
	case "enable":
		return &euiccEnableCmd{Profile: b.Profile, NoRefresh: b.NoRefresh}
	case "disable":
		return &euiccDisableCmd{Profile: b.Profile, NoRefresh: b.NoRefresh}
	case "delete":
		return &euiccDeleteCmd{Profile: b.Profile}
	case "nickname":
		return &euiccNicknameCmd{Profile: b.Profile, Name: b.Name}
	case "notifications list":
		return &euiccNotifyListCmd{}
	case "notifications send":
		return &euiccNotifySendCmd{Sequence: b.Sequence}
	case "notifications remove":
		return &euiccNotifyRemoveCmd{Sequence: b.Sequence}
	case "reset":
		c := &euiccResetCmd{}
		for _, name := range b.Reset {
			switch name {
			case "operational":
				c.Operational = true
			case "test":
				c.Test = true
			case "default_address":
				c.DefaultAddress = true
			case "eim":
				c.EIM = true
			}
		}
		return c
	}
	return &euiccReconcileCmd{}
}

// openRecord asks whether this eUICC may be changed; the audit log is the record.
func (s *handSide) openRecord(eid []byte) (*cardLog, error) {
	id, err := ident.EIDFromBytes(eid)
	if err == nil {
		err = s.hand.Take(id)
	}
	if err != nil {
		return nil, err
	}
	return &cardLog{eid: string(id), via: s}, nil
}

// openRecordOf is openRecord for a download, which names the eUICC only when it
// proves itself: a station wants to know it before.
func (u *unit) openRecordOf(ctx context.Context, card *euicc.Card, code string) (*cardLog, error) {
	if u.c.via == nil {
		return u.openRecord(nil)
	}
	eid, err := card.EID(ctx)
	if err != nil {
		return nil, err
	}
	log, err := u.openRecord(eid)
	if err != nil {
		return nil, err
	}
	return log, u.c.via.hand.Known(code)
}

// handEffects are the phases by the names that the log has for them.
var handEffects = map[rsp.Phase]station.EffectName{
	rsp.PhaseGetPackage: station.EffectGetBPP, rsp.PhaseLoad: station.EffectLoad, rsp.PhaseCancel: station.EffectCancel,
	rsp.PhaseRemoveNotification: station.EffectRemove, rsp.PhaseEnable: station.EffectEnable, rsp.PhaseDisable: station.EffectDisable,
	rsp.PhaseDelete: station.EffectDelete, rsp.PhaseMemoryReset: station.EffectReset, phaseNickname: station.EffectNickname,
}

// record writes a record of changes as facts.
func (s *handSide) record(r cardRecord) error {
	effect, known := handEffects[r.Phase]
	if !known {
		return fmt.Errorf("phase %q has no effect in the log", r.Phase)
	}
	var d rsp.Detail
	if r.Detail != nil {
		d = *r.Detail
	}
	if r.Event == "intent" {
		in := station.HandIntent{
			Effect: effect, ICCID: d.ICCID, SMDP: d.SMDP, Transaction: d.TransactionID.String(), Watermark: d.HighWater, Sequence: d.Sequence,
			Class: int(d.Class), Cause: int(d.Reason), Consent: d.Consent,
		}
		if d.WasPresent {
			in.Present = "yes"
		}
		return s.hand.Intent(s.ctx, in)
	}
	return s.hand.Result(s.ctx, handResult(effect, d, r))
}

func handResult(effect station.EffectName, d rsp.Detail, r cardRecord) station.HandResult {
	out := station.HandResult{Effect: effect, ICCID: d.ICCID, Outcome: station.OK}
	if r.Text != "" {
		out.Detail = station.NewReason(station.StationFault, "%s", r.Text).Detail
	}
	switch r.Outcome {
	case "failed":
		out.Outcome = station.Fail
	case "unknown":
		out.Outcome, out.State = station.Timeout, station.StateUnknown
	case string(rsp.Installed):
		out.State = station.StateInstalled
	case string(rsp.Absent):
		out.Outcome, out.State = station.Fail, station.StateAbsent
	}
	return out
}

// lastDownload is the newest download by hand to an eUICC.
func (s *handSide) lastDownload(eid string) (rsp.Phase, rsp.Detail, error) {
	in, found, err := s.plant.Last(ident.EID(strings.ToUpper(eid)))
	if err != nil {
		return "", rsp.Detail{}, err
	}
	if !found {
		return "", rsp.Detail{}, exit(exitMissing, fmt.Errorf("the station's log has no download by hand to this eUICC"))
	}
	d := rsp.Detail{
		EID: eid, SMDP: in.SMDP, ICCID: in.ICCID, Class: euicc.Class(in.Class), WasPresent: in.Present != "", HighWater: in.Watermark, Consent: in.Consent,
		Reason: euicc.CancelReason(in.Cause),
	}
	if d.TransactionID, err = hex.DecodeString(in.Transaction); err != nil {
		return "", d, err
	}
	for phase, effect := range handEffects {
		if effect == in.Effect {
			return phase, d, nil
		}
	}
	return "", d, fmt.Errorf("effect %q is no phase of a download", in.Effect)
}

// seen tells the stock what is on an eUICC after a change.
func (s *handSide) seen(ctx context.Context, profiles []euicc.Profile) error {
	if s == nil {
		return nil
	}
	there := make([]ident.ICCID, len(profiles))
	for i, p := range profiles {
		there[i] = p.ICCID
	}
	return s.hand.Seen(ctx, there)
}

// serverAddress is where a station reaches SM-DP+ servers, "" for the codes' own.
func (s *handSide) serverAddress() string {
	if s == nil {
		return ""
	}
	return s.plant.Plan.SMDP
}
