package euiccsim

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"linefit/modem/wire"
)

// Profile classes (SGP.22 annex H, ProfileClass).
const (
	classTest         = 0
	classProvisioning = 1
	classOperational  = 2
)

// metadataView reads a profile's metadata without a copy.
type metadataView struct{ wire.Node }

func (p *profile) metadata() metadataView {
	n, err := wire.Parse(p.Metadata)
	if err != nil {
		return metadataView{} // was checked before it was stored
	}
	return metadataView{n}
}

// class is operational where the metadata say nothing (DEFAULT).
func (m metadataView) class() int64 {
	if n, ok := m.Find(0x95); ok {
		if v, err := n.Int(); err == nil {
			return v
		}
	}
	return classOperational
}

// text is a UTF8String of the metadata, "" where there is none.
func (m metadataView) text(tag wire.Tag) string {
	n, _ := m.Find(tag)
	return string(n.Value)
}

func (m metadataView) pprs() []int {
	if n, ok := m.Find(0x99); ok {
		if bits, err := n.Bits(); err == nil {
			return bits
		}
	}
	return nil
}

// hasPPR reports a profile policy rule: 1 forbids disabling, 2 deletion.
func (p *profile) hasPPR(rule int) bool { return slices.Contains(p.metadata().pprs(), rule) }

// profileTags is the order of ProfileInfo (SGP.22 annex H) and, marked, what a
// list without tagList holds.
var profileTags = []struct {
	tag      wire.Tag
	standard bool
}{
	{0x5A, true},
	{0x4F, true},
	{0x9F70, true},
	{0x90, true},
	{0x91, true},
	{0x92, true},
	{0x93, true},
	{0x94, true},
	{0x95, true},
	{0xB6, false},
	{0xB7, false},
	{0xB8, false},
	{0x99, false},
	{0xBF22, false},
}

// profilesInfo is ES10c.GetProfilesInfo (SGP.22 section 5.7.15).
func (c *Card) profilesInfo(n wire.Node) ([]byte, wire.SW) { return c.profilesOf(c.nv, n) }

func (c *Card) profilesOf(m *memory, n wire.Node) ([]byte, wire.SW) {
	match, ok := searchCriteria(n)
	if !ok {
		return wire.TLV(n.Tag, wire.Integer(0x81, 1)), wire.SWOK
	}
	wanted := func(tag wire.Tag, standard bool) bool { return standard }
	if list, ok := n.Find(0x5C); ok {
		tags, err := tagList(list.Value)
		if err != nil {
			return wire.TLV(n.Tag, wire.Integer(0x81, 1)), wire.SWOK
		}
		wanted = func(tag wire.Tag, _ bool) bool { return slices.Contains(tags, tag) }
	} else if c.o.Generation == SGP32 {
		wanted = func(tag wire.Tag, standard bool) bool { return standard && tag != 0x94 || iotStandardTag(tag) }
	}
	var infos []byte
	for i := range m.Profiles {
		if p := &m.Profiles[i]; match(p) {
			infos = append(infos, wire.TLV(0xE3, c.profileInfo(p, wanted))...)
		}
	}
	return wire.TLV(n.Tag, wire.TLV(0xA0, infos)), wire.SWOK
}

// profileInfo is the content of one ProfileInfo.
func (c *Card) profileInfo(p *profile, wanted func(wire.Tag, bool) bool) []byte {
	var info []byte
	m := p.metadata()
	for _, t := range profileTags {
		if !wanted(t.tag, t.standard) {
			continue
		}
		switch t.tag {
		case 0x5A:
			info = append(info, wire.TLV(0x5A, p.ICCID)...)
		case 0x4F:
			info = append(info, wire.TLV(0x4F, p.AID)...)
		case 0x9F70:
			info = append(info, wire.TLV(0x9F70, []byte{flag(p.Enabled)})...)
		case 0x90:
			if p.Nickname != "" {
				info = append(info, wire.TLV(0x90, []byte(p.Nickname))...)
			}
		case 0x95:
			info = append(info, wire.Integer(0x95, m.class())...)
		case 0xB8:
			info = append(info, p.DPData...)
		default:
			if v, ok := m.Find(t.tag); ok {
				info = append(info, v.Raw...)
			}
		}
	}
	if c.o.Generation == SGP32 {
		info = append(info, c.iotProfileInfo(p, wanted)...)
	}
	return info
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// searchCriteria reads ProfileInfoListRequest's filter; no filter takes all.
func searchCriteria(n wire.Node) (func(*profile) bool, bool) {
	all := func(*profile) bool { return true }
	outer, ok := n.Find(0xA0)
	if !ok {
		return all, true
	}
	choice, err := wire.Parse(outer.Value)
	if err != nil {
		return nil, false
	}
	switch choice.Tag {
	case 0x4F:
		return func(p *profile) bool { return bytes.Equal(p.AID, choice.Value) }, len(choice.Value) <= 16
	case 0x5A:
		return func(p *profile) bool { return bytes.Equal(p.ICCID, choice.Value) }, len(choice.Value) == 10
	case 0x95:
		class, err := choice.Int()
		return func(p *profile) bool { return p.metadata().class() == class }, err == nil
	}
	return nil, false
}

func tagList(b []byte) ([]wire.Tag, error) {
	var tags []wire.Tag
	for len(b) > 0 {
		tag, n, err := wire.ReadTag(b)
		if err != nil {
			return nil, err
		}
		tags, b = append(tags, tag), b[n:]
	}
	return tags, nil
}

// identified finds the profile that a command names by 5A or 4F.
func identified(m *memory, n wire.Node) *profile {
	id, err := wire.Parse(n.Value)
	if err != nil {
		return nil
	}
	switch id.Tag {
	case 0x5A:
		return m.byICCID(id.Value)
	case 0x4F:
		return m.byAID(id.Value)
	}
	return nil
}

// Result codes of enable, disable and delete (SGP.22 section 5.7.16 to 5.7.18).
const (
	resultNotFound   = 1
	resultWrongState = 2
	resultPolicy     = 3
	resultCatBusy    = 5
)

// setNickname is ES10c.SetNickname (SGP.22 section 5.7.21); an empty name
// removes the nickname.
func (c *Card) setNickname(n wire.Node) ([]byte, wire.SW) {
	iccid, ok1 := n.Find(0x5A)
	name, ok2 := n.Find(0x90)
	if !ok1 || !ok2 || len(name.Value) > 64 || !utf8.Valid(name.Value) {
		return result(n.Tag, resultUndefined), wire.SWOK
	}
	if c.nv.byICCID(iccid.Value) == nil {
		return result(n.Tag, resultNotFound), wire.SWOK
	}
	err := c.set(func(m *memory) { m.byICCID(iccid.Value).Nickname = string(name.Value) })
	if err != nil {
		return nil, wire.SWMemoryProblem
	}
	return result(n.Tag, resultOK), wire.SWOK
}

// enableProfile is ES10c.EnableProfile (SGP.22 section 5.7.16).
func (c *Card) enableProfile(n wire.Node) ([]byte, wire.SW) {
	id, refresh, ok := switchRequest(n)
	if !ok {
		return nil, wire.SWWrongData
	}
	p := identified(c.nv, id)
	code := int64(resultOK)
	switch old := c.nv.enabled(); {
	case p == nil:
		code = resultNotFound
	case p.Enabled:
		code = resultWrongState
	case old != nil && old.hasPPR(1):
		code = resultPolicy
	}
	if code != resultOK {
		return result(n.Tag, code), wire.SWOK
	}
	return c.changeState(n.Tag, &pendingSwitch{Enable: p.ICCID}, refresh)
}

// disableProfile is ES10c.DisableProfile (SGP.22 section 5.7.17).
func (c *Card) disableProfile(n wire.Node) ([]byte, wire.SW) {
	id, refresh, ok := switchRequest(n)
	if !ok {
		return nil, wire.SWWrongData
	}
	p := identified(c.nv, id)
	code := int64(resultOK)
	switch {
	case p == nil:
		code = resultNotFound
	case !p.Enabled:
		code = resultWrongState
	case p.hasPPR(1):
		code = resultPolicy
	}
	if code != resultOK {
		return result(n.Tag, code), wire.SWOK
	}
	return c.changeState(n.Tag, &pendingSwitch{}, refresh)
}

// switchRequest reads what enable and disable share: A0 with the profile's
// identifier, 81 refreshFlag.
func switchRequest(n wire.Node) (id wire.Node, refresh, ok bool) {
	id, ok = n.Find(0xA0)
	f, okFlag := n.Find(0x81)
	if !ok || !okFlag || len(f.Value) != 1 {
		return wire.Node{}, false, false
	}
	return id, f.Value[0] != 0, true
}

// changeState switches profiles in one commit: at once, or with REFRESH.
func (c *Card) changeState(tag wire.Tag, s *pendingSwitch, refresh bool) ([]byte, wire.SW) {
	busy, err := c.catBusy()
	if err != nil {
		return nil, wire.SWMemoryProblem
	}
	if busy {
		return result(tag, resultCatBusy), wire.SWOK
	}
	if refresh && c.o.Effect == EffectAfterRefresh {
		err = c.set(func(m *memory) { m.Switch = s })
	} else {
		err = c.switchTo(s)
	}
	if err == nil {
		if refresh {
			err = c.raiseRefresh()
		} else {
			c.useFiles()
		}
	}
	if err != nil {
		return nil, wire.SWMemoryProblem
	}
	return result(tag, resultOK), wire.SWOK
}

// switchTo changes which profile is enabled and writes the notifications of
// both, atomically.
func (c *Card) switchTo(s *pendingSwitch) error {
	return c.commit(func(m *memory) error { return c.exchange(m, s) })
}

// exchange is a switch inside of a commit.
func (c *Card) exchange(m *memory, s *pendingSwitch) error {
	m.Switch = nil
	var before []byte
	if old := m.enabled(); old != nil {
		before, old.Enabled = old.ICCID, false
		if err := c.notify(m, old, eventDisable); err != nil {
			return err
		}
	}
	m.iotSwitch(s.Kind, before)
	p := m.byICCID(s.Enable)
	if p == nil {
		return nil
	}
	p.Enabled = true
	return c.notify(m, p, eventEnable)
}

// finishSwitch does a switch that waited for REFRESH.
func (c *Card) finishSwitch() error { return c.switchTo(c.nv.Switch) }

// deleteProfile is ES10c.DeleteProfile (SGP.22 section 5.7.18).
func (c *Card) deleteProfile(n wire.Node) ([]byte, wire.SW) {
	p := identified(c.nv, n)
	code := int64(resultOK)
	switch {
	case p == nil:
		code = resultNotFound
	case p.Enabled || c.nv.Switch != nil && bytes.Equal(c.nv.Switch.Enable, p.ICCID):
		code = resultWrongState
	case p.hasPPR(2):
		code = resultPolicy
	}
	if code == resultOK {
		if err := c.deleteAll(func(q *profile) bool { return bytes.Equal(q.ICCID, p.ICCID) }, nil); err != nil {
			return nil, wire.SWMemoryProblem
		}
	}
	return result(n.Tag, code), wire.SWOK
}

// deleteAll deletes profiles with their notifications, and does what else
// belongs to the same commit.
func (c *Card) deleteAll(which func(*profile) bool, also func(*memory)) error {
	return c.commit(func(m *memory) error {
		if err := c.removeProfiles(m, which); err != nil {
			return err
		}
		if also != nil {
			also(m)
		}
		return nil
	})
}

// removeProfiles deletes profiles inside of a commit.
func (c *Card) removeProfiles(m *memory, which func(*profile) bool) error {
	kept := make([]profile, 0, len(m.Profiles))
	for i := range m.Profiles {
		p := &m.Profiles[i]
		if !which(p) {
			kept = append(kept, *p)
			continue
		}
		if err := c.notify(m, p, eventDelete); err != nil {
			return err
		}
	}
	m.Profiles = kept
	return nil
}

// Bits of EuiccMemoryResetRequest.resetOptions.
const (
	resetOperational = 0
	resetTest        = 1
	resetDefaultDP   = 2
)

// memoryReset is ES10c.eUICCMemoryReset (SGP.22 section 5.7.19). Policy rules
// do not protect a profile from it; provisioning profiles stay.
func (c *Card) memoryReset(n wire.Node) ([]byte, wire.SW) {
	options, ok := n.Find(0x82)
	if !ok {
		return nil, wire.SWWrongData
	}
	bits, err := options.Bits()
	if err != nil {
		return nil, wire.SWWrongData
	}
	return c.resetMemory(n.Tag, bits)
}

func (c *Card) resetMemory(tag wire.Tag, bits []int) ([]byte, wire.SW) {
	doomed := func(p *profile) bool {
		class := p.metadata().class()
		return class == classOperational && slices.Contains(bits, resetOperational) ||
			class == classTest && slices.Contains(bits, resetTest) ||
			class == classProvisioning && slices.Contains(bits, resetProvisioning)
	}
	something := slices.ContainsFunc(c.nv.Profiles, func(p profile) bool { return doomed(&p) }) ||
		slices.Contains(bits, resetDefaultDP) && c.nv.DefaultDP != c.o.DefaultDP || c.iotReset(bits)
	if !something {
		return result(tag, 1), wire.SWOK // nothingToDelete
	}
	enabled := c.nv.enabled()
	refresh := enabled != nil && doomed(enabled)
	if refresh {
		busy, err := c.catBusy()
		if err != nil {
			return nil, wire.SWMemoryProblem
		}
		if busy {
			return result(tag, resultCatBusy), wire.SWOK
		}
	}
	err := c.deleteAll(doomed, func(m *memory) {
		if slices.Contains(bits, resetDefaultDP) {
			m.DefaultDP = c.o.DefaultDP
		}
		if refresh {
			m.Switch = nil
		}
		c.iotResetCommit(m, bits)
	})
	if err == nil && refresh {
		err = c.raiseRefresh()
	}
	if err != nil {
		return nil, wire.SWMemoryProblem
	}
	return result(tag, resultOK), wire.SWOK
}
