package atcmd

// URC is a line that no command asked for: a known unsolicited result code, or
// any other line that came while no command was in flight.
type URC struct {
	Line  string
	Known bool // it is one of [Options.URCs] or [Options.Restarts]

	redacted bool // may belong to a secret command: counted, not queued
}

// Is reports whether the line starts with one of the names and the name ends
// there: "+CREG: 1" is "+CREG", "+CREGX: 1" is not.
func (u URC) Is(names ...string) bool { return matches(names, u.Line) }

// urcQueue is bounded; when it is full the oldest entry makes room, since the
// newest state is the one that counts. put has one caller at a time.
type urcQueue struct {
	ch      chan URC
	dropped uint64
}

func (q *urcQueue) put(u URC) {
	for {
		select {
		case q.ch <- u:
			return
		default:
		}
		select {
		case <-q.ch:
			q.dropped++
		default:
		}
	}
}
