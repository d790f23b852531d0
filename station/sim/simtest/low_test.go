package simtest_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"linefit/station"
	"linefit/station/sim/simtest"
	"linefit/station/stock"
)

// levels are the announcements in the log, in order.
func levels(t *testing.T, l *simtest.Line) (out []string) {
	t.Helper()
	for _, e := range l.Entries() {
		if e.Type != (station.StockLow{}).FactType() && e.Type != (station.StockEnough{}).FactType() {
			continue
		}
		f, err := station.Decode(e.Type, e.Data)
		if err != nil {
			t.Fatal(err)
		}
		switch f := f.(type) {
		case station.StockLow:
			out = append(out, fmt.Sprintf("low %d/%d again %d", f.Left, f.Low, f.Again))
		case station.StockEnough:
			out = append(out, fmt.Sprintf("enough %d", f.Left))
		}
	}
	return out
}

// TestLowStockIsAnnouncedOnce per crossing, at once, with a gap between low and
// enough; again when nothing is left, and after the time in the station file.
func TestLowStockIsAnnouncedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Units: 6, Spare: -1, Low: stock.LowRule{Low: 3, Clear: 5, Repeat: time.Hour}})
		want := []string{}
		expect := func(more ...string) {
			t.Helper()
			time.Sleep(5 * time.Second)
			synctest.Wait()
			want = append(want, more...)
			if got := levels(t, l); !slices.Equal(got, want) {
				t.Fatalf("announced %q, want %q", got, want)
			}
		}
		pass(t, l, 3)
		expect() // 3 are left
		pass(t, l, 1)
		expect("low 2/3 again 0")
		l.Reopen() // it is remembered
		pass(t, l, 1)
		expect()
		if n := counts(t, l); n.Low != 1 {
			t.Errorf("%+v", n)
		}
		time.Sleep(time.Hour)
		expect("low 1/3 again 1")
		pass(t, l, 1)
		expect("low 0/3 again 1") // and that nothing is left
		add := func(n, from int) {
			list := "batch,activation_code\n"
			for i := range n {
				list += fmt.Sprintf("B2,LPA:1$smdp.linefit.test$MORE-%d\n", from+i)
			}
			if _, err := l.Station.Room().Import(t.Context(), station.Person{Actor: "lead-1", Role: station.RoleLead}, stock.Source{Name: "more.csv", Data: []byte(list)}); err != nil {
				t.Fatal(err)
			}
		}
		add(4, 0)
		expect() // more than low, not yet enough: nothing is said
		add(1, 4)
		expect("enough 5")
		if n := counts(t, l); n.Low != 0 {
			t.Errorf("%+v", n)
		}
		time.Sleep(3 * time.Hour)
		expect()
		l.Drain()
		if n := l.World.MES().Types()["linefit.StockLow.v1"]; n != len(want) {
			t.Errorf("the MES heard %d times, the log has %q", n, want)
		}
	})
}
