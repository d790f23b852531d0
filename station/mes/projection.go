package mes

import (
	"encoding/binary"
	"fmt"

	"linefit/audit"
	"linefit/station"
)

// OutboxProjectionName is the name of the outbox's projection. Its number
// changes whenever the same entries would give another state.
const OutboxProjectionName = "outbox/2"

// OutboxProjection derives from the log what the MES has still to be told. Its
// keys:
//
//	on          set while the station has an MES
//	s           number of the newest station.opened entry
//	o/<run>     Refs of a run whose unit is in its slot
//	r/<n>       Refs of the nth result, for pulling; from 1 without a gap
//	rn          how many results there are
//	e/<id>      Item; a delivered one is kept only until the unit has left
//	c/<handle>  issued, of a profile that the MES has handed out
//	p/<seq>     id of a pending event, in the order of the log
//	x/<seq>     id of a parked event
//	n           OutboxCount
//
// n and seq are eight bytes, big-endian.
type OutboxProjection struct{}

// Name implements audit.Projection.
func (OutboxProjection) Name() string { return OutboxProjectionName }

// ItemState is where an event is.
type ItemState string

// States of an event.
const (
	ItemPending   ItemState = "pending"
	ItemDelivered ItemState = "delivered"
	ItemRejected  ItemState = "rejected" // parked: refused for good
)

// Refs are the numbers of the entries that a result is made of.
type Refs struct {
	Seq        uint64   `json:"seq,omitempty"` // of the disposition
	Opened     uint64   `json:"opened,omitempty"`
	Started    uint64   `json:"started,omitempty"`
	Identified []uint64 `json:"identified,omitempty"`
	Verdict    uint64   `json:"verdict,omitempty"`
}

// maxIdentified bounds the entries of one run's identity; a run that is tried
// again and again identifies its unit each time, and the newest count.
const maxIdentified = 16

// Item is an event in the outbox.
type Item struct {
	ID     string         `json:"id"`
	Kind   Kind           `json:"kind"`
	Unit   station.Serial `json:"unit"`
	Run    station.RunID  `json:"run,omitempty"`
	Slot   int            `json:"slot,omitempty"`
	State  ItemState      `json:"state"`
	Status int            `json:"status,omitempty"` // HTTP status of the last answer
	Answer string         `json:"answer,omitempty"`
	Ref    string         `json:"ref,omitempty"`
	Detail string         `json:"detail,omitempty"`
	// Outcome and Profile are those of ProfileSettled, as of its entry.
	Outcome string             `json:"outcome,omitempty"`
	Profile *station.StockItem `json:"profile,omitempty"`
	Refs
}

// OutboxCount counts events.
type OutboxCount struct {
	Delivered int `json:"delivered"`
	Pending   int `json:"pending"`
	Rejected  int `json:"rejected"`
}

func seqKey(prefix string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(prefix), seq)
}

// Apply implements audit.Projection.
func (OutboxProjection) Apply(txn audit.Txn, e audit.Entry) error {
	if !outboxTypes[e.Type] {
		return nil
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return fmt.Errorf("mes: entry %d: %w", e.Seq, err)
	}
	b := box{txn}
	switch f := f.(type) {
	case station.StationOpened:
		return b.opened(e.Seq, f)
	case station.RunStarted:
		opened, err := b.station()
		if err != nil {
			return err
		}
		return b.put("o/"+e.Run, Refs{Opened: opened, Started: e.Seq})
	case station.UnitIdentified, station.RunVerdict, station.UnitDisposed:
		return b.run(e, f)
	case station.UnitLeft:
		return b.left(e.Run)
	case station.TicketRepaired:
		return b.ticket(e, f.Ticket, UnitsRepaired)
	case station.TicketClosed:
		if f.Disposition == station.Scrap && station.Actor(e.Actor) != station.ActorStation { // the policy's own choice is in the result
			return b.ticket(e, f.Ticket, UnitsDisqualified)
		}
	case station.LotHalted, station.LotCleared:
		return b.lot(e)
	case station.OutboxDelivered:
		return b.move(f.Event, func(it *Item) {
			it.State, it.Status, it.Answer, it.Ref, it.Detail = ItemDelivered, f.Status, f.Answer, f.Ref, f.Detail
		})
	case station.OutboxRejected:
		return b.move(f.Event, func(it *Item) { it.State, it.Status, it.Detail = ItemRejected, f.Status, f.Detail })
	case station.OutboxReplayed:
		return b.move(f.Event, func(it *Item) { it.State, it.Status, it.Detail = ItemPending, 0, "" })
	default:
		return b.stock(e, f)
	}
	return nil
}

var outboxTypes = typesOf(station.StationOpened{}, station.RunStarted{}, station.UnitIdentified{}, station.RunVerdict{},
	station.UnitDisposed{}, station.UnitLeft{}, station.TicketRepaired{}, station.TicketClosed{},
	station.OutboxDelivered{}, station.OutboxRejected{}, station.OutboxReplayed{}, station.LotHalted{}, station.LotCleared{},
	station.StockImported{}, station.ProfileReserved{}, station.Intent{}, station.ProfileCommitted{}, station.ProfileReleased{}, station.ProfileQuarantined{},
	station.ProfileSpent{}, station.StockRefused{}, station.StockAlarm{}, station.StockAlarmEnded{}, station.StockLow{}, station.StockEnough{})

func typesOf(facts ...station.Fact) map[string]bool {
	m := make(map[string]bool, len(facts))
	for _, f := range facts {
		m[f.FactType()] = true
	}
	return m
}

// box is the projection's state.
type box struct{ audit.Txn }

func (b box) put(key string, v any) error { return audit.SetJSON(b, key, v) }

func (b box) opened(seq uint64, f station.StationOpened) error {
	if err := b.put("s", seq); err != nil {
		return err
	}
	if f.MES == "" || f.MES == "none" {
		return b.Delete([]byte("on"))
	}
	return b.Set([]byte("on"), []byte("1"))
}

func (b box) station() (uint64, error) {
	var seq uint64
	_, err := audit.GetJSON(b, "s", &seq)
	return seq, err
}

// run keeps track of the entries that a run's result is made of.
func (b box) run(e audit.Entry, f station.Fact) error {
	var refs Refs
	ok, err := audit.GetJSON(b, "o/"+e.Run, &refs)
	if err != nil || !ok {
		return err
	}
	switch f.(type) {
	case station.UnitIdentified:
		refs.Identified = append(refs.Identified, e.Seq)
		if len(refs.Identified) > maxIdentified {
			refs.Identified = refs.Identified[1:]
		}
	case station.RunVerdict:
		refs.Verdict = e.Seq
	case station.UnitDisposed:
		return b.disposed(e, refs)
	}
	return b.put("o/"+e.Run, refs)
}

// disposed makes a result, and its event where there is an MES and the run has
// none yet: a later disposition is the MES's own answer.
func (b box) disposed(e audit.Entry, refs Refs) error {
	refs.Seq = e.Seq
	var n uint64
	if _, err := audit.GetJSON(b, "rn", &n); err != nil {
		return err
	}
	n++
	if err := b.put("rn", n); err != nil {
		return err
	}
	if err := b.put(string(seqKey("r/", n)), refs); err != nil {
		return err
	}
	return b.enqueue(Item{
		ID: EventID(e.Run, UnitsTested), Kind: UnitsTested, Unit: station.Serial(e.Unit), Run: station.RunID(e.Run), Slot: e.Slot, Refs: refs,
	})
}

func (b box) ticket(e audit.Entry, ticket string, k Kind) error {
	opened, err := b.station()
	if err != nil {
		return err
	}
	return b.enqueue(Item{
		ID: EventID(ticket, k), Kind: k, Unit: station.Serial(e.Unit), Run: station.RunID(e.Run), Refs: Refs{Seq: e.Seq, Opened: opened},
	})
}

func (b box) enqueue(it Item) error {
	if _, on, err := b.Get([]byte("on")); err != nil || !on {
		return err
	}
	if _, there, err := b.Get([]byte("e/" + it.ID)); err != nil || there {
		return err
	}
	it.State = ItemPending
	if err := b.Set(seqKey("p/", it.Seq), []byte(it.ID)); err != nil {
		return err
	}
	if err := b.put("e/"+it.ID, it); err != nil {
		return err
	}
	return b.count("", ItemPending)
}

// move takes an event from one state to another.
func (b box) move(id string, change func(*Item)) error {
	var it Item
	ok, err := audit.GetJSON(b, "e/"+id, &it)
	if err != nil || !ok {
		return err
	}
	from := it.State
	change(&it)
	if from == it.State || from == ItemDelivered {
		return nil // told twice: the first time counts
	}
	if err := b.Delete(seqKey(place(from), it.Seq)); err != nil {
		return err
	}
	if err := b.count(from, it.State); err != nil {
		return err
	}
	if it.State != ItemDelivered {
		if err := b.Set(seqKey(place(it.State), it.Seq), []byte(id)); err != nil {
			return err
		}
		return b.put("e/"+id, it)
	}
	if _, there, err := b.Get([]byte("o/" + string(it.Run))); err != nil || it.Kind != UnitsTested || !there {
		return firstError(err, b.Delete([]byte("e/"+id)))
	}
	return b.put("e/"+id, it) // the slot may still ask what the MES answered
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func place(s ItemState) string {
	if s == ItemRejected {
		return "x/"
	}
	return "p/"
}

// left forgets what only a unit in its slot needs.
func (b box) left(run string) error {
	var it Item
	id := EventID(run, UnitsTested)
	ok, err := audit.GetJSON(b, "e/"+id, &it)
	if err != nil {
		return err
	}
	if ok && it.State == ItemDelivered {
		if err := b.Delete([]byte("e/" + id)); err != nil {
			return err
		}
	}
	return b.Delete([]byte("o/" + run))
}

func (b box) count(from, to ItemState) error {
	var n OutboxCount
	if _, err := audit.GetJSON(b, "n", &n); err != nil {
		return err
	}
	for s, d := range map[ItemState]int{from: -1, to: 1} {
		switch s {
		case ItemPending:
			n.Pending += d
		case ItemRejected:
			n.Rejected += d
		case ItemDelivered:
			n.Delivered += d
		}
	}
	return b.put("n", n)
}
