package stock

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"linefit/audit"
	"linefit/station"
)

// LowRule says when it is announced that profiles run out.
type LowRule struct {
	// Low is the number below which a kind runs out; 0: nothing is announced,
	// Twentieth: below a twentieth of what was ever imported of the kind.
	Low int
	// Clear is the number from which on there are enough again. Between the two
	// nothing is announced, so that a stock about the threshold is announced
	// once. 0: a quarter more than Low.
	Clear int
	// Repeat is the time after which it is announced again; 0: never.
	Repeat time.Duration
}

// Twentieth is the threshold that follows from what was imported.
const Twentieth = -1

// of is the rule for one kind.
func (r LowRule) of(l Level) LowRule {
	if r.Low == Twentieth {
		r.Low = max(1, l.Imported/20)
	}
	if r.Clear > 0 {
		r.Clear = max(r.Clear, r.Low)
	} else {
		r.Clear = r.Low + max(1, r.Low/4)
	}
	return r
}

// LowState is what was announced of a kind that runs out.
type LowState struct {
	At    time.Time `json:"at"`
	Left  int       `json:"left"`
	Again int       `json:"again,omitempty"`
}

// Level is how much is left of a kind, for any eUICC.
type Level struct {
	station.StockKind
	Left     int `json:"left"`
	Imported int `json:"imported"` // ever
	// Announced is set while it is announced that the kind runs out.
	Announced *LowState `json:"announced,omitempty"`
}

func (c class) kind() station.StockKind {
	return station.StockKind{Customer: c.Customer, SKU: c.SKU, Operator: c.Operator, Region: c.Region}
}

// kindKey writes a kind as a JSON array, as [class] does.
func kindKey(k station.StockKind) string {
	b, err := json.Marshal([4]string{k.Customer, k.SKU, k.Operator, k.Region})
	if err != nil { // strings always marshal
		panic(err)
	}
	return string(b)
}

func low(txn audit.Txn, e audit.Entry, f station.StockLow) error {
	key := "l/" + kindKey(f.Kind())
	if _, had, err := txn.Get([]byte(key)); err != nil {
		return err
	} else if !had {
		if err := recount(txn, func(n *station.StockCount) { n.Low++ }); err != nil {
			return err
		}
	}
	return audit.SetJSON(txn, key, LowState{At: e.UTC, Left: f.Left, Again: f.Again})
}

func enough(txn audit.Txn, f station.StockEnough) error {
	key := []byte("l/" + kindKey(f.Kind()))
	if _, had, err := txn.Get(key); err != nil || !had {
		return err
	}
	if err := recount(txn, func(n *station.StockCount) { n.Low-- }); err != nil {
		return err
	}
	return txn.Delete(key)
}

// Levels says how much is left of every kind that was ever there, those that
// expired left out.
func Levels(v audit.View, at time.Time) ([]Level, error) {
	r, err := projection(v)
	if err != nil {
		return nil, err
	}
	left := map[station.StockKind]int{}
	err = eachClass(r, func(c class, l list) error {
		if !expired(c.Expires, at) {
			left[c.kind()] += l.Left
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []Level
	err = r.Iterate([]byte("y/"), func(key, value []byte) error {
		var k [4]string
		if err := json.Unmarshal(key[2:], &k); err != nil {
			return fmt.Errorf("stock: key %q: %w", key, err)
		}
		l := Level{StockKind: station.StockKind{Customer: k[0], SKU: k[1], Operator: k[2], Region: k[3]}}
		l.Left = left[l.StockKind]
		if err := json.Unmarshal(value, &l.Imported); err != nil {
			return fmt.Errorf("stock: key %q: %w", key, err)
		}
		var s LowState
		announced, err := audit.GetJSON(r, "l/"+string(key[2:]), &s)
		if announced {
			l.Announced = &s
		}
		out = append(out, l)
		return err
	})
	return out, err
}

// Announce writes what is to be announced now of kinds that run out, or of which
// there are enough again. It returns that, and when something is to be repeated,
// zero where nothing is.
func (l *Ledger) Announce(ctx context.Context, rule LowRule, at time.Time, j Journal) (facts []station.Fact, next time.Time, err error) {
	if rule.Low == 0 || l.mes {
		return nil, next, nil
	}
	err = l.views(func(v audit.View) error {
		levels, err := Levels(v, at)
		for _, level := range levels {
			f, again := rule.judge(level, at)
			if f != nil {
				facts = append(facts, f)
			}
			if !again.IsZero() && (next.IsZero() || again.Before(next)) {
				next = again
			}
		}
		return err
	})
	if err != nil || len(facts) == 0 {
		return nil, next, err
	}
	if err := writeFacts(ctx, station.Scope{}, j, facts); err != nil {
		return nil, next, fmt.Errorf("stock: announce: %w", err)
	}
	return facts, next, nil
}

// judge says what is to be announced of a kind, and when to look again.
func (r LowRule) judge(l Level, at time.Time) (f station.Fact, again time.Time) {
	r = r.of(l)
	said := l.Announced
	repeat := func(from time.Time) time.Time {
		if r.Repeat <= 0 {
			return time.Time{}
		}
		return from.Add(r.Repeat)
	}
	switch {
	case said != nil && l.Left >= r.Clear:
		return station.StockEnough{Customer: l.Customer, SKU: l.SKU, Operator: l.Operator, Region: l.Region, Left: l.Left}, time.Time{}
	case said == nil && l.Left >= r.Low:
		return nil, time.Time{}
	case said == nil:
		return r.low(l, 0), repeat(at)
	case l.Left == 0 && said.Left > 0:
		return r.low(l, said.Again), repeat(at)
	case r.Repeat > 0 && !at.Before(said.At.Add(r.Repeat)):
		return r.low(l, said.Again+1), repeat(at)
	}
	return nil, repeat(said.At)
}

func (r LowRule) low(l Level, again int) station.StockLow {
	return station.StockLow{Customer: l.Customer, SKU: l.SKU, Operator: l.Operator, Region: l.Region, Left: l.Left, Low: r.Low, Again: again}
}
