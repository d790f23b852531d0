package main

import (
	"context"
	"errors"
	"fmt"

	"linefit/audit"
	"linefit/station"
	"linefit/station/mes"
	"linefit/station/plant"
	"linefit/station/text"
)

type auditAcceptCmd struct {
	where
	who
	With   string `placeholder:"NAME" help:"Name, badge or pseudonym of the second person."`
	Why    string `help:"Why going on is right; it stands in the log. Without it the findings are shown and nothing changes."`
	Digest string `placeholder:"HEX" help:"Of the findings that both have seen, as this command shows it."`
}

// Run lets a station go on with a log that is not what it must be.
func (c *auditAcceptCmd) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Why != "" && (c.By == "" || c.With == "" || c.Digest == "") {
		return exit(exitUsage, errors.New("going on takes --by, --with, --why and --digest: two people who have seen the same findings"))
	}
	if c.Store != "" {
		return personError(c.withAnyStore(a, true, func(ctx context.Context, o *offline) error {
			return c.accept(a, storeAlarm(o), func(b mes.AlarmBody) error {
				by, err := c.person()
				if err != nil {
					return err
				}
				if by, err = o.as(ctx, by); err != nil {
					return err
				}
				with, err := o.as(ctx, station.Person{Actor: station.Actor(c.With)})
				if err != nil {
					return err
				}
				return plant.Accept(ctx, o.store, by, audit.Acceptance{
					Persons: []string{string(by.Actor), string(with.Actor)}, Reason: c.Why, Findings: b.Findings,
				})
			})
		}))
	}
	remote, err := c.client()
	if err != nil {
		return err
	}
	defer remote.Close()
	return personError(c.accept(a, func() (b mes.AlarmBody, err error) {
		err = remote.Get(a.ctx, "/v1/audit/alarm", &b)
		return b, err
	}, func(mes.AlarmBody) error {
		var after mes.AlarmBody
		return remote.Post(a.ctx, "/v1/audit/accept", body{
			"operator": c.By, "role": c.Role, "second": c.With, "why": c.Why, "digest": c.Digest,
		}, &after)
	}))
}

// storeAlarm is what is wrong with a store's log.
func storeAlarm(o *offline) func() (mes.AlarmBody, error) {
	return func() (mes.AlarmBody, error) {
		b := mes.AlarmBody{Findings: append([]audit.Finding{}, o.store.State().Findings...)}
		var err error
		if len(b.Findings) > 0 {
			b.Digest, err = mes.FindingsDigest(b.Findings)
		}
		return b, err
	}
}

// accept shows the findings, or decides about them.
func (c *auditAcceptCmd) accept(a *app, alarm func() (mes.AlarmBody, error), decide func(mes.AlarmBody) error) error {
	b, err := alarm()
	if err != nil {
		return err
	}
	if c.Why == "" {
		return c.show(a, b)
	}
	if len(b.Findings) == 0 {
		return station.Refuse(station.ScanInvalid, "there is nothing to accept: the log is what it must be")
	}
	if b.Digest != c.Digest {
		return exit(exitVerdict, fmt.Errorf("the findings are %s, not %s: look at them again", b.Digest, c.Digest))
	}
	if err := decide(b); err != nil {
		return err
	}
	if c.JSON {
		return a.json(b)
	}
	fmt.Fprintln(a.stdout, "Two people went on: that is the first entry of the log's next shard.")
	fmt.Fprintln(a.stdout, "All profiles that were available or reserved are kept back until they are reconciled: linefit profiles reconcile")
	return nil
}

func (c *auditAcceptCmd) show(a *app, b mes.AlarmBody) error {
	if c.JSON {
		if err := a.json(b); err != nil {
			return err
		}
	} else {
		for _, f := range b.Findings {
			fmt.Fprintln(a.stdout, "BAD  ", text.Printable(f.String()))
		}
		if len(b.Findings) == 0 {
			fmt.Fprintln(a.stdout, "nothing is wrong with the log")
		} else {
			fmt.Fprintf(a.stdout, "digest %s\nTwo people who have found out why may go on: --by NAME --role qa --with NAME --why TEXT --digest %s\n", b.Digest, b.Digest)
		}
	}
	if len(b.Findings) > 0 {
		return exit(exitVerdict, nil)
	}
	return nil
}
