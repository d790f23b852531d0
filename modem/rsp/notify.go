package rsp

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/ident"
)

// Delivery is what became of one notification.
type Delivery struct {
	Sequence int64
	Event    euicc.Event
	ICCID    ident.ICCID
	Address  string
	Sent     bool // its server acknowledged it
	Removed  bool // it is gone from the eUICC
	Err      error
}

// Row is the failure table's row: none when it is sent and removed.
func (d Delivery) Row() Row {
	switch {
	case !d.Sent:
		return RowNotifyPending
	case !d.Removed:
		return RowNotifyStale
	}
	return RowNone
}

// outgoing delivers notifications of one card.
type outgoing struct {
	card     *euicc.Card
	recorder Recorder
	detail   Detail
}

// deliver sends one notification and removes it once its server has it.
func (o outgoing) deliver(ctx context.Context, server func() (*Server, error), n euicc.Pending) Delivery {
	d := Delivery{Sequence: n.Sequence, Event: n.Event, ICCID: n.ICCID, Address: n.Address}
	s, err := server()
	if err == nil {
		err = s.Notify(ctx, n.Raw)
	}
	if err != nil {
		d.Err = err
		return d
	}
	d.Sent = true
	d.Err = o.remove(ctx, n.Sequence)
	d.Removed = d.Err == nil
	return d
}

// remove removes a notification; one that is gone already is removed.
func (o outgoing) remove(ctx context.Context, sequence int64) error {
	detail := o.detail
	detail.Sequence = sequence
	if err := o.recorder.Record(ctx, PhaseRemoveNotification, detail); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrRecord, PhaseRemoveNotification, err)
	}
	err := o.card.RemoveNotification(ctx, sequence)
	if errors.Is(err, euicc.ErrNothingToDelete) {
		return nil
	}
	return err
}

// Snapshot reads all notifications with their signatures, in the order of their
// numbers, for a caller that stores them and sends them later, even when the
// unit has left. It changes nothing. What was stored goes to its server by
// [Server.Notify].
func Snapshot(ctx context.Context, card *euicc.Card) ([]euicc.Pending, error) {
	all, err := card.Retrieve(ctx, -1)
	if errors.Is(err, apdu.ErrTooLong) {
		return snapshotOneByOne(ctx, card)
	}
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b euicc.Pending) int { return cmp(a.Sequence, b.Sequence) })
	return all, nil
}

func snapshotOneByOne(ctx context.Context, card *euicc.Card) ([]euicc.Pending, error) {
	list, err := card.Notifications(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b euicc.Notification) int { return cmp(a.Sequence, b.Sequence) })
	var all []euicc.Pending
	for _, n := range list {
		one, err := card.Retrieve(ctx, n.Sequence)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return all, nil
}

func cmp(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Deliver sends the notifications that wait on the eUICC: in order for each
// recipient, and no more to one that did not take the one before. Each is
// removed after its server acknowledged it. Only, if not empty, limits it to
// these numbers. The error is one of reading the eUICC; what became of each
// notification stands in the deliveries.
func Deliver(ctx context.Context, card *euicc.Card, client *Client, recorder Recorder, only ...int64) ([]Delivery, error) {
	all, err := Snapshot(ctx, card)
	if err != nil {
		return nil, err
	}
	o := outgoing{card: card, recorder: recorder, detail: Detail{HighWater: -1}}
	servers := map[string]*Server{}
	stuck := map[string]bool{}
	var deliveries []Delivery
	for _, n := range all {
		if len(only) > 0 && !slices.Contains(only, n.Sequence) {
			continue
		}
		if stuck[n.Address] {
			deliveries = append(deliveries, Delivery{Sequence: n.Sequence, Event: n.Event, ICCID: n.ICCID, Address: n.Address, Err: ErrEarlier})
			continue
		}
		o.detail.SMDP, o.detail.ICCID, o.detail.RawICCID = n.Address, n.ICCID, n.RawICCID
		d := o.deliver(ctx, func() (*Server, error) { return known(servers, client, n.Address) }, n)
		stuck[n.Address] = !d.Sent
		deliveries = append(deliveries, d)
	}
	return deliveries, nil
}

// ErrEarlier says that an earlier notification to the same recipient could not
// be delivered.
var ErrEarlier = errors.New("an earlier notification to this recipient comes first")

func known(servers map[string]*Server, client *Client, address string) (*Server, error) {
	if s, ok := servers[address]; ok {
		return s, nil
	}
	s, err := client.Server(address)
	if err == nil {
		servers[address] = s
	}
	return s, err
}

// Remove removes a notification that was delivered, after recording the intent.
func Remove(ctx context.Context, card *euicc.Card, recorder Recorder, sequence int64) error {
	return outgoing{card: card, recorder: recorder, detail: Detail{HighWater: -1}}.remove(ctx, sequence)
}
