// Package config reads a station's configuration from strict YAML: shape, then
// meaning, all mistakes at once with file and line. It opens no port and no
// line; that is what doctor and the daemon do.
package config

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"linefit/internal/strictyaml"
)

//go:embed schema.json
var schemaText string

// Schema is the JSON Schema of a station file.
func Schema() string { return schemaText }

var compiled = sync.OnceValue(func() *jsonschema.Schema { return strictyaml.Compile("station.json", schemaText) })

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

// Problem is a mistake at a path of keys and indexes of the file.
func (c *Config) Problem(path []string, format string, args ...any) strictyaml.Problem {
	return c.doc.Problem(path, format, args...)
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
	// Low is the number of profiles of a kind below which the station warns.
	Low int
}

// MES is the manufacturing execution system.
type MES struct {
	URL               string
	TokenFile         string `yaml:"token_file"`
	WebhookSecretFile string `yaml:"webhook_secret_file"`
	CA                string
	RouteTimeout      Duration `yaml:"route_timeout"`
	Answer            string
	AnswerWithin      Duration `yaml:"answer_within"`
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

// Load reads a station file.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("station file: %w", err)
	}
	return Parse(path, data)
}

// file is Config with the two forms of mes.
type file struct {
	Config `yaml:",inline"`
	MES    any
}

// Parse reads a station file. The error is of type strictyaml.Problems.
func Parse(name string, data []byte) (*Config, error) {
	c, err := Inspect(name, data)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Inspect is Parse for one who looks for more mistakes: where the file has the
// right shape its content comes beside the error.
func Inspect(name string, data []byte) (*Config, error) {
	doc, err := strictyaml.Parse(name, data)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(compiled()).Err(); err != nil {
		return nil, err
	}
	var f file
	if err := doc.Decode(&f); err != nil {
		return nil, err
	}
	c := f.Config
	c.doc = doc
	if m, ok := f.MES.(map[string]any); ok {
		if c.MES, err = decodeMES(m); err != nil {
			return nil, strictyaml.Problems{doc.Problem(strictyaml.Path("mes"), "%v", err)}
		}
	}
	c.absolute(filepath.Dir(name))
	c.defaults()
	return &c, c.lint(doc).Err()
}

// Named is a file that a station file names.
type Named struct {
	Key     string // recipe, policy, quirks or units
	Path    string
	Problem strictyaml.Problem // at the key, without text
}

// NamedFiles are the files that a station file names, as far as it can be read
// at all: mistakes in them can be shown together with those of the file.
func NamedFiles(name string, data []byte) (found []Named) {
	doc, err := strictyaml.Parse(name, data)
	if err != nil {
		return nil
	}
	var f struct{ Recipe, Policy, Quirks, Units any }
	if yaml.Unmarshal(data, &f) != nil {
		return nil
	}
	add := func(key string, value any) {
		path, ok := value.(string)
		if !ok || path == "" {
			return
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(name), path)
		}
		found = append(found, Named{Key: key, Path: path, Problem: doc.Problem(strictyaml.Path(key), "")})
	}
	add("recipe", f.Recipe)
	add("policy", f.Policy)
	add("quirks", f.Quirks)
	add("units", f.Units)
	return found
}

func decodeMES(m map[string]any) (*MES, error) {
	b, err := yaml.Marshal(m)
	if err != nil {
		return nil, err
	}
	var mes MES
	return &mes, yaml.Unmarshal(b, &mes)
}

// absolute takes every path from the file's folder.
func (c *Config) absolute(dir string) {
	paths := []*string{&c.Station.Data, &c.Recipe, &c.Policy, &c.Quirks, &c.Units, &c.IoT.EIMs, &c.IoT.Packages, &c.Audit.Key, &c.Vault.Key, &c.API.Socket, &c.API.TokenFile, &c.API.ReadTokenFile, &c.Audit.Anchors}
	for i := range c.SMDP.CI {
		paths = append(paths, &c.SMDP.CI[i])
	}
	for i := range c.Slots {
		paths = append(paths, &c.Slots[i].Port.Path, &c.Slots[i].Fixture.Unix)
	}
	if c.MES != nil {
		paths = append(paths, &c.MES.TokenFile, &c.MES.WebhookSecretFile, &c.MES.CA)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// defaults fills what a file may leave out.
func (c *Config) defaults() {
	set := func(d *Duration, v time.Duration) {
		if *d == 0 {
			*d = Duration(v)
		}
	}
	for i := range c.Slots {
		if c.Slots[i].Baud == 0 {
			c.Slots[i].Baud = 115200
		}
		if f := &c.Slots[i].Fixture; f.Slot == 0 {
			f.Slot = c.Slots[i].ID
		}
		set(&c.Slots[i].Fixture.Timeout, 2*time.Second)
	}
	if c.Assign.By == "" {
		c.Assign.By = "scan"
	}
	set(&c.Assign.Within, 10*time.Second)
	set(&c.Grace, 20*time.Second)
	set(&c.SMDP.Timeout, 30*time.Second)
	set(&c.Stock.Keep, 30*24*time.Hour)
	if c.Station.Origin == "" {
		c.Station.Origin = "linefit.local/" + c.Station.Name
	}
	if c.Audit.Key == "" {
		c.Audit.Key = c.Station.Data + ".audit.key" // beside the store, never in it
	}
	if c.Vault.Key == "" && c.Vault.Credential == "" {
		c.Vault.Key = c.Station.Data + ".vault.key"
	}
	if c.API.Socket == "" {
		c.API.Socket = filepath.Join(c.Station.Data, "linefit.sock")
	}
	if c.MES != nil {
		set(&c.MES.RouteTimeout, 5*time.Second)
		set(&c.MES.AnswerWithin, 5*time.Second)
		if c.MES.Answer == "" {
			c.MES.Answer = "hold"
		}
	}
}

// MESName is what every run states: the MES's URL, or "none".
func (c *Config) MESName() string {
	if c.MES == nil {
		return "none"
	}
	return c.MES.URL
}

// Loopback reports whether a listen address is reachable from this machine only.
func Loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
