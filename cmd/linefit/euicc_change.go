package main

import (
	"context"
	"errors"
	"fmt"

	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/rsp"
	"linefit/station/mes"
)

// changed is what a change prints.
type changed struct {
	OK      bool          `json:"ok"`
	Done    string        `json:"done"`
	ICCID   string        `json:"iccid,omitempty"`
	State   string        `json:"state,omitempty"` // as read back
	Profile []profileView `json:"profiles"`
}

// change opens the unit, records the intent, makes the change and reads the
// profiles back on a new channel.
func (e *euiccCmd) change(a *app, what string, phase rsp.Phase, refresh bool, prepare func(ctx context.Context, card *euicc.Card, profiles []euicc.Profile) (rsp.Detail, func() error, error)) error {
	u, err := e.open(a)
	if err != nil {
		return e.failed(a, err)
	}
	defer u.close()
	var log *cardLog
	var detail rsp.Detail
	seen := u.refreshes()
	work := func(card *euicc.Card) error {
		eid, err := card.EID(a.ctx)
		if err != nil {
			return err
		}
		profiles, err := card.Profiles(a.ctx)
		if err != nil {
			return err
		}
		d, run, err := prepare(a.ctx, card, profiles)
		if err != nil {
			return err
		}
		detail = d
		if log, err = u.openRecord(eid); err != nil {
			return err
		}
		return log.change(phase, d, run)
	}
	err = u.again(a.ctx, func() (retry bool, err error) {
		err = u.card(a.ctx, work)
		// catBusy refuses: nothing has changed, and the module is about to
		// answer the card.
		busy := errors.Is(err, euicc.ErrCatBusy)
		if busy && log != nil {
			err = errors.Join(err, log.close())
			log = nil
		}
		return log == nil && (busy || apdu.SIMBusy(err) || channelLost(err)), err
	})
	if log != nil {
		defer log.close()
	}
	if err != nil && (log == nil || !unknownOutcome(err)) {
		return e.failed(a, err)
	}
	if refresh && err == nil {
		u.afterRefresh(a.ctx, seen)
	}
	return u.readBack(what, detail, err)
}

// readBack shows what the eUICC says after a change, also after one whose
// outcome was not known.
func (u *unit) readBack(what string, detail rsp.Detail, cause error) error {
	ctx := u.a.ctx
	if err := u.settle(ctx); err != nil {
		return u.c.failed(u.a, errors.Join(cause, err))
	}
	var profiles []euicc.Profile
	err := u.reading(ctx, func(card *euicc.Card) (err error) {
		profiles, err = card.Profiles(ctx)
		return err
	})
	if err != nil {
		return u.c.failed(u.a, errors.Join(cause, fmt.Errorf("reading back: %w", err)))
	}
	if err := u.c.via.seen(ctx, profiles); err != nil {
		return u.c.failed(u.a, errors.Join(cause, err))
	}
	out := changed{OK: cause == nil, Done: what, ICCID: string(detail.ICCID), Profile: viewProfiles(profiles)}
	for _, p := range profiles {
		if detail.ICCID != "" && p.ICCID == detail.ICCID {
			out.State = p.State.String()
		}
	}
	if u.c.JSON {
		if err := printJSON(u.a.stdout, out); err != nil {
			return err
		}
	} else {
		for _, v := range out.Profile {
			fmt.Fprintln(u.a.stdout, v.line())
		}
	}
	if cause != nil {
		return exit(exitVerdict, fmt.Errorf("%w; the list shows what the eUICC says now", withAdvice(cause)))
	}
	return nil
}

type euiccEnableCmd struct {
	Profile   string `arg:"" help:"ICCID, or AID of the ISD-P."`
	NoRefresh bool   `help:"Do not ask the module to read the card again."`
}

// Run enables a profile.
func (c *euiccEnableCmd) Run(a *app, e *euiccCmd) error {
	if done, err := e.throughStation(a, mes.HandBody{Verb: "enable", Profile: c.Profile, NoRefresh: c.NoRefresh}); done {
		return err
	}
	return e.change(a, "enabled", rsp.PhaseEnable, !c.NoRefresh, func(ctx context.Context, card *euicc.Card, list []euicc.Profile) (rsp.Detail, func() error, error) {
		p, h, err := profileHandle(c.Profile, list)
		return detailOf(p), func() error { return card.Enable(ctx, h, !c.NoRefresh) }, err
	})
}

type euiccDisableCmd struct {
	Profile   string `arg:"" help:"ICCID, or AID of the ISD-P."`
	NoRefresh bool   `help:"Do not ask the module to read the card again."`
}

// Run disables a profile.
func (c *euiccDisableCmd) Run(a *app, e *euiccCmd) error {
	if done, err := e.throughStation(a, mes.HandBody{Verb: "disable", Profile: c.Profile, NoRefresh: c.NoRefresh}); done {
		return err
	}
	return e.change(a, "disabled", rsp.PhaseDisable, !c.NoRefresh, func(ctx context.Context, card *euicc.Card, list []euicc.Profile) (rsp.Detail, func() error, error) {
		p, h, err := profileHandle(c.Profile, list)
		return detailOf(p), func() error { return card.Disable(ctx, h, !c.NoRefresh) }, err
	})
}

type euiccDeleteCmd struct {
	Profile string `arg:"" help:"ICCID, or AID of the ISD-P."`
}

// Run deletes a profile.
func (c *euiccDeleteCmd) Run(a *app, e *euiccCmd) error {
	if done, err := e.throughStation(a, mes.HandBody{Verb: "delete", Profile: c.Profile}); done {
		return err
	}
	return e.change(a, "deleted", rsp.PhaseDelete, false, func(ctx context.Context, card *euicc.Card, list []euicc.Profile) (rsp.Detail, func() error, error) {
		p, h, err := profileHandle(c.Profile, list)
		return detailOf(p), func() error { return card.Delete(ctx, h) }, err
	})
}

// phaseNickname is the one change that the LPA's phases do not know.
const phaseNickname rsp.Phase = "set-nickname"

type euiccNicknameCmd struct {
	Profile string `arg:"" help:"ICCID, or AID of the ISD-P."`
	Name    string `arg:"" help:"At most 64 bytes; empty removes it."`
}

// Run sets a nickname.
func (c *euiccNicknameCmd) Run(a *app, e *euiccCmd) error {
	if done, err := e.throughStation(a, mes.HandBody{Verb: "nickname", Profile: c.Profile, Name: c.Name}); done {
		return err
	}
	return e.change(a, "nickname set", phaseNickname, false, func(ctx context.Context, card *euicc.Card, list []euicc.Profile) (rsp.Detail, func() error, error) {
		p, _, err := profileHandle(c.Profile, list)
		return detailOf(p), func() error { return card.SetNickname(ctx, p.RawICCID, c.Name) }, err
	})
}

func detailOf(p euicc.Profile) rsp.Detail {
	return rsp.Detail{ICCID: p.ICCID, RawICCID: rsp.HexBytes(p.RawICCID), Class: p.Class, HighWater: -1}
}

type euiccResetCmd struct {
	Operational    bool `help:"All operational profiles."`
	Test           bool `help:"Test profiles that were loaded."`
	DefaultAddress bool `help:"The default SM-DP+ address."`
	EIM            bool `name:"eim" help:"SGP.32: the associated eIMs."`
}

// Run resets the eUICC's memory.
func (c *euiccResetCmd) Run(a *app, e *euiccCmd) error {
	var options []int
	var names []string
	for _, o := range []struct {
		on   bool
		bit  int
		name string
	}{
		{c.Operational, euicc.ResetOperational, "operational"}, {c.Test, euicc.ResetTest, "test"},
		{c.DefaultAddress, euicc.ResetDefaultAddress, "default_address"}, {c.EIM, euicc.ResetEIM, "eim"},
	} {
		if o.on {
			options, names = append(options, o.bit), append(names, o.name)
		}
	}
	if len(options) == 0 {
		return exit(exitUsage, errors.New("reset: say what: --operational, --test, --default-address, --eim"))
	}
	if done, err := e.throughStation(a, mes.HandBody{Verb: "reset", Reset: names}); done {
		return err
	}
	return e.change(a, "reset", rsp.PhaseMemoryReset, true, func(ctx context.Context, card *euicc.Card, _ []euicc.Profile) (rsp.Detail, func() error, error) {
		info, err := card.Info2(ctx)
		run := func() error { return card.MemoryReset(ctx, options...) }
		if info.Generation() == euicc.SGP32 {
			run = func() error { return card.IoTMemoryReset(ctx, options...) }
		} else if c.EIM {
			err = errors.Join(err, exit(exitUsage, errors.New("reset: --eim is for SGP.32 eUICCs")))
		}
		return rsp.Detail{HighWater: -1}, run, err
	})
}
