package sim

import (
	"fmt"

	"linefit/modem/ident"
	"linefit/station"
)

// Books are what a station's log says of its profiles.
type Books struct {
	Count station.StockCount
	Items []station.StockItem
}

// Profiles counts the profiles of a line by what became of them. Each stands in
// one place; one of which books and world say something else is unaccounted.
type Profiles struct {
	Total       int `json:"total"`
	Available   int `json:"available"`
	Reserved    int `json:"reserved"`
	Installed   int `json:"installed"`
	Quarantined int `json:"quarantined"`
	Spent       int `json:"spent"`
	Unaccounted int `json:"unaccounted"`
	Released    int `json:"released"` // release events
}

// Compare holds the books against the cards and the SM-DP+, and names every
// profile of which they say something else.
func (b Books) Compare(a Account) (Profiles, []string) {
	s := Profiles{
		Total: b.Count.Total, Available: b.Count.Available, Reserved: b.Count.Reserved, Installed: b.Count.Installed,
		Quarantined: b.Count.Quarantined, Spent: b.Count.Spent, Released: b.Count.Released,
	}
	on := map[ident.ICCID][]ident.EID{}
	for eid, profiles := range a.Cards {
		for _, p := range profiles {
			if !p.Preloaded { // its maker's
				on[p.ICCID] = append(on[p.ICCID], eid)
			}
		}
	}
	var problems []string
	for _, i := range b.Items {
		if i.State == station.StockReturned {
			continue // the MES's again
		}
		if what := a.contradicts(i, on[i.ICCID]); what != "" {
			problems = append(problems, fmt.Sprintf("profile %s (%s): %s", i.ICCID, i.State, what))
			s.misplace(i.State)
		}
		delete(on, i.ICCID)
	}
	for iccid, eids := range on {
		problems = append(problems, fmt.Sprintf("profile %s is on %v and in no book", iccid, eids))
	}
	return s, problems
}

// contradicts says in what the world does not agree with the books about a
// profile, which is on these cards; empty where it does.
func (a Account) contradicts(i station.StockItem, cards []ident.EID) string {
	order, known := a.Orders[i.ICCID]
	switch {
	case !known:
		return "the SM-DP+ has no such order"
	case i.Kind == station.KindPreparedPackage:
		return a.contradictsPackage(i, order, cards)
	case len(cards) > 1:
		return fmt.Sprintf("it is on %d eUICCs", len(cards))
	case i.State == station.StockInstalled && (len(cards) != 1 || cards[0] != i.EID):
		return fmt.Sprintf("the log says installed on %s, the cards say %v", i.EID, cards)
	case i.State == station.StockAvailable && (len(cards) > 0 || order.Deliveries > 0):
		return fmt.Sprintf("the log says available; %d deliveries, on %v", order.Deliveries, cards)
	case i.State == station.StockSpent && len(cards) > 0:
		return fmt.Sprintf("the log says spent, it is on %v", cards)
	case order.Deliveries > order.Attempts || len(order.Installs) > 1:
		return fmt.Sprintf("%d deliveries of %d allowed, %d installations", order.Deliveries, order.Attempts, len(order.Installs))
	case order.Deliveries > i.Downloads:
		return fmt.Sprintf("%d deliveries, the log has asked for %d", order.Deliveries, i.Downloads)
	case len(order.Consumers()) > 1:
		return fmt.Sprintf("several eUICCs asked for it: %v", order.Consumers())
	}
	return ""
}

func (s *Profiles) misplace(state station.StockState) {
	s.Unaccounted++
	switch state {
	case station.StockAvailable:
		s.Available--
	case station.StockReserved:
		s.Reserved--
	case station.StockInstalled:
		s.Installed--
	case station.StockQuarantined:
		s.Quarantined--
	case station.StockSpent:
		s.Spent--
	}
}
