package euiccsim

import (
	"fmt"
	"sync"
	"time"

	"linefit/modem/euiccsim/saip"
	"linefit/modem/ident"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// Card is one virtual eUICC. It is safe for concurrent use: a module's
// goroutine transmits while a fixture cuts the power.
type Card struct {
	o   Options
	pki *testpki.Card

	mu      sync.Mutex // over everything below
	nv      *memory    // as last saved
	powered bool
	busy    time.Duration // of the command in work
	card    volatile
}

// volatile is what power loss and a reset erase.
type volatile struct {
	channels   []*channel // nil: closed; 0 is the basic channel
	capability bool       // TERMINAL CAPABILITY announced an LPA
	session    *session   // RSP session
	load       *loader    // bound profile package in work
	result     []byte     // installation result written last
	toolkit    bool       // TERMINAL PROFILE was received
	proactive  []byte     // command that waits for FETCH
	fetched    bool       // a proactive command waits for TERMINAL RESPONSE
	fs         *fileSystem
	immediate  bool // SGP.32: the profile just installed may be enabled by ImmediateEnable
	justLoaded []byte
}

// New makes a card from its options: over an empty image a new card, over any
// other one the card that was saved. It starts without power. Errors wrap
// [ErrOptions] or [ErrImage], or are the image's own.
func New(o Options) (*Card, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	nv, fresh, err := openMemory(&o)
	if err != nil {
		return nil, err
	}
	c := &Card{o: o, pki: o.PKI, nv: nv}
	if fresh {
		if err := c.personalise(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// personalise writes the memory of a new card.
func (c *Card) personalise() error {
	keys, err := newOneTimeKeys(c.o.OneTimeKeys)
	if err != nil {
		return err
	}
	var state *eimState
	if c.o.Generation == SGP32 {
		state = newEIMState(max(c.o.FirstToken, 1))
		for _, data := range c.o.EIMs {
			if _, code := c.associate(state, wire.Node{Value: data}); code != resultOK {
				return fmt.Errorf("%w: an eIM configuration is refused with code %d", ErrOptions, code)
			}
		}
	}
	profiles, err := c.delivered()
	if err != nil {
		return err
	}
	return c.set(func(m *memory) {
		m.OneTime, m.EIM, m.Profiles, m.NextISDP = keys, state, profiles, m.NextISDP+len(profiles)
		if len(profiles) > 0 {
			m.PowerUp = string(profiles[0].ICCID)
		}
	})
}

// delivered are the profiles that a new card comes with.
func (c *Card) delivered() ([]profile, error) {
	var list []profile
	for i, p := range c.o.Preloaded {
		pkg, err := saip.Parse(p.Package)
		if err != nil {
			return nil, fmt.Errorf("%w: preloaded profile %d: %w", ErrOptions, i+1, err)
		}
		list = append(list, profile{
			ICCID: pkg.Header.ICCID, AID: isdpAID(1 + i), Enabled: i == 0, Package: p.Package, Preloaded: true,
			Metadata: wire.TLV(0xBF25, wire.TLV(0x5A, pkg.Header.ICCID), wire.TLV(0x91, []byte("delivered")),
				wire.TLV(0x92, []byte(pkg.Header.Type)), wire.Integer(0x95, int64(p.Class))),
		})
	}
	return list, nil
}

// EID is the card's identifier.
func (c *Card) EID() ident.EID { return c.pki.EID }

// Reset applies power or resets the card and returns its ATR. What is not in
// the non-volatile memory is gone. A card whose image cannot be written stays
// mute: the ATR is nil and nothing is answered until a later Reset works.
func (c *Card) Reset() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	cold := !c.powered
	c.card = volatile{channels: make([]*channel, c.o.Channels)}
	c.card.channels[0] = &channel{}
	c.powered = false
	if err := c.startUp(cold); err != nil {
		return nil
	}
	c.powered = true
	return atr(c.o.Channels)
}

// startUp finishes what the last power loss interrupted.
func (c *Card) startUp(cold bool) error {
	if c.nv.Loading != nil {
		if err := c.interrupted(); err != nil {
			return err
		}
	}
	if c.nv.Switch != nil {
		if err := c.finishSwitch(); err != nil {
			return err
		}
	}
	if cold {
		if err := c.coldRestart(); err != nil {
			return err
		}
	}
	c.card.fs = openFileSystem(c.nv.enabled())
	return nil
}

// coldRestart is where FaultStateLost strikes.
func (c *Card) coldRestart() error {
	now := ""
	if p := c.nv.enabled(); p != nil {
		now = string(p.ICCID)
	}
	if now == c.nv.PowerUp {
		return nil
	}
	lost := c.strikes(FaultStateLost)
	return c.set(func(m *memory) {
		if !lost {
			m.PowerUp = now
			return
		}
		m.struck(FaultStateLost)
		for i := range m.Profiles {
			m.Profiles[i].Enabled = string(m.Profiles[i].ICCID) == m.PowerUp
		}
	})
}

// PowerCut takes the power away at once, also in the middle of a load.
func (c *Card) PowerCut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.powered, c.card = false, volatile{}
}

// Transmit executes one command APDU, with the logical channel in its class
// byte, and returns the response APDU and the modelled processing time. It
// never blocks. A card without power answers nothing (nil).
func (c *Card) Transmit(apdu []byte) (response []byte, busy time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.powered {
		return nil, 0
	}
	c.busy = c.o.Delays.APDU
	data, sw := c.execute(apdu)
	response = make([]byte, 0, len(data)+2)
	response = sw.Append(append(response, data...))
	return response, c.busy
}

// strikes reports whether a fault is planned and not used up.
func (c *Card) strikes(f Fault) bool {
	n := c.o.Faults[f]
	return n < 0 || c.nv.Struck[f] < n
}

// struck counts a fault that has struck.
func (m *memory) struck(f Fault) {
	if m.Struck == nil {
		m.Struck = map[Fault]int{}
	}
	m.Struck[f]++
}

// strike uses a fault up, once, and reports whether it was planned.
func (c *Card) strike(f Fault) (bool, error) {
	if !c.strikes(f) {
		return false, nil
	}
	return true, c.set(func(m *memory) { m.struck(f) })
}

// atr is an answer to reset of the shape that SGP.22 section 3.1 and ETSI TS
// 102 221 section 6.3 ask of an eUICC: T=0 and T=15 with the eUICC-related
// global interface byte, historical bytes with card capabilities: short lengths
// only, channels that card or terminal assigns, and how many there are (ISO/IEC
// 7816-4 section 12.1.1.9).
func atr(channels int) []byte {
	assigned := 0x18 | byte(min(channels, 8)-1)
	b := []byte{0x3B, 0x9F, 0x96, 0x80, 0x3F, 0xC7, 0x82, 0x80, 0x31, 0xE0, 0x73, 0xFE, 0x21, assigned, 0x65}
	b = append(b, "LFIT"...)
	b = append(b, 0x01, 0x00, 0x00)
	var check byte
	for _, v := range b[1:] {
		check ^= v
	}
	return append(b, check)
}

const swChainingNotSupported wire.SW = 0x6884
