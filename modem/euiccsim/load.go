package euiccsim

import (
	"bytes"
	"errors"
	"fmt"

	"linefit/modem/euiccsim/saip"
	"linefit/modem/smdpsim/bsp"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// Codes of ErrorReason (SGP.22 annex H, section 2.5.6).
const (
	reasonIncorrectInput   = 1
	reasonSignature        = 2
	reasonTransactionID    = 3
	reasonCRT              = 4
	reasonRemoteOperation  = 5
	reasonProfileClass     = 6
	reasonStructure        = 7
	reasonSecurity         = 8
	reasonICCIDExists      = 9
	reasonMemory           = 10
	reasonInterruption     = 11
	reasonElement          = 12
	reasonDataMismatch     = 13
	reasonTestKey          = 14
	reasonPPR              = 15
	reasonUnknown          = 127
	commandInitialise      = 0
	commandConfigure       = 1
	commandStoreMetadata   = 2
	commandReplaceKeys     = 4
	commandProfileElements = 5
)

// loadError ends a load.
type loadError struct {
	reason   int64
	response []byte // EUICCResponse, when profile elements were in work
}

func (e *loadError) Error() string { return fmt.Sprintf("load ends with errorReason %d", e.reason) }

func refuse(reason int64) *loadError { return &loadError{reason: reason} }

// loading is the part of a load that must survive power loss: what its
// installation result needs. One-time keys of SGP.41 are named by Key.
type loading struct {
	TransactionID []byte
	Address       string
	DPOID         string
	ICCID         []byte `json:",omitempty"`
	Command       int64
}

// loader is a bound profile package in work.
type loader struct {
	record  loading
	channel *bsp.Session
	next    wire.Tag // sequence expected next, 0 while one is in work
	current wire.Tag // sequence in work
	left    int      // bytes of the package behind the current sequence
	inside  int      // bytes left in the current sequence
	plain   []byte   // of the sequence in work, save profile elements

	metadata []byte
	view     metadataView
	dpData   []byte
	reader   *saip.Reader
}

// isSegment reports the tags with which segments after the first one begin
// (SGP.22 section 2.5.5).
func isSegment(t wire.Tag) bool {
	return t >= 0xA0 && t <= 0xA3 || t >= 0x86 && t <= 0x88
}

// loadSegment works on one segment of a bound profile package
// (ES10b.LoadBoundProfilePackage, SGP.22 section 5.7.6). A segment without a
// load gets 6A88, a package without a prepared download 6985.
func (c *Card) loadSegment(tag wire.Tag, data []byte) ([]byte, wire.SW) {
	if tag == 0xBF36 {
		return c.startLoad(data)
	}
	l := c.card.load
	if l == nil {
		return nil, wire.SWDataNotFound
	}
	if err := c.segment(l, tag, data); err != nil {
		return c.endLoad(err)
	}
	if l.left > 0 || l.inside > 0 {
		return nil, wire.SWOK
	}
	return c.endLoad(c.install(l))
}

// segment takes one segment: a sequence's header, alone or (A0, A2) with its
// protected TLVs, or one protected TLV.
func (c *Card) segment(l *loader, tag wire.Tag, data []byte) error {
	if tag >= 0xA0 {
		_, length, header, err := wire.ReadHeader(data)
		if err != nil || !l.expects(tag) || length > l.left-header || length == 0 {
			return refuse(reasonStructure)
		}
		l.current, l.next = tag, 0
		l.inside, l.left = length, l.left-header-length
		l.plain = nil
		l.record.Command = commandOf(tag)
		data = data[header:]
		if len(data) > 0 && tag != 0xA0 && tag != 0xA2 {
			return refuse(reasonStructure)
		}
	} else if l.next != 0 || tag != protectedTag(l.current) {
		return refuse(reasonStructure)
	}
	for len(data) > 0 {
		n, rest, err := wire.Next(data)
		if err != nil || n.Tag != protectedTag(l.current) || len(n.Raw) > l.inside {
			return refuse(reasonStructure)
		}
		if err := c.protected(l, n); err != nil {
			return err
		}
		data, l.inside = rest, l.inside-len(n.Raw)
		if len(rest) > 0 && tag < 0xA0 {
			return refuse(reasonStructure)
		}
	}
	if l.inside > 0 {
		return nil
	}
	return c.sequenceDone(l)
}

// expects reports whether a sequence may come now; A2 is optional.
func (l *loader) expects(tag wire.Tag) bool {
	return l.next == tag || l.next == 0xA2 && tag == 0xA3
}

// protectedTag is the tag of a sequence's TLVs.
func protectedTag(sequence wire.Tag) wire.Tag {
	switch sequence {
	case 0xA1:
		return 0x88
	case 0xA3:
		return 0x86
	}
	return 0x87
}

// commandOf is the bppCommandId of a sequence.
func commandOf(sequence wire.Tag) int64 {
	switch sequence {
	case 0xA0:
		return commandConfigure
	case 0xA1:
		return commandStoreMetadata
	case 0xA2:
		return commandReplaceKeys
	}
	return commandProfileElements
}

// protected checks, decrypts and takes one TLV.
func (c *Card) protected(l *loader, n wire.Node) error {
	open := l.channel.Open
	if n.Tag == 0x88 {
		open = l.channel.Verify
	}
	plain, err := open(n.Raw)
	c.busy += c.o.Delays.Block
	switch {
	case errors.Is(err, bsp.ErrStructure):
		return refuse(reasonStructure)
	case err != nil:
		return refuse(reasonSecurity)
	}
	if n.Tag == 0x86 {
		return c.elements(l, plain)
	}
	if len(l.plain)+len(plain) > maxChain {
		return refuse(reasonIncorrectInput)
	}
	l.plain = append(l.plain, plain...)
	return nil
}

// elements hands decrypted profile elements to the reader.
func (c *Card) elements(l *loader, plain []byte) error {
	err := l.reader.Write(plain)
	var e *saip.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e) && e.Status == saip.StatusNotEnoughMemory:
		return &loadError{reason: reasonMemory, response: e.Response()}
	case errors.As(err, &e):
		return &loadError{reason: reasonElement, response: e.Response()}
	}
	return refuse(reasonUnknown)
}

// sequenceDone runs the command that a finished sequence carried.
func (c *Card) sequenceDone(l *loader) error {
	if last := l.current == 0xA3; last != (l.left == 0) {
		return refuse(reasonStructure)
	}
	switch l.current {
	case 0xA0:
		l.next = 0xA1
		return l.configure()
	case 0xA1:
		l.next = 0xA2
		return c.storeMetadata(l)
	case 0xA2:
		l.next = 0xA3
		keys, err := bsp.ParseReplaceRequest(l.plain)
		if err != nil {
			return refuse(reasonIncorrectInput)
		}
		l.channel.Replace(keys)
	}
	return nil
}

// startLoad is the first segment: the package's header and
// InitialiseSecureChannel (SGP.22 section 5.5.1).
func (c *Card) startLoad(data []byte) ([]byte, wire.SW) {
	if c.card.load != nil {
		if err := c.abandon(); err != nil {
			return nil, wire.SWMemoryProblem
		}
	}
	s := c.card.session
	if s == nil || s.stage != stagePrepared {
		return nil, wire.SWConditionsNotSatisfied
	}
	l := &loader{
		record: loading{TransactionID: s.transactionID, Address: s.address, DPOID: s.oid, Command: commandInitialise},
		next:   0xA0,
		reader: saip.NewReader(c.free()),
	}
	c.card.load = l
	if err := c.initialise(s, l, data); err != nil {
		return c.endLoad(err)
	}
	err := c.set(func(m *memory) {
		record := l.record
		record.Command = commandConfigure
		m.Loading = &record
		m.forgetKey(s.otSK)
		m.spend(s.otSK)
	})
	if err != nil {
		c.card.load = nil
		return nil, wire.SWMemoryProblem
	}
	return nil, wire.SWOK
}

// initialise checks InitialiseSecureChannel and agrees on the session keys.
func (c *Card) initialise(s *session, l *loader, data []byte) error {
	_, length, header, err := wire.ReadHeader(data)
	if err != nil {
		return refuse(reasonIncorrectInput)
	}
	request, err := wire.ParseTag(data[header:], 0xBF23)
	if err != nil || len(request.Raw) >= length {
		return refuse(reasonIncorrectInput)
	}
	l.left = length - len(request.Raw)
	list, err := request.Children()
	if err != nil || !tags(list, 0x82, 0x80, 0xA6, 0x5F49, 0x5F37) {
		return refuse(reasonIncorrectInput)
	}
	operation, id, template, otPK, signature := list[0], list[1], list[2], list[3], list[4]
	c.busy += c.o.Delays.Verify + c.o.Delays.KeyPair
	if !testpki.Verify(testpki.Key(s.pb.PublicKey), signature.Value,
		operation.Raw, id.Raw, template.Raw, otPK.Raw, wire.TLV(0x5F49, s.otPK())) {
		return refuse(reasonSignature)
	}
	if v, err := operation.Int(); err != nil || v != 1 {
		return refuse(reasonRemoteOperation)
	}
	if !bytes.Equal(id.Value, s.transactionID) {
		return refuse(reasonTransactionID)
	}
	crt, err := bsp.ParseCRT(template)
	if err != nil {
		return refuse(reasonCRT)
	}
	keys, err := bsp.Agree(s.otSK, otPK.Value, crt, c.pki.EID.Bytes())
	switch {
	case errors.Is(err, bsp.ErrCRT):
		return refuse(reasonCRT)
	case err != nil:
		return refuse(reasonIncorrectInput)
	}
	l.channel = bsp.New(keys)
	return nil
}

// configure is ConfigureISDP (SGP.22 section 5.5.2). Proprietary data of the
// SM-DP+ have at most 128 bytes with tag and length.
func (l *loader) configure() error {
	n, err := wire.ParseTag(l.plain, 0xBF24)
	if err != nil || n.Check() != nil {
		return refuse(reasonIncorrectInput)
	}
	if data, ok := n.Find(0xB8); ok {
		if _, hasOID := data.Find(0x80); !hasOID || len(data.Raw) > 128 {
			return refuse(reasonIncorrectInput)
		}
		l.dpData = data.Raw
	}
	return nil
}
