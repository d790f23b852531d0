package euiccsim

import (
	"bytes"

	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// Codes of EuiccPackageErrorCode (SGP.32 section 2.11.2.1).
const (
	packageInvalidEID = 3
	packageReplay     = 4
	packageCounter    = 6
)

// euiccPackage is EuiccPackageRequest, its elements as received.
type euiccPackage struct {
	signed, signature wire.Node
	id                string
	eid               []byte
	counter           int64
	transaction       []byte // TLV 82, empty when there is none
	operations        []wire.Node
	configuration     bool // eIM configuration operations, not profile state management
}

func readPackage(n wire.Node) (p euiccPackage, ok bool) {
	list, err := n.Children()
	if err != nil || !tags(list, 0x30, 0x5F37) {
		return p, false
	}
	p.signed, p.signature = list[0], list[1]
	id, ok1 := p.signed.Find(0x80)
	eid, ok2 := p.signed.Find(0x5A)
	counter, ok3 := p.signed.Find(0x81)
	if !ok1 || !ok2 || !ok3 {
		return p, false
	}
	p.id, p.eid = string(id.Value), eid.Value
	if p.counter, err = counter.Int(); err != nil {
		return p, false
	}
	if t, found := p.signed.Find(0x82); found {
		p.transaction = t.Raw
	}
	operations, found := p.signed.Find(0xA0)
	if !found {
		if operations, found = p.signed.Find(0xA1); !found {
			return p, false
		}
		p.configuration = true
	}
	p.operations, err = operations.Children()
	return p, err == nil
}

// loadPackage is ES10b.LoadEuiccPackage (SGP.32 section 5.9.1): an eIM's signed
// operations, executed in order in one commit with their result.
func (c *Card) loadPackage(n wire.Node) ([]byte, wire.SW) {
	p, ok := readPackage(n)
	if !ok {
		return nil, wire.SWWrongData
	}
	m := c.nv.EIM.byID(p.id)
	c.busy += c.o.Delays.Verify
	if m == nil || !testpki.Verify(m.key(), p.signature.Value, p.signed.Raw, m.token()) {
		return wire.TLV(n.Tag, wire.TLV(0xA2, wire.TLV(0x80, []byte(p.id)), p.transaction)), wire.SWOK
	}
	if code := c.checkPackage(m, p); code != resultOK {
		return c.packageError(n.Tag, m, p, code)
	}
	busy, err := c.catBusy()
	if err != nil {
		return nil, wire.SWMemoryProblem
	}
	e := &execution{card: c, busy: busy}
	var raw []byte
	err = c.commit(func(nv *memory) error {
		nv.EIM.byID(p.id).Counter = p.counter
		var results []byte
		for _, op := range p.operations {
			r, err := e.run(nv, p.configuration, op)
			if err != nil {
				return err
			}
			results = append(results, r...)
		}
		data := wire.TLV(0x30, wire.TLV(0x80, []byte(p.id)), wire.Integer(0x81, p.counter), p.transaction,
			wire.Integer(0x83, nv.NextSeq), wire.TLV(0x30, results))
		signature, err := c.sign(data, m.token())
		if err != nil {
			return err
		}
		raw = wire.TLV(n.Tag, wire.TLV(0xA0, data, wire.TLV(0x5F37, signature)))
		nv.EIM.Results = append(nv.EIM.Results, packageResult{Seq: nv.NextSeq, Raw: raw})
		if over := len(nv.EIM.Results) - c.o.Notifications; over > 0 {
			nv.EIM.Results = nv.EIM.Results[over:]
		}
		nv.NextSeq++
		return nil
	})
	if err == nil && e.switched {
		err = c.raiseRefresh()
	}
	if err != nil {
		return nil, wire.SWMemoryProblem
	}
	return raw, wire.SWOK
}

// token is the associationToken data object that signatures cover, 0 without one.
func (m *eim) token() []byte { return wire.Integer(0x84, m.Token) }

func (c *Card) checkPackage(m *eim, p euiccPackage) int64 {
	switch {
	case !bytes.Equal(p.eid, c.pki.EID.Bytes()):
		return packageInvalidEID
	case p.counter > maxCounter || p.counter < 0:
		return packageCounter
	case p.counter <= m.Counter:
		return packageReplay
	case c.eCallActive():
		return resultECall
	}
	return resultOK
}

func (c *Card) packageError(tag wire.Tag, m *eim, p euiccPackage, code int64) ([]byte, wire.SW) {
	data := wire.TLV(0x30, wire.TLV(0x80, []byte(p.id)), wire.Integer(0x81, p.counter), p.transaction, wire.Integer(0x02, code))
	signature, err := c.sign(data, m.token())
	if err != nil {
		return nil, wire.SWTechnicalProblem
	}
	return wire.TLV(tag, wire.TLV(0xA1, data, wire.TLV(0x5F37, signature))), wire.SWOK
}

// execution runs the operations of one package.
type execution struct {
	card     *Card
	busy     bool // catBusy for every change of the enabled profile
	switched bool
}

// processingTerminated ends a package at an operation that is not known.
var processingTerminated = wire.Integer(0x02, 2)

func (e *execution) run(m *memory, configuration bool, op wire.Node) ([]byte, error) {
	if configuration {
		return e.configure(m, op), nil
	}
	code := func(v int64, err error) ([]byte, error) { return wire.Integer(op.Tag&^0x20, v), err }
	switch op.Tag {
	case 0xA3:
		return code(e.enable(m, op))
	case 0xA4:
		return code(e.disable(m, op))
	case 0xA5:
		return code(e.remove(m, op))
	case 0xBF2D:
		b, _ := e.card.profilesOf(m, op)
		return b, nil
	case 0xA6:
		b, _ := e.card.getRAT(op)
		table, err := wire.Parse(b)
		if err != nil {
			return nil, err
		}
		rat, _ := table.Find(0xA0)
		return wire.TLV(0xA6, rat.Value), nil
	case 0xA7:
		if !m.EIM.configure(op) {
			return code(eimCommandError, nil)
		}
		return code(resultOK, nil)
	case 0xA8:
		return wire.Integer(0x8D, setFallback(m, op)), nil
	case 0xA9:
		return wire.Integer(0x8E, unsetFallback(m)), nil
	case 0xBF65:
		address, ok := op.Find(0x80)
		if !ok || len(address.Value) > 255 {
			return result(op.Tag, resultUndefined), nil
		}
		m.DefaultDP = string(address.Value)
		return result(op.Tag, resultOK), nil
	}
	return processingTerminated, nil
}

func named(m *memory, op wire.Node) *profile {
	id, ok := op.Find(0x5A)
	if !ok {
		return nil
	}
	return m.byICCID(id.Value)
}

func (e *execution) enable(m *memory, op wire.Node) (int64, error) {
	p, old := named(m, op), m.enabled()
	switch {
	case p == nil:
		return resultNotFound, nil
	case p.Enabled:
		return resultWrongState, nil
	case old != nil && old.hasPPR(1):
		return resultPolicy, nil
	case e.busy:
		return resultCatBusy, nil
	}
	var before []byte
	if old != nil {
		before = old.ICCID
	}
	e.switched = true
	if err := e.card.exchange(m, &pendingSwitch{Enable: p.ICCID}); err != nil {
		return 0, err
	}
	if _, ok := op.Find(0x05); ok {
		m.EIM.Rollback, m.EIM.RollbackTo = true, before
	}
	return resultOK, nil
}

func (e *execution) disable(m *memory, op wire.Node) (int64, error) {
	p := named(m, op)
	switch {
	case p == nil:
		return resultNotFound, nil
	case !p.Enabled:
		return resultWrongState, nil
	case p.hasPPR(1):
		return resultPolicy, nil
	case e.busy:
		return resultCatBusy, nil
	}
	e.switched = true
	return resultOK, e.card.exchange(m, &pendingSwitch{})
}

func (e *execution) remove(m *memory, op wire.Node) (int64, error) {
	p := named(m, op)
	switch {
	case p == nil:
		return resultNotFound, nil
	case p.Enabled:
		return resultWrongState, nil
	case p.hasPPR(2):
		return resultPolicy, nil
	}
	iccid := p.ICCID
	return resultOK, e.card.removeProfiles(m, func(q *profile) bool { return bytes.Equal(q.ICCID, iccid) })
}

// setFallback makes a profile the fallback profile; its owner must allow it.
func setFallback(m *memory, op wire.Node) int64 {
	p := named(m, op)
	switch {
	case p == nil:
		return 1
	case !p.metadata().isTrue(tagFallbackAllowed):
		return 2
	case m.EIM.InFallback:
		return 3
	}
	for i := range m.Profiles {
		m.Profiles[i].Fallback = bytes.Equal(m.Profiles[i].ICCID, p.ICCID)
	}
	return resultOK
}

func unsetFallback(m *memory) int64 {
	if m.EIM.InFallback {
		return 3
	}
	for i := range m.Profiles {
		if m.Profiles[i].Fallback {
			m.Profiles[i].Fallback = false
			return resultOK
		}
	}
	return 2
}

// configure runs one eIM configuration operation.
func (e *execution) configure(m *memory, op wire.Node) []byte {
	switch op.Tag {
	case 0xA8:
		answer, code := e.card.associate(m.EIM, op)
		if code != resultOK || answer[0] == 0x05 {
			answer = wire.Integer(0x02, code)
		}
		return wire.TLV(0xA8, answer)
	case 0xA9:
		id, _ := op.Find(0x80)
		return wire.Integer(0x89, m.EIM.remove(string(id.Value)))
	case 0xAA:
		return wire.Integer(0x8A, e.update(m.EIM, op))
	case 0xAB:
		var list []byte
		for i := range m.EIM.EIMs {
			entry := wire.Node{Value: m.EIM.EIMs[i].Config}
			id, _ := entry.Find(0x80)
			kind, _ := entry.Find(0x82)
			list = append(list, wire.TLV(0x30, id.Raw, kind.Raw)...)
		}
		return wire.TLV(0xAB, wire.TLV(0xA0, list))
	}
	return processingTerminated
}

func (e *eimState) remove(id string) int64 {
	for i := range e.EIMs {
		if e.EIMs[i].ID == id {
			e.EIMs = append(e.EIMs[:i:i], e.EIMs[i+1:]...)
			if len(e.EIMs) == 0 {
				return eimLastDeleted
			}
			return resultOK
		}
	}
	return eimNotFound
}

// update replaces an eIM's data; its token stays.
func (e *execution) update(s *eimState, op wire.Node) int64 {
	m, _, code := e.card.readEIM(op)
	if code != resultOK {
		return code
	}
	old := s.byID(m.ID)
	if old == nil {
		return eimNotFound
	}
	m.Token = old.Token
	*old = m
	return resultOK
}
