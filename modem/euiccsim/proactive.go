package euiccsim

import (
	"linefit/modem/wire"
)

// refreshCommand is the proactive command REFRESH, UICC reset (ETSI TS 102 223
// sections 6.4.7 and 8.6): number 1, from the UICC to the terminal.
func refreshCommand() []byte {
	return wire.TLV(0xD0, wire.TLV(0x81, []byte{0x01, 0x01, 0x04}), wire.TLV(0x82, []byte{0x81, 0x82}))
}

// raiseRefresh makes REFRESH wait for FETCH, unless FaultNoRefresh strikes. A
// terminal without card application toolkit, such as a bare reader, is not
// asked: there the next reset takes the profile into use.
func (c *Card) raiseRefresh() error {
	if !c.card.toolkit {
		return nil
	}
	silent, err := c.strike(FaultNoRefresh)
	if err != nil || silent {
		return err
	}
	c.card.proactive = refreshCommand()
	return nil
}

// catBusy reports whether a proactive session stands in the way of a change of
// the enabled profile (SGP.22 section 5.7.16), or is said to.
func (c *Card) catBusy() (bool, error) {
	if c.card.fetched || len(c.card.proactive) > 0 {
		return true, nil
	}
	return c.strike(FaultCatBusy)
}

func (c *Card) fetch(cmd wire.Command) ([]byte, wire.SW) {
	switch {
	case cmd.P1 != 0 || cmd.P2 != 0:
		return nil, wire.SWWrongP1P2
	case len(c.card.proactive) == 0:
		return nil, wire.SWConditionsNotSatisfied
	}
	command := c.card.proactive
	if cmd.Ne != 256 && cmd.Ne != len(command) {
		return nil, 0x6C00 | wire.SW(byte(len(command)))
	}
	c.card.proactive, c.card.fetched = nil, true
	return command, wire.SWOK
}

// terminalResponse ends REFRESH. A terminal that could not do it (result 2x or
// higher, ETSI TS 102 223 section 8.12) leaves a waiting switch undone.
func (c *Card) terminalResponse(cmd wire.Command) ([]byte, wire.SW) {
	if !c.card.fetched {
		return nil, wire.SWConditionsNotSatisfied
	}
	list, err := wire.ParseAll(cmd.Data)
	if err != nil {
		return nil, wire.SWWrongData
	}
	performed, found := false, false
	for _, n := range list {
		if n.Tag&0x7F == 0x03 && len(n.Value) > 0 {
			performed, found = n.Value[0] < 0x20, true
		}
	}
	if !found {
		return nil, wire.SWWrongData
	}
	c.card.fetched = false
	if err := c.refreshed(performed); err != nil {
		return nil, wire.SWMemoryProblem
	}
	return nil, c.ok()
}

// refreshed takes the enabled profile into use, or drops a waiting switch.
func (c *Card) refreshed(performed bool) error {
	if !performed {
		if c.nv.Switch == nil {
			return nil
		}
		return c.set(func(m *memory) { m.Switch = nil })
	}
	if c.nv.Switch != nil {
		if err := c.finishSwitch(); err != nil {
			return err
		}
	}
	c.useFiles()
	return nil
}

// useFiles takes the enabled profile's file system into use on all channels.
func (c *Card) useFiles() {
	c.card.fs = openFileSystem(c.nv.enabled())
	for _, ch := range c.card.channels {
		if ch != nil {
			ch.at = cursor{}
			if ch.app != appFiles {
				continue
			}
			ch.response = nil
		}
	}
}
