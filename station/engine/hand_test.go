package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"linefit/audit"
	"linefit/station"
	"linefit/station/engine"
)

var lead = station.Person{Actor: "ann", Role: station.RoleLead}

// lendAsync lends slot 1 to work that goes on until it is told to end.
func (l *line) lendAsync(work func(context.Context, *engine.Loan) station.HandEnded) <-chan error {
	done := make(chan error, 1)
	go func() { done <- l.eng.Lend(context.Background(), 1, lead, "enable", work) }()
	synctest.Wait()
	return done
}

func (l *line) facts(slot int, prefix string) (list []string) {
	for _, name := range l.types(slot) {
		if strings.HasPrefix(name, prefix) {
			list = append(list, name)
		}
	}
	return list
}

// While a person works in a slot nothing else does, and everybody sees it; the
// slot is afterwards what it was before.
func TestLentSlotIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 1)
		l.start()
		defer func() { l.stop() }()
		end := make(chan struct{})
		done := l.lendAsync(func(ctx context.Context, loan *engine.Loan) station.HandEnded {
			if err := loan.Record(ctx, station.HandIntent{Effect: station.EffectEnable, Number: 1}); err != nil {
				t.Error(err)
			}
			<-end
			if err := loan.Record(ctx, station.HandResult{Effect: station.EffectEnable, Number: 1, Outcome: station.OK}); err != nil {
				t.Error(err)
			}
			return station.HandEnded{Outcome: station.OK}
		})
		if v := l.view(1); v.State != station.SlotHand || v.Lamp != station.LampBusy {
			t.Errorf("%+v", v)
		}
		var refusal *station.Refusal
		for _, cmd := range []station.Command{{Kind: station.CmdStart, Slot: 1, Unit: "SN1"}, {Kind: station.CmdDisable, Slot: 1}, {Kind: station.CmdScan, Text: "SN1", Slot: 1}} {
			if err := l.do(cmd); !errors.As(err, &refusal) {
				t.Errorf("%s: %v", cmd.Kind, err)
			}
		}
		if err := l.eng.Lend(context.Background(), 1, lead, "delete", nil); !errors.As(err, &refusal) || refusal.Reason.Code != station.SlotNotReady {
			t.Errorf("lent twice: %v", err)
		}
		close(end)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if v := l.view(1); v.State != station.SlotEmpty || v.Lamp != station.LampOff {
			t.Errorf("%+v", v)
		}
		if got := l.facts(1, "hand."); !slices.Equal(got, []string{"hand.started/1", "hand.intent/1", "hand.result/1", "hand.ended/1"}) {
			t.Errorf("%v", got)
		}
		l.jigs[1].put(true)
		if err := l.do(station.Command{Kind: station.CmdStart, Slot: 1, Unit: "SN1"}); err != nil {
			t.Error(err)
		}
	})
}

// An emergency stop, an abort and the station's own end reach into the work; a
// panic in it is an end too.
func TestLentSlotIsTakenBack(t *testing.T) {
	ways := map[string]func(l *line){
		"emergency stop": func(l *line) { _ = l.do(station.Command{Kind: station.CmdHalt}) },
		"abort":          func(l *line) { _ = l.do(station.Command{Kind: station.CmdAbort, Slot: 1}) },
		"end":            func(l *line) { l.stop(); l.start() },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t, 1)
				l.start()
				defer func() { l.stop() }()
				done := l.lendAsync(func(ctx context.Context, _ *engine.Loan) station.HandEnded {
					<-ctx.Done()
					return station.HandEnded{Outcome: station.Fail}
				})
				way(l)
				<-done
				synctest.Wait()
				if got := l.facts(1, "hand."); !slices.Equal(got, []string{"hand.started/1", "hand.ended/1"}) || l.view(1).State != station.SlotEmpty {
					t.Errorf("%v, slot %s", got, l.view(1).State)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 1)
		l.start()
		defer func() { l.stop() }()
		if err := <-l.lendAsync(func(context.Context, *engine.Loan) station.HandEnded { panic("broken") }); err != nil {
			t.Error(err)
		}
		if v := l.view(1); v.State != station.SlotEmpty {
			t.Errorf("%+v", v)
		}
	})
}

// The plug is pulled in the middle of work by hand: the next start ends it and
// says which effect has no result, once.
func TestLentSlotOutlivesACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 1)
		l.start()
		defer func() { l.stop() }()
		eid := "89049032123451234512345678901235"
		for _, f := range []station.Fact{
			station.HandStarted{Verb: "delete", Role: station.RoleLead, From: station.SlotEmpty},
			station.HandIntent{Effect: station.EffectDelete, Number: 1, EID: "89049032123451234512345678901235"},
		} {
			name, data, err := station.Encode(f)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.store.Gate(context.Background(), audit.Draft{Type: name, Slot: 1, Actor: "ann", Data: data}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			l.stop()
			l.start()
		}
		if got := l.facts(1, "hand."); !slices.Equal(got, []string{"hand.started/1", "hand.intent/1", "hand.ended/1"}) {
			t.Fatalf("%v", got)
		}
		err := l.store.View(func(v audit.View) error {
			for e, err := range v.Entries(1, v.Last()) {
				if err != nil {
					return err
				}
				if e.Type == "hand.ended/1" && (!strings.Contains(string(e.Data), `"unknown":"delete"`) || !strings.Contains(string(e.Data), eid)) {
					t.Errorf("%s", e.Data)
				}
			}
			return nil
		})
		if v := l.view(1); err != nil || v.State != station.SlotEmpty {
			t.Errorf("%v %+v", err, v)
		}
	})
}
