package euiccsim

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"linefit/modem/ident"
	"linefit/modem/wire"
)

type metadataField struct {
	tag      wire.Tag
	min, max int // bytes; of text, characters (ITU-T X.680 section 51.5)
	needed   bool
	text     bool
}

// fits checks an element's size, and the encoding of text.
func (f metadataField) fits(value []byte) bool {
	n := len(value)
	if f.text {
		if !utf8.Valid(value) {
			return false
		}
		n = utf8.RuneCount(value)
	}
	return n >= f.min && (f.max < 0 || n <= f.max)
}

// metadataFields are the elements of StoreMetadataRequest with their sizes
// (SGP.22 annex H); -1 is unbounded.
var metadataFields = []metadataField{
	{tag: 0x5A, min: 10, max: 10, needed: true},
	{tag: 0x91, max: 32, needed: true, text: true},
	{tag: 0x92, max: 64, needed: true, text: true},
	{tag: 0x93, min: 1, max: 1},
	{tag: 0x94, max: 1024},
	{tag: 0x95, min: 1, max: 1},
	{tag: 0xB6, max: -1},
	{tag: 0xB7, max: -1},
	{tag: 0x99, min: 1, max: 3},
	{tag: 0xBF22, max: -1},
	{tag: 0xBF23, max: -1},
}

// storeMetadata is StoreMetadata (SGP.22 section 5.5.3).
func (c *Card) storeMetadata(l *loader) error {
	n, err := wire.ParseTag(l.plain, 0xBF25)
	if err != nil || n.Check() != nil || !wellFormed(n) {
		return refuse(reasonIncorrectInput)
	}
	l.metadata, l.view = l.plain, metadataView{n}
	id, _ := n.Find(0x5A)
	if _, err := ident.ICCIDFromBytes(id.Value); err != nil {
		return refuse(reasonIncorrectInput)
	}
	if c.nv.byICCID(id.Value) != nil {
		l.record.ICCID = id.Value
		return refuse(reasonICCIDExists)
	}
	l.record.ICCID = id.Value
	if class := l.view.class(); class < classTest || class > classOperational || class == classTest && c.o.NoTestProfile {
		return refuse(reasonProfileClass)
	}
	if !c.policyAllowed(l.view) {
		return refuse(reasonPPR)
	}
	if len(l.metadata)+len(l.dpData) > c.free() {
		return refuse(reasonMemory)
	}
	record := l.record
	record.Command = commandProfileElements
	if err := c.set(func(m *memory) { m.Loading = &record }); err != nil {
		return refuse(reasonUnknown)
	}
	return nil
}

// wellFormed checks presence, order and size of the metadata's elements.
// Unknown elements are ignored (extensibility is implied).
func wellFormed(n wire.Node) bool {
	list, err := n.Children()
	if err != nil {
		return false
	}
	last := -1
	seen := map[wire.Tag]wire.Node{}
	for _, e := range list {
		i := slices.IndexFunc(metadataFields, func(f metadataField) bool { return f.tag == e.Tag })
		if i < 0 {
			continue
		}
		f := metadataFields[i]
		if i <= last || !f.fits(e.Value) {
			return false
		}
		last, seen[e.Tag] = i, e
	}
	for _, f := range metadataFields {
		if _, ok := seen[f.tag]; f.needed && !ok {
			return false
		}
	}
	if rules, ok := seen[0x99]; ok {
		if _, err := rules.Bits(); err != nil {
			return false
		}
	}
	_, icon := seen[0x94]
	_, iconType := seen[0x93]
	return !icon || iconType
}

// policyAllowed checks the profile policy rules against the rules
// authorisation table (SGP.22 section 2.9.3.1): each rule must be allowed to
// the profile's owner, and rules without an owner are refused.
func (c *Card) policyAllowed(m metadataView) bool {
	rules := slices.DeleteFunc(m.pprs(), func(rule int) bool { return rule != 1 && rule != 2 })
	if len(rules) == 0 {
		return true
	}
	owner, ok := m.owner()
	if !ok {
		return false
	}
	for _, rule := range rules {
		allowed := slices.ContainsFunc(c.o.RAT, func(r RATRule) bool {
			return slices.Contains(r.PPRs, rule) && slices.ContainsFunc(r.Operators, owner.matches)
		})
		if !allowed || slices.Contains(c.o.ForbiddenPPRs, rule) {
			return false
		}
	}
	return true
}

// owner reads profileOwner.
func (m metadataView) owner() (OperatorID, bool) {
	n, ok := m.Find(0xB7)
	if !ok {
		return OperatorID{}, false
	}
	network, ok := n.Find(0x80)
	if !ok || len(network.Value) != 3 {
		return OperatorID{}, false
	}
	o := OperatorID{MCCMNC: [3]byte(network.Value)}
	if g, ok := n.Find(0x81); ok {
		o.GID1 = g.Value
	}
	if g, ok := n.Find(0x82); ok {
		o.GID2 = g.Value
	}
	return o, true
}

// matches compares with an entry of the table (SGP.22 section 2.9.2.1): nibble E
// stands for any digit, an empty group identifier for any, an absent one for a
// profile without. The wildcard for all operators takes every group.
func (o OperatorID) matches(entry OperatorID) bool {
	for i, want := range entry.MCCMNC {
		got := o.MCCMNC[i]
		if want&0x0F != 0x0E && want&0x0F != got&0x0F || want>>4 != 0x0E && want>>4 != got>>4 {
			return false
		}
	}
	if entry.MCCMNC == AnyOperator.MCCMNC {
		return true
	}
	return group(o.GID1, entry.GID1) && group(o.GID2, entry.GID2)
}

func group(own, entry []byte) bool {
	if entry != nil && len(entry) == 0 {
		return true
	}
	return bytes.Equal(own, entry)
}
