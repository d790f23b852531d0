package euiccsim

import (
	"bytes"
	"slices"

	"linefit/modem/wire"
)

// Result codes of enable, disable and delete (SGP.22 section 5.7.16 to 5.7.18).
const (
	resultNotFound        = 1
	resultWrongState      = 2
	resultPolicy          = 3
	resultWrongReenabling = 4
	resultCatBusy         = 5
)

// enableProfile is ES10c.EnableProfile (SGP.22 section 5.7.16).
func (c *Card) enableProfile(n wire.Node) ([]byte, wire.SW) {
	id, refresh, ok := switchRequest(n)
	if !ok {
		return nil, wire.SWWrongData
	}
	p := identified(c.nv, id)
	code := int64(resultOK)
	switch old := c.nv.enabled(); {
	case p == nil:
		code = resultNotFound
	case p.Enabled:
		code = resultWrongState
	case old != nil && old.hasPPR(1) && !p.isTest():
		code = resultPolicy // a test profile overrides the rule
	case old != nil && old.isTest() && !p.isTest() && c.nv.replaced() != nil && c.nv.replaced() != p:
		code = resultWrongReenabling
	}
	if code != resultOK {
		return result(n.Tag, code), wire.SWOK
	}
	return c.changeState(n.Tag, &pendingSwitch{Enable: p.ICCID}, refresh)
}

// disableProfile is ES10c.DisableProfile (SGP.22 section 5.7.17).
func (c *Card) disableProfile(n wire.Node) ([]byte, wire.SW) {
	id, refresh, ok := switchRequest(n)
	if !ok {
		return nil, wire.SWWrongData
	}
	p := identified(c.nv, id)
	code := int64(resultOK)
	switch {
	case p == nil:
		code = resultNotFound
	case !p.Enabled:
		code = resultWrongState
	case p.hasPPR(1):
		code = resultPolicy
	}
	if code != resultOK {
		return result(n.Tag, code), wire.SWOK
	}
	s := &pendingSwitch{}
	if before := c.nv.replaced(); p.isTest() && before != nil {
		s.Enable = before.ICCID // the operational profile comes back
	}
	return c.changeState(n.Tag, s, refresh)
}

// switchRequest reads what enable and disable share: A0 with the profile's
// identifier, 81 refreshFlag.
func switchRequest(n wire.Node) (id wire.Node, refresh, ok bool) {
	id, ok = n.Find(0xA0)
	f, okFlag := n.Find(0x81)
	if !ok || !okFlag || len(f.Value) != 1 {
		return wire.Node{}, false, false
	}
	return id, f.Value[0] != 0, true
}

// changeState switches profiles in one commit: at once, or with REFRESH.
func (c *Card) changeState(tag wire.Tag, s *pendingSwitch, refresh bool) ([]byte, wire.SW) {
	busy, err := c.catBusy()
	if err != nil {
		return nil, wire.SWMemoryProblem
	}
	if busy {
		return result(tag, resultCatBusy), wire.SWOK
	}
	if refresh && c.o.Effect == EffectAfterRefresh {
		err = c.set(func(m *memory) { m.Switch = s })
	} else {
		err = c.switchTo(s)
	}
	if err == nil {
		if refresh {
			err = c.raiseRefresh()
		} else {
			c.useFiles()
		}
	}
	if err != nil {
		return nil, wire.SWMemoryProblem
	}
	return result(tag, resultOK), wire.SWOK
}

// switchTo changes which profile is enabled and writes the notifications of
// both, atomically.
func (c *Card) switchTo(s *pendingSwitch) error {
	return c.commit(func(m *memory) error { return c.exchange(m, s) })
}

// exchange is a switch inside of a commit.
func (c *Card) exchange(m *memory, s *pendingSwitch) error {
	m.Switch = nil
	var before []byte
	if old := m.enabled(); old != nil {
		before, old.Enabled = old.ICCID, false
		if err := c.notify(m, old, eventDisable); err != nil {
			return err
		}
	}
	m.iotSwitch(s.Kind, before)
	p := m.byICCID(s.Enable)
	if p == nil || !p.isTest() {
		m.BeforeTest = nil
	} else if old := m.byICCID(before); old != nil && !old.isTest() {
		m.BeforeTest = before
	}
	if p == nil {
		return nil
	}
	p.Enabled = true
	return c.notify(m, p, eventEnable)
}

// isTest reports a profile of class test.
func (p *profile) isTest() bool { return p.metadata().class() == classTest }

// replaced is the operational profile that an enabled test profile took the
// place of, nil when there is none (SGP.22 section 5.7.16).
func (m *memory) replaced() *profile {
	if m.BeforeTest == nil {
		return nil
	}
	return m.byICCID(m.BeforeTest)
}

// finishSwitch does a switch that waited for REFRESH.
func (c *Card) finishSwitch() error { return c.switchTo(c.nv.Switch) }

// deleteProfile is ES10c.DeleteProfile (SGP.22 section 5.7.18).
func (c *Card) deleteProfile(n wire.Node) ([]byte, wire.SW) {
	p := identified(c.nv, n)
	code := int64(resultOK)
	switch {
	case p == nil:
		code = resultNotFound
	case p.Enabled || c.nv.Switch != nil && bytes.Equal(c.nv.Switch.Enable, p.ICCID):
		code = resultWrongState
	case p.hasPPR(2):
		code = resultPolicy
	}
	if code == resultOK {
		if err := c.deleteAll(func(q *profile) bool { return bytes.Equal(q.ICCID, p.ICCID) }, nil); err != nil {
			return nil, wire.SWMemoryProblem
		}
	}
	return result(n.Tag, code), wire.SWOK
}

// deleteAll deletes profiles with their notifications, and does what else
// belongs to the same commit.
func (c *Card) deleteAll(which func(*profile) bool, also func(*memory)) error {
	return c.commit(func(m *memory) error {
		if err := c.removeProfiles(m, which); err != nil {
			return err
		}
		if also != nil {
			also(m)
		}
		return nil
	})
}

// removeProfiles deletes profiles inside of a commit.
func (c *Card) removeProfiles(m *memory, which func(*profile) bool) error {
	kept := make([]profile, 0, len(m.Profiles))
	for i := range m.Profiles {
		p := &m.Profiles[i]
		if !which(p) {
			kept = append(kept, *p)
			continue
		}
		if err := c.notify(m, p, eventDelete); err != nil {
			return err
		}
	}
	m.Profiles = kept
	return nil
}

// Bits of EuiccMemoryResetRequest.resetOptions.
const (
	resetOperational = 0
	resetTest        = 1
	resetDefaultDP   = 2
)

// memoryReset is ES10c.eUICCMemoryReset (SGP.22 section 5.7.19). Policy rules
// do not protect a profile from it; provisioning profiles stay.
func (c *Card) memoryReset(n wire.Node) ([]byte, wire.SW) {
	options, ok := n.Find(0x82)
	if !ok {
		return nil, wire.SWWrongData
	}
	bits, err := options.Bits()
	if err != nil {
		return nil, wire.SWWrongData
	}
	return c.resetMemory(n.Tag, bits)
}

func (c *Card) resetMemory(tag wire.Tag, bits []int) ([]byte, wire.SW) {
	doomed := func(p *profile) bool {
		class := p.metadata().class()
		return class == classOperational && slices.Contains(bits, resetOperational) ||
			class == classTest && slices.Contains(bits, resetTest) ||
			class == classProvisioning && slices.Contains(bits, resetProvisioning)
	}
	something := slices.ContainsFunc(c.nv.Profiles, func(p profile) bool { return doomed(&p) }) ||
		slices.Contains(bits, resetDefaultDP) && c.nv.DefaultDP != c.o.DefaultDP || c.iotReset(bits)
	if !something {
		return result(tag, 1), wire.SWOK // nothingToDelete
	}
	enabled := c.nv.enabled()
	refresh := enabled != nil && doomed(enabled)
	if refresh {
		busy, err := c.catBusy()
		if err != nil {
			return nil, wire.SWMemoryProblem
		}
		if busy {
			return result(tag, resultCatBusy), wire.SWOK
		}
	}
	err := c.deleteAll(doomed, func(m *memory) {
		if slices.Contains(bits, resetDefaultDP) {
			m.DefaultDP = c.o.DefaultDP
		}
		if refresh {
			m.Switch = nil
		}
		c.iotResetCommit(m, bits)
	})
	if err == nil && refresh {
		err = c.raiseRefresh()
	}
	if err != nil {
		return nil, wire.SWMemoryProblem
	}
	return result(tag, resultOK), wire.SWOK
}
