package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"linefit/audit"
	"linefit/station"
)

// logDeadline bounds how long one append may hang before the log counts as stopped.
const logDeadline = time.Minute

// appendAs records facts of the station in a person's name.
func (e *Engine) appendAs(ctx context.Context, actor station.Actor, facts ...station.Fact) error {
	return e.append(ctx, &runner{actor: actor}, facts...)
}

// append records facts of the station (r nil) or of a slot. An append that has
// begun is never given up because a step was aborted: what is in the log and
// what the machine knows would part.
func (e *Engine) append(ctx context.Context, r *runner, facts ...station.Fact) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	drafts, gate, err := draft(r, facts)
	if err != nil {
		return err
	}
	lctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logDeadline)
	defer cancel()
	if gate {
		_, err = e.opt.Log.Gate(lctx, drafts...)
	} else {
		err = e.opt.Log.Queue(lctx, drafts...)
	}
	var draftErr *audit.DraftError
	var refused *audit.RefusedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &draftErr), errors.As(err, &refused):
		return fmt.Errorf("%w: %w", errFact, err)
	}
	return fmt.Errorf("%w: %w", errLog, err)
}

// errFact is a fact that the log does not take, while it takes others: a fault of
// linefit. Nothing was recorded. The slot stands until the next start.
var errFact = errors.New("engine: the log does not take a fact")

// unlogged reports whether a fact was not, or may not have been, recorded.
func unlogged(err error) bool { return errors.Is(err, errLog) || errors.Is(err, errFact) }

func draft(r *runner, facts []station.Fact) (drafts []audit.Draft, gate bool, err error) {
	for _, f := range facts {
		name, data, err := station.Encode(f)
		if err != nil {
			return nil, false, err
		}
		d := audit.Draft{Type: name, Actor: string(station.ActorStation), Data: data}
		if r != nil {
			d.Slot, d.Actor = r.id, string(r.actor)
			d.Unit, d.Run = string(r.env.Unit), string(r.env.Run)
		}
		if _, ok := f.(station.Gate); ok {
			gate = true
		}
		drafts = append(drafts, d)
	}
	return drafts, gate, nil
}
