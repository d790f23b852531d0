// Package mes is where the station meets the manufacturing execution system:
// an HTTP API that others call, and a durable outbox that calls the MES. The
// MES's side of it is docs/mes.md.
//
// # What others call
//
// [NewServer] serves the API (OpenAPI 3.1 at /openapi.json) to screens over a
// unix socket, whose file permission is the authorisation, and to the MES over
// TCP, where every change of state needs a bearer token. Reading never changes
// state. Errors are problem details (RFC 9457); a refusal of the station
// carries its code, class and what the operator does now.
//
// # What the station calls
//
//	before a run   [Client.Validate]    POST {mes}/v1/units/validate, fails closed
//	after it       [Outbox]             POST {mes}/v1/events, CloudEvents 1.0
//	its answer     [Acceptance]         waits for the answer to this run's event
//
// The outbox is a projection of the log ([OutboxProjection]): an event exists
// because its fact is in the log, and it is done because an
// [station.OutboxDelivered] or [station.OutboxRejected] is. Nothing is kept
// beside the log, so a crash or a rebuild loses and doubles nothing here.
// Delivery is at least once and in order for each unit; the event's id, which
// is also the idempotency key, lets the MES drop what it has seen. The body of
// an event is made from entries of the log alone, so that every attempt sends
// the same bytes.
//
// An MES of "none" is a setting that [station.StationOpened] states: then no
// events are made. Results can always be pulled (GET /v1/results?after=SEQ).
//
// # Who owns what
//
// [Outbox.Run] owns delivery: one goroutine chooses, up to Workers more deliver,
// all are gone when it returns. [Server.Serve] owns its listeners. A [Client]
// and an [Acceptance] start nothing.
package mes
