package station

import "linefit/modem/ident"

// EIMOnboarded is what an eIM's operator must know of a unit, as a cold unit
// showed it: the eIM onboarding record of a run. Association tokens lie in the
// vault.
type EIMOnboarded struct {
	EID          ident.EID     `json:"eid"`
	IMEI         ident.IMEI    `json:"imei,omitempty"`
	ICCIDs       []ident.ICCID `json:"iccids,omitempty"`
	Profiles     []CardRecord  `json:"profiles,omitempty"` // with attributes
	EIMs         []EIMRecord   `json:"eims,omitempty"`
	IPA          string        `json:"ipa,omitempty"`
	Connectivity string        `json:"connectivity,omitempty"` // HTTP parameters of the enabled profile, hexadecimal
	Package      string        `json:"package,omitempty"`      // vault handle of the signed answer to a carried package
	Rollback     string        `json:"rollback,omitempty"`     // "yes": that package has armed it
	EUICC        string        `json:"euicc,omitempty"`        // CERT.EUICC, DER in base64
	EUM          string        `json:"eum,omitempty"`          // CERT.EUM, DER in base64
}

// EIMRecord is one eIM with which an eUICC is associated.
type EIMRecord struct {
	ID       string `json:"id"`
	FQDN     string `json:"fqdn,omitempty"`
	Counter  int64  `json:"counter"`
	Token    string `json:"token,omitempty"` // vault handle of the association token
	Protocol []int  `json:"protocol,omitempty"`
}

// PairedUnit is one line of the module maker's pairing list.
type PairedUnit struct {
	Module    string      `json:"module,omitempty"` // the module's serial number
	IMEI      ident.IMEI  `json:"imei,omitempty"`
	EID       ident.EID   `json:"eid,omitempty"`
	Firmware  string      `json:"firmware,omitempty"`
	Bootstrap ident.ICCID `json:"bootstrap,omitempty"` // of the profile with which it was delivered
	Reel      string      `json:"reel,omitempty"`
}

// PairingJudgement is what the pairing lists and the log say of a unit.
type PairingJudgement struct {
	Any    bool        // there is a list
	Listed *PairedUnit // the line of its module; nil: it is on none
	Wrong  *Reason     // what it says is not what the list says
	Reused *Reason     // another unit has had its module or eUICC
}

// PairingImported are lines of a pairing list, at most 100. They count from
// PairingListed on.
type PairingImported struct {
	List  string       `json:"list"`
	Units []PairedUnit `json:"units"`
}

// PairingListed puts a pairing list into force.
type PairingListed struct {
	List   string `json:"list"` // identifier of this import
	File   string `json:"file,omitempty"`
	Units  int    `json:"units"`
	Digest string `json:"digest"` // SHA-256 of the file
}

// PairingFreed lets a module or eUICC be used once more, by a person's decision.
type PairingFreed struct {
	IMEI ident.IMEI `json:"imei,omitempty"`
	EID  ident.EID  `json:"eid,omitempty"`
	From Serial     `json:"from"` // the unit that had it
	Why  string     `json:"why"`
}

// Fact types.
func (EIMOnboarded) FactType() string    { return "eim.onboarded/1" }
func (PairingImported) FactType() string { return "pairing.imported/1" }
func (PairingListed) FactType() string   { return "pairing.listed/1" }
func (PairingFreed) FactType() string    { return "pairing.freed/1" }

func (f EIMOnboarded) eims() []string {
	var ids []string
	for _, e := range f.EIMs {
		ids = append(ids, e.ID)
	}
	return ids
}
