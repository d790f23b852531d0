package smdpsim

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"linefit/modem/ident"
)

// Point is a function of ES9+, by its name in the URL.
type Point string

// Points.
const (
	InitiateAuthentication Point = "initiateAuthentication"
	AuthenticateClient     Point = "authenticateClient"
	GetBoundProfilePackage Point = "getBoundProfilePackage"
	HandleNotification     Point = "handleNotification"
	CancelSession          Point = "cancelSession"
)

// FaultKind names a fault.
type FaultKind string

// Faults. Those of the first group happen before anything is done and change
// no state; those of the second one happen after the state has changed; those
// of the third one falsify the reply of a function that succeeded.
const (
	FaultNone FaultKind = ""

	FaultReset       FaultKind = "reset"        // the connection is reset
	FaultServerError FaultKind = "server-error" // HTTP 5xx
	FaultRefuse      FaultKind = "refuse"       // Fault.Status

	FaultReplyLost        FaultKind = "reply-lost"         // the connection ends without a reply
	FaultServerErrorAfter FaultKind = "server-error-after" // HTTP 5xx, though it took effect
	FaultSlow             FaultKind = "slow"               // the reply comes Fault.Delay later

	FaultWrongSignature     FaultKind = "wrong-signature"      // of the server; initiate, authenticate and get
	FaultWrongTransactionID FaultKind = "wrong-transaction-id" // in the signed data; initiate, authenticate and get
	FaultWrongMAC           FaultKind = "wrong-mac"            // of the profile's last segment; get
)

// Fault is what goes wrong with one request. The zero value is nothing.
type Fault struct {
	Kind   FaultKind
	Delay  time.Duration // FaultSlow
	HTTP   int           // status of the 5xx faults; 0: 503
	Status *Status       // FaultRefuse; nil: 8.1/4.8
}

// FaultPoint is what a fault can be drawn from. Attempt counts the requests of
// this EID at this point, from 1, restarts of the server included; the
// transaction ids and one-time keys, which are random, are left out on purpose.
type FaultPoint struct {
	Point   Point
	EID     ident.EID // "" where it is not known yet: initiateAuthentication
	Order   string    // id of the order, "" where it is not known yet
	Attempt int
}

func (f Fault) http() int {
	if f.HTTP == 0 {
		return http.StatusServiceUnavailable
	}
	return f.HTTP
}

func (f Fault) refusal() *Status {
	if f.Status == nil {
		return statusMemory
	}
	return f.Status
}

// abort ends the connection without a reply: after the handler in net/http,
// and with a reset where the connection can be had.
func abort(w http.ResponseWriter, reset bool) {
	if reset {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			raw := conn
			if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
				raw = t.NetConn() // below TLS, so that no alert is sent
			}
			if t, ok := raw.(*net.TCPConn); ok {
				_ = t.SetLinger(0)
			}
			_ = raw.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}

// sleep waits until a moment. It is false when ctx ended before.
func sleep(ctx context.Context, until time.Time) bool {
	d := time.Until(until)
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// statusOf finds the function status in an error; false is a fault of the
// server itself, such as a state file that cannot be written.
func statusOf(err error) (*Status, bool) {
	var s *Status
	ok := errors.As(err, &s)
	return s, ok
}
