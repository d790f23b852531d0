package euiccsim

import (
	"bytes"
	"slices"

	"linefit/modem/euiccsim/saip"
	"linefit/modem/wire"
)

// Tags that SGP.32 adds to ProfileInfo and StoreMetadata (section 4.4).
const (
	tagECall           wire.Tag = 0x9F7B // ecallIndication
	tagFallback        wire.Tag = 0x9F26 // this is the fallback profile
	tagFallbackAllowed wire.Tag = 0x9F67 // its owner allows it to become that
)

// iotInfo is what SGP.32 adds to EUICCInfo2 (section 5.9.2).
func (c *Card) iotInfo() [][]byte {
	mode := int64(0)
	if c.o.IPAe {
		mode = 1
	}
	return [][]byte{
		wire.Integer(0x90, mode),
		wire.TLV(0xB4, wire.TLV(0xA0, wire.TLV(0x04, []byte{1, 2, 0})), wire.TLV(0x81), wire.TLV(0x82)),
	}
}

// iotTemplate is what SGP.32 adds to the ISD-R's FCI (section 3.8.4).
func (c *Card) iotTemplate() []byte {
	var bits []int
	if c.o.IPAe {
		bits = append(bits, 0)
	}
	if c.nv.enabled() != nil {
		bits = append(bits, 1)
	}
	return wire.TLV(0xE1, wire.BitString(0x80, bits...))
}

func iotStandardTag(t wire.Tag) bool {
	return t == tagECall || t == tagFallback || t == tagFallbackAllowed
}

// iotProfileInfo is what SGP.32 adds to ProfileInfo.
func (c *Card) iotProfileInfo(p *profile, wanted func(wire.Tag, bool) bool) []byte {
	var b []byte
	m := p.metadata()
	if v, ok := m.Find(tagECall); ok && wanted(tagECall, false) {
		b = append(b, v.Raw...)
	}
	if p.Fallback && wanted(tagFallback, false) {
		b = append(b, wire.TLV(tagFallback, []byte{0xFF})...)
	}
	if v, ok := m.Find(tagFallbackAllowed); ok && wanted(tagFallbackAllowed, false) {
		b = append(b, v.Raw...)
	}
	return b
}

// isTrue reports a BOOLEAN of the metadata.
func (m metadataView) isTrue(tag wire.Tag) bool {
	v, ok := m.Find(tag)
	return ok && len(v.Value) == 1 && v.Value[0] != 0
}

// configureImmediateEnable is ES10b.ConfigureImmediateProfileEnabling (SGP.32
// section 5.9.17): unsigned, and so only while no eIM is associated.
func (c *Card) configureImmediateEnable(n wire.Node) ([]byte, wire.SW) {
	if len(c.nv.EIM.EIMs) > 0 {
		return result(n.Tag, eimExists), wire.SWOK
	}
	state := c.nv.EIM.clone()
	if !state.configure(n) {
		return result(n.Tag, resultUndefined), wire.SWOK
	}
	if err := c.set(func(m *memory) { m.EIM = state }); err != nil {
		return nil, wire.SWMemoryProblem
	}
	return result(n.Tag, resultOK), wire.SWOK
}

// configure reads immediateEnableFlag, defaultSmdpOid and defaultSmdpAddress.
func (e *eimState) configure(n wire.Node) bool {
	_, e.ImmediateEnable = n.Find(0x80)
	e.ImmediateOID, e.ImmediateAddress = "", ""
	if oid, ok := n.Find(0x81); ok {
		dotted, err := oid.OID()
		if err != nil {
			return false
		}
		e.ImmediateOID = dotted
	}
	if a, ok := n.Find(0x82); ok {
		e.ImmediateAddress = string(a.Value)
	}
	return true
}

// loaded remembers for ImmediateEnable which profile this session installed.
func (c *Card) loaded(l *loader) {
	if c.nv.EIM == nil {
		return
	}
	c.card.justLoaded = l.record.ICCID
	e := c.nv.EIM
	c.card.immediate = e.ImmediateEnable &&
		(e.ImmediateOID == "" || e.ImmediateOID == l.record.DPOID) &&
		(e.ImmediateAddress == "" || e.ImmediateAddress == l.record.Address)
}

// immediateEnable is ES10b.ImmediateEnable (SGP.32 section 5.9.15): for the
// profile that the session just installed, and once.
func (c *Card) immediateEnable(n wire.Node) ([]byte, wire.SW) {
	refresh, ok := refreshFlag(n)
	if !ok {
		return nil, wire.SWWrongData
	}
	p := c.nv.byICCID(c.card.justLoaded)
	old := c.nv.enabled()
	switch {
	case !c.nv.EIM.ImmediateEnable:
		return result(n.Tag, 1), wire.SWOK
	case p == nil || p.Enabled:
		return result(n.Tag, noSessionContext), wire.SWOK
	case !c.card.immediate:
		return result(n.Tag, 1), wire.SWOK
	case old != nil && old.hasPPR(1):
		return result(n.Tag, resultUndefined), wire.SWOK
	}
	return c.changeState(n.Tag, &pendingSwitch{Enable: p.ICCID}, refresh)
}

func refreshFlag(n wire.Node) (refresh, ok bool) {
	f, ok := n.Find(0x80)
	if !ok || len(f.Value) != 1 {
		return false, false
	}
	return f.Value[0] != 0, true
}

// Kinds of [pendingSwitch] that change more than the enabled profile.
const (
	switchPlain        = ""
	switchFallback     = "fallback"
	switchFallbackBack = "fallback-back"
	switchECall        = "ecall"
	switchECallBack    = "ecall-back"
	switchRollback     = "rollback"
)

// iotSwitch does what a switch means beside the profile's state. old is the
// profile that was enabled before, nil for none.
func (m *memory) iotSwitch(kind string, old []byte) {
	if m.EIM == nil {
		return
	}
	e := m.EIM
	e.Rollback, e.RollbackTo = false, nil
	switch kind {
	case switchFallback:
		e.InFallback, e.FallbackFrom = true, old
	case switchECall:
		e.ECallFrom = old
	case switchECallBack:
		e.ECallFrom = nil
	default:
		e.InFallback, e.FallbackFrom = false, nil
	}
}

// eCallActive reports whether the enabled profile is the emergency profile.
func (c *Card) eCallActive() bool {
	p := c.nv.enabled()
	return p != nil && p.metadata().isTrue(tagECall)
}

// profileRollback is ES10b.ProfileRollback (SGP.32 section 5.9.16): back to the
// profile before an eIM's enabling, when the eIM allowed it.
func (c *Card) profileRollback(n wire.Node) ([]byte, wire.SW) {
	refresh, ok := refreshFlag(n)
	if !ok {
		return nil, wire.SWWrongData
	}
	universal := func(code int64) []byte { return wire.TLV(n.Tag, wire.Integer(0x02, code)) }
	if !c.nv.EIM.Rollback {
		return universal(1), wire.SWOK
	}
	b, sw := c.changeState(n.Tag, &pendingSwitch{Enable: c.nv.EIM.RollbackTo, Kind: switchRollback}, refresh)
	if sw != wire.SWOK {
		return nil, sw
	}
	return universal(int64(b[len(b)-1])), wire.SWOK
}

// executeFallback is ES10b.ExecuteFallbackMechanism (SGP.32 section 5.9.20).
func (c *Card) executeFallback(n wire.Node) ([]byte, wire.SW) {
	refresh, ok := refreshFlag(n)
	if !ok {
		return nil, wire.SWWrongData
	}
	i := slices.IndexFunc(c.nv.Profiles, func(p profile) bool { return p.Fallback })
	switch {
	case c.eCallActive():
		return result(n.Tag, resultECall), wire.SWOK
	case i < 0:
		return result(n.Tag, 6), wire.SWOK
	case c.nv.Profiles[i].Enabled:
		return result(n.Tag, resultWrongState), wire.SWOK
	}
	return c.changeState(n.Tag, &pendingSwitch{Enable: c.nv.Profiles[i].ICCID, Kind: switchFallback}, refresh)
}

// returnFromFallback is ES10b.ReturnFromFallback (SGP.32 section 5.9.21).
func (c *Card) returnFromFallback(n wire.Node) ([]byte, wire.SW) {
	refresh, ok := refreshFlag(n)
	if !ok {
		return nil, wire.SWWrongData
	}
	if !c.nv.EIM.InFallback {
		return result(n.Tag, 6), wire.SWOK
	}
	return c.changeState(n.Tag, &pendingSwitch{Enable: c.nv.EIM.FallbackFrom, Kind: switchFallbackBack}, refresh)
}

// enableEmergency is ES10b.EnableEmergencyProfile (SGP.32 section 5.9.22).
func (c *Card) enableEmergency(n wire.Node) ([]byte, wire.SW) {
	refresh, ok := refreshFlag(n)
	if !ok {
		return nil, wire.SWWrongData
	}
	i := slices.IndexFunc(c.nv.Profiles, func(p profile) bool { return p.metadata().isTrue(tagECall) })
	switch {
	case i < 0:
		return result(n.Tag, 8), wire.SWOK
	case c.nv.Profiles[i].Enabled:
		return result(n.Tag, resultWrongState), wire.SWOK
	}
	return c.changeState(n.Tag, &pendingSwitch{Enable: c.nv.Profiles[i].ICCID, Kind: switchECall}, refresh)
}

// disableEmergency is ES10b.DisableEmergencyProfile (SGP.32 section 5.9.23).
func (c *Card) disableEmergency(n wire.Node) ([]byte, wire.SW) {
	refresh, ok := refreshFlag(n)
	if !ok {
		return nil, wire.SWWrongData
	}
	if !c.eCallActive() {
		return result(n.Tag, resultWrongState), wire.SWOK
	}
	return c.changeState(n.Tag, &pendingSwitch{Enable: c.nv.EIM.ECallFrom, Kind: switchECallBack}, refresh)
}

// connectivityParameters is ES10b.GetConnectivityParameters (SGP.32 section
// 5.9.24): what the enabled profile's header says.
func (c *Card) connectivityParameters(n wire.Node) ([]byte, wire.SW) {
	if p := c.nv.enabled(); p != nil {
		if pkg, err := saip.Parse(p.Package); err == nil && pkg.Header.Connectivity != nil {
			return wire.TLV(n.Tag, wire.TLV(0xA0, wire.TLV(0x81, pkg.Header.Connectivity))), wire.SWOK
		}
	}
	return wire.TLV(n.Tag, wire.Integer(0x81, 1)), wire.SWOK
}

// Bits of SGP.32's EuiccMemoryResetRequest beyond SGP.22's (section 5.9.5).
const (
	resetPreloadedTest   = 3
	resetProvisioning    = 4
	resetEIM             = 5
	resetImmediateEnable = 6
)

// iotMemoryReset is ES10b.eUICCMemoryReset of SGP.32 (section 5.9.5). Nothing
// on this card was loaded before it was delivered but the eIM.
func (c *Card) iotMemoryReset(n wire.Node) ([]byte, wire.SW) {
	options, ok := n.Find(0x82)
	if !ok {
		return nil, wire.SWWrongData
	}
	bits, err := options.Bits()
	if err != nil {
		return nil, wire.SWWrongData
	}
	if c.eCallActive() {
		return result(n.Tag, resultECall), wire.SWOK
	}
	hadEIM := len(c.nv.EIM.EIMs) > 0
	answer, sw := c.resetMemory(n.Tag, bits)
	if sw != wire.SWOK {
		return nil, sw
	}
	first, err := wire.Parse(answer)
	if err != nil {
		return nil, wire.SWTechnicalProblem
	}
	parts := first.Value
	if slices.Contains(bits, resetEIM) {
		code := int64(resultOK)
		if !hadEIM {
			code = 1
		}
		parts = append(bytes.Clone(parts), wire.Integer(0x81, code)...)
	}
	if slices.Contains(bits, resetImmediateEnable) {
		parts = append(bytes.Clone(parts), wire.Integer(0x82, resultOK)...)
	}
	return wire.TLV(n.Tag, parts), wire.SWOK
}

// iotReset reports whether SGP.32's further options have anything to reset.
func (c *Card) iotReset(bits []int) bool {
	e := c.nv.EIM
	return e != nil && (slices.Contains(bits, resetEIM) && len(e.EIMs) > 0 ||
		slices.Contains(bits, resetImmediateEnable) && (e.ImmediateEnable || e.ImmediateOID != "" || e.ImmediateAddress != ""))
}

func (c *Card) iotResetCommit(m *memory, bits []int) {
	if m.EIM == nil {
		return
	}
	if slices.Contains(bits, resetEIM) {
		m.EIM.EIMs = nil
	}
	if slices.Contains(bits, resetImmediateEnable) {
		m.EIM.ImmediateEnable, m.EIM.ImmediateOID, m.EIM.ImmediateAddress = false, "", ""
	}
}
