package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"linefit/station"
)

// errAborted is the cause of a step context that somebody, or the unit, ended.
var errAborted = errors.New("the run was aborted")

// exec runs one attempt. An error is the session's; whatever happened to the
// step is in the result.
func (r *runner) exec(ctx context.Context, effect station.ExecStep) (station.StepResult, error) {
	if effect.Step.Irreversible || effect.Step.Timeout > maxHeldFor {
		if err := r.append(ctx); err != nil {
			return station.StepResult{}, err
		}
	}
	begin := time.Now()
	sctx, cancel := r.stepContext(ctx, effect.Step)
	defer cancel(nil)
	armed := r.arm(cancel, effect)
	r.publish()
	if !armed {
		return r.finish(station.StepResult{Outcome: station.Aborted, Reason: r.disarm(), Final: true}, begin, effect), nil
	}
	var logErr error
	attempt := &station.Attempt{
		Slot: r.id, Run: r.slot.Run, Step: effect.Step, Number: effect.Attempt,
		Record: func(ctx context.Context, facts ...station.Fact) error {
			err := r.record(ctx, facts...)
			if unlogged(err) {
				logErr = err
			}
			return err
		},
		Progress: r.progress,
	}
	if o := r.e.opt.Observer; o != nil {
		o.StepStarted(r.id, r.env.Unit, effect.Step, effect.Attempt)
	}
	res := r.body(sctx, attempt)
	reason := r.disarm()
	switch {
	case logErr != nil:
		return res, logErr
	case ctx.Err() != nil:
		return res, ctx.Err()
	}
	return r.finish(judge(sctx, res, reason, effect.Step), begin, effect), nil
}

// stepContext bounds an attempt by its timeout; when the engine stops, an
// irreversible step gets the grace to come to its end.
func (r *runner) stepContext(ctx context.Context, step station.Step) (context.Context, context.CancelCauseFunc) {
	base, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	sctx, stop := context.WithTimeoutCause(base, step.Timeout, context.DeadlineExceeded)
	grace := time.Duration(0)
	if step.Irreversible {
		grace = r.e.opt.Grace
	}
	unwatch := context.AfterFunc(ctx, func() { // in its own goroutine, which ends with sctx
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(context.Canceled)
		case <-sctx.Done():
		}
	})
	return sctx, func(cause error) {
		if cause == nil {
			unwatch()
			stop()
		}
		cancel(cause)
	}
}

// arm makes the step abortable; it is false when an abort came first.
func (r *runner) arm(cancel context.CancelCauseFunc, effect station.ExecStep) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.aborting != nil && !effect.Step.Always {
		return false
	}
	r.cancel = cancel
	r.step = stepView{index: effect.Index, attempt: effect.Attempt, step: effect.Step, running: true}
	return true
}

// disarm ends that and takes the abort that came, if one did.
func (r *runner) disarm() *station.Reason {
	r.mu.Lock()
	defer r.mu.Unlock()
	reason := r.aborting
	r.cancel, r.aborting, r.step.running = nil, nil, false
	return reason
}

// abort ends the running step, or the next one before it begins. It may be
// called by anyone.
func (r *runner) abort(reason *station.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.aborting != nil {
		return
	}
	r.aborting = reason
	if r.cancel != nil && !r.step.step.Always {
		r.cancel(errAborted)
	}
}

func (r *runner) progress(percent int) {
	r.mu.Lock()
	r.step.progress = min(max(percent, 0), 100)
	r.mu.Unlock()
	r.publish()
}

// body runs the step body beside a watch on the presence sensor, and turns a
// panic into a result: one broken step body does not take the line down.
func (r *runner) body(ctx context.Context, a *station.Attempt) (res station.StepResult) {
	watch, done := context.WithCancel(ctx)
	joined := make(chan struct{})
	clamped := r.slot.State == station.SlotRunning // before the first step has ended the clamp is not shut
	go func() {
		defer close(joined)
		if clamped {
			r.watchPresence(watch)
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			res = station.StepResult{Outcome: station.Error, Final: true, Trace: string(debug.Stack()),
				Reason: station.NewReason(station.StationFault, "step body: %v", p)}
		}
		done()
		<-joined
	}()
	return r.e.opt.Bench.Execute(ctx, a)
}

// judge turns what a body returned and how its context ended into a result.
func judge(ctx context.Context, res station.StepResult, aborted *station.Reason, step station.Step) station.StepResult {
	switch {
	case aborted != nil && !step.Always:
		res.Outcome, res.Reason, res.Final = station.Aborted, aborted, true
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && res.Outcome != station.OK && res.Outcome != station.Fail:
		res.Outcome = station.Timeout
		if res.Reason == nil {
			res.Reason = station.NewReason(station.StationFault, "the step did not end within %v", step.Timeout)
		}
	case res.Outcome == "":
		res.Outcome, res.Reason = station.Error, station.NewReason(station.StationFault, "step body returned no outcome")
	}
	if len(step.Limits) > 0 && res.Outcome == station.OK {
		res = checkLimits(res, step)
	}
	return res
}

func checkLimits(res station.StepResult, step station.Step) station.StepResult {
	res.Measured = station.CheckLimits(res.Measured, step.Limits)
	for _, m := range res.Measured {
		if m.Bad != "" {
			res.Outcome = station.Fail
			res.Reason = station.NewReason(station.LimitExceeded, "%s is %q; the limit is: %s", m.Name, m.Value, m.Bad)
			return res
		}
	}
	return res
}

func (r *runner) finish(res station.StepResult, begin time.Time, effect station.ExecStep) station.StepResult {
	res.Millis = time.Since(begin).Milliseconds()
	if len(res.Trace) > maxTrace {
		res.Trace = res.Trace[:maxTrace] + fmt.Sprintf("… (%d bytes more)", len(res.Trace)-maxTrace)
	}
	if o := r.e.opt.Observer; o != nil {
		o.StepEnded(r.id, r.env.Unit, station.StepEnded{
			Step: effect.Step.ID, Kind: effect.Step.Kind, Attempt: effect.Attempt, Outcome: res.Outcome,
			Millis: res.Millis, Reason: res.Reason, Measured: res.Measured,
		})
	}
	return res
}

// maxTrace bounds a failed attempt's trace so that its entry stays under the
// log's limit of 60 KB, JSON escapes included.
const maxTrace = 20_000
