package simtest

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/audit/store/storetest"
	"linefit/configs"
	"linefit/modem"
	"linefit/modem/modemsim"
	"linefit/modem/rsp"
	"linefit/rework"
	"linefit/station"
	"linefit/station/admission"
	"linefit/station/engine"
	"linefit/station/fixture"
	"linefit/station/mes"
	"linefit/station/notify"
	"linefit/station/recipe"
	"linefit/station/sim"
	"linefit/station/steps"
	"linefit/station/stock"
)

// Station is one process of the station: assembled as linefit does it, with the
// process's hold on the world in between.
type Station struct {
	line *Line
	p    *process
	st   *storetest.Station
	log  *log

	Ledger *stock.Ledger
	Desk   *rework.Desk
	Notify *notify.Outbox
	Outbox *mes.Outbox
	Engine *engine.Engine
	Office *admission.Office

	cancel context.CancelFunc
	wg     sync.WaitGroup
	ended  bool
}

// shared are parts that never change and take long to make.
var shared = struct {
	quirks   func() (*modem.Table, error)
	personas func() (modemsim.Personas, error)
	recipe   func() (*station.Recipe, error)
	policy   func() (*rework.Policy, error)
}{
	sync.OnceValues(func() (*modem.Table, error) { return modem.LoadQuirks(modem.VirtualOverlay()) }),
	sync.OnceValues(func() (modemsim.Personas, error) { return modemsim.LoadPersonas(configs.FS, "personas") }),
	sync.OnceValues(func() (*station.Recipe, error) {
		data, err := configs.FS.ReadFile("recipes/consumer.yaml")
		if err != nil {
			return nil, err
		}
		return recipe.Parse("consumer.yaml", data)
	}),
	sync.OnceValues(func() (*rework.Policy, error) {
		data, err := configs.FS.ReadFile("policies/default.yaml")
		if err != nil {
			return nil, err
		}
		return rework.ParsePolicy("default.yaml", data)
	}),
}

// projections are those of the station.
func projections() []audit.Projection {
	return []audit.Projection{
		engine.OpenRuns{}, stock.Projection{}, rework.Projection{}, mes.OutboxProjection{}, notify.Projection{}, admission.LotProjection{},
	}
}

// storeOptions are those of the line's log.
func (l *Line) storeOptions() store.Options {
	known := map[string]bool{}
	for _, name := range station.FactTypes() {
		known[name] = true
	}
	return store.Options{
		Dir: l.Dir, Key: l.key, Sim: true, Projections: projections(), Types: func(name string) bool { return known[name] },
	}
}

// assemble puts a station together over the open store. Nothing runs yet.
func (l *Line) assemble(st *storetest.Station) *Station {
	l.t.Helper()
	s := &Station{line: l, p: newProcess(l), st: st, cancel: func() {}}
	s.log = &log{Store: st.Store, p: s.p, pace: l.opt.Pace}
	vault, err := stock.OpenVault(l.t.Context(), filepath.Join(l.Dir, "vault"), stock.KeyFile{Path: filepath.Join(l.Dir, "sim", "vault.key"), Make: true})
	l.must(err)
	archive, err := recipe.OpenArchive(filepath.Join(l.Dir, "recipes"))
	l.must(err)
	l.must(archive.Keep(l.opt.Recipe))
	j := journal{s.log}
	s.Ledger = stock.NewLedger(s.log.View, vault, func(ctx context.Context) error { _, err := s.log.Gate(ctx); return err })
	s.Desk = rework.NewDesk(s.log.View, j)
	client, err := mes.NewClient(mes.ClientOptions{URL: l.opt.MES, Transport: transport{s.p, "mes", l.World.MES().RoundTripper()}, RouteTimeout: 5 * time.Second})
	l.must(err)
	s.Outbox = mes.NewOutbox(mes.OutboxOptions{Log: s.log, Client: client})
	smdp := s.smdp()
	s.Notify, err = notify.New(notify.Options{
		Views: s.log.View, Vault: vault, Journal: j, Timeout: 15 * time.Second, Parallel: 16,
		Backoff: []time.Duration{100 * time.Millisecond, 300 * time.Millisecond, time.Second},
		Send: func(ctx context.Context, address string, raw []byte) error {
			server, err := smdp.Server(address)
			if err != nil {
				return err
			}
			return server.Notify(ctx, raw)
		},
	})
	l.must(err)
	s.Office = &admission.Office{Views: s.log.View, Policy: l.opt.Policy, MES: client, Recipe: l.opt.Recipe, Units: l.opt.Pairing, Name: "test", MESis: l.opt.MES}
	s.connect(smdp, archive)
	return s
}

// smdp is the LPA's client.
func (s *Station) smdp() *rsp.Client {
	return rsp.NewClient(rsp.ClientConfig{
		Transport: transport{s.p, "server", s.line.World.SMDP()}, Retries: []time.Duration{100 * time.Millisecond, 500 * time.Millisecond},
		AllowHost: s.line.opt.AllowHost,
	})
}

func (s *Station) connect(smdp *rsp.Client, archive *recipe.Archive) {
	l := s.line
	fixtures, ports := map[int]fixture.Fixture{}, map[int]steps.Opener{}
	for _, slot := range l.World.Slots() {
		fixtures[slot] = jig{l.World.Jig(slot), s.p, slot}
		ports[slot] = s.opener(l.World.Jig(slot))
	}
	quirks, err := shared.quirks()
	l.must(err)
	trust := l.opt.Trust
	if trust.CIs == nil {
		trust.CIs = []string{l.World.CI()}
	}
	bench, err := steps.New(steps.Options{
		Ports: ports, Fixtures: fixtures, Quirks: quirks, Stock: s.Ledger, Items: s.Ledger,
		Server: steps.Servers{Client: smdp}, Outbox: s.Notify, Trust: trust,
	})
	l.must(err)
	s.Engine, err = engine.New(engine.Options{
		Log: s.log, Bench: bench, Fixtures: fixtures, Admission: s.Office, Policy: s.Office,
		Acceptance: mes.NewAcceptance(mes.AcceptanceOptions{Outbox: s.Outbox, Within: 5 * time.Second, Late: mes.LateDeferred, Hold: s.Office.Hold}),
		Recipes:    archive.Find, Assign: engine.AssignScan, AssignWithin: 10 * time.Second, Grace: l.opt.Grace,
		Opened:   station.StationOpened{Software: "test", Station: "test", Simulated: "yes", MES: l.opt.MES, Slots: len(fixtures), Next: s.log.Last() + 1},
		Observer: l.opt.Observer,
	})
	l.must(err)
}

// run starts the station's goroutines.
func (s *Station) run() {
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	for name, work := range map[string]func(context.Context) error{"engine": s.Engine.Run, "MES outbox": s.Outbox.Run, "notifications": s.Notify.Run} {
		s.wg.Go(func() {
			if err := work(ctx); err != nil && !s.p.dead.Load() {
				s.line.t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// end lets every goroutine of the process come to its end, in order or killed.
// It does nothing the second time.
func (s *Station) end() {
	if s.ended {
		return
	}
	s.ended = true
	s.cancel()
	dead := s.p.dead.Load()
	if dead {
		s.p.close()
	}
	s.wg.Wait()
	if dead {
		s.p.close()
		s.st.Kill()
		return
	}
	s.st.Stop()
}

// View, Do and Changed make it a sim.Station.
func (s *Station) View() station.View { return s.Engine.View() }

// Do carries out a command.
func (s *Station) Do(ctx context.Context, cmd station.Command) (station.Reply, error) {
	return s.Engine.Do(ctx, cmd)
}

// Changed is closed at the next change of the view.
func (s *Station) Changed() <-chan struct{} { return s.Engine.Changed() }

var _ sim.Station = (*Station)(nil)

// stockUp imports every code that the line bought, once.
func (s *Station) stockUp() {
	l := s.line
	j := journal{s.log}
	l.must(s.Ledger.Recover(l.t.Context(), j))
	var n station.StockCount
	l.must(s.log.View(func(v audit.View) (err error) {
		n, err = stock.Count(v)
		return err
	}))
	codes, err := l.World.Codes()
	l.must(err)
	if n.Total > 0 || len(codes) == 0 {
		return
	}
	var b strings.Builder
	b.WriteString("batch,activation_code,confirmation_code,iccid,cap\n")
	for i, c := range codes {
		text := c.Text.Reveal()
		row := []string{"demo", text, "", string(c.ICCID), itoa(c.Cap)}
		if l.opt.Code != nil && !l.opt.Code(i, row) {
			continue
		}
		b.WriteString(strings.Join(row, ",") + "\n")
	}
	_, err = s.Ledger.Import(l.t.Context(), stock.Source{Name: "codes.csv", Data: []byte(b.String())}, station.Scope{}, j)
	l.must(err)
}
