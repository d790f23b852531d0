package pairing

import (
	"cmp"

	"linefit/audit"
	"linefit/station"
)

// Judge implements steps.Pairing: what lists and log say of a unit on the
// fixture, by what it has said of itself.
func (b *Book) Judge(unit station.Serial, id station.UnitIdentified) (j station.PairingJudgement, err error) {
	err = b.views(func(v audit.View) error {
		lists, err := open(v)
		if err != nil {
			return err
		}
		j, err = lists.judge(unit, id)
		return err
	})
	return j, err
}

func (b books) judge(unit station.Serial, id station.UnitIdentified) (j station.PairingJudgement, err error) {
	j.Any = len(b.lists) > 0
	module, listed, err := b.ofIMEI(id.IMEI)
	if err != nil {
		return j, err
	}
	card, cardListed, err := b.ofEID(id.EID)
	if err != nil {
		return j, err
	}
	switch {
	case listed:
		j.Listed, j.Wrong = &module.PairedUnit, against(module, id)
	case cardListed:
		j.Listed, j.Wrong = &card.PairedUnit, against(card, id)
	}
	if listed && j.Wrong == nil && cardListed && card.IMEI != module.IMEI { // no EID was read before
		j.Wrong = against(card, id)
	}
	hasModule, hasCard, err := b.users(id.IMEI, id.EID)
	if err != nil {
		return j, err
	}
	if other := cmp.Or(another(hasModule, unit), another(hasCard, unit)); other != "" {
		what, which := "module, IMEI", string(id.IMEI)
		if another(hasModule, unit) == "" {
			what, which = "eUICC, EID", string(id.EID)
		}
		j.Reused = station.NewReason(station.UnitReused, "unit %s has used this %s %s", other, what, which)
	}
	return j, nil
}

func another(has, unit station.Serial) station.Serial {
	if has == unit {
		return ""
	}
	return has
}

// against says what a unit has that its line has not. A module whose firmware
// is not the one it was delivered with was in other hands before.
func against(p Paired, id station.UnitIdentified) *station.Reason {
	switch {
	case id.IMEI != "" && p.IMEI != id.IMEI:
		return station.NewReason(station.IdentityMismatch, "pairing list %s: EID %s belongs to IMEI %s, the module has %s", p.List, p.EID, p.IMEI, id.IMEI)
	case id.EID != "" && p.EID != id.EID:
		return station.NewReason(station.IdentityMismatch, "pairing list %s: IMEI %s belongs to EID %s, the eUICC has %s", p.List, p.IMEI, p.EID, id.EID)
	case p.Firmware != "" && id.Firmware != "" && p.Firmware != id.Firmware:
		return station.NewReason(station.IdentityMismatch, "pairing list %s: firmware %s, the module has %s", p.List, p.Firmware, id.Firmware)
	}
	return nil
}
