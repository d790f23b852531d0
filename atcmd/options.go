package atcmd

import (
	"strings"
	"time"
)

// Options are the properties of one line. The zero value works for a module
// that follows the specifications; everything else comes from data.
type Options struct {
	// Timeout is the deadline of a command that names none; 10 s when 0.
	Timeout time.Duration

	// Gap is the least time between a final result and the next command.
	Gap time.Duration

	// ByteGap is the time between two characters of a command; 0 sends a
	// command in one write.
	ByteGap time.Duration

	// Terminator ends a command line; CR when empty (ITU-T V.250 section 5.2.1).
	Terminator string

	// URCs names the unsolicited result codes to expect, as "+CREG" or "RDY": a
	// line is known when it starts with a name and the name ends there. A
	// whole line that looks like a final result ("+CME ERROR: SIM not
	// inserted") is then a URC even while a command is in flight.
	URCs []string

	// Restarts names URCs that mean the module has booted; a command in flight
	// ends with [ErrRestarted] at once instead of waiting for its deadline.
	Restarts []string

	// Numeric says that the module is kept in V0 and answers with numbers.
	Numeric bool

	// MaxAnswer bounds one line and one answer in bytes; 64 KiB of payload and
	// 4 KiB for what stands around it when 0.
	MaxAnswer int

	// URCQueue is the capacity of [Port.URCs]; 256 when 0.
	URCQueue int

	// Quiet is how long the line must be silent to count as drained; 100 ms
	// when 0.
	Quiet time.Duration

	// DrainLimit bounds the wait for silence; 10 s when 0.
	DrainLimit time.Duration

	// TailQuiet is how long an OK or ERROR without a terminator must stand
	// alone to count as a final result; 1 s when 0, never when negative.
	TailQuiet time.Duration

	// Trace, if set, is called for every command and every received line, in
	// order, one at a time and with a lock held: it must return soon and not
	// call the Port. Secret material is replaced before (see [Command.Secret]).
	Trace func(Direction, []byte)
}

// Direction is where traced bytes went.
type Direction int

// Directions of a trace. Note is the engine's own remark, such as "timeout".
const (
	Sent Direction = iota
	Received
	Note
)

func (d Direction) String() string {
	switch d {
	case Sent:
		return ">"
	case Received:
		return "<"
	}
	return "#"
}

// Redacted stands in traces where secret material was.
const Redacted = "<redacted>"

func (o Options) withDefaults() Options {
	setDefault(&o.Timeout, 10*time.Second)
	setDefault(&o.Terminator, "\r")
	setDefault(&o.MaxAnswer, 68<<10)
	setDefault(&o.URCQueue, 256)
	setDefault(&o.Quiet, 100*time.Millisecond)
	setDefault(&o.DrainLimit, 10*time.Second)
	setDefault(&o.TailQuiet, time.Second)
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// traced is the command line as a trace may show it.
func traced(cmd Command) string {
	if !cmd.Secret {
		return cmd.Text
	}
	name := cmd.Name()
	if strings.HasPrefix(cmd.Text, name+"=") {
		name += "="
	}
	return name + Redacted
}
