package euicc

import (
	"fmt"
	"strconv"
	"strings"

	"linefit/modem/ident"
	"linefit/modem/wire"
)

// Version is a release as three bytes: major, minor, revision. The zero value
// means that the device does not support it.
type Version [3]byte

// ParseVersion reads "17.0.0", "17.0" or "17".
func ParseVersion(s string) (Version, error) {
	var v Version
	parts := strings.Split(s, ".")
	if len(parts) > 3 {
		return v, fmt.Errorf("version %q: up to three numbers from 0 to 255", s)
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return Version{}, fmt.Errorf("version %q: up to three numbers from 0 to 255", s)
		}
		v[i] = byte(n)
	}
	return v, nil
}

// String is the version as "17.0.0".
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// MarshalText writes [Version.String].
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText is [ParseVersion].
func (v *Version) UnmarshalText(b []byte) (err error) {
	*v, err = ParseVersion(string(b))
	return err
}

// Capabilities are the releases that a device supports (SGP.22 section 4.2).
type Capabilities struct {
	GSM, UTRAN, CDMA1X, HRPD, EHRPD, EUTRAN Version
	Contactless                             Version
	CRL                                     Version // before SGP.22 v3

	// The rest is sent only to an eUICC that announces extensibility.
	NREPC, NR5GC, EUTRAN5GC Version
	LPASVN                  Version
}

// Device is the DeviceInfo of the unit that gets the profile: its own, never
// the station's.
type Device struct {
	IMEI         ident.IMEI // may be empty
	TAC          string     // eight digits; taken from the IMEI when empty
	Capabilities Capabilities
}

// tlv encodes DeviceInfo under tag.
func (d Device) tlv(tag wire.Tag, extensible bool) ([]byte, error) {
	tac := d.TAC
	if tac == "" {
		tac = d.IMEI.TAC()
	}
	if len(tac) != 8 || strings.Trim(tac, "0123456789") != "" {
		return nil, fmt.Errorf("device: %w: TAC %q has not eight digits", wire.ErrOutOfRange, tac)
	}
	if d.IMEI != "" && d.IMEI.TAC() != tac {
		return nil, fmt.Errorf("device: %w: IMEI %s is not of TAC %s", wire.ErrOutOfRange, d.IMEI, tac)
	}
	// IMEI.DeviceTAC reads the first eight digits only.
	parts := [][]byte{wire.TLV(0x80, ident.IMEI(tac).DeviceTAC()), d.Capabilities.tlv(extensible)}
	if d.IMEI != "" {
		parts = append(parts, wire.TLV(0x82, d.IMEI.DeviceIMEI()))
	}
	return wire.TLV(tag, parts...), nil
}

func (c Capabilities) tlv(extensible bool) []byte {
	fields := []Version{c.GSM, c.UTRAN, c.CDMA1X, c.HRPD, c.EHRPD, c.EUTRAN, c.Contactless, c.CRL}
	if extensible {
		fields = append(fields, c.NREPC, c.NR5GC, c.EUTRAN5GC, c.LPASVN)
	}
	var parts []byte
	for i, v := range fields {
		if v != (Version{}) {
			parts = append(parts, wire.TLV(wire.Tag(0x80+i), v[:])...)
		}
	}
	return wire.TLV(0xA1, parts)
}
