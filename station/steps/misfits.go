package steps

import (
	"fmt"
	"slices"
	"strings"

	"linefit/station"
	"linefit/station/stock"
)

// misfits tells of packages that are there for this eUICC and not for this run.
func (l *packageLoad) misfits(want stock.Want) string {
	items, err := l.s.bench.opt.Items.OfEUICC(want.EID)
	if err != nil {
		return ""
	}
	var of []string
	for _, i := range items {
		if i.Kind == want.Kind && i.State == station.StockAvailable && !slices.Contains(want.Not, i.Handle) {
			of = append(of, fmt.Sprintf("%q in batch %s", i.Operator, i.Batch))
		}
	}
	if len(of) == 0 {
		return ""
	}
	slices.Sort(of)
	return fmt.Sprintf("; in stock for it, and not what the recipe and the order ask for: %d, of operator %s", len(of), strings.Join(slices.Compact(of), ", "))
}
