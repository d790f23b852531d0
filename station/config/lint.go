package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"linefit/internal/strictyaml"
)

// lint finds what the schema cannot say: things that are named twice, files
// that are not there, an API that is open to the network by accident.
func (c *Config) lint(doc *strictyaml.Doc) strictyaml.Problems {
	l := &linter{doc: doc, seen: map[string]string{}}
	for i, s := range c.Slots {
		l.once(strictyaml.Path("slots", i, "id"), fmt.Sprintf("slot %d", s.ID))
		l.once(strictyaml.Path("slots", i, "port"), "port "+s.Port.String())
		if network, address := s.Fixture.Address(); network != "" {
			l.once(strictyaml.Path("slots", i, "fixture"), fmt.Sprintf("slot %d of the controller at %s", s.Fixture.Slot, address))
		}
		for _, name := range slices.Sorted(maps.Keys(s.GPIO.Lines())) {
			line := s.GPIO.Lines()[name]
			l.once(strictyaml.Path("slots", i, "gpio", name), lineName(*line))
		}
	}
	l.exists(strictyaml.Path("recipe"), c.Recipe)
	l.exists(strictyaml.Path("policy"), c.Policy)
	l.exists(strictyaml.Path("quirks"), c.Quirks)
	l.exists(strictyaml.Path("units"), c.Units)
	l.exists(strictyaml.Path("iot", "eims"), c.IoT.EIMs)
	l.exists(strictyaml.Path("iot", "packages"), c.IoT.Packages)
	for i, ci := range c.SMDP.CI {
		l.exists(strictyaml.Path("smdp", "ci", i), ci)
	}
	if c.MES != nil {
		l.exists(strictyaml.Path("mes", "token_file"), c.MES.TokenFile)
		l.exists(strictyaml.Path("mes", "webhook_secret_file"), c.MES.WebhookSecretFile)
		l.exists(strictyaml.Path("mes", "ca"), c.MES.CA)
	}
	c.lintAPI(l)
	l.exists(strictyaml.Path("audit", "anchors"), c.Audit.Anchors)
	if c.Audit.Anchors != "" && inside(c.Audit.Anchors, c.Station.Data) {
		l.add(strictyaml.Path("audit", "anchors"), "checkpoints that others keep must not lie in the store %s: who puts an old store back puts them back too", c.Station.Data)
	}
	if c.Audit.Archive != "" && inside(c.Audit.Archive, c.Station.Data) {
		l.add(strictyaml.Path("audit", "archive"), "the archive must not lie in the store %s", c.Station.Data)
	}
	if inside(c.Audit.Key, c.Station.Data) {
		l.add(strictyaml.Path("audit", "key"), "the log's signing key must not lie in the store %s: who copies the store could sign in its name", c.Station.Data)
	}
	if c.Vault.Key != "" && inside(c.Vault.Key, filepath.Join(c.Station.Data, "vault")) {
		l.add(strictyaml.Path("vault", "key"), "the vault's key must not lie in the vault")
	}
	if c.Stock.Source == SourceMES && c.MES == nil {
		l.add(strictyaml.Path("stock", "source"), "mes: the station has no MES (mes: none)")
	}
	if c.Stock.LowClear > 0 && c.Stock.Low != nil && c.Stock.LowClear < *c.Stock.Low {
		l.add(strictyaml.Path("stock", "low_clear"), "%d is less than low, %d", c.Stock.LowClear, *c.Stock.Low)
	}
	if c.Stock.SharesOnly && len(c.Stock.ShareKeys) == 0 {
		l.add(strictyaml.Path("stock", "shares_only"), "share_keys is needed: without a key no share can be taken")
	}
	return l.found
}

func (c *Config) lintAPI(l *linter) {
	if c.API.Listen == "" {
		return
	}
	if !Loopback(c.API.Listen) && !c.API.Expose {
		l.add(strictyaml.Path("api", "listen"), "%s is reachable from the network; use 127.0.0.1, or say expose: true", c.API.Listen)
	}
	if c.API.TokenFile == "" {
		l.add(strictyaml.Path("api", "listen"), "token_file is needed: state changes over TCP carry a token")
	}
	l.exists(strictyaml.Path("api", "token_file"), c.API.TokenFile)
	l.exists(strictyaml.Path("api", "read_token_file"), c.API.ReadTokenFile)
}

type linter struct {
	doc   *strictyaml.Doc
	seen  map[string]string
	found strictyaml.Problems
}

func (l *linter) add(path []string, format string, args ...any) {
	l.found = append(l.found, l.doc.Problem(path, format, args...))
}

func (l *linter) once(path []string, what string) {
	p := l.doc.Problem(path, "")
	if first, twice := l.seen[what]; twice {
		l.add(path, "%s is already in line %s", what, first)
		return
	}
	l.seen[what] = fmt.Sprint(p.Line)
}

func (l *linter) exists(path []string, file string) {
	if file == "" {
		return
	}
	if _, err := os.Stat(file); err != nil {
		l.add(path, "%v", err)
	}
}

func lineName(l Line) string {
	if l.Name != "" {
		return "line " + l.Chip + "/" + l.Name
	}
	return fmt.Sprintf("line %s/%d", l.Chip, l.Offset)
}

func inside(file, dir string) bool {
	rel, err := filepath.Rel(dir, file)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
