package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"linefit/modem/euicc"
	"linefit/modem/rsp"
	"linefit/station/mes"
)

type euiccNotificationsCmd struct {
	List   euiccNotifyListCmd   `cmd:"" help:"What waits on the eUICC."`
	Send   euiccNotifySendCmd   `cmd:"" help:"Deliver notifications and remove what was acknowledged."`
	Remove euiccNotifyRemoveCmd `cmd:"" help:"Remove notifications without delivering them."`
}

// notificationView is a notification as it is printed.
type notificationView struct {
	Sequence int64       `json:"sequence"`
	Event    euicc.Event `json:"event"`
	ICCID    string      `json:"iccid,omitempty"`
	Address  string      `json:"address"`
	Sent     *bool       `json:"sent,omitempty"`
	Removed  *bool       `json:"removed,omitempty"`
	Error    string      `json:"error,omitempty"`
}

func (v notificationView) line() string {
	s := fmt.Sprintf("%6d  %-8s  %-20s  %s", v.Sequence, v.Event, v.ICCID, v.Address)
	switch {
	case v.Error != "":
		return s + "  " + v.Error
	case v.Sent != nil && *v.Sent:
		return s + "  delivered"
	case v.Removed != nil && *v.Removed:
		return s + "  removed"
	}
	return s
}

func printNotifications(a *app, e *euiccCmd, list []notificationView) error {
	if e.JSON {
		return printJSON(a.stdout, map[string]any{"notifications": list})
	}
	if len(list) == 0 {
		fmt.Fprintln(a.stderr, "no notifications")
	}
	for _, v := range list {
		fmt.Fprintln(a.stdout, v.line())
	}
	return nil
}

type euiccNotifyListCmd struct{}

// Run lists what waits.
func (c *euiccNotifyListCmd) Run(a *app, e *euiccCmd) error {
	if done, err := e.throughStation(a, mes.HandBody{Verb: "notifications list"}); done {
		return err
	}
	u, err := e.open(a)
	if err != nil {
		return e.failed(a, err)
	}
	defer u.close()
	list := []notificationView{}
	err = u.reading(a.ctx, func(card *euicc.Card) error {
		waiting, err := card.Notifications(a.ctx)
		list = list[:0]
		for _, n := range waiting {
			list = append(list, notificationView{Sequence: n.Sequence, Event: n.Event, ICCID: string(n.ICCID), Address: n.Address})
		}
		return err
	})
	if err != nil {
		return e.failed(a, err)
	}
	return printNotifications(a, e, list)
}

// recorded opens the unit and runs work with the record of changes open.
func (e *euiccCmd) recorded(a *app, prepare func(*unit) error, work func(ctx context.Context, card *euicc.Card, log *cardLog) error) error {
	u, err := e.open(a)
	if err != nil {
		return err
	}
	defer u.close()
	if prepare != nil {
		if err := prepare(u); err != nil {
			return err
		}
	}
	err = u.card(a.ctx, func(card *euicc.Card) error {
		eid, err := card.EID(a.ctx)
		if err != nil {
			return err
		}
		log, err := u.openRecord(eid)
		if err != nil {
			return err
		}
		return errors.Join(work(a.ctx, card, log), log.close())
	})
	return err
}

type euiccNotifySendCmd struct {
	smdpFlags
	Sequence []int64 `arg:"" optional:"" help:"Numbers; all when none is given."`
}

// Run delivers.
func (c *euiccNotifySendCmd) Run(a *app, e *euiccCmd) error {
	if done, err := e.throughStation(a, mes.HandBody{Verb: "notifications send", Sequence: c.Sequence}); done {
		return err
	}
	var client *rsp.Client
	done := func() {}
	defer func() { done() }()
	list, failed := []notificationView{}, false
	err := e.recorded(a, func(u *unit) (err error) {
		var end func()
		if client, end, err = e.server(a.ctx, c.smdpFlags, func() io.Writer { return u.trace }, ""); err == nil {
			done = end
		}
		return err
	}, func(ctx context.Context, card *euicc.Card, log *cardLog) error {
		deliveries, err := rsp.Deliver(ctx, card, client, log, c.Sequence...)
		for _, d := range deliveries {
			v := notificationView{Sequence: d.Sequence, Event: d.Event, ICCID: string(d.ICCID), Address: d.Address, Sent: &d.Sent, Removed: &d.Removed}
			if d.Err != nil {
				v.Error, failed = d.Err.Error(), true
			}
			list = append(list, v)
		}
		return errors.Join(err, missing(c.Sequence, list))
	})
	if err != nil && len(list) == 0 {
		return e.failed(a, err)
	}
	if printErr := printNotifications(a, e, list); printErr != nil {
		return printErr
	}
	if err == nil && failed {
		return exit(exitVerdict, errors.New("not everything could be delivered"))
	}
	return cardExit(err)
}

func missing(asked []int64, found []notificationView) error {
	var errs []error
	for _, n := range asked {
		if !slices.ContainsFunc(found, func(v notificationView) bool { return v.Sequence == n }) {
			errs = append(errs, fmt.Errorf("%w %d", errNoNotification, n))
		}
	}
	return errors.Join(errs...)
}

type euiccNotifyRemoveCmd struct {
	Sequence []int64 `arg:"" help:"Numbers."`
}

// Run removes without delivering: the servers will never know.
func (c *euiccNotifyRemoveCmd) Run(a *app, e *euiccCmd) error {
	if done, err := e.throughStation(a, mes.HandBody{Verb: "notifications remove", Sequence: c.Sequence}); done {
		return err
	}
	list := []notificationView{}
	err := e.recorded(a, nil, func(ctx context.Context, card *euicc.Card, log *cardLog) error {
		waiting, err := card.Notifications(ctx)
		if err != nil {
			return err
		}
		var chosen []notificationView
		for _, n := range waiting {
			if slices.Contains(c.Sequence, n.Sequence) {
				chosen = append(chosen, notificationView{Sequence: n.Sequence, Event: n.Event, ICCID: string(n.ICCID), Address: n.Address})
			}
		}
		if err := missing(c.Sequence, chosen); err != nil {
			return err
		}
		for _, v := range chosen {
			if err := rsp.Remove(ctx, card, log, v.Sequence); err != nil {
				return err
			}
			gone := true
			v.Removed = &gone
			list = append(list, v)
		}
		return nil
	})
	if err != nil && len(list) == 0 {
		return e.failed(a, err)
	}
	return errors.Join(printNotifications(a, e, list), cardExit(err))
}

type euiccReconcileCmd struct{}

// euiccReconciled is what `reconcile --json` prints.
type euiccReconciled struct {
	Outcome   rsp.Outcome  `json:"outcome"`
	Phase     rsp.Phase    `json:"phase"` // last recorded
	Detail    rsp.Detail   `json:"detail"`
	Proven    bool         `json:"proven"` // the eUICC still has its signed result
	Earlier   bool         `json:"earlier"`
	Profile   *profileView `json:"profile,omitempty"`
	Row       rsp.Row      `json:"row,omitempty"`
	Code      rsp.CodeUse  `json:"code"`
	Action    rsp.Action   `json:"action"`
	Advice    string       `json:"advice"`
	Undecided string       `json:"undecided,omitempty"`
}

// Run finds out what became of the last recorded download to this eUICC.
func (c *euiccReconcileCmd) Run(a *app, e *euiccCmd) error {
	if done, err := e.throughStation(a, mes.HandBody{Verb: "reconcile"}); done {
		return err
	}
	u, err := e.open(a)
	if err != nil {
		return e.failed(a, err)
	}
	defer u.close()
	var out euiccReconciled
	err = u.reading(a.ctx, func(card *euicc.Card) error {
		eid, err := card.EID(a.ctx)
		if err != nil {
			return err
		}
		if out.Phase, out.Detail, err = e.lastDownload(fmt.Sprintf("%x", eid)); err != nil {
			return err
		}
		rec, err := rsp.Reconcile(a.ctx, out.Phase, out.Detail, card)
		out.Outcome, out.Earlier, out.Proven = rec.Outcome, rec.Earlier, rec.Installation != nil
		out.Row, out.Code, out.Action, out.Advice = rec.Advice.Row, rec.Advice.Code, rec.Advice.Action, rec.Advice.Text
		if rec.Profile != nil {
			out.Profile = &viewProfiles([]euicc.Profile{*rec.Profile})[0]
		}
		if errors.Is(err, rsp.ErrContradiction) {
			out.Undecided = err.Error()
			return nil
		}
		return err
	})
	if err != nil {
		return e.failed(a, err)
	}
	if e.JSON {
		if err := printJSON(a.stdout, out); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.stdout, "%s %s: %s; code: %s\n", out.Detail.ICCID, out.Outcome, out.Advice, out.Code)
	}
	if out.Outcome == rsp.Unknown {
		return exit(exitVerdict, errors.New("hold this unit"))
	}
	return nil
}
