package euiccsim

import (
	"linefit/modem/ident"
)

// State is a card's non-volatile state, for an accounting that trusts nobody's
// word but the card's. It holds no keys and no profile data.
type State struct {
	EID           ident.EID
	Profiles      []ProfileState
	Notifications []NotificationState // oldest first
	NextSeq       int64
	DefaultDP     string
	UsedNVM       int   // bytes taken by profiles
	Loading       bool  // a load began and has no result yet
	OneTimeKeys   int   // in-factory one-time key pairs left (SGP.41)
	KeyNumbers    []int // theirs
	EIMs          []string
	Tokens        map[string]int64 // association tokens by eIM, where it has one
}

// ProfileState is one installed profile.
type ProfileState struct {
	ICCID    ident.ICCID
	Enabled  bool
	Name     string
	Provider string
	Nickname string
	Size     int // bytes
	DPOID    string
	// Preloaded says that the card was delivered with it.
	Preloaded bool
}

// NotificationState is one pending notification.
type NotificationState struct {
	Seq     int64
	Event   string // install, enable, disable or delete
	Address string
	ICCID   ident.ICCID // empty when the result names none
	Result  bool        // a profile installation result
}

// State gives the card's state as committed, with or without power.
func (c *Card) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nv.state()
}

// ReadState reads a card's state from its image, without a card. Errors wrap
// [ErrImage] or are the image's own.
func ReadState(img Image) (State, error) {
	m, err := loadMemory(img)
	if err != nil {
		return State{}, err
	}
	return m.state(), nil
}

var eventNames = []string{"install", "enable", "disable", "delete"}

func (m *memory) state() State {
	s := State{
		EID: m.EID, NextSeq: m.NextSeq, DefaultDP: m.DefaultDP, UsedNVM: m.used(),
		Loading: m.Loading != nil, OneTimeKeys: len(m.OneTime), EIMs: m.EIM.ids(), Tokens: m.EIM.tokens(),
	}
	for _, k := range m.OneTime {
		s.KeyNumbers = append(s.KeyNumbers, k.Number)
	}
	for i := range m.Profiles {
		p := &m.Profiles[i]
		meta := p.metadata()
		s.Profiles = append(s.Profiles, ProfileState{
			ICCID: iccid(p.ICCID), Enabled: p.Enabled, Name: meta.text(0x92), Provider: meta.text(0x91),
			Nickname: p.Nickname, Size: p.size(), DPOID: p.DPOID, Preloaded: p.Preloaded,
		})
	}
	for _, n := range m.Notifications {
		s.Notifications = append(s.Notifications, NotificationState{
			Seq: n.Seq, Event: eventNames[n.Event], Address: n.Address, ICCID: iccid(n.ICCID), Result: n.Result != nil,
		})
	}
	return s
}

// iccid is empty for bytes that are none.
func iccid(b []byte) ident.ICCID {
	id, err := ident.ICCIDFromBytes(b)
	if err != nil {
		return ""
	}
	return id
}
