package smdpsim

import (
	"linefit/modem/ident"
	"linefit/modem/wire"
)

// storeMetadata is the StoreMetadata command (BF25, SGP.22 section 5.5.3).
func storeMetadata(iccid ident.ICCID, m Metadata, own string) []byte {
	parts := [][]byte{
		wire.TLV(0x5A, iccid.Bytes()),
		wire.TLV(0x91, []byte(m.ServiceProvider)),
		wire.TLV(0x92, []byte(m.Name)),
	}
	// The class is named although operational is the default: there are LPAs
	// that take an absent one for another.
	parts = append(parts, wire.Integer(0x95, m.Class.code()))
	recipients := m.Recipients
	if recipients == nil {
		recipients = []Recipient{{Address: own, Events: []ProfileEvent{EventEnable, EventDisable, EventDelete}}}
	}
	if configuration := notificationConfiguration(recipients); len(configuration) > 0 {
		parts = append(parts, wire.TLV(0xB6, configuration))
	}
	if m.Owner != nil {
		owner := wire.TLV(0x80, m.Owner.MCCMNC[:])
		if m.Owner.GID1 != nil {
			owner = append(owner, wire.TLV(0x81, m.Owner.GID1)...)
		}
		if m.Owner.GID2 != nil {
			owner = append(owner, wire.TLV(0x82, m.Owner.GID2)...)
		}
		parts = append(parts, wire.TLV(0xB7, owner))
	}
	if len(m.PPRs) > 0 {
		parts = append(parts, wire.BitString(0x99, m.PPRs...))
	}
	return wire.TLV(0xBF25, parts...)
}

func notificationConfiguration(recipients []Recipient) []byte {
	var out []byte
	for _, r := range recipients {
		var bits []int
		for _, e := range r.Events {
			bits = append(bits, int(e))
		}
		out = append(out, wire.TLV(0x30, wire.BitString(0x80, bits...), wire.TLV(0x81, []byte(r.Address)))...)
	}
	return out
}
