package euiccsim

import (
	"slices"

	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// Bits of NotificationEvent (SGP.22 annex H).
const (
	eventInstall = 0
	eventEnable  = 1
	eventDisable = 2
	eventDelete  = 3
)

// notification is one entry of the pending notifications list.
type notification struct {
	Seq     int64
	Event   int
	Address string
	ICCID   []byte `json:",omitempty"`
	// Result is a ProfileInstallationResult (BF37) as signed. Empty: another
	// notification, of which Signature is the signature over its metadata.
	Result    []byte `json:",omitempty"`
	Signature []byte `json:",omitempty"`
}

// metadata is NotificationMetadata.
func (n *notification) metadata() []byte {
	parts := [][]byte{wire.Integer(0x80, n.Seq), wire.BitString(0x81, n.Event), wire.TLV(0x0C, []byte(n.Address))}
	if n.ICCID != nil {
		parts = append(parts, wire.TLV(0x5A, n.ICCID))
	}
	return wire.TLV(0xBF2F, parts...)
}

// pending is PendingNotification.
func (c *Card) pendingNotification(n *notification) []byte {
	if n.Result != nil {
		return n.Result
	}
	return wire.TLV(0x30, n.metadata(), wire.TLV(0x5F37, n.Signature), c.pki.Cert.Raw, c.pki.EUM.Raw)
}

// add appends a notification under the next number; a full list loses its
// oldest entry (SGP.22 section 3.5).
func (c *Card) add(m *memory, n notification) {
	m.NextSeq = n.Seq + 1
	m.Notifications = append(m.Notifications, n)
	if over := len(m.Notifications) - c.o.Notifications; over > 0 {
		m.Notifications = slices.Clone(m.Notifications[over:])
	}
}

// notify writes the notifications that a profile's configuration asks for. Test
// profiles ask for none on enable and disable.
func (c *Card) notify(m *memory, p *profile, event int) error {
	meta := p.metadata()
	if meta.class() == classTest && (event == eventEnable || event == eventDisable) {
		return nil
	}
	for _, address := range meta.recipients(event) {
		n := notification{Seq: m.NextSeq, Event: event, Address: address, ICCID: p.ICCID}
		signature, err := c.sign(n.metadata())
		if err != nil {
			return err
		}
		n.Signature = signature
		c.add(m, n)
	}
	return nil
}

// sign makes a signature with SK.EUICC.ECDSA.
func (c *Card) sign(parts ...[]byte) ([]byte, error) {
	c.busy += c.o.Delays.Sign
	return testpki.Sign(c.pki.Key, parts...)
}

// recipients lists the addresses that want to know of an event
// (notificationConfigurationInfo).
func (m metadataView) recipients(event int) []string {
	info, ok := m.Find(0xB6)
	if !ok {
		return nil
	}
	entries, err := info.Children()
	if err != nil {
		return nil
	}
	var addresses []string
	for _, e := range entries {
		operation, ok1 := e.Find(0x80)
		address, ok2 := e.Find(0x81)
		if !ok1 || !ok2 {
			continue
		}
		if bits, err := operation.Bits(); err == nil && slices.Contains(bits, event) {
			addresses = append(addresses, string(address.Value))
		}
	}
	return addresses
}

// listNotifications is ES10b.ListNotification (SGP.22 section 5.7.9).
func (c *Card) listNotifications(n wire.Node) ([]byte, wire.SW) {
	match, ok := eventFilter(n)
	if !ok {
		return wire.TLV(n.Tag, wire.Integer(0x81, resultUndefined)), wire.SWOK
	}
	var list []byte
	for i := range c.nv.Notifications {
		if e := &c.nv.Notifications[i]; match(e) {
			list = append(list, e.metadata()...)
		}
	}
	return wire.TLV(n.Tag, wire.TLV(0xA0, list)), wire.SWOK
}

// eventFilter reads an optional NotificationEvent (81); none takes all.
func eventFilter(n wire.Node) (func(*notification) bool, bool) {
	filter, ok := n.Find(0x81)
	if !ok {
		return func(*notification) bool { return true }, true
	}
	bits, err := filter.Bits()
	return func(e *notification) bool { return slices.Contains(bits, e.Event) }, err == nil
}

// retrieveNotifications is ES10b.RetrieveNotificationsList (SGP.22 section 5.7.10).
func (c *Card) retrieveNotifications(n wire.Node) ([]byte, wire.SW) {
	match, ok := func(*notification) bool { return true }, true
	if criteria, found := n.Find(0xA0); found {
		if _, packages := criteria.Find(0x82); packages && c.nv.EIM != nil {
			return c.packageResults(n.Tag), wire.SWOK
		}
		if seq, bySeq := criteria.Find(0x80); bySeq {
			v, err := seq.Int()
			match, ok = func(e *notification) bool { return e.Seq == v }, err == nil
		} else {
			match, ok = eventFilter(criteria)
		}
	}
	if !ok {
		return wire.TLV(n.Tag, wire.Integer(0x81, resultUndefined)), wire.SWOK
	}
	var list []byte
	for i := range c.nv.Notifications {
		if e := &c.nv.Notifications[i]; match(e) {
			list = append(list, c.pendingNotification(e)...)
		}
	}
	return wire.TLV(n.Tag, wire.TLV(0xA0, list)), wire.SWOK
}

// removeNotification is ES10b.RemoveNotificationFromList (SGP.22 section 5.7.11).
func (c *Card) removeNotification(n wire.Node) ([]byte, wire.SW) {
	seq, ok := n.Find(0x80)
	if !ok {
		return nil, wire.SWWrongData
	}
	number, err := seq.Int()
	if err != nil {
		return nil, wire.SWWrongData
	}
	is := func(e notification) bool { return e.Seq == number }
	isPackage := func(e packageResult) bool { return e.Seq == number }
	if !slices.ContainsFunc(c.nv.Notifications, is) && (c.nv.EIM == nil || !slices.ContainsFunc(c.nv.EIM.Results, isPackage)) {
		return result(n.Tag, 1), wire.SWOK // nothingToDelete
	}
	err = c.set(func(m *memory) {
		m.Notifications = slices.DeleteFunc(m.Notifications, is)
		if m.EIM != nil {
			m.EIM.Results = slices.DeleteFunc(m.EIM.Results, isPackage)
		}
	})
	if err != nil {
		return nil, wire.SWMemoryProblem
	}
	return result(n.Tag, resultOK), wire.SWOK
}

// packageResults lists the eUICC package results (SGP.32 section 5.9.11).
func (c *Card) packageResults(tag wire.Tag) []byte {
	var list []byte
	for _, r := range c.nv.EIM.Results {
		list = append(list, r.Raw...)
	}
	return wire.TLV(tag, wire.TLV(0xA2, list))
}
