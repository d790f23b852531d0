package euiccsim

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"slices"
	"unicode/utf8"

	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// Limits of SGP.32 section 2.11.1.1 and of this card.
const (
	maxCounter = 0x7FFFFF
	maxEIMs    = 4
)

// Codes of AddInitialEimResponse and of the eIM configuration operations
// (SGP.32 sections 2.11.2 and 5.9.4).
const (
	eimNoMemory      = 1
	eimExists        = 2
	eimCIUnknown     = 3
	eimInvalidToken  = 5
	eimCounter       = 6
	eimCommandError  = 7
	eimNotFound      = 1
	eimLastDeleted   = 2
	resultECall      = 104
	noSessionContext = 4
)

// eimState is what an SGP.32 eUICC keeps beside profiles and notifications.
type eimState struct {
	EIMs      []eim
	NextToken int64

	ImmediateEnable  bool   // ConfigureImmediateEnable
	ImmediateOID     string `json:",omitempty"` // SM-DP+ that it is limited to
	ImmediateAddress string `json:",omitempty"`

	Rollback     bool   `json:",omitempty"` // granted by an eIM
	RollbackTo   []byte `json:",omitempty"` // ICCID, empty: no profile
	FallbackFrom []byte `json:",omitempty"`
	InFallback   bool   `json:",omitempty"`
	ECallFrom    []byte `json:",omitempty"`

	Results []packageResult `json:",omitempty"`
}

// eim is one associated eIM.
type eim struct {
	ID      string
	Counter int64
	Token   int64  // association token, 0: none
	Config  []byte // EimConfigurationData's content, completed; counter and token are kept above
}

// packageResult is one eUICC package result that waits for its removal.
type packageResult struct {
	Seq int64
	Raw []byte // BF51
}

func newEIMState(token int64) *eimState { return &eimState{NextToken: token} }

func (e *eimState) clone() *eimState {
	n := *e
	n.EIMs = slices.Clone(e.EIMs)
	n.Results = slices.Clone(e.Results)
	return &n
}

func (e *eimState) ids() []string {
	if e == nil {
		return nil
	}
	var ids []string
	for _, m := range e.EIMs {
		ids = append(ids, m.ID)
	}
	return ids
}

func (e *eimState) tokens() map[string]int64 {
	tokens := map[string]int64{}
	if e != nil {
		for _, m := range e.EIMs {
			if m.Token != 0 {
				tokens[m.ID] = m.Token
			}
		}
	}
	return tokens
}

func (e *eimState) byID(id string) *eim {
	for i := range e.EIMs {
		if e.EIMs[i].ID == id {
			return &e.EIMs[i]
		}
	}
	return nil
}

// addInitialEIM is ES10b.AddInitialEim (SGP.32 section 5.9.4): all entries or
// none, and only while no eIM is associated.
func (c *Card) addInitialEIM(n wire.Node) ([]byte, wire.SW) {
	refusal := func(code int64) ([]byte, wire.SW) { return wire.TLV(n.Tag, wire.Integer(0x81, code)), wire.SWOK }
	list, err := n.Need(0xA0)
	if err != nil {
		return nil, wire.SWWrongData
	}
	entries, err := list.Children()
	if err != nil {
		return nil, wire.SWWrongData
	}
	switch {
	case len(c.nv.EIM.EIMs) > 0:
		return refusal(eimExists)
	case len(entries) == 0:
		return refusal(eimCommandError)
	case len(entries) > maxEIMs:
		return refusal(eimNoMemory)
	}
	state := c.nv.EIM.clone()
	var answers []byte
	for _, e := range entries {
		answer, code := c.associate(state, e)
		if code != resultOK {
			return refusal(code)
		}
		answers = append(answers, answer...)
	}
	if err := c.set(func(m *memory) { m.EIM = state }); err != nil {
		return nil, wire.SWMemoryProblem
	}
	return wire.TLV(n.Tag, wire.TLV(0xA0, answers)), wire.SWOK
}

// associate adds one EimConfigurationData to a state and gives the answer: an
// association token (84) where one was asked for, else NULL.
func (c *Card) associate(s *eimState, n wire.Node) ([]byte, int64) {
	m, token, code := c.readEIM(n)
	if code != resultOK {
		return nil, code
	}
	switch {
	case s.byID(m.ID) != nil:
		return nil, eimExists
	case len(s.EIMs) >= maxEIMs:
		return nil, eimNoMemory
	}
	answer := wire.TLV(0x05)
	if token {
		m.Token = s.NextToken
		s.NextToken++
		answer = wire.Integer(0x84, m.Token)
	}
	s.EIMs = append(s.EIMs, m)
	return answer, resultOK
}

// readEIM checks and completes one EimConfigurationData (SGP.32 sections
// 2.11.1.1.1 and 5.9.4).
func (c *Card) readEIM(n wire.Node) (m eim, token bool, code int64) {
	id, ok1 := n.Find(0x80)
	counter, ok2 := n.Find(0x83)
	key, ok3 := n.Find(0xA5)
	if !ok1 || !ok2 || !ok3 || len(id.Value) < 1 || len(id.Value) > 128 || !utf8.Valid(id.Value) || eimKey(key) == nil {
		return m, false, eimCommandError
	}
	m.ID = string(id.Value)
	var err error
	if m.Counter, err = counter.Int(); err != nil || m.Counter < 0 || m.Counter > maxCounter {
		return m, false, eimCounter
	}
	if t, ok := n.Find(0x84); ok {
		if v, err := t.Int(); err != nil || v != -1 {
			return m, false, eimInvalidToken
		}
		token = true
	}
	root, given := n.Find(0x88)
	if given && !slices.ContainsFunc(c.keyIDs(), func(k []byte) bool { return bytes.Equal(k, root.Value) }) {
		return m, false, eimCIUnknown
	}
	// What is not given is assigned: proprietary identifier type and protocol,
	// the first root for signing.
	for _, f := range []struct {
		tag   wire.Tag
		value []byte
	}{
		{0x80, nil},
		{0x81, nil},
		{0x82, wire.Integer(0x82, 3)},
		{0xA5, nil},
		{0xA6, nil},
		{0x87, wire.BitString(0x87, 4)},
		{0x88, wire.TLV(0x88, c.signingID())},
		{0x89, nil},
	} {
		if v, ok := n.Find(f.tag); ok {
			m.Config = append(m.Config, v.Raw...)
		} else {
			m.Config = append(m.Config, f.value...)
		}
	}
	return m, token, resultOK
}

// eimKey reads the eIM's public key: SubjectPublicKeyInfo (A0), a certificate
// (A1), or either with its own tag. It is nil when there is no P-256 key.
func eimKey(n wire.Node) *ecdsa.PublicKey {
	v, err := wire.Parse(n.Value)
	if err != nil {
		return nil
	}
	der := v.Raw
	if v.Tag == 0xA0 || v.Tag == 0xA1 {
		der = wire.TLV(0x30, v.Value)
	}
	if cert, err := testpki.ParseCertificate(der); err == nil {
		return testpki.Key(cert.PublicKey)
	}
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		return testpki.Key(key)
	}
	return nil
}

func (m *eim) key() *ecdsa.PublicKey {
	n, ok := wire.Node{Value: m.Config}.Find(0xA5)
	if !ok {
		return nil
	}
	return eimKey(n)
}

// configuration is the stored EimConfigurationData, with counter and token in
// their places.
func (m *eim) configuration() []byte {
	var b []byte
	parts, err := wire.ParseAll(m.Config)
	if err != nil {
		return nil // was parsed before it was stored
	}
	numbers := wire.Integer(0x83, m.Counter)
	if m.Token != 0 {
		numbers = append(numbers, wire.Integer(0x84, m.Token)...)
	}
	for _, p := range parts {
		if p.Tag == 0xA5 {
			b = append(b, numbers...)
		}
		b = append(b, p.Raw...)
	}
	return wire.TLV(0x30, b)
}

// eimConfiguration is ES10b.GetEimConfigurationData (SGP.32 section 5.9.18).
func (c *Card) eimConfiguration(n wire.Node) ([]byte, wire.SW) {
	wanted, filtered := n.Find(0xA0, 0x80)
	var list []byte
	for i := range c.nv.EIM.EIMs {
		if m := &c.nv.EIM.EIMs[i]; !filtered || m.ID == string(wanted.Value) {
			list = append(list, m.configuration()...)
		}
	}
	return wire.TLV(n.Tag, wire.TLV(0xA0, list)), wire.SWOK
}

// getCerts is ES10b.GetCerts (SGP.32 section 5.9.10).
func (c *Card) getCerts(n wire.Node) ([]byte, wire.SW) {
	if id, ok := n.Find(0x80); ok && !bytes.Equal(id.Value, c.signingID()) {
		return wire.TLV(n.Tag, wire.Integer(0x81, 1)), wire.SWOK
	}
	eum, err1 := wire.Parse(c.pki.EUM.Raw)
	own, err2 := wire.Parse(c.pki.Cert.Raw)
	if err1 != nil || err2 != nil {
		return nil, wire.SWTechnicalProblem
	}
	return wire.TLV(n.Tag, wire.TLV(0xA0, wire.TLV(0xA5, eum.Value), wire.TLV(0xA6, own.Value))), wire.SWOK
}
