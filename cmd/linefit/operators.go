package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"linefit/station"
	"linefit/station/mes"
	"linefit/station/people"
	"linefit/station/text"
	"linefit/ui/client"
)

type operatorsCmd struct {
	List   operatorsListCmd   `cmd:"" help:"The pseudonyms of the people who are known, without names."`
	Name   operatorsNameCmd   `cmd:"" help:"Who a pseudonym is, for QA; that it was told stands in the log."`
	Link   operatorsLinkCmd   `cmd:"" help:"Make another name or badge one of a person's."`
	Forget operatorsForgetCmd `cmd:"" help:"Erase who a pseudonym is, for QA. The log keeps the pseudonym and still verifies."`
}

// whoArg is the person that it is about.
type whoArg struct {
	Who string `arg:"" help:"Name, badge or pseudonym of the person that it is about."`
}

type (
	operatorsListCmd struct{ where }
	operatorsNameCmd struct {
		where
		who
		whoArg
		Why string `required:"" help:"The reason; it stands in the log and must not name the person."`
	}
	operatorsLinkCmd struct {
		where
		who
		whoArg
		Also string `required:"" placeholder:"NAME" help:"Another name or badge of that person."`
	}
	operatorsForgetCmd struct {
		where
		who
		whoArg
		Why string `required:"" help:"The reason; it stands in the log and must not name the person."`
	}
)

// register is who is who at a running station, or at a store.
type register interface {
	list(ctx context.Context) (mes.PeopleBody, error)
	name(ctx context.Context, by station.Person, who, why string) (mes.OperatorBody, error)
	link(ctx context.Context, by station.Person, who, also string) (mes.OperatorBody, error)
	forget(ctx context.Context, by station.Person, who, why string) (mes.OperatorBody, error)
}

// withPeople works with the people of the station that was named.
func (w where) withPeople(a *app, fn func(context.Context, register) error) error {
	return w.station(a, func(ctx context.Context, c *client.Client) error { return fn(ctx, remotePeople{c}) }, func(ctx context.Context, o *offline) error {
		book, err := o.book(ctx)
		if err != nil {
			return err
		}
		return fn(ctx, storePeople{book, o})
	})
}

// storePeople is who is who at a store.
type storePeople struct {
	*people.Book
	o *offline
}

func (p storePeople) list(context.Context) (mes.PeopleBody, error) {
	return mes.PeopleBody{Operators: p.List()}, nil
}

func (p storePeople) name(ctx context.Context, by station.Person, who, why string) (out mes.OperatorBody, err error) {
	if by, err = p.o.as(ctx, by); err == nil {
		out.Operator, out.Names, err = p.Name(ctx, by, who, why)
	}
	return out, err
}

func (p storePeople) link(ctx context.Context, by station.Person, who, also string) (out mes.OperatorBody, err error) {
	if by, err = p.o.as(ctx, by); err == nil {
		out.Operator, err = p.Link(ctx, by, who, also)
	}
	return out, err
}

func (p storePeople) forget(ctx context.Context, by station.Person, who, why string) (out mes.OperatorBody, err error) {
	if by, err = p.o.as(ctx, by); err == nil {
		out.Operator, err = p.Forget(ctx, by, who, why)
	}
	return out, err
}

// remotePeople is who is who at a running station.
type remotePeople struct{ c *client.Client }

func (p remotePeople) list(ctx context.Context) (out mes.PeopleBody, err error) {
	err = p.c.Get(ctx, "/v1/operators", &out)
	return out, err
}

func (p remotePeople) about(ctx context.Context, what string, by station.Person, more body) (out mes.OperatorBody, err error) {
	more["operator"], more["role"] = by.Actor, by.Role
	err = p.c.Post(ctx, "/v1/operators/"+what, more, &out)
	return out, err
}

func (p remotePeople) name(ctx context.Context, by station.Person, who, why string) (mes.OperatorBody, error) {
	return p.about(ctx, "name", by, body{"who": who, "why": why})
}

func (p remotePeople) link(ctx context.Context, by station.Person, who, also string) (mes.OperatorBody, error) {
	return p.about(ctx, "link", by, body{"who": who, "also": also})
}

func (p remotePeople) forget(ctx context.Context, by station.Person, who, why string) (mes.OperatorBody, error) {
	return p.about(ctx, "forget", by, body{"who": who, "why": why})
}

// Run lists pseudonyms.
func (c *operatorsListCmd) Run(a *app) error {
	return c.withPeople(a, func(ctx context.Context, r register) error {
		out, err := r.list(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return a.json(out)
		}
		t := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "OPERATOR\tSINCE\tNAMES AND BADGES")
		for _, p := range out.Operators {
			fmt.Fprintf(t, "%s\t%s\t%d\n", p.Operator, p.Since, p.Identifiers)
		}
		return t.Flush()
	})
}

// about does something about a person and says what.
func (w where) about(a *app, who who, said string, do func(context.Context, register, station.Person) (mes.OperatorBody, error)) error {
	by, err := who.person()
	if err != nil {
		return err
	}
	return w.withPeople(a, func(ctx context.Context, r register) error {
		out, err := do(ctx, r, by)
		if err != nil {
			return err
		}
		if w.JSON {
			return a.json(out)
		}
		for i, n := range out.Names {
			out.Names[i] = text.Printable(n)
		}
		fmt.Fprintln(a.stdout, strings.TrimSpace(fmt.Sprintf("%s %s %s", out.Operator, said, strings.Join(out.Names, ", "))))
		return nil
	})
}

// Run tells who a pseudonym is.
func (c *operatorsNameCmd) Run(a *app) error {
	return c.about(a, c.who, "is", func(ctx context.Context, r register, by station.Person) (mes.OperatorBody, error) {
		return r.name(ctx, by, c.Who, c.Why)
	})
}

// Run links another name or badge.
func (c *operatorsLinkCmd) Run(a *app) error {
	return c.about(a, c.who, "has that name or badge too", func(ctx context.Context, r register, by station.Person) (mes.OperatorBody, error) {
		return r.link(ctx, by, c.Who, c.Also)
	})
}

// Run forgets a person.
func (c *operatorsForgetCmd) Run(a *app) error {
	return c.about(a, c.who, "is nobody's any more", func(ctx context.Context, r register, by station.Person) (mes.OperatorBody, error) {
		return r.forget(ctx, by, c.Who, c.Why)
	})
}
