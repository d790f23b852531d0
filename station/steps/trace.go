package steps

import (
	"fmt"
	"strings"

	"linefit/atcmd"
	"linefit/modem/apdu"
)

// maxTraceEvents bounds what is kept of a step's APDUs.
const maxTraceEvents = 60

// trace keeps the last APDUs of a step, redacted by modem/apdu; it goes to the
// log of a failed attempt only. AT traffic is not kept: it carries the same
// APDUs unredacted.
type trace struct {
	events []string
	lost   int
}

func (t *trace) reset() { t.events, t.lost = t.events[:0], 0 }

// at is the AT engine's trace. It keeps nothing: see trace.
func (t *trace) at(atcmd.Direction, []byte) {}

func (t *trace) apdu(e apdu.Event) {
	if len(t.events) == maxTraceEvents {
		copy(t.events, t.events[1:])
		t.events = t.events[:maxTraceEvents-1]
		t.lost++
	}
	t.events = append(t.events, e.String())
}

func (t *trace) text() string {
	if len(t.events) == 0 {
		return ""
	}
	head := ""
	if t.lost > 0 {
		head = fmt.Sprintf("(%d earlier APDUs)\n", t.lost)
	}
	return head + strings.Join(t.events, "")
}
