package euicc

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"linefit/modem/wire"
)

// PKID is the subject key identifier of a certificate issuer's key.
type PKID []byte

// String is the identifier in upper-case hexadecimal.
func (p PKID) String() string { return strings.ToUpper(hex.EncodeToString(p)) }

// MarshalText writes [PKID.String].
func (p PKID) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Info1 is EUICCInfo1 (SGP.22 section 5.7.8).
type Info1 struct {
	Raw          []byte // BF20, for ES9+ initiateAuthentication
	SVN          string // lowest version supported, "2.3.0"
	Verification []PKID // issuers whose servers the eUICC accepts
	Signing      []PKID // issuers that its own certificate chains to
	HighestSVN   string // SGP.22 v3 only
}

// Info1 reads EUICCInfo1.
func (c *Card) Info1(ctx context.Context) (Info1, error) {
	return readAs(ctx, c, "GetEUICCInfo1", 0xBF20, wire.TLV(0xBF20), parseInfo1)
}

// ParseInfo1 decodes a BF20.
func ParseInfo1(raw []byte) (Info1, error) {
	n, err := wire.ParseTag(raw, 0xBF20)
	if err != nil {
		return Info1{}, fmt.Errorf("EUICCInfo1: %w", err)
	}
	return parseInfo1(n)
}

func parseInfo1(n wire.Node) (Info1, error) {
	info := Info1{Raw: n.Raw, SVN: version(n, 0x82), HighestSVN: version(n, 0x93)}
	var err error
	if info.Verification, err = pkids(n, 0xA9); err != nil {
		return Info1{}, err
	}
	if info.Signing, err = pkids(n, 0xAA); err != nil {
		return Info1{}, err
	}
	v3, err := pkids(n, 0xB1)
	info.Signing = append(info.Signing, v3...)
	return info, err
}

func version(n wire.Node, tag wire.Tag) string {
	if found, ok := n.Find(tag); ok {
		v, _ := found.Version()
		return v
	}
	return ""
}

func pkids(n wire.Node, tag wire.Tag) ([]PKID, error) {
	list, ok := n.Find(tag)
	if !ok {
		return nil, nil
	}
	children, err := list.Children()
	if err != nil {
		return nil, err
	}
	var ids []PKID
	for _, child := range children {
		if child.Tag == 0x04 && len(child.Value) > 0 && len(child.Value) <= 64 {
			ids = append(ids, PKID(child.Value))
		}
	}
	return ids, nil
}

// Info2 is EUICCInfo2 (SGP.22 section 5.7.8, SGP.32 section 5.9.2). Fields that
// an eUICC left out are empty, numbers -1.
type Info2 struct {
	Raw                  []byte // BF22
	ProfileVersion       string // profile package version supported
	SVN                  string
	HighestSVN           string // SGP.22 v3 only
	Firmware             string
	InstalledApps        int64 // from the extended card resources (ETSI TS 102 226)
	FreeNonVolatile      int64 // bytes
	FreeVolatile         int64 // bytes
	UICCCapability       []int // bits set, of the PE definitions' services list
	JavaCard             string
	GlobalPlatform       string
	RSPCapability        []int // bits set
	Verification         []PKID
	Signing              []PKID
	Category             int64
	ForbiddenPPRs        []int // profile policy rules that the eUICC never accepts
	ProtectionProfile    string
	SASAccreditation     string
	PlatformLabel        string
	DiscoveryURL         string
	LPAMode, IPAMode     int64    // tag 90: 0 device, 1 eUICC; IPAMode on SGP.32
	IoTVersions          []string // SGP.32 versions; an IoT eUICC has at least one
	ECallSupported       bool
	FallbackSupported    bool
	AdditionalPPVersions []string
}

// Bits of RSPCapability that callers ask for.
const (
	CapabilityAdditionalProfile   = 0
	CapabilityCRL                 = 1
	CapabilityRPM                 = 2
	CapabilityTestProfile         = 3
	CapabilityDeviceExtensibility = 4
)

// Info2 reads EUICCInfo2.
func (c *Card) Info2(ctx context.Context) (Info2, error) {
	return readAs(ctx, c, "GetEUICCInfo2", 0xBF22, wire.TLV(0xBF22), parseInfo2)
}

// ParseInfo2 decodes a BF22.
func ParseInfo2(raw []byte) (Info2, error) {
	n, err := wire.ParseTag(raw, 0xBF22)
	if err != nil {
		return Info2{}, fmt.Errorf("EUICCInfo2: %w", err)
	}
	return parseInfo2(n)
}

func parseInfo2(n wire.Node) (Info2, error) {
	info := Info2{
		Raw: n.Raw, ProfileVersion: version(n, 0x81), SVN: version(n, 0x82), Firmware: version(n, 0x83),
		JavaCard: version(n, 0x86), GlobalPlatform: version(n, 0x87), ProtectionProfile: version(n, 0x04), HighestSVN: version(n, 0x93),
		InstalledApps: -1, FreeNonVolatile: -1, FreeVolatile: -1, Category: number(n, 0x8B), LPAMode: number(n, 0x90),
		UICCCapability: bits(n, 0x85), RSPCapability: bits(n, 0x88), ForbiddenPPRs: bits(n, 0x99),
		SASAccreditation: text(n, 0x0C), PlatformLabel: text(n, 0xAC, 0x80), DiscoveryURL: text(n, 0xAC, 0x81), IPAMode: -1,
	}
	if info.Category < 0 {
		info.Category = 0
	}
	if resources, ok := n.Find(0x84); ok {
		info.InstalledApps = number(resources, 0x81)
		info.FreeNonVolatile = number(resources, 0x82)
		info.FreeVolatile = number(resources, 0x83)
	}
	var err error
	if info.Verification, err = pkids(n, 0xA9); err != nil {
		return Info2{}, err
	}
	if info.Signing, err = pkids(n, 0xAA); err != nil {
		return Info2{}, err
	}
	v3, err := pkids(n, 0xB1)
	if err != nil {
		return Info2{}, err
	}
	info.Signing = append(info.Signing, v3...)
	if info.AdditionalPPVersions, err = versions(n, 0xAF); err != nil {
		return Info2{}, err
	}
	if iot, ok := n.Find(0xB4); ok {
		info.IPAMode, info.LPAMode = info.LPAMode, -1
		if info.IoTVersions, err = versions(iot, 0xA0); err != nil {
			return Info2{}, err
		}
		_, info.ECallSupported = iot.Find(0x81)
		_, info.FallbackSupported = iot.Find(0x82)
	}
	return info, nil
}

// versions reads a SEQUENCE OF VersionType.
func versions(n wire.Node, tag wire.Tag) ([]string, error) {
	list, ok := n.Find(tag)
	if !ok {
		return nil, nil
	}
	children, err := list.Children()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, child := range children {
		if v, err := child.Version(); err == nil {
			out = append(out, v)
		}
	}
	return out, nil
}

// number reads an unsigned number, -1 when it is missing or no number.
func number(n wire.Node, path ...wire.Tag) int64 {
	found, ok := n.Find(path...)
	if !ok {
		return -1
	}
	v, err := found.Uint()
	if err != nil || v > 1<<62 {
		return -1
	}
	return int64(v)
}

func bits(n wire.Node, tag wire.Tag) []int {
	found, ok := n.Find(tag)
	if !ok || len(found.Value) > 64 {
		return nil
	}
	set, err := found.Bits()
	if err != nil {
		return nil
	}
	return set
}

// text reads a UTF8String; what is not UTF-8 or not printable is replaced.
func text(n wire.Node, path ...wire.Tag) string {
	found, ok := n.Find(path...)
	if !ok {
		return ""
	}
	return clean(found.Value)
}

// clean makes foreign text fit for a log or a screen.
func clean(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '�'
		}
		return r
	}, strings.ToValidUTF8(string(b), "�"))
}

// EID reads the 16 bytes of the EID; ident.EIDFromBytes checks its digits.
func (c *Card) EID(ctx context.Context) ([]byte, error) {
	n, err := c.call(ctx, "GetEID", 0xBF3E, []byte{0xBF, 0x3E, 3, 0x5C, 1, 0x5A})
	if err != nil {
		return nil, err
	}
	eid, err := n.Need(0x5A)
	if err == nil && len(eid.Value) != 16 {
		err = fmt.Errorf("%w: EID of %d bytes", wire.ErrOutOfRange, len(eid.Value))
	}
	if err != nil {
		return nil, &ResponseError{Function: "GetEID", Err: err}
	}
	return eid.Value, nil
}

// Addresses are the servers that an eUICC is configured with.
type Addresses struct {
	DefaultSMDP string
	RootSMDS    string
}

// Addresses reads them (ES10a GetEuiccConfiguredAddresses).
func (c *Card) Addresses(ctx context.Context) (Addresses, error) {
	n, err := c.call(ctx, "GetEuiccConfiguredAddresses", 0xBF3C, []byte{0xBF, 0x3C, 0})
	if err != nil {
		return Addresses{}, err
	}
	return Addresses{DefaultSMDP: text(n, 0x80), RootSMDS: text(n, 0x81)}, nil
}

// SetDefaultDPAddress sets the default SM-DP+ address (ES10a); an empty one
// removes it. It changes the card.
func (c *Card) SetDefaultDPAddress(ctx context.Context, address string) error {
	return c.simple(ctx, "SetDefaultDpAddress", defaultDPCodes, wire.TLV(0xBF3F, wire.TLV(0x80, []byte(address))), 0x80)
}

// Rule is one entry of the rules authorisation table (SGP.22 section 2.9.2):
// profiles of these operators may carry these policy rules.
type Rule struct {
	PPRs            []int
	Operators       []Owner
	ConsentRequired bool
}

// RAT reads the rules authorisation table.
func (c *Card) RAT(ctx context.Context) ([]Rule, error) {
	return readAs(ctx, c, "GetRAT", 0xBF43, wire.TLV(0xBF43), parseRAT)
}

func parseRAT(n wire.Node) ([]Rule, error) {
	list, ok := n.Find(0xA0)
	if !ok {
		return nil, nil
	}
	entries, err := list.Children()
	if err != nil {
		return nil, err
	}
	var rules []Rule
	for _, entry := range entries {
		rule := Rule{PPRs: bits(entry, 0x80)}
		for _, bit := range bits(entry, 0x82) {
			rule.ConsentRequired = rule.ConsentRequired || bit == 0
		}
		if operators, ok := entry.Find(0xA1); ok {
			children, err := operators.Children()
			if err != nil {
				return nil, err
			}
			for _, child := range children {
				rule.Operators = append(rule.Operators, parseOwner(child))
			}
		}
		rules = append(rules, rule)
	}
	return rules, nil
}
