package smdpsim

import (
	"slices"

	"linefit/modem/wire"
)

// Bit numbers of RspCapability (SGP.22 annex H).
const capabilityTestProfile = 3

// eligible is the eligibility check of SGP.22 annex F on the EUICCInfo2 that
// the eUICC signed: free memory, forbidden policy rules, test profiles. The
// order stays as it is: the same or another unit may come back.
func (r *record) eligible(card *client) error {
	if free, known := freeMemory(card.info); known && free < uint64(r.Memory) {
		return statusMemory.with("the eUICC has %d bytes free, the profile needs %d", free, r.Memory)
	}
	forbidden, err := bits(card.info, 0x99)
	if err != nil {
		return err
	}
	for _, rule := range r.Metadata.PPRs {
		if slices.Contains(forbidden, rule) {
			return statusNotEligible.with("the eUICC forbids policy rule %d", rule)
		}
	}
	capability, err := bits(card.info, 0x88)
	if err != nil {
		return err
	}
	if r.Metadata.Class == ClassTest && !slices.Contains(capability, capabilityTestProfile) {
		return statusNotEligible.with("the eUICC takes no test profiles")
	}
	return nil
}

// freeMemory reads the free non-volatile memory in bytes from extCardResource
// (EUICCInfo2 tag 84; ETSI TS 102 226 section 8.2.1.7.2: tag 82). There are
// eUICCs that do not tell.
func freeMemory(info wire.Node) (free uint64, known bool) {
	n, ok := info.Find(0x84, 0x82)
	if !ok {
		return 0, false
	}
	free, err := n.Uint()
	return free, err == nil
}

// bits reads an optional BIT STRING.
func bits(info wire.Node, tag wire.Tag) ([]int, error) {
	n, ok := info.Find(tag)
	if !ok {
		return nil, nil
	}
	list, err := n.Bits()
	if err != nil {
		return nil, statusInvalid.with("euiccInfo2: %v", err)
	}
	return list, nil
}
