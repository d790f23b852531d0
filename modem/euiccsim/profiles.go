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

// setNickname is ES10c.SetNickname (SGP.22 section 5.7.21); an empty name
// removes the nickname, the longest has 64 characters.
func (c *Card) setNickname(n wire.Node) ([]byte, wire.SW) {
	iccid, ok1 := n.Find(0x5A)
	name, ok2 := n.Find(0x90)
	if !ok1 || !ok2 || !utf8.Valid(name.Value) || utf8.RuneCount(name.Value) > 64 {
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
