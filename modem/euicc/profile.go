package euicc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"linefit/modem/ident"
	"linefit/modem/wire"
)

// State is a profile's state.
type State int

// The states of SGP.22; StateUnknown is a value that it does not define.
const (
	StateUnknown State = iota
	Disabled
	Enabled
)

// String is "disabled", "enabled" or "unknown".
func (s State) String() string {
	switch s {
	case Disabled:
		return "disabled"
	case Enabled:
		return "enabled"
	}
	return "unknown"
}

// MarshalText writes [State.String].
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *State) UnmarshalText(b []byte) error {
	for _, known := range []State{StateUnknown, Disabled, Enabled} {
		if known.String() == string(b) {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("profile state %q", b)
}

// Class is a profile's class.
type Class int

// The classes of SGP.22; Operational is the default.
const (
	Test         Class = 0
	Provisioning Class = 1
	Operational  Class = 2
)

// String is "test", "provisioning" or "operational".
func (c Class) String() string {
	switch c {
	case Test:
		return "test"
	case Provisioning:
		return "provisioning"
	case Operational:
		return "operational"
	}
	return fmt.Sprintf("class %d", int(c))
}

// MarshalText writes [Class.String].
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (c *Class) UnmarshalText(b []byte) error {
	for _, known := range []Class{Test, Provisioning, Operational} {
		if known.String() == string(b) {
			*c = known
			return nil
		}
	}
	var n int
	if _, err := fmt.Sscanf(string(b), "class %d", &n); err != nil || n < 0 || n > 255 {
		return fmt.Errorf("profile class %q", b)
	}
	*c = Class(n)
	return nil
}

// Owner names an operator: three bytes of MCC and MNC (3GPP TS 24.008 section
// 10.5.1.3; E in place of a digit is a wildcard) and the group identifiers.
type Owner struct {
	MCCMNC     []byte
	GID1, GID2 []byte
}

// String is "MCC-MNC" with E as "*", or "" when there is no owner.
func (o Owner) String() string {
	if len(o.MCCMNC) != 3 {
		return ""
	}
	digit := func(nibble byte) string {
		switch {
		case nibble <= 9:
			return string('0' + rune(nibble))
		case nibble == 0x0E:
			return "*"
		}
		return ""
	}
	b := o.MCCMNC
	return digit(b[0]&15) + digit(b[0]>>4) + digit(b[1]&15) + "-" + digit(b[2]&15) + digit(b[2]>>4) + digit(b[1]>>4)
}

// ParseOwner reads what [Owner.String] writes: "262-01", "310-410", "*" for any
// digit.
func ParseOwner(s string) (Owner, error) {
	mcc, mnc, ok := strings.Cut(s, "-")
	if !ok || len(mcc) != 3 || len(mnc) < 2 || len(mnc) > 3 {
		return Owner{}, fmt.Errorf("owner %q is not MCC-MNC, such as 262-01", s)
	}
	var n [6]byte
	for i, c := range []byte(mcc + mnc) {
		switch {
		case c >= '0' && c <= '9':
			n[i] = c - '0'
		case c == '*':
			n[i] = 0x0E
		default:
			return Owner{}, fmt.Errorf("owner %q is not MCC-MNC, such as 262-01", s)
		}
	}
	if len(mnc) == 2 {
		n[5] = 0x0F
	}
	return Owner{MCCMNC: []byte{n[1]<<4 | n[0], n[5]<<4 | n[2], n[4]<<4 | n[3]}}, nil
}

// Matches reports whether an owner o is covered by the pattern p of a rules
// authorisation table: digits equal or wildcard, group identifiers equal where
// p has them (SGP.22 section 2.9.2.1).
func (o Owner) Matches(p Owner) bool {
	if len(o.MCCMNC) != 3 || len(p.MCCMNC) != 3 {
		return false
	}
	for i := range 3 {
		for _, shift := range []uint{0, 4} {
			want, have := p.MCCMNC[i]>>shift&15, o.MCCMNC[i]>>shift&15
			if want != 0x0E && want != have {
				return false
			}
		}
	}
	return (len(p.GID1) == 0 || bytes.Equal(p.GID1, o.GID1)) && (len(p.GID2) == 0 || bytes.Equal(p.GID2, o.GID2))
}

func parseOwner(n wire.Node) Owner {
	var o Owner
	for tag, field := range map[wire.Tag]*[]byte{0x80: &o.MCCMNC, 0x81: &o.GID1, 0x82: &o.GID2} {
		if found, ok := n.Find(tag); ok {
			*field = found.Value
		}
	}
	return o
}

// Profile is one entry of the profile list.
type Profile struct {
	Raw       []byte      // E3
	ICCID     ident.ICCID // empty when RawICCID has no such shape
	RawICCID  []byte      // as on the card
	AID       []byte      // of the ISD-P
	State     State
	Nickname  string
	Provider  string // service provider name
	Name      string
	Class     Class
	Owner     Owner
	PPRs      []int // profile policy rules set: 1 disabling not allowed, 2 deletion not allowed
	Fallback  bool  // SGP.32: has the fallback attribute
	Emergency bool  // SGP.32: is the emergency profile
	Allowed   bool  // SGP.32: its owner allows it to become the fallback profile
}

// profileTags are the fields asked for: no icon, which may be a kilobyte.
var profileTags = []byte{0x5A, 0x4F, 0x9F, 0x70, 0x90, 0x91, 0x92, 0x95, 0xB7, 0x99}

// Profiles lists the profiles that an LPA sees. Test profiles outside device
// test mode are not among them on some eUICCs.
func (c *Card) Profiles(ctx context.Context) ([]Profile, error) { return c.profiles(ctx, profileTags) }

// ProfilesBrief is [Card.Profiles] with ICCID, state and class only, in one
// APDU where possible.
func (c *Card) ProfilesBrief(ctx context.Context) ([]Profile, error) {
	return c.profiles(ctx, []byte{0x5A, 0x9F, 0x70, 0x95})
}

// IoTProfiles is [Card.Profiles] with the attributes that SGP.32 adds.
func (c *Card) IoTProfiles(ctx context.Context) ([]Profile, error) {
	return c.profiles(ctx, append(append([]byte(nil), profileTags...), 0x9F, 0x26, 0x9F, 0x67, 0x9F, 0x7B))
}

func (c *Card) profiles(ctx context.Context, tags []byte) ([]Profile, error) {
	const function = "GetProfilesInfo"
	n, err := c.call(ctx, function, 0xBF2D, wire.TLV(0xBF2D, wire.TLV(0x5C, tags)))
	if err != nil {
		return nil, err
	}
	list, err := parseProfiles(n)
	var refused *FunctionError
	if errors.As(err, &refused) && refused.Code == 1 { // an early eUICC that takes no tag list
		if n, err = c.call(ctx, function, 0xBF2D, []byte{0xBF, 0x2D, 0}); err != nil {
			return nil, err
		}
		return parseProfiles(n)
	}
	return list, err
}

func parseProfiles(n wire.Node) ([]Profile, error) {
	const function = "GetProfilesInfo"
	if failed, ok := n.Find(0x81); ok {
		code, err := failed.Int()
		if err != nil {
			return nil, &ResponseError{Function: function, Err: err}
		}
		return nil, functionError(function, profilesCodes, code)
	}
	list, ok := n.Find(0xA0)
	if !ok {
		if len(n.Value) == 0 { // seen for an empty list
			return nil, nil
		}
		return nil, &ResponseError{Function: function, Err: fmt.Errorf("%w: A0", wire.ErrMissing)}
	}
	entries, err := list.Children()
	if err != nil {
		return nil, &ResponseError{Function: function, Err: err}
	}
	profiles := make([]Profile, 0, len(entries))
	for _, entry := range entries {
		if entry.Tag == 0xE3 {
			profiles = append(profiles, parseProfile(entry))
		}
	}
	return profiles, nil
}

func parseProfile(n wire.Node) Profile {
	p := Profile{
		Raw: n.Raw, Nickname: text(n, 0x90), Provider: text(n, 0x91), Name: text(n, 0x92), Class: Operational, PPRs: bits(n, 0x99),
	}
	if iccid, ok := n.Find(0x5A); ok {
		p.RawICCID = iccid.Value
		p.ICCID, _ = ident.ICCIDFromBytes(iccid.Value)
	}
	if aid, ok := n.Find(0x4F); ok {
		p.AID = aid.Value
	}
	switch number(n, 0x9F70) {
	case 0:
		p.State = Disabled
	case 1:
		p.State = Enabled
	}
	if class := number(n, 0x95); class >= 0 && class < 256 {
		p.Class = Class(class)
	}
	if owner, ok := n.Find(0xB7); ok {
		p.Owner = parseOwner(owner)
	}
	p.Fallback = number(n, 0x9F26) > 0
	p.Emergency = number(n, 0x9F7B) > 0
	p.Allowed = number(n, 0x9F67) > 0
	return p
}

// Handle names a profile to a function: by ICCID as on the card, or by the AID
// of its ISD-P. Some eUICCs take only one of the two.
type Handle struct {
	ICCID []byte // 10 bytes
	AID   []byte // 5 to 16 bytes; used when ICCID is empty
}

// ByICCID names a profile by its ICCID.
func ByICCID(i ident.ICCID) Handle { return Handle{ICCID: i.Bytes()} }

func (h Handle) tlv() []byte {
	if len(h.ICCID) > 0 {
		return wire.TLV(0x5A, h.ICCID)
	}
	return wire.TLV(0x4F, h.AID)
}

// Enable enables a profile; the one that is enabled is disabled. With refresh
// the card asks the module for REFRESH, after which channels are gone. It
// changes the card and makes notifications.
func (c *Card) Enable(ctx context.Context, h Handle, refresh bool) error {
	return c.simple(ctx, "EnableProfile", enableCodes, wire.TLV(0xBF31, wire.TLV(0xA0, h.tlv()), boolean(0x81, refresh)), 0x80)
}

// Disable disables a profile. It changes the card and makes a notification.
func (c *Card) Disable(ctx context.Context, h Handle, refresh bool) error {
	return c.simple(ctx, "DisableProfile", disableCodes, wire.TLV(0xBF32, wire.TLV(0xA0, h.tlv()), boolean(0x81, refresh)), 0x80)
}

// Delete deletes a disabled profile for good and makes a notification.
func (c *Card) Delete(ctx context.Context, h Handle) error {
	return c.simple(ctx, "DeleteProfile", deleteCodes, wire.TLV(0xBF33, h.tlv()), 0x80)
}

// MaxNickname bounds a nickname, in bytes of UTF-8 (SGP.22 v2.5, 5.7.21).
const MaxNickname = 64

// SetNickname sets a profile's nickname, at most [MaxNickname] bytes.
func (c *Card) SetNickname(ctx context.Context, iccid []byte, nickname string) error {
	if len(nickname) > MaxNickname {
		return fmt.Errorf("SetNickname: %w: %d bytes, at most %d", wire.ErrOutOfRange, len(nickname), MaxNickname)
	}
	return c.simple(ctx, "SetNickname", nicknameCodes, wire.TLV(0xBF29, wire.TLV(0x5A, iccid), wire.TLV(0x90, []byte(nickname))), 0x80)
}

// What a memory reset removes (SGP.22 section 5.7.19, SGP.32 section 5.9.5).
const (
	ResetOperational     = 0
	ResetTest            = 1 // test profiles loaded in the field
	ResetDefaultAddress  = 2
	ResetPreloadedTest   = 3
	ResetProvisioning    = 4
	ResetEIM             = 5 // SGP.32 only
	ResetImmediateEnable = 6 // SGP.32 only
)

// MemoryReset removes what the options name (ES10c eUICCMemoryReset).
func (c *Card) MemoryReset(ctx context.Context, options ...int) error {
	return c.simple(ctx, "eUICCMemoryReset", resetCodes, wire.TLV(0xBF34, wire.BitString(0x82, options...)), 0x80)
}

func boolean(tag wire.Tag, v bool) []byte {
	if v {
		return []byte{byte(tag), 1, 0xFF}
	}
	return []byte{byte(tag), 1, 0}
}
