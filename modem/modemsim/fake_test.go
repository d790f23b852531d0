package modemsim_test

import (
	"bytes"
	"encoding/hex"
	"time"

	"linefit/modem/ident"
	"linefit/modem/wire"
)

// fakeCard is a UICC of a few lines: logical channels, two files, an ISD-R that
// answers three commands. It stands where an eUICC will.
type fakeCard struct {
	iccid    string // empty: no enabled profile
	next     string // ICCID after a refresh
	busy     time.Duration
	powered  bool
	channels map[int][]byte // selected file or application
	fetch    []byte         // proactive command waiting
	announce []byte         // its details; REFRESH with UICC reset by itself
	log      []string
	cuts     int
	resets   int
}

const fakeEID = "89049032123451234512345678901235"

func newFakeCard() *fakeCard { return &fakeCard{iccid: "8949449999999990049"} }

func (c *fakeCard) Reset() []byte {
	c.powered, c.channels, c.fetch = true, map[int][]byte{0: nil}, nil
	c.resets++
	if c.next != "" {
		c.iccid, c.next = c.next, ""
	}
	return []byte{0x3B, 0x9F, 0x96, 0x80, 0x1F}
}

func (c *fakeCard) PowerCut() { c.powered = false; c.cuts++ }

func (c *fakeCard) Transmit(apdu []byte) ([]byte, time.Duration) {
	if !c.powered {
		return nil, 0
	}
	c.log = append(c.log, hex.EncodeToString(apdu))
	return c.answer(apdu), c.busy
}

func sw(n wire.SW, data ...byte) []byte { return n.Append(data) }

func (c *fakeCard) answer(apdu []byte) []byte {
	cmd, err := wire.ParseCommand(apdu)
	if err != nil {
		return sw(wire.SWWrongLength)
	}
	channel := wire.ChannelOf(cmd.CLA)
	if _, ok := c.channels[channel]; !ok {
		return sw(wire.SWChannelNotSupported)
	}
	switch cmd.INS {
	case wire.InsManageChannel:
		return c.manage(cmd)
	case wire.InsSelect:
		return c.selected(channel, cmd)
	case wire.InsReadBinary:
		return c.read(channel, cmd)
	case wire.InsStoreData:
		return c.store(channel, cmd)
	case wire.InsStatus, 0x10, 0x14, wire.InsTerminalCapability:
		return sw(wire.SWOK)
	case 0x12:
		out := c.fetch
		c.fetch = nil
		return sw(wire.SWOK, out...)
	}
	return sw(wire.SWInsNotSupported)
}

func (c *fakeCard) manage(cmd wire.Command) []byte {
	if cmd.P1 == 0x80 {
		if _, ok := c.channels[int(cmd.P2)]; !ok || cmd.P2 == 0 {
			return sw(wire.SWWrongP1P2)
		}
		delete(c.channels, int(cmd.P2))
		return sw(wire.SWOK)
	}
	for n := 1; n <= 3; n++ {
		if _, ok := c.channels[n]; !ok {
			c.channels[n] = nil
			return sw(wire.SWOK, byte(n))
		}
	}
	return sw(wire.SWFunctionNotSupported)
}

func (c *fakeCard) selected(channel int, cmd wire.Command) []byte {
	d := cmd.Data
	switch {
	case cmd.P1 == 0x04 && bytes.Equal(d, wire.AIDISDR):
	case cmd.P1 == 0x04 && c.iccid != "" && bytes.HasPrefix(d, []byte{0xA0, 0, 0, 0, 0x87}):
	case bytes.Equal(d, []byte{0x3F, 0x00}):
	case c.iccid != "" && (bytes.Equal(d, []byte{0x2F, 0xE2}) || bytes.Equal(d, []byte{0x7F, 0xFF, 0x6F, 0x07})):
	default:
		return sw(wire.SWFileNotFound)
	}
	c.channels[channel] = append([]byte(nil), d...)
	return sw(wire.SWOK, 0x62, 0x00)
}

func (c *fakeCard) read(channel int, cmd wire.Command) []byte {
	switch file := c.channels[channel]; {
	case bytes.Equal(file, []byte{0x2F, 0xE2}):
		return sw(wire.SWOK, ident.ICCID(c.iccid).Bytes()...)
	case bytes.Equal(file, []byte{0x7F, 0xFF, 0x6F, 0x07}):
		return sw(wire.SWOK, 0x08, 0x09, 0x10, 0x10, 0x32, 0x54, 0x76, 0x98, 0x10)
	}
	return sw(wire.SWConditionsNotSatisfied)
}

// store answers GetEID, and three made-up requests: 01 sends ten bytes by
// 61xx, 02 announces a UICC reset, 03 answers its own class byte.
func (c *fakeCard) store(channel int, cmd wire.Command) []byte {
	if !bytes.Equal(c.channels[channel], wire.AIDISDR) {
		return sw(wire.SWConditionsNotSatisfied)
	}
	switch {
	case bytes.HasPrefix(cmd.Data, []byte{0xBF, 0x3E}):
		eid, _ := hex.DecodeString(fakeEID)
		return sw(wire.SWOK, wire.TLV(0xBF3E, wire.TLV(0x5A, eid))...)
	case bytes.HasPrefix(cmd.Data, []byte{0xBF, 0x2D}):
		info := wire.TLV(0xE3, wire.TLV(0x5A, ident.ICCID(c.iccid).Bytes()), wire.TLV(0x9F70, []byte{1}))
		return sw(wire.SWOK, wire.TLV(0xBF2D, wire.TLV(0xA0, info))...)
	case bytes.Equal(cmd.Data, []byte{0x02}):
		details := []byte{1, 0x01, 0x04}
		if c.announce != nil {
			details = c.announce
		}
		c.fetch = wire.TLV(0xD0, wire.TLV(0x81, details), wire.TLV(0x82, []byte{0x81, 0x82}))
		return sw(wire.SW(0x9100 | len(c.fetch)))
	case bytes.Equal(cmd.Data, []byte{0x03}):
		return sw(wire.SWOK, cmd.CLA)
	}
	return sw(wire.SWWrongData)
}
