package euiccsim

import (
	"linefit/modem/ident"
)

// MakerDataFormat is that of an eUICC maker's data file for in-factory
// provisioning (SGP.41, steps 3 and 4); SGP.41 leaves it open, and this is
// linefit's own.
const MakerDataFormat = "linefit-euicc-data/1"

// MakerData is what the maker of virtual eUICCs delivers with them. It is JSON
// when marshalled.
type MakerData struct {
	Format string      `json:"format"`
	Maker  string      `json:"maker"`
	EUICCs []MakerCard `json:"euiccs"`
}

// MakerCard is one eUICC as it left its maker.
type MakerCard struct {
	EID         ident.EID  `json:"eid"`
	Certificate []byte     `json:"euicc_certificate"` // DER
	EUM         []byte     `json:"eum_certificate"`   // DER
	Keys        []MakerKey `json:"one_time_keys"`
}

// MakerKey is one of its one-time keys.
type MakerKey struct {
	Number    int    `json:"number"`
	PublicKey []byte `json:"public_key"` // uncompressed point on P-256
}

// NewMakerData makes the data of these cards, with the keys that they have now.
func NewMakerData(cards ...*Card) (MakerData, error) {
	d := MakerData{Format: MakerDataFormat, Maker: "linefit virtual eUICC", EUICCs: []MakerCard{}}
	for _, c := range cards {
		keys, err := c.OneTimeKeys()
		if err != nil {
			return d, err
		}
		card := MakerCard{EID: c.EID(), Certificate: c.pki.Cert.Raw, EUM: c.pki.EUM.Raw, Keys: []MakerKey{}}
		for _, k := range keys {
			card.Keys = append(card.Keys, MakerKey(k))
		}
		d.EUICCs = append(d.EUICCs, card)
	}
	return d, nil
}
