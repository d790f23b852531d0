package ifpp

import (
	"slices"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// history is what the log says that a loading report tells and the stock does
// not know: which units had which eUICC, and what became of them.
type history struct {
	station   string
	simulated bool
	utc       string // of the newest entry

	cards map[ident.EID]*cardHistory
	units map[station.Serial]bool // scrapped
	runs  map[station.RunID]ident.EID
	loads map[string]*loadHistory // by the package's handle
}

type cardHistory struct {
	units    []station.Serial
	answered bool
	closed   bool
}

type loadHistory struct {
	unit station.Serial
	at   string
	seq  uint64
}

func newHistory() *history {
	return &history{
		cards: map[ident.EID]*cardHistory{}, units: map[station.Serial]bool{}, runs: map[station.RunID]ident.EID{}, loads: map[string]*loadHistory{},
	}
}

// told are the facts that matter here.
var told = station.TypesOf(
	station.StationOpened{}, station.RunStarted{}, station.UnitIdentified{}, station.Intent{}, station.Result{},
	station.RunVerdict{}, station.UnitDisposed{}, station.TicketClosed{},
)

// add takes the next entry.
func (h *history) add(e audit.Entry) error {
	h.utc, h.simulated = e.UTC.UTC().Format(time.RFC3339), h.simulated || e.Sim
	if !told[e.Type] {
		return nil
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return err
	}
	unit, run := station.Serial(e.Unit), station.RunID(e.Run)
	switch f := f.(type) {
	case station.StationOpened:
		h.station = f.Station
	case station.RunStarted:
		h.seen(f.Expect.EID, unit)
	case station.UnitIdentified:
		if c := h.seen(f.EID, unit); c != nil {
			c.answered, h.runs[run] = true, f.EID
		}
	case station.Intent:
		if f.Effect == station.EffectLoad && f.Profile != "" {
			h.loads[f.Profile] = &loadHistory{unit: unit, at: h.utc, seq: e.Seq}
		}
	case station.Result:
		h.result(f, run, e.Seq)
	case station.RunVerdict:
		c := h.seen(f.EID, unit)
		if c != nil && f.Evidence != nil && f.Evidence.EID == f.EID && f.Evidence.Keys == "0" {
			c.closed = true
		}
	case station.UnitDisposed:
		h.units[unit] = f.Disposition == station.Scrap
	case station.TicketClosed:
		h.units[unit] = f.Disposition == station.Scrap
	}
	return nil
}

// seen ties a unit to an eUICC, which it has or is expected to have.
func (h *history) seen(eid ident.EID, unit station.Serial) *cardHistory {
	if eid == "" {
		return nil
	}
	c := h.cards[eid]
	if c == nil {
		c = &cardHistory{}
		h.cards[eid] = c
	}
	if !slices.Contains(c.units, unit) {
		c.units = append(c.units, unit)
	}
	return c
}

// result takes the end of a load, or of the deletion of keys.
func (h *history) result(f station.Result, run station.RunID, seq uint64) {
	switch f.Effect {
	case station.EffectLoad:
		if l := h.loads[f.Profile]; l != nil {
			l.at, l.seq = h.utc, seq
		}
	case station.EffectDeleteKeys:
		if c := h.cards[h.runs[run]]; c != nil && f.Outcome == station.OK {
			c.closed = true
		}
	}
}

// card says how far an eUICC is.
func (h *history) card(eid ident.EID) Card {
	card := Card{EID: eid, Status: NotSeen}
	c := h.cards[eid]
	if c == nil {
		return card
	}
	card.Units, card.Answered = c.units, c.answered
	scrapped := !slices.ContainsFunc(c.units, func(u station.Serial) bool { return !h.units[u] })
	switch {
	case scrapped:
		card.Status = Scrapped
	case c.closed:
		card.Status = Closed
	case c.answered:
		card.Status = Open
	default:
		card.Status = NoAnswer
	}
	return card
}
