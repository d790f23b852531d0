package euiccsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"linefit/modem/ident"
)

// ErrImage is the error of an image that is not this card's memory.
var ErrImage = errors.New("virtual eUICC: unusable image")

const imageVersion = 1

// memory is the whole non-volatile memory. A committed memory is never
// changed: commit works on a copy. Byte slices inside are never written to.
type memory struct {
	Version       int
	EID           ident.EID
	NextSeq       int64 // of the next notification; never goes back
	NextISDP      int   // number of the next ISD-P
	DefaultDP     string
	Profiles      []profile
	Notifications []notification
	Keys          []retryKey     `json:",omitempty"`
	Loading       *loading       `json:",omitempty"` // a load that began and has no result yet
	Switch        *pendingSwitch `json:",omitempty"` // EffectAfterRefresh
	BeforeTest    []byte         `json:",omitempty"` // operational profile that a test profile took the place of
	PowerUp       string         `json:",omitempty"` // profile enabled at the last cold restart (FaultStateLost)
	Struck        map[Fault]int  `json:",omitempty"`
	OneTime       []oneTimeKey   `json:",omitempty"`
	EIM           *eimState      `json:",omitempty"`
}

// profile is one installed profile.
type profile struct {
	ICCID    []byte // as in tag 5A
	AID      []byte // of the ISD-P
	Enabled  bool
	Nickname string `json:",omitempty"`
	Metadata []byte // StoreMetadataRequest BF25 as received
	DPData   []byte `json:",omitempty"` // dpProprietaryData B8 of ConfigureISDP
	Package  []byte // unprotected profile package
	DPOID    string
	Fallback bool `json:",omitempty"` // SGP.32 fallback attribute
	// Preloaded says that the card was delivered with it.
	Preloaded bool `json:",omitempty"`
}

// size is the memory that a profile takes.
func (p *profile) size() int { return len(p.Package) + len(p.Metadata) + len(p.DPData) }

// pendingSwitch is a change of the enabled profile that waits for REFRESH.
type pendingSwitch struct {
	Enable []byte `json:",omitempty"` // ICCID; empty: only disable
	Kind   string `json:",omitempty"` // what else it means (SGP.32)
}

func newMemory(o *Options) *memory {
	return &memory{Version: imageVersion, EID: o.PKI.EID, NextSeq: 1, NextISDP: 1, DefaultDP: o.DefaultDP}
}

func loadMemory(img Image) (*memory, error) {
	b, err := img.Load()
	if err != nil {
		return nil, err
	}
	m := &memory{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrImage, err)
	}
	if m.Version != imageVersion {
		return nil, fmt.Errorf("%w: version %d, not %d", ErrImage, m.Version, imageVersion)
	}
	return m, nil
}

func (m *memory) clone() *memory {
	n := *m
	n.Profiles = slices.Clone(m.Profiles)
	n.Notifications = slices.Clone(m.Notifications)
	n.Keys = slices.Clone(m.Keys)
	n.OneTime = slices.Clone(m.OneTime)
	n.Struck = maps.Clone(m.Struck)
	if m.EIM != nil {
		n.EIM = m.EIM.clone()
	}
	return &n
}

// used is the memory taken by profiles, in bytes.
func (m *memory) used() int {
	n := 0
	for i := range m.Profiles {
		n += m.Profiles[i].size()
	}
	return n
}

func (m *memory) byICCID(iccid []byte) *profile {
	for i := range m.Profiles {
		if bytes.Equal(m.Profiles[i].ICCID, iccid) {
			return &m.Profiles[i]
		}
	}
	return nil
}

func (m *memory) byAID(aid []byte) *profile {
	for i := range m.Profiles {
		if bytes.Equal(m.Profiles[i].AID, aid) {
			return &m.Profiles[i]
		}
	}
	return nil
}

func (m *memory) enabled() *profile {
	for i := range m.Profiles {
		if m.Profiles[i].Enabled {
			return &m.Profiles[i]
		}
	}
	return nil
}

// commit changes the non-volatile memory: change works on a copy, which takes
// the old one's place only after the image was saved. After an error nothing
// has changed.
func (c *Card) commit(change func(*memory) error) error {
	n := c.nv.clone()
	if err := change(n); err != nil {
		return err
	}
	b, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrImage, err)
	}
	if err := c.o.Image.Save(b); err != nil {
		return err
	}
	c.nv = n
	c.busy += c.o.Delays.Commit
	return nil
}

// set is [Card.commit] with a change that cannot fail.
func (c *Card) set(change func(*memory)) error {
	return c.commit(func(m *memory) error {
		change(m)
		return nil
	})
}

// openMemory loads the card's memory, or makes a new one where the image is empty.
func openMemory(o *Options) (*memory, bool, error) {
	m, err := loadMemory(o.Image)
	if errors.Is(err, fs.ErrNotExist) {
		return newMemory(o), true, nil
	}
	if err != nil {
		return nil, false, err
	}
	if m.EID != o.PKI.EID {
		return nil, false, fmt.Errorf("%w: it belongs to EID %s, the certificate to %s", ErrImage, m.EID, o.PKI.EID)
	}
	return m, false, nil
}
