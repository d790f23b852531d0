package steps

import (
	"context"
	"strconv"
	"strings"
	"time"

	"linefit/atcmd"
	"linefit/internal/pause"
	"linefit/station"
)

// registered are the states of +CEREG in which a module has service (3GPP TS
// 27.007 section 10.1.22): home, roaming, and the two for SMS only.
var registered = map[int]bool{1: true, 5: true, 9: true, 10: true}

// attachPoll is the time between two questions for the registration state.
const attachPoll = time.Second

// attach switches the radio on and waits for registration; only recipes with a
// connectivity test have it.
func attach(ctx context.Context, s *session, _ *station.Attempt) station.StepResult {
	m, err := s.usable(ctx)
	if err != nil {
		return failed(err, station.ModuleSilent)
	}
	begin := time.Now()
	if err := m.RadioOn(ctx); err != nil {
		return failed(err, station.ModuleRadio)
	}
	for {
		resp, err := m.Do(ctx, atcmd.Command{Text: "AT+CEREG?", Prefix: "+CEREG", Require: true})
		if err != nil {
			return failed(err, station.ModuleRadio)
		}
		state := registration(resp.Value())
		if registered[state] {
			return ok(number("attach_ms", time.Since(begin).Milliseconds()), number("registration", int64(state)))
		}
		if err := pause.For(ctx, attachPoll); err != nil {
			return failed(err, station.ModuleRadio)
		}
	}
}

// registration reads <stat> of "+CEREG: <n>,<stat>[,...]", -1 where there is none.
func registration(value string) int {
	fields := strings.Split(value, ",")
	if len(fields) < 2 {
		return -1
	}
	n, err := strconv.Atoi(strings.TrimSpace(fields[1]))
	if err != nil {
		return -1
	}
	return n
}
