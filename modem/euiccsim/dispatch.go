package euiccsim

import (
	"linefit/modem/wire"
)

// application is what is selected on a logical channel.
type application int

const (
	appFiles application = iota // the enabled profile's file system, or nothing
	appISDR
	appECASD
)

// channel is one open logical channel.
type channel struct {
	app      application
	response []byte // waits for GET RESPONSE
	chain    []byte // data of a STORE DATA chain
	next     int    // block number expected next
	at       cursor // selection in the file system
}

// Instruction bytes of ETSI TS 102 221 and GlobalPlatform that only a card knows.
const (
	insTerminalProfile  = 0x10
	insFetch            = 0x12
	insTerminalResponse = 0x14
	insVerify           = 0x20
	insUnblock          = 0x2C
	insReadRecord       = 0xB2
	insUpdateBinary     = 0xD6
	insUpdateRecord     = 0xDC
)

// execute runs one command. It returns what goes back at once; data that wait
// for GET RESPONSE are kept in the channel.
func (c *Card) execute(apdu []byte) ([]byte, wire.SW) {
	cmd, err := wire.ParseCommand(apdu)
	if err != nil {
		return nil, wire.SWWrongLength
	}
	if sw := checkClass(cmd.CLA); sw != wire.SWOK {
		return nil, sw
	}
	n := wire.ChannelOf(cmd.CLA)
	if n >= len(c.card.channels) || c.card.channels[n] == nil {
		return nil, wire.SWChannelNotSupported
	}
	ch := c.card.channels[n]
	if cmd.INS == wire.InsGetResponse {
		return c.getResponse(ch, cmd)
	}
	ch.response = nil
	if cmd.INS != wire.InsStoreData {
		ch.chain, ch.next = nil, 0
	}
	return c.instruction(ch, n, cmd)
}

func (c *Card) instruction(ch *channel, n int, cmd wire.Command) ([]byte, wire.SW) {
	proprietary := cmd.CLA&0x80 != 0
	switch {
	case cmd.INS == wire.InsManageChannel && !proprietary:
		return c.manageChannel(cmd)
	case cmd.INS == wire.InsSelect && !proprietary:
		return c.selectFile(ch, cmd)
	case cmd.INS == wire.InsStatus && proprietary:
		return c.status(ch, cmd)
	case cmd.INS == wire.InsTerminalCapability && proprietary:
		return c.terminalCapability(cmd)
	case cmd.INS == insTerminalProfile && proprietary:
		c.card.toolkit = len(cmd.Data) > 0
		return nil, c.ok()
	case cmd.INS == insFetch && proprietary:
		return c.fetch(cmd)
	case cmd.INS == insTerminalResponse && proprietary:
		return c.terminalResponse(cmd)
	case cmd.INS == wire.InsStoreData && proprietary:
		return c.storeData(ch, cmd)
	case cmd.INS == wire.InsGetData:
		return c.getData(ch, cmd)
	case cmd.INS == wire.InsReadBinary && !proprietary:
		return c.readBinary(ch, cmd)
	case cmd.INS == insReadRecord && !proprietary:
		return c.readRecord(ch, cmd)
	case (cmd.INS == insUpdateBinary || cmd.INS == insUpdateRecord) && !proprietary:
		return nil, wire.SWSecurityStatus // no key of the profile is ever presented here
	case (cmd.INS == insVerify || cmd.INS == insUnblock) && !proprietary:
		return c.verifyPIN(ch, cmd)
	}
	if knownInstruction(cmd.INS) {
		return nil, wire.SWClaNotSupported
	}
	return nil, wire.SWInsNotSupported
}

func knownInstruction(ins byte) bool {
	switch ins {
	case wire.InsManageChannel, wire.InsSelect, wire.InsStatus, wire.InsTerminalCapability, wire.InsStoreData,
		wire.InsReadBinary, insReadRecord, insTerminalProfile, insFetch, insTerminalResponse, insVerify, insUnblock,
		insUpdateBinary, insUpdateRecord:
		return true
	}
	return false
}

// checkClass takes plain class bytes of channels 0 to 19 without secure
// messaging and command chaining (ISO/IEC 7816-4 section 5.4.1).
func checkClass(cla byte) wire.SW {
	switch {
	case cla == 0xFF, cla&0x60 == 0x20: // such as A0 of the SIM of GSM (TS 51.011)
		return wire.SWClaNotSupported
	case cla&0x10 != 0:
		return swChainingNotSupported
	case cla&0x40 == 0 && cla&0x0C != 0, cla&0x40 != 0 && cla&0x20 != 0:
		return 0x6882 // secure messaging not supported
	}
	return wire.SWOK
}

// ok is 9000, or 91xx while a proactive command waits (ETSI TS 102 221 section
// 10.2.1.1).
func (c *Card) ok() wire.SW {
	if len(c.card.proactive) > 0 {
		return 0x9100 | wire.SW(len(c.card.proactive))
	}
	return wire.SWOK
}

// reply answers a command that brings data (case 4): 61xx and GET RESPONSE, or
// directly where the card is made so. What does not fit in the Le asked for waits
// behind 61xx (ISO/IEC 7816-4 section 5.3.4).
func (c *Card) reply(ch *channel, cmd wire.Command, data []byte) ([]byte, wire.SW) {
	if len(data) == 0 {
		return nil, c.ok()
	}
	now := 0
	if c.o.Direct {
		now = min(len(data), cmd.Ne)
	}
	ch.response = data[now:]
	if len(ch.response) > 0 {
		return data[:now:now], more(len(ch.response))
	}
	return data, c.ok()
}

func more(n int) wire.SW {
	if n >= 256 {
		return 0x6100
	}
	return 0x6100 | wire.SW(n)
}

// give answers a command that brings no data (case 2): a wrong Le gets 6Cxx.
func (c *Card) give(cmd wire.Command, data []byte) ([]byte, wire.SW) {
	if cmd.Ne != 256 && cmd.Ne != len(data) {
		return nil, 0x6C00 | wire.SW(byte(len(data)))
	}
	return data, c.ok()
}

func (c *Card) getResponse(ch *channel, cmd wire.Command) ([]byte, wire.SW) {
	switch {
	case cmd.P1 != 0 || cmd.P2 != 0:
		return nil, wire.SWWrongP1P2
	case len(cmd.Data) != 0:
		return nil, wire.SWWrongLength
	case c.o.StrictGetResponse && cmd.CLA&0x80 != 0:
		return nil, wire.SWOK
	case len(ch.response) == 0:
		return nil, wire.SWConditionsNotSatisfied
	}
	n := min(len(ch.response), 256)
	if cmd.Ne > n {
		if cmd.Ne != 256 {
			return nil, 0x6C00 | wire.SW(byte(n))
		}
	} else {
		n = cmd.Ne
	}
	if n == 0 {
		return nil, wire.SWWrongLength
	}
	data := ch.response[:n]
	ch.response = ch.response[n:]
	if len(ch.response) > 0 {
		return data, more(len(ch.response))
	}
	return data, c.ok()
}

// manageChannel opens or closes a logical channel (ETSI TS 102 221 section 11.1.17).
func (c *Card) manageChannel(cmd wire.Command) ([]byte, wire.SW) {
	switch {
	case cmd.P1 == 0x00 && cmd.P2 == 0x00:
		return c.openChannel(cmd)
	case cmd.P1 == 0x00 && len(cmd.Data) == 0:
		return nil, c.openNumbered(int(cmd.P2))
	case cmd.P1 == 0x80 && cmd.P2 != 0 && len(cmd.Data) == 0:
		n := int(cmd.P2)
		if n >= len(c.card.channels) || c.card.channels[n] == nil {
			return nil, wire.SWChannelNotSupported
		}
		leak, err := c.strike(FaultChannelLeak)
		if err != nil {
			return nil, wire.SWMemoryProblem
		}
		if !leak {
			c.card.channels[n] = nil
		}
		return nil, c.ok()
	}
	return nil, wire.SWWrongP1P2
}

func (c *Card) openChannel(cmd wire.Command) ([]byte, wire.SW) {
	if cmd.Ne != 1 && cmd.Ne != 256 {
		return nil, 0x6C01
	}
	for n, ch := range c.card.channels {
		if ch == nil {
			c.card.channels[n] = &channel{}
			return []byte{byte(n)}, c.ok()
		}
	}
	return nil, wire.SWFunctionNotSupported
}

// openNumbered opens the channel that the terminal names: it is not told again.
func (c *Card) openNumbered(n int) wire.SW {
	switch {
	case n >= len(c.card.channels):
		return wire.SWFunctionNotSupported
	case c.card.channels[n] != nil:
		return wire.SWConditionsNotSatisfied
	}
	c.card.channels[n] = &channel{}
	return c.ok()
}

// terminalCapability is ETSI TS 102 221 section 11.1.19: A9 with 83, the LPA
// support of SGP.22 (LUId, LPDd, LDSd: bits 1 to 3).
func (c *Card) terminalCapability(cmd wire.Command) ([]byte, wire.SW) {
	template, err := wire.ParseTag(cmd.Data, 0xA9)
	if err != nil || template.Check() != nil {
		return nil, wire.SWWrongData
	}
	if lpa, ok := template.Find(0x83); ok && len(lpa.Value) >= 1 && lpa.Value[0]&0x02 != 0 {
		c.card.capability = true
	}
	return nil, c.ok()
}

// getData is GET DATA of GlobalPlatform. An eUICC of any generation gives its
// EID from the ECASD at any time (SGP.02 section 2.2.2, SGP.22 section 2.4.2),
// and no other object without a secure channel: certificates of consumer and
// IoT eUICCs come by ES10b.
func (c *Card) getData(ch *channel, cmd wire.Command) ([]byte, wire.SW) {
	switch {
	case ch.app == appFiles:
		return nil, wire.SWInsNotSupported
	case ch.app != appECASD || cmd.P1 != 0x00 || cmd.P2 != 0x5A:
		return nil, wire.SWDataNotFound
	}
	return c.give(cmd, wire.TLV(0x5A, c.pki.EID.Bytes()))
}
