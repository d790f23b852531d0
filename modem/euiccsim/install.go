package euiccsim

import (
	"bytes"
	"errors"

	"linefit/modem/euiccsim/saip"
	"linefit/modem/wire"
)

// isdpAID is the application identifier of the n-th ISD-P (SGP.02 annex H: the
// range of ISD-P PIX values).
func isdpAID(n int) []byte {
	aid := bytes.Clone(wire.AIDISDR)
	aid[13], aid[14] = byte((n+0x0F)>>8), byte(n+0x0F)
	return aid
}

// install is the end of LoadProfileElements (SGP.22 section 5.5.5): the last
// checks, then profile and installation result in one commit. A nil error
// means that it was installed.
func (c *Card) install(l *loader) error {
	p, err := l.reader.Close()
	if err != nil {
		var e *saip.Error
		if errors.As(err, &e) {
			return &loadError{reason: reasonElement, response: e.Response()}
		}
		return refuse(reasonUnknown)
	}
	for _, f := range []struct {
		fault  Fault
		reason int64
	}{{FaultLoadMemory, reasonMemory}, {FaultLoadElement, reasonElement}} {
		if hit, err := c.strike(f.fault); err != nil || hit {
			return refuse(f.reason)
		}
	}
	if !bytes.Equal(p.Header.ICCID, l.record.ICCID) || p.ICCIDFile() != nil && !bytes.Equal(p.ICCIDFile(), l.record.ICCID) {
		return refuse(reasonDataMismatch)
	}
	if owner, ok := l.view.owner(); ok && !owner.owns(p) {
		return refuse(reasonDataMismatch)
	}
	if l.view.class() == classTest && !testKeys(p) {
		return refuse(reasonTestKey)
	}
	if len(p.Raw)+len(l.metadata)+len(l.dpData) > c.free() {
		return refuse(reasonMemory)
	}
	c.busy += c.o.Delays.Install
	return c.commitInstall(l, p)
}

func (c *Card) commitInstall(l *loader, p *saip.Package) error {
	return c.commit(func(m *memory) error {
		added := profile{
			ICCID: l.record.ICCID, AID: isdpAID(m.NextISDP), Metadata: l.metadata, DPData: l.dpData,
			Package: p.Raw, DPOID: l.record.DPOID,
		}
		m.NextISDP++
		m.Loading = nil
		m.Profiles = append(m.Profiles, added)
		success := wire.TLV(0xA0, wire.TLV(0x4F, added.AID), wire.TLV(0x04, saip.ResponseOK()))
		if err := c.addResult(m, &l.record, success); err != nil {
			return err
		}
		return c.notify(m, &added, eventInstall)
	})
}

// owns compares profileOwner with the profile's files: the first digits of the
// IMSI, EF_GID1 and EF_GID2 where the owner names them.
func (o OperatorID) owns(p *saip.Package) bool {
	imsi := p.IMSI().Reveal()
	digits := mccMNC(o.MCCMNC)
	if imsi != "" && (len(imsi) < len(digits) || imsi[:len(digits)] != digits) {
		return false
	}
	return (o.GID1 == nil || prefixed(p.GID(1), o.GID1)) && (o.GID2 == nil || prefixed(p.GID(2), o.GID2))
}

// prefixed compares a group identifier with its file, which may be padded with FF.
func prefixed(file, gid []byte) bool {
	return bytes.HasPrefix(file, gid) && len(bytes.Trim(file[len(gid):], "\xFF")) == 0
}

// mccMNC is the network code as five or six digits (3GPP TS 24.008 section 10.5.1.13).
func mccMNC(b [3]byte) string {
	nibbles := []byte{b[0] & 0x0F, b[0] >> 4, b[1] & 0x0F, b[2] & 0x0F, b[2] >> 4, b[1] >> 4}
	var s []byte
	for _, n := range nibbles {
		if n <= 9 {
			s = append(s, '0'+n)
		}
	}
	return string(s)
}

// testKeys checks the keys of a test profile (SGP.22 section 2.4.5.3): the USIM
// test algorithm, or a key whose bits are zero but for the last 16.
func testKeys(p *saip.Package) bool {
	for _, k := range p.Keys {
		if k.Algorithm == 0 || k.Algorithm == 3 {
			continue
		}
		for _, b := range k.Key[:len(k.Key)-2] {
			if b != 0 {
				return false
			}
		}
	}
	return true
}

// endLoad ends a load with success (nil) or an error, and returns the
// installation result. It lies in the memory before it is returned.
func (c *Card) endLoad(cause error) ([]byte, wire.SW) {
	l := c.card.load
	c.card.load, c.card.session = nil, nil
	if cause == nil {
		c.loaded(l)
		return c.returned(), wire.SWOK
	}
	refused := &loadError{reason: reasonUnknown}
	if !errors.As(cause, &refused) {
		return nil, wire.SWMemoryProblem // the image could not be written: nothing was installed
	}
	if err := c.refuseLoad(&l.record, refused); err != nil {
		return nil, wire.SWMemoryProblem
	}
	return c.card.result, wire.SWOK
}

// returned is the result of a load that succeeded, falsified by FaultWrongResult.
func (c *Card) returned() []byte {
	result := c.card.result
	if hit, err := c.strike(FaultWrongResult); err != nil || !hit {
		return result
	}
	n, err := wire.Parse(result)
	if err != nil {
		return result
	}
	data, _ := n.Find(0xBF27)
	id, _ := data.Find(0x80)
	about, _ := data.Find(0xBF2F)
	oid, _ := data.Find(0x06)
	lie := wire.TLV(0xBF27, id.Raw, about.Raw, oid.Raw,
		wire.TLV(0xA2, wire.TLV(0xA1, wire.Integer(0x80, commandProfileElements), wire.Integer(0x81, reasonUnknown))))
	signature, err := c.sign(lie)
	if err != nil {
		return result
	}
	return wire.TLV(0xBF37, lie, wire.TLV(0x5F37, signature))
}

// refuseLoad writes the result of a load that failed.
func (c *Card) refuseLoad(record *loading, e *loadError) error {
	parts := [][]byte{wire.Integer(0x80, record.Command), wire.Integer(0x81, e.reason)}
	if e.response != nil {
		parts = append(parts, wire.TLV(0x82, e.response))
	}
	return c.commit(func(m *memory) error {
		m.Loading = nil
		return c.addResult(m, record, wire.TLV(0xA1, parts...))
	})
}

// addResult signs a ProfileInstallationResult and adds it to the notifications.
func (c *Card) addResult(m *memory, record *loading, final []byte) error {
	oid, err := wire.OID(0x06, record.DPOID)
	if err != nil {
		return err
	}
	n := notification{Seq: m.NextSeq, Event: eventInstall, Address: record.Address, ICCID: record.ICCID}
	data := wire.TLV(0xBF27, wire.TLV(0x80, record.TransactionID), n.metadata(), oid, wire.TLV(0xA2, final))
	signature, err := c.sign(data)
	if err != nil {
		return err
	}
	n.Result = wire.TLV(0xBF37, data, wire.TLV(0x5F37, signature))
	c.card.result = n.Result
	c.add(m, n)
	return nil
}

// abandon ends a load that another command cut off. The session can only be
// cancelled afterwards: its one-time key is spent.
func (c *Card) abandon() error {
	c.card.load = nil
	if s := c.card.session; s != nil && s.stage == stagePrepared {
		s.stage, s.otSK = stageAuthenticated, nil
	}
	return c.interrupted()
}

// interrupted writes what the card says of a load that was cut off.
func (c *Card) interrupted() error {
	record := c.nv.Loading
	if record == nil {
		return nil
	}
	if c.o.NoInterruption {
		return c.set(func(m *memory) { m.Loading = nil })
	}
	return c.refuseLoad(record, refuse(reasonInterruption))
}
