package euicc

import (
	"bytes"
	"fmt"

	"linefit/modem/ident"
	"linefit/modem/wire"
)

// Metadata are a profile's metadata as a server states them (SGP.22
// StoreMetadataRequest).
type Metadata struct {
	Raw           []byte // BF25
	ICCID         ident.ICCID
	RawICCID      []byte
	Provider      string
	Name          string
	Class         Class
	Owner         Owner
	PPRs          []int // profile policy rules set
	Recipients    []NotificationRecipient
	EstimatedSize int64 // bytes, -1 when not stated (SGP.22 v3)
}

// NotificationRecipient is who wants to be told about an event.
type NotificationRecipient struct {
	Event   Event
	Address string
}

// ParseMetadata decodes a BF25.
func ParseMetadata(raw []byte) (Metadata, error) {
	n, err := wire.ParseTag(raw, 0xBF25)
	if err == nil {
		err = n.Check()
	}
	if err != nil {
		return Metadata{}, fmt.Errorf("profile metadata: %w", err)
	}
	iccid, err := n.Need(0x5A)
	if err != nil {
		return Metadata{}, fmt.Errorf("profile metadata: %w", err)
	}
	m := Metadata{
		Raw: n.Raw, RawICCID: iccid.Value, Provider: text(n, 0x91), Name: text(n, 0x92), Class: Operational,
		PPRs: bits(n, 0x99), EstimatedSize: number(n, 0x9F21),
	}
	if len(iccid.Value) != 10 {
		return Metadata{}, fmt.Errorf("profile metadata: %w: ICCID of %d bytes", wire.ErrOutOfRange, len(iccid.Value))
	}
	m.ICCID, _ = ident.ICCIDFromBytes(iccid.Value)
	if class := number(n, 0x95); class >= 0 && class < 256 {
		m.Class = Class(class)
	}
	if owner, ok := n.Find(0xB7); ok {
		m.Owner = parseOwner(owner)
	}
	if list, ok := n.Find(0xB6); ok {
		entries, err := list.Children()
		if err != nil {
			return Metadata{}, fmt.Errorf("profile metadata: %w", err)
		}
		for _, entry := range entries {
			for _, event := range bits(entry, 0x80) {
				m.Recipients = append(m.Recipients, NotificationRecipient{Event(event), text(entry, 0x81)})
			}
		}
	}
	return m, nil
}

// SameProfile reports whether two statements are about the same profile.
func (m Metadata) SameProfile(o Metadata) bool { return bytes.Equal(m.RawICCID, o.RawICCID) }
