package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"linefit/station"
)

// Snapshot is what is known of the station at an instant: how it is, or why
// that is not known.
type Snapshot struct {
	View station.View
	Err  error     // *Error: no connection; View is then empty
	At   time.Time // when it came
}

// Silence is how long the station may say nothing before the connection counts
// as lost: it gives a sign of life every 5 s.
const Silence = 12 * time.Second

// reconnect are the delays between tries; the last one repeats.
var reconnect = []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second}

// maxEvent bounds one event of the stream.
const maxEvent = 4 << 20

// Watch calls fn with a snapshot at once, after every change, and when the
// connection is lost; it connects again by itself and returns when ctx is done.
// fn is called by this goroutine only.
func (c *Client) Watch(ctx context.Context, fn func(Snapshot)) {
	for failures := 0; ; {
		err := c.stream(ctx, func(v station.View) {
			failures = 0
			fn(Snapshot{View: v, At: time.Now()})
		})
		if ctx.Err() != nil {
			return
		}
		fn(Snapshot{Err: err, At: time.Now()})
		wait := time.NewTimer(reconnect[min(failures, len(reconnect)-1)])
		failures++
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return
		}
	}
}

// stream reads snapshots from one connection until it ends, which it always
// does with an error.
func (c *Client) stream(ctx context.Context, fn func(station.View)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(Silence, func() { cancel(errSilent) })
	defer silent.Stop()
	req, err := c.request(ctx, http.MethodGet, "/v1/stream", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := c.http.Do(req)
	if err != nil {
		return lost(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what cannot be read explains nothing
		return refusal(resp.StatusCode, body)
	}
	err = readEvents(resp.Body, func(name string, data []byte) error {
		silent.Reset(Silence)
		if name != "view" {
			return nil
		}
		var v station.View
		if err := json.Unmarshal(data, &v); err != nil {
			return &Error{Kind: Broken, Detail: "the station's snapshot is not understood: " + err.Error(), err: err}
		}
		fn(v)
		return nil
	})
	return lost(ctx, err)
}

var errSilent = fmt.Errorf("the station said nothing for %v", Silence)

// lost says why a connection ended.
func lost(ctx context.Context, err error) error {
	var own *Error
	switch {
	case errors.Is(context.Cause(ctx), errSilent):
		return &Error{Kind: Unreachable, Detail: errSilent.Error(), err: errSilent}
	case errors.As(err, &own):
		return own
	case err == nil || errors.Is(err, io.EOF):
		return &Error{Kind: Unreachable, Detail: "the station closed the connection", err: io.EOF}
	}
	return unreachable(err)
}

// readEvents reads server-sent events (WHATWG HTML, section 9.2.6) and calls fn
// for each, and with an empty name for a comment, which is a sign of life.
func readEvents(r io.Reader, fn func(name string, data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	name := ""
	var data []byte
	for lines.Scan() {
		line := lines.Text()
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if len(data) > 0 {
				if err := fn(name, data); err != nil {
					return err
				}
			}
			name, data = "", nil
		case field == "":
			if err := fn("", nil); err != nil {
				return err
			}
		case field == "event":
			name = value
		case field == "data":
			if len(data) > 0 {
				data = append(data, '\n')
			}
			if data = append(data, value...); len(data) > maxEvent {
				return &Error{Kind: Broken, Detail: "an event of the stream is too long"}
			}
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return &Error{Kind: Broken, Detail: "an event of the stream is too long", err: lines.Err()}
	}
	return lines.Err()
}
