package euicc

import (
	"context"
	"fmt"

	"linefit/modem/wire"
)

// Notifications lists the metadata of the notifications that wait on the eUICC
// (ES10b ListNotification), in the order the eUICC gives them.
func (c *Card) Notifications(ctx context.Context) ([]Notification, error) {
	const function = "ListNotification"
	n, err := c.call(ctx, function, 0xBF28, []byte{0xBF, 0x28, 0})
	if err != nil {
		return nil, err
	}
	entries, err := listOf(function, n)
	if err != nil {
		return nil, err
	}
	out := make([]Notification, 0, len(entries))
	for _, entry := range entries {
		if entry.Tag != 0xBF2F {
			continue
		}
		one, err := parseNotification(entry)
		if err != nil {
			return nil, &ResponseError{Function: function, Err: err}
		}
		out = append(out, one)
	}
	return out, nil
}

// listOf reads the A0 alternative of an answer; code 1 (noResultAvailable) and
// an empty answer are an empty list.
func listOf(function string, n wire.Node) ([]wire.Node, error) {
	if _, failed := n.Find(0x81); failed {
		err := result(function, listCodes, n, 0x81)
		if f, ok := err.(*FunctionError); ok && f.Code == 1 {
			return nil, nil
		}
		return nil, err
	}
	list, ok := n.Find(0xA0)
	if !ok {
		if len(n.Value) == 0 {
			return nil, nil
		}
		return nil, &ResponseError{Function: function, Err: fmt.Errorf("%w: A0", wire.ErrMissing)}
	}
	entries, err := list.Children()
	if err != nil {
		return nil, &ResponseError{Function: function, Err: err}
	}
	return entries, nil
}

// Pending is a notification with its signature, as it is sent to its server.
type Pending struct {
	Notification
	Raw    []byte              // BF37, or 30 for all but installations
	Result *InstallationResult // of an installation
	Other  *SignedNotification // of all else
}

// SignedNotification is an OtherSignedNotification (SGP.22 section 5.7.10).
type SignedNotification struct {
	Data        []byte // BF2F, covered by the signature
	Signature   []byte // r and s
	Certificate []byte // the eUICC's, DER
	EUM         []byte // its maker's, DER
}

// Retrieve fetches the notifications with their signatures (ES10b
// RetrieveNotificationsList): the one with the given sequence number, or all
// when sequence is negative. An empty list is no error.
func (c *Card) Retrieve(ctx context.Context, sequence int64) ([]Pending, error) {
	const function = "RetrieveNotificationsList"
	request := []byte{0xBF, 0x2B, 0}
	if sequence >= 0 {
		request = wire.TLV(0xBF2B, wire.TLV(0xA0, wire.Integer(0x80, sequence)))
	}
	n, err := c.call(ctx, function, 0xBF2B, request)
	if err != nil {
		return nil, err
	}
	entries, err := listOf(function, n)
	if err != nil {
		return nil, err
	}
	out := make([]Pending, 0, len(entries))
	for _, entry := range entries {
		one, err := ParsePending(entry.Raw)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// ParsePending decodes one pending notification. The compact forms of SGP.32
// (A0, A1) keep their bytes and tell nothing more.
func ParsePending(raw []byte) (Pending, error) {
	const function = "PendingNotification"
	n, err := wire.Parse(raw)
	if err != nil {
		return Pending{}, &ResponseError{Function: function, Err: err}
	}
	switch n.Tag {
	case 0xBF37:
		r, err := ParseInstallationResult(raw)
		if err != nil {
			return Pending{}, err
		}
		return Pending{Notification: r.Notification, Raw: n.Raw, Result: r}, nil
	case 0x30:
		return parseOther(n)
	case 0xA0, 0xA1:
		return Pending{Notification: Notification{Sequence: -1, Event: -1}, Raw: n.Raw}, nil
	}
	return Pending{}, &ResponseError{Function: function, Err: fmt.Errorf("%w: %v", wire.ErrWrongTag, n.Tag)}
}

func parseOther(n wire.Node) (Pending, error) {
	fail := func(err error) (Pending, error) {
		return Pending{}, &ResponseError{Function: "OtherSignedNotification", Err: err}
	}
	children, err := n.Children()
	if err != nil {
		return fail(err)
	}
	if len(children) < 2 || children[0].Tag != 0xBF2F || children[1].Tag != 0x5F37 {
		return fail(fmt.Errorf("%w: metadata and signature", wire.ErrMissing))
	}
	p := Pending{Raw: n.Raw, Other: &SignedNotification{Data: children[0].Raw, Signature: children[1].Value}}
	if p.Notification, err = parseNotification(children[0]); err != nil {
		return fail(err)
	}
	if len(children) >= 4 && children[2].Tag == 0x30 && children[3].Tag == 0x30 {
		p.Other.Certificate, p.Other.EUM = children[2].Raw, children[3].Raw
	}
	return p, nil
}

// RemoveNotification removes a notification from the eUICC's list (ES10b
// NotificationSent), once its server has it. A notification that is gone
// already is an error matching [ErrNothingToDelete].
func (c *Card) RemoveNotification(ctx context.Context, sequence int64) error {
	return c.simple(ctx, "NotificationSent", removeCodes, wire.TLV(0xBF30, wire.Integer(0x80, sequence)), 0x80)
}
