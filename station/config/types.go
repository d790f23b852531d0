package config

import (
	_ "embed"
	"time"

	"linefit/internal/strictyaml"
)

// Config is a station's configuration. Paths are absolute, taken from the
// file's folder.
type Config struct {
	Station Place
	Slots   []Slot
	Recipe  string
	Policy  string
	Quirks  string
	Units   string
	IoT     IoT `yaml:"iot"`
	Assign  Assign
	Grace   Duration
	Audit   Audit
	Vault   Vault
	Stock   Stock
	MES     *MES `yaml:"-"` // nil: none
	API     API
	SMDP    SMDP

	doc *strictyaml.Doc // where everything stands in the file
}

// IoT is what a station with SGP.32 units gets from eIMs' operators: folders with
// eIM configuration data that orders may name, and with packages that eIMs have
// signed for single eUICCs.
type IoT struct{ EIMs, Packages string }

// Place is the equipment path (ISA-95) and where the station keeps its data.
type Place struct {
	Name, Site, Area, Line, Data, Origin string
}

// Slot is one fixture slot.
type Slot struct {
	ID   int
	Port Port
	Baud int
	GPIO GPIO
	// Fixture is the controller in place of GPIO lines; the zero value is none.
	Fixture Controller
}

// Controller is a fixture's controller and what it calls the slot.
type Controller struct {
	Unix, TCP string
	Slot      int
	Timeout   Duration
}

// Address is the network and the address of the controller, "" where there is
// none.
func (c Controller) Address() (network, address string) {
	switch {
	case c.Unix != "":
		return "unix", c.Unix
	case c.TCP != "":
		return "tcp", c.TCP
	}
	return "", ""
}

// Port names a serial port by path, or by USB topology and interface number
// ("1-1.2:2"), since tty names move.
type Port struct{ Path, USB string }

func (p Port) String() string {
	if p.USB != "" {
		return "usb " + p.USB
	}
	return p.Path
}

// Line is a GPIO line: chip (name or label) and offset, or the line's name.
type Line struct {
	Chip      string
	Offset    int
	Name      string
	ActiveLow bool `yaml:"active_low"`
}

// GPIO are a slot's lines; only power is needed.
type GPIO struct {
	Power    *Line
	Reset    *Line
	Clamp    *Line
	Presence *Line
	LampPass *Line `yaml:"lamp_pass"`
	LampFail *Line `yaml:"lamp_fail"`
	LampBusy *Line `yaml:"lamp_busy"`
	LampHold *Line `yaml:"lamp_hold"`
	Debounce Duration
}

// Lines are the lines that a slot uses, by their names in the file.
func (g GPIO) Lines() map[string]*Line {
	all := map[string]*Line{
		"power": g.Power, "reset": g.Reset, "clamp": g.Clamp, "presence": g.Presence,
		"lamp_pass": g.LampPass, "lamp_fail": g.LampFail, "lamp_busy": g.LampBusy, "lamp_hold": g.LampHold,
	}
	for name, l := range all {
		if l == nil {
			delete(all, name)
		}
	}
	return all
}

// Assign says how a scanned unit finds its slot.
type Assign struct {
	By     string
	Within Duration
}

// Audit says where the log's signing key lies (outside of the store) and how
// much space is kept free.
type Audit struct {
	Key string
	// Anchors is a folder with checkpoints of the log that QA keeps: at each start
	// the log must be consistent with every one.
	Anchors   string
	ReserveMB int `yaml:"reserve_mb"`
	// Archive is a folder on another disk to which closed shards go.
	Archive string
	// ScrubEvery is the time between two readings of the whole log for bit rot, at
	// most ScrubRate MB for a second.
	ScrubEvery Duration `yaml:"scrub_every"`
	ScrubRate  int      `yaml:"scrub_rate_mb"`
	// Witnesses are machines elsewhere that cosign the log's checkpoints.
	Witnesses Witnesses
}

// Witnesses says who cosigns the log's checkpoints (C2SP tlog-witness), how often
// they are asked, how long an answer may take, and in which folder the cosigned
// checkpoints are kept.
type Witnesses struct {
	Every   Duration
	Timeout Duration
	Keep    string
	List    []Witness
}

// Witness is one of them: its submission prefix and its verifier key.
type Witness struct {
	URL  string
	VKey string `yaml:"vkey"`
}

// Vault says which key seals the secrets: a file, or a systemd credential.
type Vault struct{ Key, Credential string }

// Stock says which lists of codes the station takes and how it looks after them.
type Stock struct {
	// ShareKeys are the verifier keys of those who split lists among stations.
	ShareKeys []string `yaml:"share_keys"`
	// SharesOnly refuses lists that are no share of this station.
	SharesOnly bool `yaml:"shares_only"`
	// Keep is how long a code stays in the vault after its profile was used up.
	Keep Duration
	// Source is where codes come from: ledger (lists that people import, the
	// default) or mes (with each route check).
	Source string
	// Low is the number of profiles of a kind below which it is announced that it
	// runs out (0: never; nil: a twentieth of what was imported), LowClear the one from which on there are enough again, LowRepeat the
	// time after which it is announced again.
	Low       *int
	LowClear  int      `yaml:"low_clear"`
	LowRepeat Duration `yaml:"low_repeat"`
}

// MES is the manufacturing execution system.
type MES struct {
	URL               string
	TokenFile         string `yaml:"token_file"`
	WebhookSecretFile string `yaml:"webhook_secret_file"`
	// WebhookOrigin is the station's name in terms of DNS; with it the MES is asked
	// for leave before the first event (CloudEvents webhooks, section 4).
	WebhookOrigin string `yaml:"webhook_origin"`
	CA            string
	RouteTimeout  Duration `yaml:"route_timeout"`
	Answer        string
	AnswerWithin  Duration `yaml:"answer_within"`
}

// API says where the station listens.
type API struct {
	Socket    string
	Listen    string
	TokenFile string `yaml:"token_file"`
	// ReadTokenFile has a token that only reads, for QA; with it nothing is read
	// over TCP without a token.
	ReadTokenFile string `yaml:"read_token_file"`
	Expose        bool
}

// SMDP lists which servers and certificate issuers are allowed.
type SMDP struct {
	Hosts   []string
	CI      []string
	Timeout Duration
	TestCI  bool `yaml:"test_ci"` // only a station that is no production line
}

// Duration is a time.Duration in YAML ("300ms", "1m30s").
type Duration time.Duration

// UnmarshalYAML implements yaml.InterfaceUnmarshaler.
func (d *Duration) UnmarshalYAML(unmarshal func(any) error) error {
	var s string
	if err := unmarshal(&s); err != nil {
		return err
	}
	v, err := time.ParseDuration(s)
	*d = Duration(v)
	return err
}

// D is the duration.
func (d Duration) D() time.Duration { return time.Duration(d) }
