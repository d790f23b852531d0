package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"linefit/audit"
	"linefit/internal/strictyaml"
	"linefit/modem"
	"linefit/modem/rsp"
	"linefit/station"
	"linefit/station/admission"
	"linefit/station/config"
	"linefit/station/eim"
	"linefit/station/engine"
	"linefit/station/fixture"
	"linefit/station/mes"
	"linefit/station/plant"
	"linefit/station/recipe"
	"linefit/station/steps"
	"linefit/station/stock"
)

// testCIs are the subject key identifiers of the published test certificate
// issuers (SGP.26): who holds their keys is everybody.
var testCIs = []string{
	"F54172BDF98A95D65CBEB88A38A1C11D800A85C3", // NIST P-256
	"C0BC70BA36929D43B467FF57570530E57AB8FCD8", // brainpoolP256r1
}

// testIssuers are testCIs and the issuer of linefit's own virtual parts, whose
// key is in the program.
func testIssuers() ([]string, error) {
	ca, err := simAuthority()
	if err != nil {
		return nil, err
	}
	return append(slices.Clone(testCIs), strings.ToUpper(hex.EncodeToString(ca.CI.Cert.SubjectKeyId))), nil
}

// loadConfig reads a station file; mistakes are exit code 2.
func loadConfig(path string) (*config.Config, error) {
	c, err := config.Load(path)
	var found strictyaml.Problems
	switch {
	case errors.As(err, &found):
		return nil, exit(exitUsage, found)
	case err != nil:
		return nil, fileExit(err)
	}
	return c, nil
}

// loadStation reads a station file for one who is going to work with all that it
// names: every mistake in all of these files is listed, and nothing starts.
func loadStation(path string) (*config.Config, error) {
	f, err := inspectStation(path)
	if err != nil {
		return nil, err
	}
	if len(f.mistakes) > 0 {
		return nil, exit(exitUsage, f.mistakes)
	}
	return f.config, nil
}

// plan is what the station file says of a station.
type plan struct{ plant.Plan }

// fromConfig makes the plan of a production station. Files with mistakes are
// exit code 2; a slot whose port or lines are missing is in Fault, and the
// others work.
func fromConfig(ctx context.Context, c *config.Config, logger zerolog.Logger) (plan, error) {
	p := plan{plant.Plan{
		Place: station.StationOpened{
			Software: version, Site: c.Station.Site, Area: c.Station.Area, Line: c.Station.Line, Station: c.Station.Name, MES: c.MESName(),
		},
		Dir: c.Station.Data, Reserve: uint64(c.Audit.ReserveMB) << 20,
		Care:  plant.Care{Archive: c.Audit.Archive, ScrubEvery: c.Audit.ScrubEvery.D(), ScrubRate: int64(c.Audit.ScrubRate) << 20},
		Vault: vaultKey(c.Vault),
		Slots: map[int]plant.Slot{}, Faults: map[int]*station.Reason{},
		Assign: engine.Assign(c.Assign.By), Within: c.Assign.Within.D(), Grace: c.Grace.D(),
		Notify: plant.Notify{Timeout: c.SMDP.Timeout.D(), Parallel: 16, Backoff: []time.Duration{time.Second, 10 * time.Second, time.Minute, 10 * time.Minute}},
		Logger: logger,
	}}
	var errs []error
	var err error
	p.Recipe, err = recipe.Load(c.Recipe)
	errs = append(errs, err)
	p.Policy, err = loadPolicy(c.Policy)
	errs = append(errs, err)
	p.Quirks, err = loadQuirks(c.Quirks)
	errs = append(errs, err)
	p.Units, err = loadUnits(c.Units)
	errs = append(errs, err, p.eims(c.IoT), p.servers(c), p.office(c.MES), p.stocking(c), p.witnessed(c.Audit.Witnesses))
	if err := errors.Join(errs...); err != nil {
		return p, exit(exitUsage, err)
	}
	if p.Key, err = audit.LoadOrCreateKey(c.Audit.Key, c.Station.Origin); err != nil {
		return p, startError(err)
	}
	p.ShardKey = shardKeys(c.Audit.Key)
	if c.MES != nil {
		p.AnchorWithin = c.MES.RouteTimeout.D()
	}
	keepAnchors(&p.Plan, anchorFile(c.Station.Data))
	kept, err := anchorsIn(c.Audit.Anchors)
	if err != nil {
		return p, exit(exitMissing, err)
	}
	p.Anchors = append(p.Anchors, kept...)
	for _, s := range c.Slots {
		p.slot(ctx, s)
	}
	return p, nil
}

func vaultKey(v config.Vault) stock.KeySource {
	if v.Credential != "" {
		return stock.KeyCredential(v.Credential)
	}
	return stock.KeyFile{Path: v.Key, Make: true}
}

// loadQuirks reads the shipped table, and the folder of the station's own
// entries over it.
func loadQuirks(dir string) (*modem.Table, error) {
	var layers []fs.FS
	if dir != "" {
		layers = append(layers, os.DirFS(dir))
	}
	return modem.LoadQuirks(layers...)
}

func loadUnits(path string) (admission.Units, error) {
	if path == "" {
		return nil, nil
	}
	data, err := readListFile(path)
	if err != nil {
		return nil, fmt.Errorf("units: %w", err)
	}
	return admission.ParseUnits(path, bytes.NewReader(data))
}

// eims takes what eIMs' operators gave the station.
func (p *plan) eims(c config.IoT) (err error) {
	if c.Packages != "" {
		p.Carried = eim.Packages(c.Packages)
	}
	if c.EIMs != "" {
		p.EIMs, err = eim.LoadFolder(c.EIMs)
	}
	return err
}

// servers allows the SM-DP+ servers and issuers of the file and no others. Its
// mistakes are of type strictyaml.Problems.
func (p *plan) servers(cfg *config.Config) error {
	c := cfg.SMDP
	var certs []*x509.Certificate
	var found strictyaml.Problems
	tests, err := testIssuers()
	if err != nil {
		return err
	}
	for i, file := range c.CI {
		wrong := func(format string, args ...any) {
			found = append(found, cfg.Problem(strictyaml.Path("smdp", "ci", i), format, args...))
		}
		b, err := readFile(file)
		if err != nil {
			wrong("%v", err)
			continue
		}
		these, err := rsp.ParseCertificates(b)
		if err != nil {
			wrong("%s: %v; wanted: the issuer's certificate, PEM or DER", file, err)
		}
		for _, cert := range these {
			id := strings.ToUpper(hex.EncodeToString(cert.SubjectKeyId))
			if slices.Contains(tests, id) && !c.TestCI {
				wrong("%s is a test issuer, whose key everybody has: a production station does not trust it; wanted: the GSMA CI's certificate, or test_ci: true on a station that is no production line", file)
			}
			p.Trust.CIs = append(p.Trust.CIs, id)
		}
		certs = append(certs, these...)
	}
	p.Issuers = certs
	p.Trust.TestCIs, p.Trust.Production = tests, !c.TestCI
	p.RSP = rsp.NewClient(rsp.ClientConfig{
		Transport: rsp.NewTransport(rsp.TransportConfig{Roots: rsp.Pool(certs...), DialTimeout: c.Timeout.D()}),
		AllowHost: onlyHosts(c.Hosts...),
	})
	return found.Err()
}

// office is the MES of the file.
func (p *plan) office(c *config.MES) error {
	if c == nil {
		p.MES = mes.ClientOptions{URL: mes.None}
		return nil
	}
	var errs []error
	secret := func(file string) stock.Secret {
		if file == "" {
			return stock.Secret{}
		}
		b, err := readFile(file)
		errs = append(errs, err)
		return stock.NewSecret([]byte(strings.TrimSpace(string(b))))
	}
	var ca []byte
	if c.CA != "" {
		b, err := readFile(c.CA)
		errs = append(errs, err)
		ca = b
	}
	transport, err := mes.NewTransport(ca)
	errs = append(errs, err)
	p.MES = mes.ClientOptions{
		URL: c.URL, Token: secret(c.TokenFile), WebhookSecret: secret(c.WebhookSecretFile), WebhookOrigin: c.WebhookOrigin, Transport: transport, RouteTimeout: c.RouteTimeout.D(),
	}
	p.Late, p.Answer = mes.Late(c.Answer), c.AnswerWithin.D()
	return errors.Join(errs...)
}

// slot brings up one slot's fixture; what is missing puts the slot in Fault.
func (p *plan) slot(ctx context.Context, c config.Slot) {
	port := portOpener(c.Port, c.Baud)
	fx, err := openFixture(ctx, c)
	if err != nil {
		p.Faults[c.ID] = station.NewReason(station.FixtureFault, "%v", err)
		p.Slots[c.ID] = plant.Slot{Fixture: fixture.Broken{Err: err}, Port: port}
		return
	}
	p.Slots[c.ID] = plant.Slot{Fixture: fx, Port: port}
}

func openFixture(ctx context.Context, c config.Slot) (fixture.Fixture, error) {
	if network, address := c.Fixture.Address(); network != "" {
		return fixture.OpenRemote(ctx, fixture.RemoteOptions{Network: network, Address: address, Slot: c.Fixture.Slot, Timeout: c.Fixture.Timeout.D()})
	}
	line := func(l *config.Line) *fixture.LineName {
		if l == nil {
			return nil
		}
		return &fixture.LineName{Chip: l.Chip, Offset: l.Offset, Name: l.Name, ActiveLow: l.ActiveLow}
	}
	g := c.GPIO
	return fixture.OpenGPIO(fixture.Kernel{}, c.ID, fixture.Wiring{
		Power: line(g.Power), Reset: line(g.Reset), Clamp: line(g.Clamp), Presence: line(g.Presence),
		LampPass: line(g.LampPass), LampFail: line(g.LampFail), LampBusy: line(g.LampBusy), LampHold: line(g.LampHold),
		Debounce: g.Debounce.D(),
	})
}

// portName is what [modem.Root.Find] resolves.
func portName(c config.Port) string {
	if c.USB != "" {
		return c.USB
	}
	return c.Path
}

// portOpener finds the port anew at each opening: tty names move when a module
// restarts.
func portOpener(c config.Port, baud int) steps.Opener {
	name := portName(c)
	return func(context.Context) (io.ReadWriteCloser, error) {
		info, err := modem.Root("/").Find(name)
		if err != nil {
			return nil, err
		}
		return modem.OpenSerial(info.Path, modem.SerialOptions{Baud: baud})
	}
}

// socketOf is the socket of a station's API.
func socketOf(c *config.Config) string { return filepath.Clean(c.API.Socket) }
