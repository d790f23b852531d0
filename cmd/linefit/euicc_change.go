package main

import (
	"bytes"
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
	Error   string        `json:"error,omitempty"`
	Advice  string        `json:"advice,omitempty"`
}

// cardChange is one change of an eUICC by hand.
type cardChange struct {
	what    string // as it is printed
	phase   rsp.Phase
	refresh bool // the module is asked to read the card again
	prepare func(ctx context.Context, card *euicc.Card, profiles []euicc.Profile) (rsp.Detail, func() error, error)
	// reached reports whether the profiles that were read back show the change;
	// nil where they do not.
	reached func(d rsp.Detail, profiles []euicc.Profile) bool
}

// changeTries bounds how often a change is made that a module refused while it
// was reading its card, and that the read-back shows not to have happened.
const changeTries = 3

// change opens the unit, records the intent, makes the change and reads the
// profiles back on a new channel. What they show decides where no answer came.
func (e *euiccCmd) change(a *app, c cardChange) error {
	u, err := e.open(a)
	if err != nil {
		return e.failed(a, err)
	}
	defer u.close()
	for try := 1; ; try++ {
		again, err := u.changeOnce(c, try < changeTries)
		if !again {
			return err
		}
	}
}

func (u *unit) changeOnce(c cardChange, mayRepeat bool) (again bool, err error) {
	ctx, seen := u.a.ctx, u.refreshes()
	detail, log, cause := u.make(c)
	if log != nil {
		defer log.close()
	}
	if cause != nil && (log == nil || !unknownOutcome(cause)) {
		return false, u.c.failed(u.a, cause)
	}
	if c.refresh && cause == nil {
		u.afterRefresh(ctx, seen)
	}
	profiles, err := u.readBack()
	if err != nil {
		return false, u.c.failed(u.a, errors.Join(cause, err))
	}
	if err := u.c.via.seen(ctx, profiles); err != nil {
		return false, u.c.failed(u.a, errors.Join(cause, err))
	}
	if cause != nil && c.reached != nil {
		switch reached := c.reached(detail, profiles); {
		case reached:
			fmt.Fprintf(u.a.stderr, "no answer came (%v), and the eUICC has done it\n", cause)
			cause = log.settled(c.phase, detail, "done")
		case apdu.SIMBusy(cause):
			if err := log.settled(c.phase, detail, "failed"); err != nil || mayRepeat {
				return err == nil, err
			}
		}
	}
	return false, u.show(c.what, detail, profiles, cause)
}

// make makes the change, again while nothing of it has begun. The record is open
// from the intent on.
func (u *unit) make(c cardChange) (detail rsp.Detail, log *cardLog, err error) {
	ctx := u.a.ctx
	work := func(card *euicc.Card) error {
		eid, err := card.EID(ctx)
		if err != nil {
			return err
		}
		profiles, err := card.Profiles(ctx)
		if err != nil {
			return err
		}
		d, run, err := c.prepare(ctx, card, profiles)
		if err != nil {
			return err
		}
		detail = d
		if log, err = u.openRecord(eid); err != nil {
			return err
		}
		return log.change(c.phase, d, run)
	}
	err = u.again(ctx, func() (retry bool, err error) {
		err = u.card(ctx, work)
		// catBusy refuses: nothing has changed, and the module is about to
		// answer the card.
		busy := errors.Is(err, euicc.ErrCatBusy)
		if busy && log != nil {
			err = errors.Join(err, log.close())
			log = nil
		}
		return log == nil && (busy || apdu.SIMBusy(err) || channelLost(err)), err
	})
	return detail, log, err
}

// readBack reads the profiles after a change, also after one whose outcome is not
// known.
func (u *unit) readBack() (profiles []euicc.Profile, err error) {
	ctx := u.a.ctx
	if err := u.settle(ctx); err != nil {
		return nil, err
	}
	err = u.reading(ctx, func(card *euicc.Card) (err error) {
		profiles, err = card.Profiles(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading back: %w", err)
	}
	return profiles, nil
}

// show prints what the eUICC says after a change.
func (u *unit) show(what string, detail rsp.Detail, profiles []euicc.Profile, cause error) error {
	out := changed{OK: cause == nil, Done: what, ICCID: string(detail.ICCID), Profile: viewProfiles(profiles)}
	if p := profileOf(detail, profiles); p != nil {
		out.State = p.State.String()
	}
	if cause != nil {
		out.Error, out.Advice = cause.Error(), advice(cause)
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

// profileOf is the profile of a change, nil where there is none.
func profileOf(d rsp.Detail, profiles []euicc.Profile) *euicc.Profile {
	for i, p := range profiles {
		if len(d.RawICCID) > 0 && bytes.Equal(p.RawICCID, d.RawICCID) {
			return &profiles[i]
		}
	}
	return nil
}

// has is the change to a state of the profile.
func has(state euicc.State) func(rsp.Detail, []euicc.Profile) bool {
	return func(d rsp.Detail, profiles []euicc.Profile) bool {
		p := profileOf(d, profiles)
		return p != nil && p.State == state
	}
}

// gone is the change to no such profile.
func gone(d rsp.Detail, profiles []euicc.Profile) bool { return profileOf(d, profiles) == nil }

type euiccEnableCmd struct {
	Profile   string `arg:"" help:"ICCID, or AID of the ISD-P."`
	NoRefresh bool   `help:"Do not ask the module to read the card again."`
}

// Run enables a profile.
func (c *euiccEnableCmd) Run(a *app, e *euiccCmd) error {
	if done, err := e.throughStation(a, mes.HandBody{Verb: "enable", Profile: c.Profile, NoRefresh: c.NoRefresh}); done {
		return err
	}
	prepare := func(ctx context.Context, card *euicc.Card, list []euicc.Profile) (rsp.Detail, func() error, error) {
		p, h, err := profileHandle(c.Profile, list)
		return detailOf(p), func() error { return card.Enable(ctx, h, !c.NoRefresh) }, err
	}
	return e.change(a, cardChange{"enabled", rsp.PhaseEnable, !c.NoRefresh, prepare, has(euicc.Enabled)})
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
	prepare := func(ctx context.Context, card *euicc.Card, list []euicc.Profile) (rsp.Detail, func() error, error) {
		p, h, err := profileHandle(c.Profile, list)
		return detailOf(p), func() error { return card.Disable(ctx, h, !c.NoRefresh) }, err
	}
	return e.change(a, cardChange{"disabled", rsp.PhaseDisable, !c.NoRefresh, prepare, has(euicc.Disabled)})
}

type euiccDeleteCmd struct {
	Profile string `arg:"" help:"ICCID, or AID of the ISD-P."`
}

// Run deletes a profile.
func (c *euiccDeleteCmd) Run(a *app, e *euiccCmd) error {
	if done, err := e.throughStation(a, mes.HandBody{Verb: "delete", Profile: c.Profile}); done {
		return err
	}
	prepare := func(ctx context.Context, card *euicc.Card, list []euicc.Profile) (rsp.Detail, func() error, error) {
		p, h, err := profileHandle(c.Profile, list)
		return detailOf(p), func() error { return card.Delete(ctx, h) }, err
	}
	return e.change(a, cardChange{"deleted", rsp.PhaseDelete, false, prepare, gone})
}

// phaseNickname is the one change that the LPA's phases do not know.
const phaseNickname rsp.Phase = "set-nickname"

type euiccNicknameCmd struct {
	Profile string `arg:"" help:"ICCID, or AID of the ISD-P."`
	Name    string `arg:"" help:"At most 64 bytes; empty removes it."`
}

// Run sets a nickname.
func (c *euiccNicknameCmd) Run(a *app, e *euiccCmd) error {
	if n := len(c.Name); n > euicc.MaxNickname {
		return exit(exitUsage, fmt.Errorf("nickname: %d bytes, at most %d", n, euicc.MaxNickname))
	}
	if done, err := e.throughStation(a, mes.HandBody{Verb: "nickname", Profile: c.Profile, Name: c.Name}); done {
		return err
	}
	prepare := func(ctx context.Context, card *euicc.Card, list []euicc.Profile) (rsp.Detail, func() error, error) {
		p, _, err := profileHandle(c.Profile, list)
		return detailOf(p), func() error { return card.SetNickname(ctx, p.RawICCID, c.Name) }, err
	}
	return e.change(a, cardChange{"nickname set", phaseNickname, false, prepare, func(d rsp.Detail, list []euicc.Profile) bool {
		p := profileOf(d, list)
		return p != nil && p.Nickname == c.Name
	}})
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
	prepare := func(ctx context.Context, card *euicc.Card, _ []euicc.Profile) (rsp.Detail, func() error, error) {
		info, err := card.Info2(ctx)
		run := func() error { return card.MemoryReset(ctx, options...) }
		if info.Generation() == euicc.SGP32 {
			run = func() error { return card.IoTMemoryReset(ctx, options...) }
		} else if c.EIM {
			err = errors.Join(err, exit(exitUsage, errors.New("reset: --eim is for SGP.32 eUICCs")))
		}
		return rsp.Detail{HighWater: -1}, run, err
	}
	return e.change(a, cardChange{"reset", rsp.PhaseMemoryReset, true, prepare, nil})
}
