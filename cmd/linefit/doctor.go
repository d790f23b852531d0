package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"linefit/audit/store"
	"linefit/modem"
	"linefit/modem/rsp"
	"linefit/station/config"
	"linefit/station/plant"
	"linefit/ui/client"
)

type doctorCmd struct {
	Config string `required:"" type:"path" placeholder:"FILE" help:"The station file."`
	JSON   bool   `name:"json" help:"Print the findings as one JSON document."`
}

// Verdicts of a check.
const (
	checkOK      = "ok"
	checkWarn    = "warn"    // works, but not for long or not everywhere
	checkFail    = "fail"    // the station, or a slot, will not work
	checkUnknown = "unknown" // cannot be found out now
)

// check is one thing that doctor looked at.
type check struct {
	Name    string `json:"name"`
	Verdict string `json:"verdict"`
	Found   string `json:"found"`
	Mend    string `json:"mend,omitempty"`
}

// checkTimeout bounds each check that asks the network.
const checkTimeout = 5 * time.Second

// Run looks at everything that a station needs and changes nothing.
func (c *doctorCmd) Run(a *app) error {
	cfg, err := loadStation(c.Config)
	if err != nil {
		return err
	}
	d := &doctor{ctx: a.ctx, cfg: cfg}
	running := d.station()
	d.files()
	d.disk()
	d.clock()
	if !running {
		d.slots()
	}
	d.mes()
	d.smdp()
	if c.JSON {
		err = printJSON(a.stdout, map[string]any{"ok": !d.failed, "checks": d.checks})
	} else {
		d.print(a)
	}
	if err == nil && d.failed {
		return exit(exitVerdict, nil)
	}
	return err
}

type doctor struct {
	ctx    context.Context
	cfg    *config.Config
	checks []check
	failed bool
}

func (d *doctor) add(name, verdict, mend, found string, args ...any) {
	d.checks = append(d.checks, check{Name: name, Verdict: verdict, Found: fmt.Sprintf(found, args...), Mend: mend})
	d.failed = d.failed || verdict == checkFail
}

func (d *doctor) print(a *app) {
	mark := map[string]string{checkOK: "ok  ", checkWarn: "WARN", checkFail: "FAIL", checkUnknown: "?   "}
	for _, c := range d.checks {
		fmt.Fprintf(a.stdout, "%s  %-22s %s\n", mark[c.Verdict], c.Name, c.Found)
		if c.Mend != "" {
			fmt.Fprintf(a.stdout, "%28s-> %s\n", "", c.Mend)
		}
	}
}

// station asks the daemon, where it runs: it holds ports, lines and store.
func (d *doctor) station() (running bool) {
	c, err := client.New(client.Options{Address: "unix:" + socketOf(d.cfg)})
	if err != nil {
		d.add("station", checkFail, "shorten api.socket", "%v", err)
		return false
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(d.ctx, checkTimeout)
	defer cancel()
	v, err := c.Station(ctx)
	if err != nil {
		d.add("station", checkUnknown, "", "the daemon does not run; ports and lines are looked at directly")
		d.stockOfLog()
		return false
	}
	d.add("station", checkOK, "", "the daemon runs: %s, %d slots", v.Health, len(v.Slots))
	for _, s := range v.Slots {
		if s.Fault != nil {
			d.add(fmt.Sprintf("slot %d", s.ID), checkFail, "mend the cause, then clear the slot's fault on the screen", "%s", s.Fault)
		}
	}
	d.stock(v.Stock)
	d.witnesses(v.Witnesses)
	return true
}

// files loads what the station would load.
func (d *doctor) files() {
	if err := readFiles(d.cfg); err != nil {
		d.add("recipe and policy", checkFail, "mend the file, then linefit recipe lint", "%v", err)
	} else {
		d.add("recipe and policy", checkOK, "", "%s", filepath.Base(d.cfg.Recipe))
	}
	for name, file := range map[string]string{"log key": d.cfg.Audit.Key, "vault key": d.cfg.Vault.Key} {
		d.secretFile(name, file)
	}
}

// readFiles reads everything of a station that is a file, and opens nothing.
func readFiles(c *config.Config) error {
	p := plan{plant.Plan{Logger: zerolog.Nop()}}
	var errs []error
	_, err := loadRecipe(c.Recipe, "consumer.yaml")
	errs = append(errs, err)
	_, err = loadPolicy(c.Policy)
	errs = append(errs, err)
	_, err = loadQuirks(c.Quirks)
	errs = append(errs, err)
	_, err = loadUnits(c.Units)
	errs = append(errs, err, p.servers(c), p.office(c.MES))
	errs = append(errs, p.witnessed(c.Audit.Witnesses))
	return errors.Join(errs...)
}

// secretFile looks at who may read a key.
func (d *doctor) secretFile(name, file string) {
	if file == "" {
		return
	}
	st, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.add(name, checkWarn, "", "%s will be made at the first start; keep a copy of it elsewhere", file)
	case err != nil:
		d.add(name, checkFail, "give the station's user access", "%v", err)
	case st.Mode().Perm()&0o077 != 0:
		d.add(name, checkFail, "chmod 600 "+file, "%s can be read by others (mode %o)", file, st.Mode().Perm())
	default:
		d.add(name, checkOK, "", "%s", file)
	}
}

// scrubbed says where the log is damaged, as far as it was found out.
func (d *doctor) scrubbed() {
	if _, err := os.Stat(filepath.Join(d.cfg.Station.Data, "segments")); errors.Is(err, fs.ErrNotExist) {
		d.add("audit log", checkUnknown, "", "there is none yet; it begins with the first start")
		return
	}
	text, err := store.Damage(d.cfg.Station.Data)
	first, rest, _ := strings.Cut(strings.TrimSpace(text), "\n")
	switch {
	case err != nil:
		d.add("audit log", checkUnknown, "", "%v", err)
	case text != "":
		d.add("audit log", checkFail, "put the file back from archive, backup or export; or two people go on: linefit audit accept", "%s (%d findings)", first, 1+strings.Count(rest, "\n")+min(len(rest), 1))
	default:
		d.add("audit log", checkOK, "", "no damage was found by its readings; linefit audit verify reads it now")
	}
}

// wanted is the free space with which a station goes on for long.
const wanted = 2 << 30

func (d *doctor) disk() {
	dir := d.cfg.Station.Data
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	free, total, err := store.OSFS().Free(dir)
	switch {
	case err != nil:
		d.add("disk", checkFail, "check the mount", "%v", err)
	case free < 128<<20:
		d.add("disk", checkFail, "make space: below its reserve the log stops and with it every slot", "%d MB free of %d MB", free>>20, total>>20)
	case free < wanted:
		d.add("disk", checkWarn, "make space soon", "%d MB free of %d MB", free>>20, total>>20)
	default:
		d.add("disk", checkOK, "", "%d GB free", free>>30)
	}
	d.scrubbed()
	d.witnessFolder()
	probe, err := os.CreateTemp(dir, ".linefit-doctor-")
	if err != nil {
		d.add("data folder", checkFail, "chown it to the station's user", "%v", err)
		return
	}
	_ = errors.Join(probe.Close(), os.Remove(probe.Name())) // an empty file of our own
	d.add("data folder", checkOK, "", "%s can be written", dir)
}

func (d *doctor) clock() {
	if now := time.Now(); now.Year() < 2025 {
		d.add("clock", checkFail, "set the clock and enable NTP", "it is %s here", now.Format(time.DateOnly))
		return
	}
	switch synced, known := clockSynced(); {
	case !known:
		d.add("clock", checkUnknown, "", "this system does not say whether its clock is synchronised")
	case !synced:
		d.add("clock", checkWarn, "enable NTP (timedatectl set-ntp true); entries will say that the clock is not synchronised", "not synchronised")
	default:
		d.add("clock", checkOK, "", "synchronised")
	}
}

// slots opens each port and each fixture for a moment.
func (d *doctor) slots() {
	for _, s := range d.cfg.Slots {
		name := fmt.Sprintf("slot %d", s.ID)
		rwc, err := portOpener(s.Port, s.Baud)(d.ctx)
		switch {
		case errors.Is(err, modem.ErrBusy):
			d.add(name+" port", checkFail, "stop the program that has it (ModemManager: install configs/99-linefit.rules)", "%v", err)
		case errors.Is(err, modem.ErrPermission):
			d.add(name+" port", checkFail, "add the station's user to the group dialout", "%v", err)
		case errors.Is(err, modem.ErrMissing):
			d.add(name+" port", checkWarn, "a USB module shows its port only with power; else check cable and name", "%v", err)
		case err != nil:
			d.add(name+" port", checkFail, "check the port", "%v", err)
		default:
			_ = rwc.Close()
			d.add(name+" port", checkOK, "", "%s", s.Port)
		}
		d.fixture(name+" fixture", s)
	}
}

// fixture opens the lines, or the controller, of a slot. Its supply is off then.
func (d *doctor) fixture(name string, s config.Slot) {
	network, address := s.Fixture.Address()
	fx, err := openFixture(d.ctx, s)
	switch {
	case err != nil && network != "":
		d.add(name, checkFail, "start the controller, check its address and its slots", "%v", err)
		return
	case err != nil:
		d.add(name, checkFail, "check chip and line names with gpioinfo, and that no other program has them", "%v", err)
		return
	case network != "":
		d.add(name, checkOK, "", "controller at %s answers", address)
	default:
		d.add(name, checkOK, "", "%d lines", len(s.GPIO.Lines()))
	}
	_ = fx.Close()
}

func (d *doctor) mes() {
	if d.cfg.MES == nil {
		d.add("MES", checkOK, "", "none, as the station file says")
		return
	}
	u, err := url.Parse(d.cfg.MES.URL)
	if err != nil {
		d.add("MES", checkFail, "mend mes.url", "%v", err)
		return
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	d.dial("MES", net.JoinHostPort(u.Hostname(), port), "")
}

func (d *doctor) smdp() {
	if len(d.cfg.SMDP.Hosts) == 0 {
		d.add("SM-DP+", checkFail, "list the servers under smdp.hosts and their issuers under smdp.ci", "none is allowed")
	}
	for _, h := range d.cfg.SMDP.Hosts {
		host, addr := h, net.JoinHostPort(h, "443")
		if name, _, err := net.SplitHostPort(h); err == nil {
			host, addr = name, h
		}
		d.dial("SM-DP+ "+h, addr, host)
	}
}

// dial connects, and shakes hands under the station's own issuers where host is
// given.
func (d *doctor) dial(name, addr, host string) {
	ctx, cancel := context.WithTimeout(d.ctx, checkTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		d.add(name, checkFail, "check network, firewall and name", "%v", err)
		return
	}
	defer conn.Close()
	if host == "" {
		d.add(name, checkOK, "", "%s answers", addr)
		return
	}
	roots := rsp.Pool()
	for _, file := range d.cfg.SMDP.CI {
		if b, err := os.ReadFile(file); err == nil {
			certs, _ := rsp.ParseCertificates(b) // mistakes are found by files
			for _, c := range certs {
				roots.AddCert(c)
			}
		}
	}
	t := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12})
	if err := t.HandshakeContext(ctx); err != nil {
		d.add(name, checkFail, "check smdp.ci: the server's certificate must stand under one of the issuers", "%s", strings.TrimPrefix(err.Error(), "tls: "))
		return
	}
	d.add(name, checkOK, "", "%s answers, certificate valid until %s", addr, t.ConnectionState().PeerCertificates[0].NotAfter.Format(time.DateOnly))
}
