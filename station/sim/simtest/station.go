package simtest

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/audit/store/storetest"
	"linefit/configs"
	"linefit/modem"
	"linefit/modem/modemsim"
	"linefit/modem/rsp"
	"linefit/rework"
	"linefit/station"
	"linefit/station/engine"
	"linefit/station/mes"
	"linefit/station/plant"
	"linefit/station/recipe"
	"linefit/station/sim"
	"linefit/station/stock"
)

// Station is one process of the station: assembled as linefit does it, with the
// process's hold on the world in between.
type Station struct {
	line *Line
	p    *process
	st   *storetest.Station
	log  *log

	*plant.Plant

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

// storeOptions are those of the line's log.
func (l *Line) storeOptions() store.Options {
	o := plant.Plan{Dir: l.Dir, Key: l.key, ShardKey: l.shardKey}.StoreOptions()
	o.Sim, o.ShardEntries = true, l.opt.Shard
	return o
}

// assemble puts a station together over the open store. Nothing runs yet.
func (l *Line) assemble(st *storetest.Station) *Station {
	l.t.Helper()
	s := &Station{line: l, p: newProcess(l), st: st, cancel: func() {}}
	s.log = &log{Store: st.Store, p: s.p, pace: l.opt.Pace}
	quirks, err := shared.quirks()
	l.must(err)
	issuers, err := rsp.ParseCertificates(l.World.RootPEM())
	l.must(err)
	trust := l.opt.Trust
	if trust.CIs == nil {
		trust.CIs = []string{l.World.CI()}
	}
	if l.opt.Trusting != nil {
		trust = l.opt.Trusting(l.World.CI())
	}
	plan := plant.Plan{
		Place: station.StationOpened{Software: "test", Station: cmp.Or(l.opt.Shares.Station, "test"), Simulated: "yes", MES: l.opt.MES},
		Dir:   l.Dir, Key: l.key, Vault: stock.KeyFile{Path: filepath.Join(l.Dir, "sim", "vault.key"), Make: true},
		Offline: l.opt.offline(), Issuers: issuers, Recipe: l.opt.Recipe, Policy: l.opt.Policy, Units: l.opt.Pairing, EIMs: l.opt.EIMs, Carried: l.opt.Carried, Slots: map[int]plant.Slot{}, Quirks: quirks, RSP: s.smdp(), Trust: trust,
		MES:  mes.ClientOptions{URL: l.opt.MES, Transport: transport{s.p, "mes", l.checkMES()}, RouteTimeout: 5 * time.Second, WebhookOrigin: l.opt.WebhookOrigin},
		Late: mes.LateDeferred, Answer: 5 * time.Second, Assign: engine.AssignScan, Within: 10 * time.Second, Grace: l.opt.Grace,
		Notify:   plant.Notify{Timeout: 15 * time.Second, Parallel: 16, Backoff: []time.Duration{100 * time.Millisecond, 300 * time.Millisecond, time.Second}},
		Observer: l.opt.Observer, FromMES: l.opt.MESCodes, Low: l.opt.Low, Shares: l.opt.Shares,
	}
	for _, slot := range l.World.Slots() {
		if len(l.opt.Only) > 0 && !slices.Contains(l.opt.Only, slot) {
			continue
		}
		plan.Slots[slot] = plant.Slot{Fixture: jig{l.World.Jig(slot), s.p, slot}, Port: s.opener(l.World.Jig(slot))}
	}
	if l.opt.Logs != nil {
		plan.Logger = zerolog.New(l.opt.Logs)
	}
	s.Plant, err = plant.New(l.t.Context(), plan, s.log)
	l.must(err)
	s.Store = st.Store // for an API in front of it; who appends goes through the log above
	return s
}

// smdp is the LPA's client.
func (s *Station) smdp() *rsp.Client {
	if s.line.opt.offline() {
		return rsp.NewClient(rsp.ClientConfig{Transport: noNetwork{s.line}})
	}
	return rsp.NewClient(rsp.ClientConfig{
		Transport: transport{s.p, "server", s.line.World.SMDP()}, Retries: []time.Duration{100 * time.Millisecond, 500 * time.Millisecond},
		AllowHost: s.line.opt.AllowHost,
	})
}

// run starts the station's goroutines.
func (s *Station) run() {
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	for _, work := range s.Work() {
		s.wg.Go(func() {
			if err := work(ctx); err != nil && !s.p.dead.Load() {
				s.line.t.Error(err)
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
		s.p.supplies.Wait()
		s.p.close()
		s.st.Kill()
		return
	}
	s.st.Stop()
}

var _ sim.Station = (*Station)(nil)

// stockUp imports every code that the line bought, once.
func (s *Station) stockUp() {
	l := s.line
	l.must(s.Recover(l.t.Context()))
	var n station.StockCount
	l.must(s.log.View(func(v audit.View) (err error) {
		n, err = stock.Count(v)
		return err
	}))
	if l.opt.Factory != nil {
		defer s.procure()
	}
	codes, err := l.World.Codes()
	l.must(err)
	if n.Total > 0 || len(codes) == 0 || l.opt.MESCodes || l.opt.Bare {
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
	_, err = s.Ledger.Import(l.t.Context(), stock.Source{Name: "codes.csv", Data: []byte(b.String())}, station.Scope{}, s.Journal)
	l.must(err)
}
