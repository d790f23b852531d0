package mes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"linefit/internal/pause"
)

// requestRate is how many events a minute the station asks leave for: more than a
// full line makes.
const requestRate = 600

// handshake is the sender's side of the abuse protection of CloudEvents webhooks
// (HTTP 1.1 Web Hooks for Event Delivery 1.0, section 4): before its first event
// the station asks, by OPTIONS, whether the MES wants events from it, and keeps to
// the rate that the answer allows. It is off where the station has no
// WebhookOrigin: an MES that does not know the handshake would get no event.
//
//	OPTIONS {mes}/v1/events        200
//	WebHook-Request-Origin: O      WebHook-Allowed-Origin: O, or *
//	WebHook-Request-Rate: 600      WebHook-Allowed-Rate: events a minute, or *
//
// The leave is good until the station stops, or the MES says 410.
type handshake struct {
	origin string // empty: none

	asking chan struct{} // holds one token: the right to ask

	mu      sync.Mutex // guards what follows
	granted bool
	every   time.Duration // between two events; 0: no limit
	next    time.Time     // of the next event
}

func newHandshake(origin string) *handshake {
	h := &handshake{origin: origin, asking: make(chan struct{}, 1)}
	h.asking <- struct{}{}
	return h
}

// checkOrigin refuses what is no name in terms of DNS.
func checkOrigin(origin string) error {
	if len(origin) > 253 {
		return errors.New("mes: the webhook origin has more than 253 characters")
	}
	for _, label := range strings.Split(origin, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return errors.New("mes: the webhook origin is no DNS name, such as st-1.plant.example")
		}
	}
	return nil
}

// errNotAllowed says that the MES gives no leave to send events.
var errNotAllowed = errors.New("the MES does not allow events from this station")

// allowed asks for leave where that has not been given yet. The error is
// errNotAllowed where the MES gives none; wait is its Retry-After.
func (c *Client) allowed(ctx context.Context) (wait time.Duration, err error) {
	h := c.shake
	if h.origin == "" {
		return 0, nil
	}
	select { // one asks, the others wait for its answer
	case <-h.asking:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { h.asking <- struct{}{} }()
	if h.has() {
		return 0, nil
	}
	header := http.Header{}
	header.Set("WebHook-Request-Origin", h.origin)
	header.Set("WebHook-Request-Rate", strconv.Itoa(requestRate))
	ctx, cancel := context.WithTimeout(ctx, c.opt.EventTimeout)
	defer cancel()
	r, err := c.do(ctx, http.MethodOptions, "/v1/events", header, nil)
	if err != nil {
		return 0, err
	}
	every, err := leave(h.origin, r)
	if err != nil {
		c.setLink(LinkRefused, err.Error())
		return r.retryAfter, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.granted, h.every, h.next = true, every, time.Now()
	return 0, nil
}

// leave reads the answer: the time between two events, 0 without a limit.
func leave(origin string, r reply) (every time.Duration, err error) {
	allowed := strings.TrimSpace(r.header.Get("WebHook-Allowed-Origin"))
	switch {
	case r.status < 200 || r.status > 299:
		return 0, fmt.Errorf("%w: OPTIONS is answered %d %s", errNotAllowed, r.status, http.StatusText(r.status))
	case allowed == "":
		return 0, fmt.Errorf("%w: its answer to OPTIONS has no WebHook-Allowed-Origin (without webhook_origin nothing is asked)", errNotAllowed)
	case allowed != "*" && !strings.EqualFold(allowed, origin):
		return 0, fmt.Errorf("%w: it allows another origin than %s", errNotAllowed, origin)
	}
	rate := strings.TrimSpace(r.header.Get("WebHook-Allowed-Rate"))
	if rate == "" || rate == "*" {
		return 0, nil
	}
	n, err := strconv.Atoi(rate)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%w: its WebHook-Allowed-Rate is neither a number of events a minute nor *", errNotAllowed)
	}
	return time.Minute / time.Duration(n), nil
}

func (h *handshake) has() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.granted
}

// revoke forgets the leave: the MES wants no more events.
func (h *handshake) revoke() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.granted = false
}

// turn waits until the next event may go out under the rate.
func (h *handshake) turn(ctx context.Context) error {
	h.mu.Lock()
	if h.every == 0 {
		h.mu.Unlock()
		return nil
	}
	now := time.Now()
	at := h.next
	if at.Before(now) {
		at = now
	}
	h.next = at.Add(h.every)
	h.mu.Unlock()
	return pause.For(ctx, time.Until(at))
}
