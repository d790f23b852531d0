package modemsim

import (
	"maps"
	"time"
)

// Persona is a module family's behaviour as data: what configs/personas/*.yaml
// hold. A field that is absent in a file keeps the value of the persona that
// the file extends. Times are Go durations ("300ms").
type Persona struct {
	Name    string `yaml:"name"`
	Extends string `yaml:"extends"`
	About   string `yaml:"about"`

	Identity Identity           `yaml:"identity"`
	Port     Port               `yaml:"port"`
	Boot     Boot               `yaml:"boot"`
	AT       AT                 `yaml:"at"`
	SIM      SIM                `yaml:"sim"`
	APDU     APDU               `yaml:"apdu"`
	Radio    Radio              `yaml:"radio"`
	NV       NVPolicy           `yaml:"nv"`
	Commands map[string]Command `yaml:"commands"` // by name in upper case; they beat the built-in ones
}

// Identity is what the module says it is.
type Identity struct {
	Manufacturer string   `yaml:"manufacturer"` // AT+CGMI
	Model        string   `yaml:"model"`        // AT+CGMM
	Firmware     string   `yaml:"firmware"`     // AT+CGMR
	ATI          []string `yaml:"ati"`          // lines of ATI; templates allowed
	TAC          string   `yaml:"tac"`          // first eight digits of IMEIs made for this persona
	Prefixed     bool     `yaml:"prefixed"`     // "+CGMI: x" instead of the bare value
}

// Port says how the module's serial port behaves.
type Port struct {
	Baud       int  `yaml:"baud"`       // bits per second after boot, what AT+IPR? answers; 0: nothing to set
	Enumerates bool `yaml:"enumerates"` // a USB port: it is gone without power and during a reset
}

// Boot is what happens between power and readiness. All times count from the
// moment of power-on or reset.
type Boot struct {
	Alive time.Duration `yaml:"alive"` // AT commands are answered; characters before it are lost
	SIM   time.Duration `yaml:"sim"`   // the card is powered and read
	Port  time.Duration `yaml:"port"`  // an enumerating port appears
	Fit   time.Duration `yaml:"fit"`   // scales all boot times so that alive becomes this; 0: as they are
	Noise string        `yaml:"noise"` // bytes on the line at power-on, hexadecimal
	URCs  []TimedURC    `yaml:"urcs"`
}

// TimedURC is a line that appears by itself.
type TimedURC struct {
	At   time.Duration `yaml:"at"`
	Text string        `yaml:"text"`
	When string        `yaml:"when"` // "" always, "sim" only with a readable profile, "no-sim" only without
	Need string        `yaml:"need"` // a setting that must not be "0"; "" for none
}

// AT is the command interface.
type AT struct {
	Echo      bool           `yaml:"echo"`       // state after boot
	CMEE      int            `yaml:"cmee"`       // state after boot: 0 ERROR, 1 number, 2 text
	CMEEFixed bool           `yaml:"cmee_fixed"` // AT+CMEE is accepted and changes nothing
	Framing   string         `yaml:"framing"`    // "v250", or "tight": no CR LF before a line
	Chain     bool           `yaml:"chain"`      // several commands in a line
	Repeat    bool           `yaml:"repeat"`     // A/
	Gap       time.Duration  `yaml:"gap"`        // characters nearer than this behind a final result are lost
	Busy      string         `yaml:"busy"`       // input during a command: "buffer", "drop" or "abort"
	MaxLine   int            `yaml:"max_line"`   // characters of a command line
	Unknown   string         `yaml:"unknown"`    // an unknown command: "error", or a CME number
	Test      string         `yaml:"test"`       // =? of a command without its own answer: "ok", "error" or "silent"
	CMEText   map[int]string `yaml:"cme_text"`   // the vendor's wording under CMEE=2
	// Delay is the time between a command's last character and the first one
	// of its answer, without the card's own time, by command name; "default"
	// for all others.
	Delay map[string]time.Duration `yaml:"delay"`
}

// SIM is how the module treats its card.
type SIM struct {
	OffIn     []int     `yaml:"off_in"`     // CFUN levels in which the card has no power
	OnIn      []int     `yaml:"on_in"`      // CFUN levels that power the card without the radio
	Absent    string    `yaml:"absent"`     // result without a card
	Off       string    `yaml:"off"`        // result while the card has no power
	Busy      string    `yaml:"busy"`       // result while the card is being read
	NoProfile NoProfile `yaml:"no_profile"` // a card without an enabled profile
	Refresh   Refresh   `yaml:"refresh"`    // REFRESH from the card
	ColdStart string    `yaml:"cold_start"` // profile state at a cold restart: "keep", "disable" or "reset"
}

// NoProfile says what a blank eUICC looks like through the module. Results are
// "error", a CME number, or for CPIN the text behind "+CPIN: ".
type NoProfile struct {
	CPIN  string `yaml:"cpin"`
	ICCID string `yaml:"iccid"`
	CSIM  string `yaml:"csim"` // "" lets CSIM through
	CCHO  string `yaml:"ccho"` // "" lets CCHO through
}

// Refresh is the module's reaction to the proactive command REFRESH (ETSI TS
// 102 223 section 6.4.7).
type Refresh struct {
	Ignore bool          `yaml:"ignore"` // the module never fetches proactive commands
	SW     string        `yaml:"sw"`     // what the host sees of 91xx: "pass" or "9000"
	Delay  time.Duration `yaml:"delay"`  // from the answer to the card's reset
	Down   time.Duration `yaml:"down"`   // from the reset until the card is read again
	URCs   []string      `yaml:"urcs"`
	Need   string        `yaml:"need"`  // the lines appear only while this setting is not "0"; "" for always
	Reset  bool          `yaml:"reset"` // the whole module restarts
	// Hold: APDU commands wait until the card is back, in place of the result
	// sim.busy, and a session that went with the reset can be closed.
	Hold bool `yaml:"hold"`
}

// APDU is the transport of APDUs.
type APDU struct {
	Channel Channel `yaml:"channel"`
	CSIM    CSIM    `yaml:"csim"`
	// Deadline is how long the module waits for its card; 0 for ever. A later
	// answer is lost and the command ends with DeadlineResult, though the card
	// did what it was asked.
	Deadline       time.Duration `yaml:"deadline"`
	DeadlineResult string        `yaml:"deadline_result"`
	LPA            LPA           `yaml:"lpa"`
}

// Channel is +CCHO, +CGLA, +CCHC (3GPP TS 27.007 sections 8.43 to 8.46).
type Channel struct {
	Supported bool   `yaml:"supported"`
	Open      string `yaml:"open"`      // answer of CCHO: "prefixed", "bare" or "quoted"
	Handle    string `yaml:"handle"`    // session id: "channel", "counter" or "hex" (16 digits)
	Max       int    `yaml:"max"`       // bytes of a command APDU
	Quotes    string `yaml:"quotes"`    // the command in CGLA: "any" or "required"
	QuoteOut  bool   `yaml:"quote_out"` // the response in quotes
	Lower     bool   `yaml:"lower"`     // responses in lower-case hexadecimal
	PatchCLA  bool   `yaml:"patch_cla"` // the module sets the channel bits
	Fetch     bool   `yaml:"fetch"`     // the module fetches 61xx itself
	Sessions  int    `yaml:"sessions"`  // at most so many open
	OpenError string `yaml:"open_error"`
	Close     bool   `yaml:"close"` // CCHC exists
}

// CSIM is +CSIM (3GPP TS 27.007 section 8.17).
type CSIM struct {
	Supported bool   `yaml:"supported"`
	Channels  bool   `yaml:"channels"` // commands on logical channels pass
	Except    []int  `yaml:"except"`   // but not these instructions
	Open      bool   `yaml:"open"`     // MANAGE CHANNEL passes
	Max       int    `yaml:"max"`      // bytes of a command APDU
	QuoteOut  bool   `yaml:"quote_out"`
	Refused   string `yaml:"refused"` // result of a command that does not pass
}

// LPA is a module's own LPA that keeps the ISD-R to itself.
type LPA struct {
	Setting string `yaml:"setting"` // "+QESIM/lpa_enable": on unless this setting is "0" since the last reset; "" for none
	Result  string `yaml:"result"`  // of CCHO for the ISD-R meanwhile
}

// Radio is what the module does on the air.
type Radio struct {
	BootCFUN int           `yaml:"boot_cfun"`
	CFUN     []int         `yaml:"cfun"`   // accepted levels
	Resets   []int         `yaml:"resets"` // levels that restart the module
	Attach   time.Duration `yaml:"attach"` // from radio and card being on to the registration attempt
	Retry    time.Duration `yaml:"retry"`  // between attempts without success
	ClosesAt []int         `yaml:"closes_at"`
	Settle   time.Duration `yaml:"settle"` // after CFUN=1 the card answers only after this time, though OK came
}

// NVPolicy says when settings reach non-volatile memory.
type NVPolicy struct {
	Save string `yaml:"save"` // "write" at once, "cfun0" at CFUN=0, "store" at AT&W, "down" at an orderly power-down
	CFUN bool   `yaml:"cfun"` // the CFUN level is a stored setting
}

// Command is one command that the family has or has not.
type Command struct {
	Action  string            `yaml:"action"`  // "text", "setting", "keyed", "down", "reset", "none"
	Forms   []string          `yaml:"forms"`   // for text: "exec", "read", "set"; exec and read where absent
	Lines   []string          `yaml:"lines"`   // information text; templates {imei} {iccid} {iccid_f} {imsi} {serial} {manufacturer} {model} {firmware} {eid}
	Test    string            `yaml:"test"`    // =?: "ok", "error", "silent", or text
	Default string            `yaml:"default"` // a setting's factory value
	Values  map[string]string `yaml:"values"`  // a keyed setting's factory values
	CFUN    []int             `yaml:"cfun"`    // writable in these levels only
	Refused string            `yaml:"refused"` // result where it may not be used
	Save    string            `yaml:"save"`    // beats nv.save
	Wait    time.Duration     `yaml:"wait"`    // down and reset: from OK to the effect
	URCs    []string          `yaml:"urcs"`    // behind OK
}

// clone is a persona that shares nothing with p.
func (p Persona) clone() Persona {
	c := p
	c.Identity.ATI = append([]string(nil), p.Identity.ATI...)
	c.Boot.URCs = append([]TimedURC(nil), p.Boot.URCs...)
	c.AT.CMEText = cloneMap(p.AT.CMEText)
	c.AT.Delay = cloneMap(p.AT.Delay)
	c.SIM.OffIn = append([]int(nil), p.SIM.OffIn...)
	c.SIM.OnIn = append([]int(nil), p.SIM.OnIn...)
	c.SIM.Refresh.URCs = append([]string(nil), p.SIM.Refresh.URCs...)
	c.APDU.CSIM.Except = append([]int(nil), p.APDU.CSIM.Except...)
	c.Radio.CFUN = append([]int(nil), p.Radio.CFUN...)
	c.Radio.Resets = append([]int(nil), p.Radio.Resets...)
	c.Radio.ClosesAt = append([]int(nil), p.Radio.ClosesAt...)
	c.Commands = cloneMap(p.Commands)
	return c
}

func cloneMap[K comparable, V any](m map[K]V) map[K]V {
	c := make(map[K]V, len(m))
	maps.Copy(c, m)
	return c
}

// WithBoot is the persona with its boot scaled so that it answers AT commands
// after alive. All other boot times keep their proportion.
func (p Persona) WithBoot(alive time.Duration) Persona {
	c := p.clone()
	if p.Boot.Alive <= 0 {
		c.Boot.Alive = alive
		return c
	}
	scale := func(d time.Duration) time.Duration {
		return time.Duration(float64(d) * float64(alive) / float64(p.Boot.Alive))
	}
	c.Boot.Alive, c.Boot.SIM, c.Boot.Port = alive, scale(p.Boot.SIM), scale(p.Boot.Port)
	for i := range c.Boot.URCs {
		c.Boot.URCs[i].At = scale(p.Boot.URCs[i].At)
	}
	return c
}
