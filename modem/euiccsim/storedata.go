package euiccsim

import (
	"bytes"
	"slices"

	"linefit/modem/wire"
)

const (
	p1More = 0x11 // STORE DATA: further blocks follow (SGP.22 section 5.7.2)
	p1Last = 0x91 // the last block
)

// maxChain bounds what a STORE DATA chain may hold: 256 blocks of 255 bytes.
const maxChain = 256 * 255

// storeData collects the blocks of one command and runs it on the last one.
func (c *Card) storeData(ch *channel, cmd wire.Command) ([]byte, wire.SW) {
	if ch.app != appISDR {
		return nil, wire.SWInsNotSupported
	}
	if c.o.Generation == SGP02 || (c.o.NeedCapability && !c.card.capability) {
		return nil, wire.SWConditionsNotSatisfied
	}
	if cmd.P2 == 0 { // a new command; what an earlier host left unfinished is dropped
		ch.chain, ch.next = nil, 0
	}
	if cmd.P1 != p1More && cmd.P1 != p1Last || int(cmd.P2) != ch.next {
		ch.chain, ch.next = nil, 0
		return nil, wire.SWWrongP1P2
	}
	if len(ch.chain)+len(cmd.Data) > maxChain {
		ch.chain, ch.next = nil, 0
		return nil, wire.SWNotEnoughMemory
	}
	ch.chain = append(ch.chain, cmd.Data...)
	if cmd.P1 == p1More {
		ch.next++
		return nil, c.ok()
	}
	data := ch.chain
	ch.chain, ch.next = nil, 0
	response, sw := c.function(ch, data)
	if sw != wire.SWOK {
		return nil, sw
	}
	return c.reply(ch, cmd, response)
}

// function runs one whole ES10 command, or one segment of a bound profile package.
func (c *Card) function(ch *channel, data []byte) ([]byte, wire.SW) {
	tag, _, err := wire.ReadTag(data)
	if err != nil {
		return nil, wire.SWWrongData
	}
	if tag == 0xBF36 || isSegment(tag) {
		return c.loadSegment(tag, data)
	}
	n, err := wire.Parse(data)
	if err != nil || n.Check() != nil {
		return nil, wire.SWWrongData
	}
	f, ok := c.functions()[tag]
	if !ok || !f.allowed(c) {
		return nil, wire.SWDataNotFound
	}
	if f.lpa && c.factoryGate() {
		return nil, wire.SWConditionsNotSatisfied
	}
	if c.card.load != nil {
		if err := c.abandon(); err != nil {
			return nil, wire.SWMemoryProblem
		}
	}
	return f.run(c, n)
}

// es10 is one function of the ISD-R.
type es10 struct {
	run  func(*Card, wire.Node) ([]byte, wire.SW)
	only Generation // "": every generation with an ISD-R for local use
	lpa  bool       // refused while in-factory one-time keys are left (SGP.41)
	// es10c marks local profile management, which an SGP.32 eUICC has only
	// where it is made so.
	es10c   bool
	factory bool // only of a card that was delivered with one-time keys
}

func (f es10) allowed(c *Card) bool {
	return (f.only == "" || f.only == c.o.Generation) && (!f.es10c || c.o.Generation != SGP32 || c.o.ES10cOnIoT) &&
		(!f.factory || c.o.OneTimeKeys > 0)
}

func (c *Card) functions() map[wire.Tag]es10 { return es10Functions }

// selectFile is SELECT by application identifier, and otherwise a matter of
// the enabled profile's file system.
func (c *Card) selectFile(ch *channel, cmd wire.Command) ([]byte, wire.SW) {
	if cmd.P1 != 0x04 {
		return c.selectInProfile(ch, cmd)
	}
	switch ownApplication(ch.app, cmd) {
	case appISDR:
		*ch = channel{app: appISDR}
		return c.selected(ch, cmd, c.isdrTemplate())
	case appECASD:
		*ch = channel{app: appECASD}
		return c.selected(ch, cmd, wire.TLV(0x6F, wire.TLV(0x84, wire.AIDECASD), wire.TLV(0xA5, wire.TLV(0x9F65, []byte{0xFF}))))
	}
	return c.selectInProfile(ch, cmd)
}

// ownApplication is which of the eUICC's own applications SELECT names, none
// being appFiles. An identifier may be cut on the right, to no less than its RID;
// P2 then asks for the first or only, the last, the next or the previous
// application that begins so (ETSI TS 102 221 section 11.1.1.2, ISO/IEC 7816-4
// section 11.2.2).
func ownApplication(now application, cmd wire.Command) application {
	var begins []application
	for _, own := range []struct {
		app application
		aid []byte
	}{{appISDR, wire.AIDISDR}, {appECASD, wire.AIDECASD}} {
		if bytes.Equal(own.aid, cmd.Data) {
			return own.app
		}
		if len(cmd.Data) >= 5 && bytes.HasPrefix(own.aid, cmd.Data) {
			begins = append(begins, own.app)
		}
	}
	at, last := slices.Index(begins, now), len(begins)-1
	switch cmd.P2 & 0x03 {
	case 0x00:
		at = 0
	case 0x01:
		at = last
	case 0x02:
		at++ // the first one where none of them is selected
	case 0x03:
		if at--; at == -2 {
			at = last
		}
	}
	if at < 0 || at > last {
		return appFiles
	}
	return begins[at]
}

// selected answers SELECT; P2 says whether a template is wanted (ISO/IEC
// 7816-4 section 11.2.2, bits 3 and 4 of P2).
func (c *Card) selected(ch *channel, cmd wire.Command, template []byte) ([]byte, wire.SW) {
	switch cmd.P2 & 0x0C {
	case 0x00, 0x04:
		return c.reply(ch, cmd, template)
	case 0x0C:
		return nil, c.ok()
	}
	return nil, wire.SWWrongP1P2
}

// isdrTemplate is the FCI of the ISD-R (SGP.22 section 5.7.1, annex H
// ISDRProprietaryApplicationTemplate); that of SGP.02 names no version.
func (c *Card) isdrTemplate() []byte {
	var iot []byte
	if c.o.Generation == SGP32 {
		iot = c.iotTemplate()
	}
	var version []byte
	if c.o.Generation != SGP02 {
		version = wire.TLV(0xE0, wire.TLV(0x82, c.svn()))
	}
	return wire.TLV(0x6F,
		wire.TLV(0x84, wire.AIDISDR),
		wire.TLV(0xA5, wire.TLV(0x9F65, []byte{0xFF})), version, iot)
}
