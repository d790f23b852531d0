package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"linefit/modem"
	"linefit/modem/rsp"
	"linefit/station"
	"linefit/station/engine"
	"linefit/station/mes"
	"linefit/ui/client"
)

// throughStation has a running station do the work where the port is one of its
// slots': it owns the port, and its log says who has changed what. done is false
// where the port is nobody's. What changes an eUICC there takes a person and a
// role.
func (c *euiccCmd) throughStation(a *app, body mes.HandBody) (done bool, err error) {
	if c.via != nil {
		return false, nil // this is the station
	}
	claim, owned := portOwner(a.ctx, c.Port)
	if !owned {
		return false, nil
	}
	where := fmt.Sprintf("%s belongs to slot %d of station %s, which is running (process %d)", c.Port, claim.Slot, claim.Station, claim.PID)
	if c.By == "" && body.Changes() {
		return true, c.failed(a, exit(exitRefused, fmt.Errorf("%s: what changes an eUICC there goes through the station, under a role: say --by NAME --role lead", where)))
	}
	body.Operator.Operator, body.Role = station.Actor(c.By), station.Role(c.Role)
	body.Route, body.Quirk, body.Block, body.JSON, body.Trace = c.Route, c.Persona, c.Block, c.JSON, c.Trace != ""
	if err := c.ask(a, claim, body); err != nil {
		var coded *exitError
		if errors.As(err, &coded) && coded.err == nil {
			return true, err
		}
		return true, fmt.Errorf("%s: %w", where, err)
	}
	return true, nil
}

// ask asks the station and prints its answer.
func (c *euiccCmd) ask(a *app, claim portClaim, body mes.HandBody) error {
	address := c.Address
	if address == "" {
		address = claim.API
	}
	daemon, err := where{Address: address, TokenFile: c.TokenFile}.client()
	if err != nil {
		return err
	}
	defer daemon.Close()
	ctx, cancel := context.WithTimeout(a.ctx, engine.HandLimit)
	defer cancel()
	var reply mes.HandReply
	if err := daemon.Post(ctx, fmt.Sprintf("/v1/slots/%d/euicc", claim.Slot), body, &reply); err != nil {
		var lost *client.Error
		if errors.As(err, &lost) && lost.Kind == client.Unreachable && body.Changes() {
			err = fmt.Errorf("%w; what was begun stands in the station's log: when it runs again, list the profiles and reconcile", err)
		}
		return personError(err)
	}
	fmt.Fprint(a.stderr, reply.Messages)
	if err := c.keepTrace(reply.Trace); err != nil {
		return err
	}
	if _, err := io.WriteString(a.stdout, reply.Output); err != nil {
		return err
	}
	switch {
	case reply.Exit == exitOK:
		return nil
	case reply.Error == "":
		return exit(reply.Exit, nil)
	}
	return exit(reply.Exit, errors.New(reply.Error))
}

func (c *euiccCmd) keepTrace(text string) error {
	t, err := openTrace(c.Trace)
	if err != nil {
		return err
	}
	_, err = io.WriteString(t, text)
	return errors.Join(err, t.close())
}

// openPort opens the port: a station its slot's.
func (c *euiccCmd) openPort(ctx context.Context) (io.ReadWriteCloser, error) {
	if c.via != nil {
		return c.via.hand.Open(ctx)
	}
	return modem.OpenSerial(c.Port, modem.SerialOptions{Baud: c.Baud})
}

// quirks is the quirk table: a station has its own.
func (c *euiccCmd) quirks() (*modem.Table, error) {
	if c.via != nil && c.via.plant.Plan.Quirks != nil {
		return c.via.plant.Plan.Quirks, nil
	}
	return modem.LoadQuirks()
}

// server is the client of SM-DP+ servers: a station its own, with the issuers
// that it trusts.
func (c *euiccCmd) server(ctx context.Context, f smdpFlags, trace func() io.Writer, early string) (*rsp.Client, func(), error) {
	if c.via == nil {
		return f.client(ctx, trace, early)
	}
	client := c.via.plant.Plan.RSP
	if client == nil || c.via.plant.Plan.Offline {
		return nil, nil, exit(exitMissing, errors.New("this station reaches no SM-DP+"))
	}
	return client, func() {}, nil
}
