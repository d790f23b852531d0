package main

import (
	"errors"
	"fmt"
	"net"

	"linefit/modem/euiccsim/vpcd"
	"linefit/modem/ident"
)

// simCardCmd is a virtual eUICC in a virtual reader, for programs that speak PC/SC.
type simCardCmd struct {
	simCards

	Reader string `default:"127.0.0.1:35963" help:"Where a virtual reader waits for its card: the PC/SC driver vpcd (vsmartcard) listens at ports 35963 and 35964 of its host."`
	Seed   uint64 `default:"1" help:"Part of the EID made up."`
	State  string `placeholder:"DIR" help:"Keep the card's memory in this folder."`
	JSON   bool   `name:"json" help:"Print EID and reader as one JSON document once the card is in."`
}

// simCardStart is the first line on stdout.
type simCardStart struct {
	EID    ident.EID `json:"eid"`
	Reader string    `json:"reader"`
}

// Run keeps the card in the reader until the context or the reader ends.
func (c *simCardCmd) Run(a *app) error {
	maker, err := c.maker()
	if err != nil {
		return exit(exitUsage, err)
	}
	unlock, err := simFolders(c.State)
	if err != nil {
		return err
	}
	defer unlock()
	card, err := c.card(1, c.Seed, c.State, maker)
	if err != nil {
		return err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(a.ctx, "tcp", c.Reader)
	if err != nil {
		return exit(exitMissing, fmt.Errorf("no virtual reader: %w; is pcscd running, with the driver vpcd?", err))
	}
	start := simCardStart{EID: card.EID(), Reader: c.Reader}
	if c.JSON {
		err = a.json(start)
	} else {
		_, err = fmt.Fprintf(a.stdout, "EID %s in the reader at %s\n", start.EID, start.Reader)
	}
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	if err := vpcd.Serve(a.ctx, conn, card); err != nil {
		return exit(exitMissing, err)
	}
	if a.ctx.Err() == nil {
		return exit(exitMissing, errReaderGone)
	}
	return nil
}

var errReaderGone = errors.New("the reader has closed the connection")
