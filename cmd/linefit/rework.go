package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"linefit/audit"
	"linefit/rework"
	"linefit/station"
	"linefit/station/text"
)

type reworkCmd struct {
	List    reworkListCmd    `cmd:"" help:"Tickets, by queue and in the order of their opening."`
	Show    reworkShowCmd    `cmd:"" help:"What rework knows of a unit: its runs and tickets."`
	Claim   reworkClaimCmd   `cmd:"" help:"Take a ticket."`
	Repair  reworkRepairCmd  `cmd:"" help:"Say what was found and done."`
	Dispose reworkDisposeCmd `cmd:"" help:"End a ticket: release, retest or scrap."`
}

// ticketArg names a ticket.
type ticketArg struct {
	Ticket string `arg:"" help:"Id of the ticket, or any identifier of its unit: a serial, imei:, eid:, iccid:."`
}

type (
	reworkListCmd struct {
		where
		Queue  string `help:"Tickets of this queue only."`
		State  string `enum:",open,claimed,repaired,retest,closed" default:"" help:"Tickets in this state only: open, claimed, repaired, retest or closed."`
		Unit   string `placeholder:"SERIAL" help:"Tickets of this unit only."`
		Closed bool   `help:"Closed ones too."`
	}
	reworkShowCmd struct {
		where
		Unit string `arg:"" help:"A serial, or imei:, eid:, iccid: and a value."`
	}
	reworkClaimCmd struct {
		where
		who
		ticketArg
	}
	reworkRepairCmd struct {
		where
		who
		ticketArg
		Cause  string `required:"" help:"What was found."`
		Action string `required:"" help:"What was done."`
	}
	reworkDisposeCmd struct {
		where
		who
		ticketArg
		As  string `required:"" enum:"release,retest,scrap" help:"Where the unit goes: release, retest or scrap."`
		Why string `required:"" help:"The reason; it stands in the log."`
	}
)

// desk is where tickets are worked on: that of a running station, or of a store.
type desk interface {
	Tickets(ctx context.Context, f rework.Filter) ([]station.Ticket, error)
	Story(ctx context.Context, id string) (rework.Story, error)
	Claim(ctx context.Context, by rework.Person, ref string) (station.Ticket, error)
	Repair(ctx context.Context, by rework.Person, ref, cause, action string) (station.Ticket, error)
	Dispose(ctx context.Context, by rework.Person, ref string, to station.Disposition, why string) (station.Ticket, error)
}

// withDesk works at the desk of the station that was named.
func (w where) withDesk(a *app, fn func(context.Context, desk) error) error {
	if err := w.check(); err != nil {
		return err
	}
	if w.Store != "" {
		return personError(w.withStore(a, func(ctx context.Context, o *offline) error {
			return fn(ctx, storeDesk{rework.NewDesk(o.store.View, o.journal), o})
		}))
	}
	c, err := w.client()
	if err != nil {
		return err
	}
	defer c.Close()
	return personError(fn(a.ctx, remoteDesk{c}))
}

// storeDesk is the desk of a store.
type storeDesk struct {
	*rework.Desk
	o *offline
}

// Claim implements desk.
func (d storeDesk) Claim(ctx context.Context, by rework.Person, ref string) (t station.Ticket, err error) {
	if by, err = d.o.as(ctx, by); err != nil {
		return t, err
	}
	return d.Desk.Claim(ctx, by, ref)
}

// Repair implements desk.
func (d storeDesk) Repair(ctx context.Context, by rework.Person, ref, cause, action string) (t station.Ticket, err error) {
	if by, err = d.o.as(ctx, by); err != nil {
		return t, err
	}
	return d.Desk.Repair(ctx, by, ref, cause, action)
}

// Dispose implements desk.
func (d storeDesk) Dispose(ctx context.Context, by rework.Person, ref string, to station.Disposition, why string) (t station.Ticket, err error) {
	if by, err = d.o.as(ctx, by); err != nil {
		return t, err
	}
	return d.Desk.Dispose(ctx, by, ref, to, why)
}

func (d storeDesk) Tickets(_ context.Context, f rework.Filter) (list []station.Ticket, err error) {
	err = d.o.store.View(func(v audit.View) error {
		list, err = rework.Tickets(v, f)
		return err
	})
	return list, err
}

func (d storeDesk) Story(_ context.Context, id string) (s rework.Story, err error) {
	err = d.o.store.View(func(v audit.View) error {
		u, err := rework.Find(v, id)
		if err != nil {
			return err
		}
		s, err = rework.StoryOf(v, u)
		return err
	})
	return s, err
}

// Run prints tickets.
func (c *reworkListCmd) Run(a *app) error {
	return c.withDesk(a, func(ctx context.Context, d desk) error {
		f := rework.Filter{Queue: c.Queue, State: station.TicketState(c.State), Unit: station.Serial(c.Unit), Closed: c.Closed}
		list, err := d.Tickets(ctx, f)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(a.stdout, map[string]any{"tickets": append([]station.Ticket{}, list...)})
		}
		return printTickets(a.stdout, list)
	})
}

func printTickets(w io.Writer, list []station.Ticket) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no tickets")
		return err
	}
	words := text.For(text.English)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "QUEUE\tUNIT\tSTATE\tWANTS\tREASON\tTICKET\tBY")
	for _, one := range list {
		reason := ""
		if one.Reason != nil {
			reason = words.Reason(one.Reason.Code)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", one.Queue, one.Unit, one.State, one.Wanted, reason, one.ID, one.Actor)
	}
	return t.Flush()
}

// Run prints a unit's story as rework knows it.
func (c *reworkShowCmd) Run(a *app) error {
	return c.withDesk(a, func(ctx context.Context, d desk) error {
		s, err := d.Story(ctx, c.Unit)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(a.stdout, s)
		}
		return printStory(a.stdout, s)
	})
}

func printStory(w io.Writer, s rework.Story) error {
	u, words := s.Unit, text.For(text.English)
	fmt.Fprintf(w, "%s  IMEI %s  EID %s\n%d runs, %d repairs; since the last repair %d failed and %d came to no verdict\n",
		u.Serial, orDash(string(u.IMEI)), orDash(string(u.EID)), u.Runs, u.Repairs, u.Failures, u.Inconclusive)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\nSTARTED\tSLOT\tRECIPE\tVERDICT\tDISPOSITION\tSTEP\tREASON\tRULE")
	for _, r := range s.Runs {
		fmt.Fprintf(t, "%s\t%d\t%s/%d\t%s\t%s\t%s\t%s\t%s\n", r.Started, r.Slot, r.Recipe, r.Version, orDash(string(r.Verdict)), orDash(string(r.Disposition)), orDash(r.Step), orDash(text.Printable(r.Reason.String())), r.Rule)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(s.Tickets) > 0 {
		fmt.Fprintln(w)
		if err := printTickets(w, s.Tickets); err != nil {
			return err
		}
	}
	if u.Ticket != "" && u.Reason != nil {
		fmt.Fprintln(w, "\n"+words.Advice(u.Reason.Code))
	}
	return nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Run takes a ticket.
func (c *reworkClaimCmd) Run(a *app) error {
	return c.act(a, c.who, func(ctx context.Context, d desk, by rework.Person) (station.Ticket, error) {
		return d.Claim(ctx, by, c.Ticket)
	})
}

// Run records a repair.
func (c *reworkRepairCmd) Run(a *app) error {
	return c.act(a, c.who, func(ctx context.Context, d desk, by rework.Person) (station.Ticket, error) {
		return d.Repair(ctx, by, c.Ticket, c.Cause, c.Action)
	})
}

// Run ends a ticket.
func (c *reworkDisposeCmd) Run(a *app) error {
	return c.act(a, c.who, func(ctx context.Context, d desk, by rework.Person) (station.Ticket, error) {
		return d.Dispose(ctx, by, c.Ticket, station.Disposition(c.As), c.Why)
	})
}

// act lets a person change a ticket and prints what it is then.
func (w where) act(a *app, who who, do func(context.Context, desk, rework.Person) (station.Ticket, error)) error {
	by, err := who.person()
	if err != nil {
		return err
	}
	return w.withDesk(a, func(ctx context.Context, d desk) error {
		t, err := do(ctx, d, by)
		if err != nil {
			return err
		}
		if w.JSON {
			return printJSON(a.stdout, t)
		}
		return printTickets(a.stdout, []station.Ticket{t})
	})
}
