package mes

import (
	"errors"
	"fmt"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Outcomes of what the MES has handed out, in the data of ProfileSettled.
const (
	// OutcomeInstalled confirms it: it is on the eUICC that is named.
	OutcomeInstalled = "installed"
	// OutcomeReturned gives it back: it is provably unused, or a person has said
	// that the provider made it so.
	OutcomeReturned = "returned"
	// OutcomeQuarantined keeps it: nobody else may get it. With the reason
	// profile.same_euicc its order lives, for the eUICC that is named.
	OutcomeQuarantined = "quarantined"
	// OutcomeSpent says that it is used up without being installed.
	OutcomeSpent = "spent"
	// OutcomeRefused says that it was never taken: the reason says why.
	OutcomeRefused = "refused"
)

var outcomes = map[station.StockState]string{
	station.StockInstalled: OutcomeInstalled, station.StockReturned: OutcomeReturned,
	station.StockQuarantined: OutcomeQuarantined, station.StockSpent: OutcomeSpent,
}

// ProfileEvent is the data of ProfileSettled: what became of a code that the MES
// has handed out with a route check. It never has the code.
type ProfileEvent struct {
	Seq       uint64           `json:"seq"`
	Ref       string           `json:"ref"` // of the route check's answer
	Outcome   string           `json:"outcome"`
	Handle    string           `json:"handle,omitempty"`
	Unit      station.Serial   `json:"unit"`
	Run       station.RunID    `json:"run,omitempty"`
	ICCID     ident.ICCID      `json:"iccid,omitempty"`
	EID       ident.EID        `json:"eid,omitempty"` // that has it, or for which its order was asked
	SMDP      string           `json:"smdp,omitempty"`
	Batch     string           `json:"batch,omitempty"`
	Downloads int              `json:"downloads"` // bound packages that were asked for
	Reason    *station.Reason  `json:"reason,omitempty"`
	Evidence  *ProfileEvidence `json:"evidence,omitempty"`
	Equipment Equipment        `json:"equipment"`
	Simulated bool             `json:"simulated,omitempty"`
}

// ProfileEvidence is what the eUICC has said of the last load.
type ProfileEvidence struct {
	Entry       uint64 `json:"entry"` // in the station's log
	State       string `json:"state"`
	By          string `json:"by,omitempty"`          // answer, or reconcile
	Transaction string `json:"transaction,omitempty"` // hexadecimal
	AID         string `json:"aid,omitempty"`
	Sequence    int64  `json:"sequence,omitempty"` // of the eUICC's signed notification
	Code        string `json:"code,omitempty"`
}

// StockEvent is the data of StockAlarm and StockLow.
type StockEvent struct {
	Seq       uint64                   `json:"seq"`
	Alarm     *station.StockAlarm      `json:"alarm,omitempty"`
	Ended     *station.StockAlarmEnded `json:"ended,omitempty"`
	Low       *station.StockLow        `json:"low,omitempty"`
	Enough    *station.StockEnough     `json:"enough,omitempty"`
	Actor     station.Actor            `json:"actor,omitempty"`
	Equipment Equipment                `json:"equipment"`
	Simulated bool                     `json:"simulated,omitempty"`
}

// issued is what the outbox knows of a profile that the MES has handed out.
type issued struct {
	Item station.StockItem `json:"item"`
	From uint64            `json:"from"` // entry behind which the evidence stands
}

// stock makes the events about the stock.
func (b box) stock(e audit.Entry, f station.Fact) error {
	opened, err := b.station()
	if err != nil {
		return err
	}
	at := Refs{Seq: e.Seq, Opened: opened}
	unit := station.Serial(e.Unit)
	switch f := f.(type) {
	case station.StockAlarm, station.StockAlarmEnded:
		return b.enqueue(Item{ID: entryID(e, StockAlarm), Kind: StockAlarm, Refs: at})
	case station.StockLow, station.StockEnough:
		return b.enqueue(Item{ID: entryID(e, StockLow), Kind: StockLow, Refs: at})
	case station.StockRefused:
		return b.enqueue(Item{
			ID: entryID(e, ProfileSettled), Kind: ProfileSettled, Unit: unit, Run: f.Run, Outcome: OutcomeRefused,
			Profile: &station.StockItem{Issue: f.Issue, Unit: unit, Run: f.Run, Reason: &f.Reason}, Refs: at,
		})
	case station.StockImported:
		if f.Issue == "" {
			return nil
		}
		return b.put("c/"+f.Handle, issued{Item: station.StockItem{}.Evolve(station.Envelope{}, f), From: e.Seq})
	}
	handle, ok := station.StockHandle(f)
	if !ok {
		return nil
	}
	var have issued
	if known, err := audit.GetJSON(b, "c/"+handle, &have); err != nil || !known {
		return err
	}
	before := have.Item
	have.Item = before.Evolve(station.Envelope{Run: station.RunID(e.Run), Unit: unit}, f)
	if _, reserved := f.(station.ProfileReserved); reserved {
		have.From = e.Seq
	}
	outcome := outcomes[have.Item.State]
	_, intent := f.(station.Intent)
	if outcome != "" && !intent && (before.State != have.Item.State || before.Reason != have.Item.Reason || before.EID != have.Item.EID) {
		at.Started = have.From
		item := have.Item
		err := b.enqueue(Item{ID: entryID(e, ProfileSettled), Kind: ProfileSettled, Unit: item.Unit, Run: item.Run, Outcome: outcome, Profile: &item, Refs: at})
		if err != nil {
			return err
		}
	}
	if have.Item.State == station.StockReturned {
		return b.Delete([]byte("c/" + handle))
	}
	return b.put("c/"+handle, have)
}

// entryID names an event after the entry that it tells: by the random name of the
// process that wrote it, since an MES hears of many stations.
func entryID(e audit.Entry, k Kind) string { return EventID(fmt.Sprintf("%s-%d", e.Boot, e.Seq), k) }

// profileEvent makes the data of ProfileSettled.
func profileEvent(v audit.View, it Item) (p ProfileEvent, err error) {
	e, err := v.Entry(it.Seq)
	if err != nil {
		return p, fmt.Errorf("mes: %w", err)
	}
	i := it.Profile
	p = ProfileEvent{
		Seq: it.Seq, Ref: i.Issue, Outcome: it.Outcome, Handle: i.Handle, Unit: it.Unit, Run: it.Run, ICCID: i.ICCID, EID: i.EID, SMDP: i.SMDP,
		Batch: i.Batch, Downloads: i.Downloads, Reason: i.Reason, Simulated: e.Sim,
	}
	if p.Equipment, err = equipment(v, it.Opened); err != nil || i.EID == "" {
		return p, err
	}
	p.Evidence, err = evidenceOf(v, it)
	return p, err
}

// evidenceOf finds the result of the last load before the event's entry.
func evidenceOf(v audit.View, it Item) (found *ProfileEvidence, err error) {
	transactions := map[int]string{}
	for e, err := range v.Unit(string(it.Unit)) {
		switch {
		case errors.Is(err, audit.ErrArchived):
			continue
		case err != nil:
			return nil, fmt.Errorf("mes: %w", err)
		case e.Seq >= it.Seq:
			return found, nil
		case e.Seq < it.Started || station.RunID(e.Run) != it.Run || !evidence[e.Type]:
			continue
		}
		f, err := station.Decode(e.Type, e.Data)
		if err != nil {
			return nil, fmt.Errorf("mes: entry %d: %w", e.Seq, err)
		}
		switch f := f.(type) {
		case station.Intent:
			transactions[f.Number] = f.Transaction
		case station.Result:
			if f.Effect == station.EffectLoad {
				found = &ProfileEvidence{
					Entry: e.Seq, State: f.State, By: f.By, Transaction: transactions[f.Number], AID: f.AID, Sequence: f.Sequence, Code: f.Code,
				}
			}
		}
	}
	return found, nil
}

var evidence = typesOf(station.Intent{}, station.Result{})

// stockEvent makes the data of StockAlarm and StockLow.
func stockEvent(v audit.View, it Item) (s StockEvent, err error) {
	e, err := v.Entry(it.Seq)
	if err != nil {
		return s, fmt.Errorf("mes: %w", err)
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return s, fmt.Errorf("mes: entry %d: %w", it.Seq, err)
	}
	s = StockEvent{Seq: it.Seq, Actor: station.Actor(e.Actor), Simulated: e.Sim}
	switch f := f.(type) {
	case station.StockAlarm:
		s.Alarm = &f
	case station.StockAlarmEnded:
		s.Ended = &f
	case station.StockLow:
		s.Low = &f
	case station.StockEnough:
		s.Enough = &f
	default:
		return s, fmt.Errorf("mes: entry %d is of type %s", it.Seq, e.Type)
	}
	s.Equipment, err = equipment(v, it.Opened)
	return s, err
}
