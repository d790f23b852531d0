package euiccsim

import (
	"crypto/rand"

	"linefit/modem/wire"
)

// es10Functions are the functions of the ISD-R by tag (SGP.22 section 5.7,
// SGP.32 section 5.9). It is written once, here, and never changed.
var es10Functions = map[wire.Tag]es10{
	0xBF20: {run: (*Card).euiccInfo1},
	0xBF21: {run: (*Card).prepareDownload, lpa: true},
	0xBF22: {run: (*Card).euiccInfo2Response},
	0xBF28: {run: (*Card).listNotifications},
	0xBF29: {run: (*Card).setNickname, lpa: true, es10c: true},
	0xBF2B: {run: (*Card).retrieveNotifications},
	0xBF2D: {run: (*Card).profilesInfo},
	0xBF2E: {run: (*Card).getChallenge, lpa: true},
	0xBF30: {run: (*Card).removeNotification},
	0xBF31: {run: (*Card).enableProfile, lpa: true, es10c: true},
	0xBF32: {run: (*Card).disableProfile, lpa: true, es10c: true},
	0xBF33: {run: (*Card).deleteProfile, lpa: true, es10c: true},
	0xBF34: {run: (*Card).memoryReset, only: SGP22, lpa: true},
	0xBF35: {run: (*Card).loadCRL},
	0xBF38: {run: (*Card).authenticateServer, lpa: true},
	0xBF3C: {run: (*Card).configuredAddresses, lpa: true},
	0xBF3E: {run: (*Card).getEID},
	0xBF3F: {run: (*Card).setDefaultDP, only: SGP22, lpa: true},
	0xBF41: {run: (*Card).cancelSession, lpa: true},
	0xBF43: {run: (*Card).getRAT},
	0xBF51: {run: (*Card).loadPackage, only: SGP32, lpa: true},
	0xBF55: {run: (*Card).eimConfiguration, only: SGP32},
	0xBF56: {run: (*Card).getCerts, only: SGP32},
	0xBF57: {run: (*Card).addInitialEIM, only: SGP32, lpa: true},
	0xBF58: {run: (*Card).profileRollback, only: SGP32, lpa: true},
	0xBF59: {run: (*Card).configureImmediateEnable, only: SGP32, lpa: true},
	0xBF5A: {run: (*Card).immediateEnable, only: SGP32, lpa: true},
	0xBF5B: {run: (*Card).enableEmergency, only: SGP32, lpa: true},
	0xBF5C: {run: (*Card).disableEmergency, only: SGP32, lpa: true},
	0xBF5D: {run: (*Card).executeFallback, only: SGP32, lpa: true},
	0xBF5E: {run: (*Card).returnFromFallback, only: SGP32, lpa: true},
	0xBF5F: {run: (*Card).connectivityParameters, only: SGP32},
	0xBF64: {run: (*Card).iotMemoryReset, only: SGP32, lpa: true},
	0xBF70: {run: (*Card).getOneTimeKeys, factory: true},
	0xBF71: {run: (*Card).prepareFactoryLoad, factory: true},
	0xBF72: {run: (*Card).deleteOneTimeKeys, factory: true},
	0xBF65: {run: (*Card).setDefaultDP, only: SGP32, lpa: true},
}

// keyIDs is the list of roots that the card trusts and signs under: one entry
// for each key, the most wanted first.
func (c *Card) keyIDs() [][]byte {
	var ids [][]byte
	seen := map[string]bool{}
	for _, ci := range c.pki.CIs {
		if id := ci.SubjectKeyId; !seen[string(id)] {
			seen[string(id)] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// signingID is the key identifier of the root above the card's own certificate.
func (c *Card) signingID() []byte { return c.pki.EUM.AuthorityKeyId }

func idList(tag wire.Tag, ids ...[]byte) []byte {
	var list []byte
	for _, id := range ids {
		list = append(list, wire.TLV(0x04, id)...)
	}
	return wire.TLV(tag, list)
}

func (c *Card) svn() []byte {
	b, err := version(c.o.SVN)
	if err != nil {
		return []byte{2, 0, 0} // defaults checked it
	}
	return b
}

func (c *Card) euiccInfo1(wire.Node) ([]byte, wire.SW) {
	return wire.TLV(0xBF20,
		wire.TLV(0x82, c.svn()),
		idList(0xA9, c.keyIDs()...),
		idList(0xAA, c.signingID())), wire.SWOK
}

func (c *Card) euiccInfo2Response(wire.Node) ([]byte, wire.SW) { return c.euiccInfo2(), wire.SWOK }

// Bits of UICCCapability (profile package definitions) that the card claims:
// every service that it accepts in a profile's header; not contactless (0), the
// reserved bit (9) and MULTOS (15).
var uiccCapability = []int{1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24}

// euiccInfo2 is EUICCInfo2 (SGP.22 section 5.7.8).
func (c *Card) euiccInfo2() []byte {
	firmware, err := version(c.o.Firmware)
	if err != nil {
		firmware = []byte{1, 0, 0}
	}
	rsp := []int{0, 4} // additionalProfile, deviceInfoExtensibilitySupport
	if !c.o.NoTestProfile {
		rsp = append(rsp, 3)
	}
	parts := [][]byte{
		wire.TLV(0x81, []byte{2, 3, 1}),
		wire.TLV(0x82, c.svn()),
		wire.TLV(0x83, firmware),
		wire.TLV(0x84, wire.Integer(0x81, int64(len(c.nv.Profiles))), number(0x82, c.free()), number(0x83, 8<<10)),
		wire.BitString(0x85, uiccCapability...),
		wire.TLV(0x86, []byte{0x0F, 0, 0}), // ETSI TS 102 241 release
		wire.TLV(0x87, []byte{2, 3, 0}),
		wire.BitString(0x88, rsp...),
		idList(0xA9, c.keyIDs()...),
		idList(0xAA, c.signingID()),
		wire.Integer(0x8B, 2), // mediumEuicc
	}
	if len(c.o.ForbiddenPPRs) > 0 {
		parts = append(parts, wire.BitString(0x99, c.o.ForbiddenPPRs...))
	}
	parts = append(parts,
		wire.TLV(0x04, []byte{1, 0, 0}),
		wire.TLV(0x0C, []byte(c.o.SAS)),
		wire.TLV(0xAC, wire.TLV(0x80, []byte(c.o.Platform)), wire.TLV(0x81, []byte("https://dloa.example.com"))))
	if c.o.Generation == SGP32 {
		parts = append(parts, c.iotInfo()...)
	}
	return wire.TLV(0xBF22, parts...)
}

// number is an unsigned number in four bytes, as ETSI TS 102 226 section
// 8.2.1.7.2 codes memory.
func number(tag wire.Tag, v int) []byte {
	return wire.TLV(tag, []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// free is the memory left for profiles, in bytes.
func (c *Card) free() int { return max(0, c.o.FreeNVM-c.nv.used()) }

// getChallenge starts a new RSP session and ends the one before (SGP.22
// section 5.7.7).
func (c *Card) getChallenge(wire.Node) ([]byte, wire.SW) {
	s := &session{stage: stageChallenged}
	if _, err := rand.Read(s.challenge[:]); err != nil {
		return nil, wire.SWTechnicalProblem
	}
	c.card.session, c.card.justLoaded, c.card.immediate = s, nil, false
	return wire.TLV(0xBF2E, wire.TLV(0x80, s.challenge[:])), wire.SWOK
}

// loadCRL refuses: rspCapability says that the card keeps no CRLs.
func (c *Card) loadCRL(n wire.Node) ([]byte, wire.SW) {
	return wire.TLV(n.Tag, wire.Integer(0x81, resultUndefined)), wire.SWOK
}

func (c *Card) configuredAddresses(wire.Node) ([]byte, wire.SW) {
	var parts [][]byte
	if c.nv.DefaultDP != "" {
		parts = append(parts, wire.TLV(0x80, []byte(c.nv.DefaultDP)))
	}
	parts = append(parts, wire.TLV(0x81, []byte(c.o.RootDS)))
	return wire.TLV(0xBF3C, parts...), wire.SWOK
}

// setDefaultDP is ES10a.SetDefaultDpAddress (SGP.22 section 5.7.4); an empty
// address removes it.
func (c *Card) setDefaultDP(n wire.Node) ([]byte, wire.SW) {
	address, ok := n.Find(0x80)
	if !ok || len(address.Value) > 255 {
		return result(n.Tag, resultUndefined), wire.SWOK
	}
	if err := c.set(func(m *memory) { m.DefaultDP = string(address.Value) }); err != nil {
		return nil, wire.SWMemoryProblem
	}
	return result(n.Tag, resultOK), wire.SWOK
}

func (c *Card) getEID(n wire.Node) ([]byte, wire.SW) {
	list, ok := n.Find(0x5C)
	if !ok || len(list.Value) != 1 || list.Value[0] != 0x5A {
		return nil, wire.SWWrongData
	}
	return wire.TLV(n.Tag, wire.TLV(0x5A, c.pki.EID.Bytes())), wire.SWOK
}

// getRAT is ES10b.GetRat (SGP.22 section 5.7.22).
func (c *Card) getRAT(n wire.Node) ([]byte, wire.SW) {
	var table []byte
	for _, rule := range c.o.RAT {
		var operators []byte
		for _, o := range rule.Operators {
			operators = append(operators, o.tlv(0x30)...)
		}
		flags := wire.BitString(0x82)
		if rule.Consent {
			flags = wire.BitString(0x82, 0)
		}
		table = append(table, wire.TLV(0x30, wire.BitString(0x80, rule.PPRs...), wire.TLV(0xA1, operators), flags)...)
	}
	return wire.TLV(n.Tag, wire.TLV(0xA0, table)), wire.SWOK
}

func (o OperatorID) tlv(tag wire.Tag) []byte {
	parts := [][]byte{wire.TLV(0x80, o.MCCMNC[:])}
	if o.GID1 != nil {
		parts = append(parts, wire.TLV(0x81, o.GID1))
	}
	if o.GID2 != nil {
		parts = append(parts, wire.TLV(0x82, o.GID2))
	}
	return wire.TLV(tag, parts...)
}

// Result codes that most functions share (SGP.22 annex H).
const (
	resultOK        = 0
	resultUndefined = 127
)

// result is a response whose only element is a result code under tag 80.
func result(tag wire.Tag, code int64) []byte { return wire.TLV(tag, wire.Integer(0x80, code)) }
