package plant

import (
	"context"
	"errors"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/station"
)

// Journal writes facts of any scope to a log.
type Journal struct{ Log Appender }

// Appender is the writing half of a log.
type Appender interface {
	Gate(ctx context.Context, drafts ...audit.Draft) ([]audit.Entry, error)
	Queue(ctx context.Context, drafts ...audit.Draft) error
}

func drafts(at station.Scope, facts []station.Fact) ([]audit.Draft, error) {
	actor := at.Actor
	if actor == "" {
		actor = station.ActorStation
	}
	out := make([]audit.Draft, 0, len(facts))
	for _, f := range facts {
		name, data, err := station.Encode(f)
		if err != nil {
			return nil, err
		}
		out = append(out, audit.Draft{Type: name, Slot: at.Slot, Unit: string(at.Unit), Run: string(at.Run), Actor: string(actor), Data: data})
	}
	return out, nil
}

// Gate implements stock.Journal and rework.Journal: it returns when the facts
// are durable.
func (j Journal) Gate(ctx context.Context, at station.Scope, facts ...station.Fact) error {
	d, err := drafts(at, facts)
	if err != nil {
		return err
	}
	_, err = j.Log.Gate(ctx, d...)
	return err
}

// Queue implements stock.Journal: the facts are durable before any later gate
// returns.
func (j Journal) Queue(ctx context.Context, at station.Scope, facts ...station.Fact) error {
	d, err := drafts(at, facts)
	if err != nil {
		return err
	}
	return j.Log.Queue(ctx, d...)
}

// Later makes of an error of a log that stands what a person at the line is told:
// a refusal with [station.LogStopped]. Every other error stays what it is.
func Later(err error) error {
	var state *store.StateError
	if errors.As(err, &state) {
		return station.Refuse(station.LogStopped, "%s", err)
	}
	return err
}
