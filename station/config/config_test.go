package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"linefit/internal/strictyaml"
	"linefit/station/config"
)

const good = `station: {name: st-01, site: S, line: L1, data: data}
slots:
  - id: 1
    port: {usb: "1-1.2:2"}
    gpio: {power: {chip: gpiochip0, offset: 1}, presence: {name: SLOT1_PRESENT, active_low: true}, debounce: 20ms}
  - id: 2
    port: {path: /dev/ttyUSB7}
    baud: 921600
    gpio: {power: {chip: gpiochip0, offset: 2}}
recipe: r.yaml
mes: none
`

func write(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string]string{"station.yaml": text, "r.yaml": "x", "token": "t"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "station.yaml")
}

func TestLoad(t *testing.T) {
	path := write(t, good)
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	if c.Station.Data != filepath.Join(dir, "data") || c.Recipe != filepath.Join(dir, "r.yaml") || c.MESName() != "none" {
		t.Errorf("%+v", c)
	}
	if s := c.Slots[0]; s.Baud != 115200 || s.Port.USB != "1-1.2:2" || !s.GPIO.Presence.ActiveLow || s.GPIO.Debounce.D() != 20*time.Millisecond {
		t.Errorf("slot 1: %+v", s)
	}
	if c.Slots[1].Baud != 921600 || c.Assign.By != "scan" || c.Assign.Within.D() != 10*time.Second {
		t.Errorf("%+v", c)
	}
}

func TestMES(t *testing.T) {
	c, err := config.Load(write(t, strings.Replace(good, "mes: none", "mes: {url: \"https://mes.example\", token_file: token, answer_within: 3s}", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if c.MES == nil || c.MES.URL != "https://mes.example" || c.MES.AnswerWithin.D() != 3*time.Second || c.MES.Answer != "hold" || !filepath.IsAbs(c.MES.TokenFile) {
		t.Errorf("%+v", c.MES)
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"slot twice", "- id: 2", "- id: 1", "station.yaml:6:5: slots[1].id: slot 1 is already in line 3"},
		{"line twice", "offset: 2", "offset: 1", "line gpiochip0/1 is already in line 5"},
		{"port twice", "{path: /dev/ttyUSB7}", `{usb: "1-1.2:2"}`, "port usb 1-1.2:2 is already"},
		{"no recipe", "recipe: r.yaml", "recipe: gone.yaml", "recipe: stat"},
		{"mes not said", "mes: none\n", "", "mes"},
		{"unknown key", "mes: none", "mes: none\nmess: 1", "mess: this key is not known here"},
		{"open API", "mes: none", "mes: none\napi: {listen: \"0.0.0.0:8080\", token_file: token}", "reachable from the network"},
		{"API without token", "mes: none", "mes: none\napi: {listen: \"127.0.0.1:8080\"}", "token_file is needed"},
		{"key in the store", "mes: none", "mes: none\naudit: {key: data/k}", "must not lie in the store"},
		{"two vault keys", "mes: none", "mes: none\nvault: {key: k, credential: c}", "vault"},
		{"shares without a key", "mes: none", "mes: none\nstock: {shares_only: true}", "share_keys is needed"},
		{"bad share key", "mes: none", "mes: none\nstock: {share_keys: [planning]}", "stock.share_keys[0]"},
		{"bad duration", "debounce: 20ms", "debounce: 20", "slots[0].gpio.debounce"},
		{"no power line", "gpio: {power: {chip: gpiochip0, offset: 2}}", "gpio: {clamp: {chip: gpiochip0, offset: 2}}", "slots[1].gpio"},
		{"too many slots", "- id: 2", "- id: 65", "slots[1].id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatal("nothing to replace")
			}
			_, err := config.Load(write(t, strings.Replace(good, c.old, c.new, 1)))
			var p strictyaml.Problems
			if !errors.As(err, &p) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q in:\n%v", c.want, err)
			}
		})
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, err := config.Load(write(t, strings.NewReplacer("- id: 2", "- id: 1", "offset: 2", "offset: 1", "recipe: r.yaml", "recipe: gone.yaml").Replace(good)))
	var p strictyaml.Problems
	if !errors.As(err, &p) || len(p) != 3 {
		t.Errorf("%d mistakes:\n%v", len(p), err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := config.Parse("station.yaml", b); err == nil && len(c.Slots) == 0 {
			t.Fatal("no slots")
		}
	})
}
