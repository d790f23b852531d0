package mes

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"linefit/audit"
	"linefit/station"
)

// deliver tries one event once and notes what came of it.
func (o *Outbox) deliver(ctx context.Context, it Item) {
	defer o.landed(it.Unit)
	header, body, err := o.compose(it)
	if err != nil { // the log cannot be read just there: others may go
		o.opt.Logger.Error().Err(err).Str("event", it.ID).Msg("outbox: the event cannot be made")
		o.block(it.Unit, 0)
		return
	}
	r, err := o.post(ctx, header, body)
	if err != nil {
		if ctx.Err() == nil {
			o.opt.Logger.Warn().Err(err).Str("event", it.ID).Msg("outbox: not delivered")
			o.away(it, r.retryAfter)
		}
		return
	}
	switch classify(r.status) {
	case verdictTaken:
		o.taken(ctx, it, r)
	case verdictParked:
		o.parked(ctx, it, r)
	case verdictGone:
		o.mu.Lock()
		o.stopped = fmt.Sprintf("the MES answers %d %s", r.status, http.StatusText(r.status))
		o.mu.Unlock()
		o.opt.Client.shake.revoke()
		o.opt.Client.setLink(LinkStopped, "the MES wants no more events (410)")
	case verdictAway:
		o.away(it, r.retryAfter)
	case verdictAgain:
		o.linkResult(true, 0)
		o.block(it.Unit, r.retryAfter)
	}
}

// landed makes a unit's next event free to be tried.
func (o *Outbox) landed(u station.Serial) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.flying, u)
}

// block keeps a unit's events back for a while.
func (o *Outbox) block(u station.Serial, wait time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.blocked[u]
	if b == nil {
		b = &backoff{}
		o.blocked[u] = b
	}
	b.tries++
	b.until = time.Now().Add(max(step(o.opt.Retry.Event, b.tries), wait))
}

// unblock forgets a unit's failures and says how many there were.
func (o *Outbox) unblock(u station.Serial) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	tries := 0
	if b := o.blocked[u]; b != nil {
		tries = b.tries
	}
	delete(o.blocked, u)
	return tries
}

// away notes that the MES did not take an event for a reason that is not the
// event's; another one is tried next.
func (o *Outbox) away(it Item, wait time.Duration) {
	o.mu.Lock()
	o.probed = it.Seq
	o.mu.Unlock()
	o.linkResult(false, wait)
}

// compose makes an event's request. The checkpoint goes in a header, so that
// the body stays the same for every attempt.
func (o *Outbox) compose(it Item) (header http.Header, body []byte, err error) {
	err = o.log.View(func(v audit.View) (err error) {
		body, err = eventBody(v, it)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	checkpoint, err := o.log.Checkpoint()
	if err != nil {
		return nil, nil, fmt.Errorf("mes: checkpoint: %w", err)
	}
	header, err = o.opt.Client.eventHeaders(it.ID, body, checkpoint, time.Now())
	return header, body, err
}

// post sends an event, once the MES has given leave where it is asked for that, and
// at the rate that it allows. With an error the reply says at most how long to wait.
func (o *Outbox) post(ctx context.Context, header http.Header, body []byte) (reply, error) {
	if wait, err := o.opt.Client.allowed(ctx); err != nil {
		return reply{retryAfter: wait}, err
	}
	if err := o.opt.Client.shake.turn(ctx); err != nil {
		return reply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.opt.Client.opt.EventTimeout)
	defer cancel()
	return o.opt.Client.do(ctx, http.MethodPost, "/v1/events", header, body)
}

type deliveryVerdict int

const (
	verdictTaken  deliveryVerdict = iota
	verdictParked                 // refused for good: this event's fault
	verdictGone                   // 410: no more events to this address
	verdictAway                   // nobody there who could take any event
	verdictAgain                  // this event failed there; others may not
)

// classify says what a status means for the event. A status that is about the
// station's credentials or the way to the MES parks nothing: every event would
// be parked in turn for what is no event's fault.
func classify(status int) deliveryVerdict {
	switch status {
	case http.StatusGone:
		return verdictGone
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return verdictAway
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly: // 409: the first attempt is still worked on
		return verdictAgain
	}
	switch {
	case status >= 200 && status < 300:
		return verdictTaken
	case status >= 400 && status < 500:
		return verdictParked
	case status >= 500:
		return verdictAgain
	}
	return verdictAway // a redirect, which is never followed
}

// taken notes that the MES has the event. Who waits for its answer gets it at
// once; where the station stops before the fact is durable, the event goes out
// again and the MES answers the same.
func (o *Outbox) taken(ctx context.Context, it Item, r reply) {
	o.linkResult(true, 0)
	attempt := o.unblock(it.Unit) + 1
	a := parseAnswer(r.status, r.body)
	o.keepAnchor(a.Checkpoint)
	o.decided(it.ID, Decision{Answer: a.Answer, Ref: a.Ref, Detail: a.Reason})
	f := station.OutboxDelivered{Event: it.ID, Status: r.status, Attempt: attempt, Answer: a.Answer, Ref: a.Ref, Detail: a.Reason}
	o.note(ctx, it, f)
}

func (o *Outbox) keepAnchor(encoded string) {
	note, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		o.opt.Logger.Warn().Msg("outbox: the MES returned a checkpoint that is not base64")
		return
	}
	o.anchored(note)
}

// anchored hands a checkpoint over: deliveries of several units end side by side,
// and what is done with a checkpoint follows from the one before.
func (o *Outbox) anchored(note []byte) {
	if len(note) == 0 || o.opt.Anchored == nil {
		return
	}
	o.anchoring <- struct{}{}
	defer func() { <-o.anchoring }()
	o.opt.Anchored(note)
}

// parked notes that the MES refuses the event for good.
func (o *Outbox) parked(ctx context.Context, it Item, r reply) {
	o.linkResult(true, 0)
	o.unblock(it.Unit)
	detail := orStatus(problemDetail(r.body), r.status)
	o.decided(it.ID, Decision{Answer: AnswerRejectedHold, Detail: detail})
	o.note(ctx, it, station.OutboxRejected{Event: it.ID, Status: r.status, Detail: detail})
}

// note records what became of an event. Where the log takes nothing the event
// stays pending and is tried again when the log is back.
func (o *Outbox) note(ctx context.Context, it Item, f station.Fact) {
	defer o.settled(it.ID)
	if err := o.record(ctx, it, station.ActorMES, f); err != nil && ctx.Err() == nil {
		o.opt.Logger.Error().Err(err).Str("event", it.ID).Msg("outbox: delivered, but not recorded")
		o.block(it.Unit, 0)
	}
}
