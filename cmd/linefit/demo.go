package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/configs"
	"linefit/modem/modemsim"
	"linefit/rework"
	"linefit/station"
	"linefit/station/config"
	"linefit/station/plant"
	"linefit/station/recipe"
	"linefit/station/sim"
	"linefit/station/stock"
	"linefit/station/text"
)

// version is the software version that every station states.
const version = "0.1.0"

type demoCmd struct {
	Headless bool     `help:"Run without a screen, to the end of all units."`
	Units    *int     `help:"Units to provision; 16 without a screen, else 64." placeholder:"N"`
	Slots    int      `default:"4" help:"Fixture slots, 1 to 64."`
	Seed     uint64   `default:"1" help:"What happens by chance follows from it."`
	Faults   string   `default:"none" enum:"none,typical,harsh" help:"How much goes wrong: none, typical or harsh."`
	Recipe   string   `type:"path" placeholder:"FILE" help:"Another recipe than the shipped one."`
	Mode     string   `default:"online" enum:"online,factory" help:"online: each profile is downloaded from the SM-DP+; factory: prepared packages are loaded, with no network at all (SGP.41)."`
	Fleet    []string `enum:"sgp22,sgp32,sgp02,sgp41" placeholder:"GENERATION" help:"What eUICCs the units have, in turn: sgp22, sgp32, sgp02, or sgp41 for those with in-factory one-time keys beside others; those that the recipe accepts where nothing is said."`
	Codes    string   `default:"ledger" enum:"ledger,mes" help:"Where activation codes come from: ledger (a list that is imported) or mes (one with each route check)."`
	Baud     int      `default:"115200" help:"Line rate of the virtual modules; 0: no pacing."`
	Dir      string   `type:"path" placeholder:"DIR" help:"Keep the store there, and go on with what is there."`
	JSON     bool     `name:"json" help:"Print the summary as one JSON document."`
	Listen   string   `placeholder:"HOST:PORT" help:"Serve the API there too; what changes state needs the token in DIR/api.token."`
	Lang     string   `default:"en" help:"Language of the screen: en or zh."`
}

// Run is the main job without hardware.
func (c *demoCmd) Run(a *app) error {
	screen := !c.Headless && !c.JSON && onScreen(a)
	if err := c.check(); err != nil {
		return exit(exitUsage, err)
	}
	if c.Units == nil {
		units := 16
		if screen {
			units = 64
		}
		c.Units = &units
	}
	dir, cleanup, err := c.folder()
	if err != nil {
		return exit(exitMissing, err)
	}
	defer cleanup()
	d, err := c.open(a, dir)
	if err != nil {
		return err
	}
	show := d.headless
	if screen {
		show = d.screen
	}
	sum, err := show(a)
	if err != nil {
		return err
	}
	if err := d.print(a, sum); err != nil {
		return err
	}
	if !screen && !sum.good(c.Faults) {
		return exit(exitVerdict, nil)
	}
	return nil
}

func (c *demoCmd) check() error {
	var errs []error
	if c.Units != nil && (*c.Units < 1 || *c.Units > 100_000) {
		errs = append(errs, fmt.Errorf("--units %d: 1 to 100000 are possible", *c.Units))
	}
	if c.Slots < 1 || c.Slots > 64 {
		errs = append(errs, fmt.Errorf("--slots %d: 1 to 64 are possible", c.Slots))
	}
	if c.Baud != 0 && (c.Baud < 1200 || c.Baud > 4_000_000) {
		errs = append(errs, fmt.Errorf("--baud %d: 0, or 1200 to 4000000", c.Baud))
	}
	if c.Codes == config.SourceMES && c.Mode == modeFactory {
		errs = append(errs, errors.New("--codes mes: with --mode factory there are packages, and they come in batches"))
	}
	if _, ok := text.ParseLang(c.Lang); !ok {
		errs = append(errs, fmt.Errorf("--lang %q: one of %v", c.Lang, text.Langs()))
	}
	return errors.Join(errs...)
}

// folder is where the demo lives; without --dir it goes when the demo goes.
func (c *demoCmd) folder() (dir string, cleanup func(), err error) {
	if c.Dir != "" {
		return c.Dir, func() {}, os.MkdirAll(c.Dir, 0o755)
	}
	dir, err = os.MkdirTemp("", "linefit-demo-")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

// demo is a simulated line and the station on it.
type demo struct {
	cmd   *demoCmd
	dir   string
	world *sim.World
	plant *plant.Plant
	begin time.Time
	none  noNetwork // in place of the SM-DP+ in --mode factory
}

// open makes the world and the station.
func (c *demoCmd) open(a *app, dir string) (_ *demo, err error) {
	r, err := c.demoRecipe()
	if err != nil {
		return nil, exit(exitUsage, err)
	}
	personas, err := modemsim.LoadPersonas(configs.FS, "personas")
	if err != nil {
		return nil, err
	}
	fleet := c.Fleet
	if len(fleet) == 0 {
		fleet = r.Accepts
	}
	if log, err := store.OpenLog(dir, ""); err == nil && !log.Sim() { // before anything is written there
		return nil, startError(&store.KindError{Dir: dir})
	}
	d := &demo{cmd: c, dir: dir, begin: time.Now()}
	d.world, err = sim.Open(sim.Options{
		Dir: filepath.Join(dir, "sim"), Units: *c.Units, Slots: c.Slots, Seed: c.Seed, Faults: c.Faults, Baud: c.Baud,
		Personas: personas, Mix: sim.Mixes, Fleet: sim.FleetOf(fleet), Spare: *c.Units/4 + 8, Cap: 5, ProfileSize: 12_288,
		Factory: c.demoFactory(r), MESCodes: c.Codes == config.SourceMES,
	})
	if err != nil {
		return nil, exit(exitMissing, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.world.Close())
		}
	}()
	p, err := d.plan(r)
	if err != nil {
		return nil, err
	}
	if d.plant, err = plant.Open(a.ctx, p); err != nil {
		return nil, startError(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "station.vkey"), []byte(d.plant.Store.VKey()+"\n"), 0o644); err != nil {
		return nil, errors.Join(exit(fileCode(err), err), d.plant.Close())
	}
	return d, nil
}

// loadRecipe reads a recipe file, or a shipped recipe.
func loadRecipe(path, shipped string) (*station.Recipe, error) {
	if path != "" {
		return recipe.Load(path)
	}
	return recipe.LoadFS(configs.FS, "recipes/"+shipped)
}

func loadPolicy(path string) (*rework.Policy, error) {
	name, read := path, readFile
	if path == "" {
		name, read = "policies/default.yaml", configs.FS.ReadFile
	}
	data, err := read(name)
	if err != nil {
		return nil, err
	}
	return rework.ParsePolicy(name, data)
}

// onlyHosts refuses every other server.
func onlyHosts(hosts ...string) func(string) error {
	return func(address string) error {
		for _, h := range hosts {
			if strings.EqualFold(h, address) {
				return nil
			}
		}
		return fmt.Errorf("%s is not one of the allowed servers", address)
	}
}

// headless runs all units to their end and counts.
func (d *demo) headless(a *app) (sum summary, err error) {
	defer func() { err = errors.Join(err, d.plant.Close(), d.world.Close()) }()
	ctx, stop := context.WithCancel(a.ctx)
	defer stop()
	serve, _, err := d.serveAPI(ctx)
	if err != nil {
		return sum, err
	}
	finished := false
	err = d.plant.Run(ctx, d.world.Serve, serve, func(ctx context.Context) error {
		defer stop()
		if err := d.stockUp(ctx); err != nil {
			return err
		}
		crew := d.crew()
		progress := newProgress(a.stderr, d.plant, *d.cmd.Units)
		defer progress.follow(ctx)()
		if err := crew.Run(ctx); err != nil {
			return err
		}
		finished = d.drained(ctx)
		return nil
	})
	if !finished && a.ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return sum, exit(exitVerdict, errors.New("stopped before all units were done; start again with the same --dir to go on"))
	}
	if err != nil {
		return sum, err
	}
	return d.summarize(a.ctx)
}

// drained waits until MES and SM-DP+ have heard everything.
func (d *demo) drained(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		changed := d.plant.Store.Changed()
		status, err := d.plant.Outbox.Status()
		told := d.cmd.Mode == modeFactory || d.plant.Notify.Pending() == 0 // without a network nobody is told
		if err == nil && status.Pending == 0 && told {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// stockUp brings the codes or packages that the line bought into the ledger,
// once. What an earlier process was cut off in comes to its end first. Where the
// log stops under it, it goes on when the log does.
func (d *demo) stockUp(ctx context.Context) error {
	for {
		plant.AwaitOK(ctx, d.plant.Store)
		err := d.plant.Ledger.FinishImports(ctx, d.plant.Journal)
		if err == nil {
			err = d.buy(ctx)
		}
		var state *store.StateError
		if !errors.As(err, &state) || ctx.Err() != nil {
			return err
		}
	}
}

func (d *demo) buy(ctx context.Context) error {
	if d.cmd.Mode != modeFactory && !d.plant.Plan.FromMES {
		if err := d.buyCodes(ctx); err != nil {
			return err
		}
	}
	if d.prepares() {
		return d.procure(ctx)
	}
	return nil
}

// codesBatch is the batch of the activation codes that the line bought.
const codesBatch = "demo"

func (d *demo) buyCodes(ctx context.Context) error {
	have := false
	err := d.plant.Log.View(func(v audit.View) error {
		return stock.List(v, stock.Filter{Batch: codesBatch}, func(station.StockItem) error {
			have = true
			return audit.ErrStop
		})
	})
	if err != nil || have {
		return err
	}
	codes, err := d.world.Codes()
	if err != nil || len(codes) == 0 {
		return err
	}
	var b strings.Builder
	b.WriteString("batch,activation_code,iccid,operator,cap\n")
	for _, c := range codes {
		fmt.Fprintf(&b, "%s,%s,%s,linefit-demo,%d\n", codesBatch, c.Text.Reveal(), c.ICCID, c.Cap)
	}
	_, err = d.plant.Ledger.Import(ctx, stock.Source{Name: "demo.csv", Data: []byte(b.String())}, station.Scope{}, d.plant.Journal)
	return err
}

// repair is what the demo's technician does with a unit in rework.
func (d *demo) repair(ctx context.Context, unit station.Serial) error {
	by := rework.Person{Actor: "technician-1", Role: rework.RoleOperator}
	_, err := d.plant.Desk.Mend(ctx, by, string(unit), "contacts", "cleaned and reseated")
	return plant.Later(err)
}
