package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/modemsim"
	"linefit/station/fixture"
)

// simModulesStart is the first line on stdout.
type simModulesStart struct {
	Modules []simModule `json:"modules"`

	panel net.Listener // where stations switch the boards; nil where nobody does
}

func (s *simModulesStart) boards() map[int]fixture.Board {
	boards := map[int]fixture.Board{}
	for _, m := range s.Modules {
		boards[m.Slot] = m.board
	}
	return boards
}

type simModule struct {
	Slot    int        `json:"slot"`
	PTY     string     `json:"pty"`
	Link    string     `json:"link,omitempty"`
	Persona string     `json:"persona"`
	IMEI    ident.IMEI `json:"imei"`
	EID     ident.EID  `json:"eid"`

	module *modemsim.Module
	port   *modemsim.PTY
	card   *euiccsim.Card
	board  *simBoard
}

// simModulesPort is a later line: a port returned.
type simModulesPort struct {
	Event string `json:"event"` // "port"
	Slot  int    `json:"slot"`
	PTY   string `json:"pty"`
}

// simModulesEnd is the last line.
type simModulesEnd struct {
	Event   string              `json:"event"` // "end"
	Modules []simModuleCounters `json:"modules"`
}

type simModuleCounters struct {
	Slot         int   `json:"slot"`
	CharsIn      int64 `json:"chars_in"`
	CharsOut     int64 `json:"chars_out"`
	Dropped      int64 `json:"chars_dropped"`
	APDUs        int64 `json:"apdus"`
	Commands     int64 `json:"commands"`
	Boots        int64 `json:"boots"`
	Faults       int64 `json:"faults"`
	Registration int   `json:"registration_attempts"`
}

// simModulesOutput prints lines from many goroutines.
type simModulesOutput struct {
	mu      sync.Mutex
	w       io.Writer
	json    bool
	started bool
}

func (o *simModulesOutput) start(s *simModulesStart) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.started = true
	if o.json {
		return printJSON(o.w, s)
	}
	var text strings.Builder
	for _, m := range s.Modules {
		fmt.Fprintf(&text, "slot %d  %s  %s  IMEI %s  EID %s\n", m.Slot, m.PTY, m.Persona, m.IMEI, m.EID)
	}
	_, err := io.WriteString(o.w, text.String())
	return err
}

// port prints that a port returned. A reader that is gone is no reason to stop.
func (o *simModulesOutput) port(slot int, path string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case !o.started: // the first line will say it
	case o.json:
		_ = printJSON(o.w, simModulesPort{"port", slot, path})
	default:
		fmt.Fprintf(o.w, "slot %d  %s  the port is back\n", slot, path)
	}
}

// end prints the counters.
func (o *simModulesOutput) end(s *simModulesStart) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.started {
		return nil
	}
	end := simModulesEnd{Event: "end"}
	for _, m := range s.Modules {
		n := m.module.Counters()
		end.Modules = append(end.Modules, simModuleCounters{
			Slot: m.Slot, CharsIn: n.CharsIn, CharsOut: n.CharsOut, Dropped: n.Dropped, APDUs: n.APDUs,
			Commands: n.Commands, Boots: n.Boots, Faults: n.Faults, Registration: m.module.Attempts(),
		})
	}
	if o.json {
		return printJSON(o.w, end)
	}
	for _, n := range end.Modules {
		fmt.Fprintf(o.w, "slot %d  %d characters in, %d out, %d APDUs, %d faults, %d registration attempts\n",
			n.Slot, n.CharsIn, n.CharsOut, n.APDUs, n.Faults, n.Registration)
	}
	return nil
}
