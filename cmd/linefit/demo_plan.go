package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"linefit/audit"
	"linefit/modem"
	"linefit/modem/rsp"
	"linefit/station"
	"linefit/station/config"
	"linefit/station/engine"
	"linefit/station/mes"
	"linefit/station/plant"
	"linefit/station/sim"
	"linefit/station/steps"
	"linefit/station/stock"
)

// demoBackoff is short, since a simulated server comes back soon.
var demoBackoff = []time.Duration{100 * time.Millisecond, 300 * time.Millisecond, time.Second}

// plan is the station of the demo. Its SM-DP+ and MES are reached over
// loopback, its modules over pseudo terminals.
func (d *demo) plan(r *station.Recipe) (plant.Plan, error) {
	policy, err := loadPolicy("")
	if err != nil {
		return plant.Plan{}, err
	}
	quirks, err := modem.LoadQuirks(modem.VirtualOverlay())
	if err != nil {
		return plant.Plan{}, err
	}
	keyFile := filepath.Join(d.dir, "sim", "audit.key")
	key, err := audit.LoadOrCreateKey(keyFile, fmt.Sprintf("linefit.demo/sim-%d", d.cmd.Seed))
	if err != nil {
		return plant.Plan{}, err
	}
	p := plant.Plan{
		Place: station.StationOpened{Software: version, Site: "demo", Line: "virtual", Station: "demo", Simulated: "yes"},
		Dir:   d.dir, Key: key, ShardKey: shardKeys(keyFile), Vault: stock.KeyFile{Path: filepath.Join(d.dir, "sim", "vault.key"), Make: true},
		Recipe: r, Policy: policy, Slots: map[int]plant.Slot{}, Quirks: quirks,
		Trust: steps.Trust{CIs: []string{d.world.CI()}}, Late: mes.LateDeferred, Answer: 5 * time.Second,
		FromMES: d.cmd.Codes == config.SourceMES,
		Low:     stock.LowRule{Low: stock.Twentieth, Repeat: 24 * time.Hour},
		Assign:  engine.AssignScan, Within: 10 * time.Second,
		Notify: plant.Notify{Timeout: 15 * time.Second, Backoff: demoBackoff, Parallel: 16},
	}
	keepAnchors(&p, filepath.Join(d.dir, "sim", "anchor"))
	for _, slot := range d.world.Slots() {
		p.Slots[slot] = plant.Slot{Fixture: d.world.Jig(slot), Port: plant.SerialPort(d.world.PortPath(slot), d.cmd.Baud)}
	}
	return p, d.network(&p)
}

// network puts the MES on loopback, and the SM-DP+ where there is a network to
// it.
func (d *demo) network(p *plant.Plan) (err error) {
	if p.Issuers, err = rsp.ParseCertificates(d.world.RootPEM()); err != nil {
		return err
	}
	mesl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return exit(exitMissing, err)
	}
	p.MES = mes.ClientOptions{URL: "http://" + mesl.Addr().String(), RouteTimeout: 5 * time.Second}
	p.Place.MES = p.MES.URL
	if d.cmd.Mode == modeFactory {
		d.offline(p)
		d.world.Listen(nil, mesl)
		return nil
	}
	smdp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return exit(exitMissing, errors.Join(err, mesl.Close()))
	}
	p.RSP = rsp.NewClient(rsp.ClientConfig{
		Transport: rsp.NewTransport(rsp.TransportConfig{
			Roots: rsp.Pool(p.Issuers...), Dial: func(string) string { return smdp.Addr().String() },
		}),
		AllowHost: onlyHosts(sim.SMDPHost), Retries: []time.Duration{100 * time.Millisecond, 500 * time.Millisecond},
	})
	d.world.Listen(smdp, mesl)
	return nil
}
