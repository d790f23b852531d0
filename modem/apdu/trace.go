package apdu

import (
	"fmt"
	"time"

	"linefit/modem/wire"
)

// Event is one traced APDU. Command and Response are hexadecimal with
// "<n bytes>" where something was left out: contents are shown only of
// messages that are known to carry nothing secret, and of those without the
// fields that are (matching id, hash of the confirmation code, association
// token). Blocks of a STORE DATA chain are shown together at its last block.
type Event struct {
	Command  string
	Response string // empty when there was none
	Took     time.Duration
	Err      error
}

// String is the event as two lines of a log: ">" to the card, "<" from it, "!"
// for an error.
func (e Event) String() string {
	if e.Err != nil {
		return fmt.Sprintf("> %s\n! %v\n", e.Command, e.Err)
	}
	return fmt.Sprintf("> %s\n< %s\n", e.Command, e.Response)
}

// tracer follows STORE DATA chains, so that it knows which message a block
// belongs to.
type tracer struct {
	emit  func(Event)
	chain []byte
}

// maxTraced bounds what is remembered of a chain.
const maxTraced = 8 << 10

func (t *tracer) done(command, response []byte, err error, took time.Duration) {
	if t.emit == nil {
		return
	}
	e := Event{Took: took, Err: err}
	e.Command = t.command(command)
	if err == nil {
		e.Response = traceResponse(command, response)
	}
	t.emit(e)
}

func (t *tracer) command(raw []byte) string {
	c, err := wire.ParseCommand(raw)
	if err != nil {
		return bytesLeftOut(len(raw))
	}
	head := upper(raw[:4])
	if len(c.Data) > 0 {
		head += fmt.Sprintf("%02X", len(c.Data))
	}
	if c.INS != wire.InsStoreData {
		if openIns(c.INS) {
			return upper(raw)
		}
		return head + bytesLeftOut(len(c.Data))
	}
	if c.P2 == 0 {
		t.chain = t.chain[:0]
	}
	if len(t.chain)+len(c.Data) <= maxTraced {
		t.chain = append(t.chain, c.Data...)
	}
	if c.P1&0x80 == 0 {
		return head + bytesLeftOut(len(c.Data))
	}
	if c.P2 != 0 {
		head += " chain:"
	}
	return head + redactRequest(t.chain)
}

func traceResponse(command, response []byte) string {
	if len(response) < 2 {
		return ""
	}
	data, sw := response[:len(response)-2], upper(response[len(response)-2:])
	switch {
	case len(data) == 0:
		return sw
	case command[1] == wire.InsStoreData:
		return redactResponse(data) + sw
	case openIns(command[1]):
		return upper(data) + sw
	}
	return bytesLeftOut(len(data)) + sw
}

// openIns are instructions without secrets on this interface.
func openIns(ins byte) bool {
	switch ins {
	case wire.InsManageChannel, wire.InsSelect, wire.InsTerminalCapability, wire.InsStatus, wire.InsGetData:
		return true
	}
	return false
}

func bytesLeftOut(n int) string { return fmt.Sprintf("<%d bytes>", n) }
