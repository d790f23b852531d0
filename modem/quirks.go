package modem

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"linefit/atcmd"
)

// Quirks is what the station knows about a module: the defaults of 3GPP TS
// 27.007 with everything that its maker, model and firmware do differently.
// It is data (modem/quirks/*.yaml, [Table]); the field comments are the
// documentation of those files. Lists replace the inherited list, except urcs,
// which adds to it; deadlines are merged by command.
type Quirks struct {
	// Names of the entries that were applied, least specific first. Not in files.
	Names []string `yaml:"-"`

	Line      Line                     `yaml:"line"`
	USB       USB                      `yaml:"usb"`
	Init      Init                     `yaml:"init"`
	Identify  Identify                 `yaml:"identify"`
	Deadlines map[string]time.Duration `yaml:"deadlines"` // by command name without AT ("+CGLA"); "default" for all others
	URCs      []string                 `yaml:"urcs"`      // names of unsolicited result codes, or whole lines; boot.restart and sim.refresh belong to them anyway
	Boot      Boot                     `yaml:"boot"`
	SIM       SIM                      `yaml:"sim"`
	Radio     Radio                    `yaml:"radio"`
	Power     Power                    `yaml:"power"`
	APDU      APDU                     `yaml:"apdu"`
}

// Line is the serial line.
type Line struct {
	Baud       int           `yaml:"baud"`        // bits per second, 8N1; a USB port ignores it
	Gap        time.Duration `yaml:"gap"`         // least time between a final result and the next command
	ByteGap    time.Duration `yaml:"byte_gap"`    // time between two characters of a command
	Quiet      time.Duration `yaml:"quiet"`       // silence after which nothing more is expected from the module
	UnknownGap time.Duration `yaml:"unknown_gap"` // least gap while the family is not known
	SlowGap    time.Duration `yaml:"slow_gap"`    // least gap once a command went unanswered then
}

// USB helps to find the module's port (see [Discover]).
type USB struct {
	Vendors     []string `yaml:"vendors"`      // idVendor, four lower-case hexadecimal digits
	ATInterface int      `yaml:"at_interface"` // bInterfaceNumber of the AT port; -1 where it is not known
	Avoid       []int    `yaml:"avoid"`        // interfaces never to open (diagnostics, ADB)
}

// Init is sent after every start of the module; its settings need not persist.
type Init struct {
	Commands []string `yaml:"commands"` // must be answered by OK; the first one is also how a starting module is asked
	Optional []string `yaml:"optional"` // an error is accepted
}

// Ask is a query and how its answer is marked.
type Ask struct {
	Command string `yaml:"command"`
	Prefix  string `yaml:"prefix"` // of the information line; the command's own name where absent
}

// Identify lists queries to be tried in order. Maker and model are asked before
// the family is known, so only the generic entry's count.
type Identify struct {
	Maker    []Ask `yaml:"maker"`
	Model    []Ask `yaml:"model"`
	Firmware []Ask `yaml:"firmware"`
	IMEI     []Ask `yaml:"imei"`
}

// Boot is the time between power or reset and the first answer.
type Boot struct {
	Limit   time.Duration `yaml:"limit"`   // the module that is silent for longer is dead
	Expect  time.Duration `yaml:"expect"`  // how long to listen for a ready line before asking
	Ready   []string      `yaml:"ready"`   // lines after which commands are answered
	Restart []string      `yaml:"restart"` // lines that only a start of the module prints
	Probe   time.Duration `yaml:"probe"`   // time for an answer while the module may still be starting
	Settle  time.Duration `yaml:"settle"`  // wait after the first answer before anything else
}

// SIM is the module's view of its card.
type SIM struct {
	Limit  time.Duration `yaml:"limit"` // from the module's first answer until the card is no longer busy
	Poll   time.Duration `yaml:"poll"`  // time between two looks at a busy card
	ICCID  []ICCIDSource `yaml:"iccid"` // tried in order
	Detect Detect        `yaml:"detect"`
	// Refresh names lines that follow a REFRESH of the card (ETSI TS 102 223
	// section 6.4.7): what the module knows about the profile is now new.
	Refresh []string `yaml:"refresh"`
	// RefreshSettle bounds the time from enabling a profile until the module
	// shows its ICCID.
	RefreshSettle time.Duration `yaml:"refresh_settle"`
}

// ICCIDSource is one way to read EF_ICCID through the module.
type ICCIDSource struct {
	Ask  `yaml:",inline"`
	Form string `yaml:"form"` // "plain": digits; "crsm": +CRSM: sw1,sw2,"nibble-swapped"
}

// Detect is the card detection input. With the wrong polarity a card that is
// there seems to be absent (CME 13 or 10).
type Detect struct {
	Query Ask    `yaml:"query"` // shows the setting; empty where there is none
	Off   string `yaml:"off"`   // switches the input off
}

// Radio is the functionality level (3GPP TS 27.007 section 8.2).
type Radio struct {
	Query     Ask           `yaml:"query"`      // reads the level
	Off       []string      `yaml:"off"`        // radio off, card reachable
	OffLevels []int         `yaml:"off_levels"` // levels that prove it
	On        []string      `yaml:"on"`
	OnLevels  []int         `yaml:"on_levels"`
	Limit     time.Duration `yaml:"limit"`     // from the last command until the level is read back
	OnSettle  time.Duration `yaml:"on_settle"` // after radio on: answers that came too early are not trusted
}

// Power is reset, orderly power-down and what must be done before power is cut.
type Power struct {
	Reset     string        `yaml:"reset"`      // command that restarts the module
	ResetWait time.Duration `yaml:"reset_wait"` // after its OK, before a module without ready lines is asked whether it is back: it may still answer before it goes down
	Down      string        `yaml:"down"`       // command that switches it off; "" where there is none
	DownLines []string      `yaml:"down_lines"` // printed when it is off
	DownLimit time.Duration `yaml:"down_limit"` // from OK until power may be cut without the line
	Save      []string      `yaml:"save"`       // writes settings to non-volatile memory; the last thing before power-down
	SaveWait  time.Duration `yaml:"save_wait"`  // until they are written
	ResetHold time.Duration `yaml:"reset_hold"` // of the RESET input, for the fixture; 0: not known
}

// Routes to the card.
const (
	RouteCGLA = "cgla" // +CCHO, +CGLA, +CCHC (3GPP TS 27.007 sections 8.43 to 8.46)
	RouteCSIM = "csim" // +CSIM (section 8.17) with MANAGE CHANNEL
)

// APDU is how APDUs reach the card.
type APDU struct {
	Routes      []string `yaml:"routes"`       // in order of preference: "cgla", "csim"
	Block       int      `yaml:"block"`        // data bytes of one STORE DATA, 1 to 255; 120 is the proven cautious value
	Try         int      `yaml:"try_block"`    // a larger size to be tried with the first long message of a download, 0 for none; what came of it is remembered
	Quoted      bool     `yaml:"quoted"`       // the command in +CGLA and +CSIM stands in quotes
	ChannelBits string   `yaml:"channel_bits"` // who puts the channel into CLA on +CGLA: "module" (TS 27.007 section 8.43) or "host"
	GetResponse string   `yaml:"get_response"` // CLA of GET RESPONSE, tried first: "interindustry" (0X) or "proprietary" (8X)
	OmitLe      bool     `yaml:"omit_le"`      // commands go without Le, and the answer is fetched

	// TerminalCapability is sent before the application is selected over +CSIM.
	TerminalCapability bool `yaml:"terminal_capability"`

	MaxChannels int    `yaml:"max_channels"` // highest logical channel that may be a leftover
	Unlock      Unlock `yaml:"unlock"`
}

// Unlock takes the ISD-R away from a local profile assistant inside the module.
type Unlock struct {
	Commands []string `yaml:"commands"` // in order; empty where nothing is known to be needed
	Reset    bool     `yaml:"reset"`    // they work after a reset only
}

// Deadline is the time for a command's final result. name is the command or the
// whole line, with AT ("AT+CGLA", "ATE0"); the table has extended commands
// without it ("+CGLA").
func (q *Quirks) Deadline(name string) time.Duration {
	name = atcmd.Command{Text: name}.Name()
	if d, ok := q.Deadlines[strings.TrimPrefix(name, "AT")]; ok {
		return d
	}
	if d, ok := q.Deadlines[name]; ok {
		return d
	}
	return q.Deadlines["default"]
}

// clone shares nothing with q.
func (q *Quirks) clone() Quirks {
	c := *q
	c.Names = slices.Clone(q.Names)
	c.Deadlines = maps.Clone(q.Deadlines)
	c.URCs = slices.Clone(q.URCs)
	return c
}

// overlay is q with what an entry says. The other lists of the copy are
// replaced by the decoder, never written in place.
func (q *Quirks) overlay(e entry) (Quirks, error) {
	c := q.clone()
	c.Names = append(c.Names, e.name)
	deadlines, urcs := c.Deadlines, c.URCs
	c.Deadlines, c.URCs = nil, nil
	if err := yaml.NodeToValue(e.quirks, &c, yaml.Strict()); err != nil {
		return Quirks{}, err
	}
	merged := maps.Clone(deadlines)
	if merged == nil {
		merged = map[string]time.Duration{}
	}
	maps.Copy(merged, c.Deadlines)
	c.Deadlines = merged
	for _, u := range c.URCs {
		if !slices.Contains(urcs, u) {
			urcs = append(urcs, u)
		}
	}
	c.URCs = urcs
	return c, nil
}

// allURCs are all lines to expect unasked.
func (q *Quirks) allURCs() []string {
	out := slices.Concat(q.URCs, q.Boot.Ready, q.Boot.Restart, q.SIM.Refresh, q.Power.DownLines)
	slices.Sort(out)
	return slices.Compact(out)
}
