// Package config reads a station's configuration from strict YAML: shape, then
// meaning, all mistakes at once with file and line. It opens no port and no
// line; that is what doctor and the daemon do.
package config

import (
	_ "embed"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
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

// Problem is a mistake at a path of keys and indexes of the file.
func (c *Config) Problem(path []string, format string, args ...any) strictyaml.Problem {
	return c.doc.Problem(path, format, args...)
}

// Load reads a station file.
func Load(path string) (*Config, error) {
	data, err := strictyaml.ReadFile(path, strictyaml.MaxSize)
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
	shape := doc.Validate(compiled())
	var f file
	if len(shape) == 0 {
		err = doc.Decode(&f)
	} else if shape.At(decisive) || doc.DecodeKnown(&f) != nil {
		err = shape.Err()
	}
	if err != nil {
		return nil, err
	}
	c := f.Config
	c.doc = doc
	if m, ok := f.MES.(map[string]any); ok {
		if c.MES, err = decodeMES(m); err != nil {
			return nil, append(shape, shape.Beside(strictyaml.Problems{doc.Problem(strictyaml.Path("mes"), "%v", err)})...).Err()
		}
	}
	c.absolute(filepath.Dir(name))
	c.defaults()
	found := c.lint(doc)
	if len(shape) > 0 {
		return nil, append(shape, shape.Beside(found)...).Err()
	}
	return &c, found.Err()
}

// decisive are the places of what the rest of a station file is judged by.
var decisive = regexp.MustCompile(`^$|^(station|slots|mes|smdp|stock)$|^slots\[\d+\]$`)

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
	paths := []*string{&c.Station.Data, &c.Recipe, &c.Policy, &c.Quirks, &c.Units, &c.IoT.EIMs, &c.IoT.Packages, &c.Audit.Key, &c.Vault.Key, &c.API.Socket, &c.API.TokenFile, &c.API.ReadTokenFile, &c.Audit.Anchors, &c.Audit.Archive, &c.Audit.Witnesses.Keep}
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
	set(&c.Stock.LowRepeat, 24*time.Hour)
	set(&c.Audit.ScrubEvery, 24*time.Hour)
	if c.Audit.ScrubRate == 0 {
		c.Audit.ScrubRate = 20
	}
	set(&c.Audit.Witnesses.Every, time.Minute)
	set(&c.Audit.Witnesses.Timeout, 30*time.Second)
	if c.Stock.Source == "" {
		c.Stock.Source = SourceLedger
	}
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

// Sources of codes, in Stock.Source.
const (
	SourceLedger = "ledger"
	SourceMES    = "mes"
)

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
