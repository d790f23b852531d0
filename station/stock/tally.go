package stock

import (
	"fmt"

	"linefit/audit"
	"linefit/station"
)

// Tally counts a stock from entries alone, for one who has the log and not its
// projections. The entries come in their order, from the first one on.
type Tally struct {
	items    map[string]station.StockItem
	alarms   map[string]bool // open ones
	raised   map[string]bool
	low      map[station.StockKind]bool
	released int
	later    bool
}

// Add takes the next entry. An entry about the stock that cannot be read is an
// error.
func (t *Tally) Add(e audit.Entry) error {
	if e.Seq > 1 && t.items == nil {
		t.later = true
	}
	if t.items == nil {
		t.items, t.alarms, t.raised = map[string]station.StockItem{}, map[string]bool{}, map[string]bool{}
		t.low = map[station.StockKind]bool{}
	}
	if !speaksOfStock(e.Type) {
		return nil
	}
	f, err := station.Decode(e.Type, e.Data)
	if err != nil {
		return fmt.Errorf("stock: entry %d: %w", e.Seq, err)
	}
	switch f := f.(type) {
	case station.StockAlarm:
		if _, raised := t.raised[f.ID]; !raised {
			t.raised[f.ID], t.alarms[f.ID] = true, true
		}
	case station.StockAlarmEnded:
		delete(t.alarms, f.ID)
	case station.StockLow:
		t.low[f.Kind()] = true
	case station.StockEnough:
		delete(t.low, f.Kind())
	}
	handle, ok := station.StockHandle(f)
	if !ok {
		return nil
	}
	item, known := t.items[handle]
	if _, imports := f.(station.StockImported); imports == known {
		return nil // as in the projection: nothing is made up, and nothing replaces a known item
	}
	if _, released := f.(station.ProfileReleased); released {
		t.released++
	}
	t.items[handle] = item.Evolve(station.Envelope{Run: station.RunID(e.Run), Unit: station.Serial(e.Unit)}, f)
	return nil
}

// Count is the stock, and whether the entries say all of it: they do not where
// the log's beginning is in the archive.
func (t *Tally) Count() (n station.StockCount, whole bool) {
	n.Total, n.Released = len(t.items), t.released
	for _, i := range t.items {
		*counter(&n, i.State)++
	}
	n.Total -= n.Returned
	n.Alarms, n.Low = len(t.alarms), len(t.low)
	return n, !t.later
}
