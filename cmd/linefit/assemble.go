package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/modem"
	"linefit/modem/rsp"
	"linefit/rework"
	"linefit/station"
	"linefit/station/admission"
	"linefit/station/engine"
	"linefit/station/fixture"
	"linefit/station/mes"
	"linefit/station/notify"
	"linefit/station/recipe"
	"linefit/station/steps"
	"linefit/station/stock"
)

// plan says of what a station is made; demo, serve and run fill it differently
// and get the same station.
type plan struct {
	place    station.StationOpened
	dir      string // the store
	key      audit.Key
	anchors  [][]byte
	reserve  uint64
	vault    stock.KeySource
	shares   stock.ShareRule     // which split lists of codes are taken
	issuers  []*x509.Certificate // whose SM-DP+ may prepare packages
	keep     time.Duration       // codes stay so long after their profile was used up; 0: for ever
	low      int                 // profiles of a kind below which the station warns
	recipe   *station.Recipe
	policy   *rework.Policy
	units    admission.Units
	slots    map[int]slotPlan
	faults   map[int]*station.Reason
	quirks   *modem.Table
	rsp      *rsp.Client
	smdp     string // address in place of the codes' own
	trust    steps.Trust
	mes      mes.ClientOptions
	late     mes.Late
	answer   time.Duration
	anchored func(note []byte)
	assign   engine.Assign
	within   time.Duration
	grace    time.Duration
	notify   notifyPlan
	log      zerolog.Logger
}

type slotPlan struct {
	fixture fixture.Fixture
	port    steps.Opener
}

type notifyPlan struct {
	timeout  time.Duration
	backoff  []time.Duration
	parallel int
}

// plant is an assembled station. It owns everything below.
type plant struct {
	plan    plan
	store   *store.Store
	vault   *stock.Vault
	ledger  *stock.Ledger
	desk    *rework.Desk
	office  *admission.Office
	engine  *engine.Engine
	outbox  *mes.Outbox
	notify  *notify.Outbox
	client  *mes.Client
	journal journal
}

// projections are derived from the log, in this order.
func projections() []audit.Projection {
	return []audit.Projection{
		engine.OpenRuns{}, stock.Projection{}, rework.Projection{}, mes.OutboxProjection{}, notify.Projection{}, admission.LotProjection{},
	}
}

// knownFact refuses entries of types that nobody could read back.
func knownFact() func(string) bool {
	known := map[string]bool{}
	for _, name := range station.FactTypes() {
		known[name] = true
	}
	return func(name string) bool { return known[name] }
}

// assemble opens the store and puts a station together. Nothing runs yet.
func assemble(ctx context.Context, p plan) (_ *plant, err error) {
	s, err := store.Open(ctx, store.Options{
		Dir: p.dir, Key: p.key, Sim: p.place.Simulated != "", Projections: projections(), Anchors: p.anchors,
		Types: knownFact(), Reserve: p.reserve,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if h := s.State(); h.State != store.OK {
		return nil, exit(exitVerdict, fmt.Errorf("the log did not open clean: %s; see linefit audit verify --store %s", h.Reason, p.dir))
	}
	pl := &plant{plan: p, store: s, journal: journal{s}}
	if pl.vault, err = stock.OpenVault(ctx, filepath.Join(p.dir, "vault"), p.vault); err != nil {
		return nil, err
	}
	archive, err := recipe.OpenArchive(filepath.Join(p.dir, "recipes"))
	if err != nil {
		return nil, err
	}
	if err := archive.Keep(p.recipe); err != nil {
		return nil, err
	}
	pl.ledger = stock.NewLedger(s.View, pl.vault, func(ctx context.Context) error { _, err := s.Gate(ctx); return err })
	pl.desk = rework.NewDesk(s.View, pl.journal)
	return pl, pl.connect(archive)
}

// connect makes what talks to others, and the engine.
func (pl *plant) connect(archive *recipe.Archive) (err error) {
	p := pl.plan
	if pl.client, err = mes.NewClient(p.mes); err != nil {
		return err
	}
	pl.outbox = mes.NewOutbox(mes.OutboxOptions{Log: pl.store, Client: pl.client, Anchored: p.anchored, Logger: p.log})
	pl.notify, err = notify.New(notify.Options{
		Views: pl.store.View, Vault: pl.vault, Journal: pl.journal, Send: pl.sendNotification,
		Timeout: p.notify.timeout, Backoff: p.notify.backoff, Parallel: p.notify.parallel,
	})
	if err != nil {
		return err
	}
	pl.office = &admission.Office{
		Views: pl.store.View, Policy: p.policy, MES: pl.client, Recipe: p.recipe, Units: p.units,
		Name: p.place.Station, MESis: p.place.MES,
	}
	fixtures, ports := map[int]fixture.Fixture{}, map[int]steps.Opener{}
	for id, s := range p.slots {
		fixtures[id], ports[id] = s.fixture, s.port
	}
	bench, err := steps.New(steps.Options{
		Ports: ports, Fixtures: fixtures, Quirks: p.quirks, Stock: pl.ledger, Items: stockItems{pl.store},
		Server: steps.Servers{Client: p.rsp, Address: p.smdp}, Outbox: pl.notify, Trust: p.trust,
	})
	if err != nil {
		return err
	}
	opened := p.place
	opened.Slots, opened.Next = len(p.slots), pl.store.Last()+1
	pl.engine, err = engine.New(engine.Options{
		Log: awaitable{pl.store}, Bench: bench, Fixtures: fixtures, Admission: pl.office, Policy: pl.office,
		Acceptance: mes.NewAcceptance(mes.AcceptanceOptions{Outbox: pl.outbox, Within: p.answer, Late: p.late, Hold: pl.office.Hold}),
		Recipes:    archive.Find, Resume: pl.office.Resume, Opened: opened, Faults: p.faults, Grace: p.grace, Assign: p.assign, AssignWithin: p.within,
	})
	return err
}

// sendNotification hands a notification to its server.
func (pl *plant) sendNotification(ctx context.Context, address string, raw []byte) error {
	if pl.plan.smdp != "" {
		address = pl.plan.smdp
	}
	s, err := pl.plan.rsp.Server(address)
	if err != nil {
		return err
	}
	return s.Notify(ctx, raw)
}

// run works until ctx is done. The log outlives everything that writes to it.
func (pl *plant) run(ctx context.Context, more ...func(context.Context) error) error {
	sctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var log errgroup.Group
	log.Go(func() error { return pl.store.Run(sctx) })
	err := pl.ledger.Recover(ctx, pl.journal)
	if err == nil {
		g, gctx := errgroup.WithContext(ctx)
		for _, work := range append([]func(context.Context) error{pl.engine.Run, pl.outbox.Run, pl.notify.Run, pl.keepStock}, more...) {
			g.Go(func() error { return work(gctx) })
		}
		err = g.Wait()
	}
	stop()
	return errors.Join(err, log.Wait())
}

// close gives the store back, after run.
func (pl *plant) close() error { return pl.store.Close() }

// journal writes facts of any scope to the log.
type journal struct{ s *store.Store }

func (j journal) drafts(at station.Scope, facts []station.Fact) ([]audit.Draft, error) {
	drafts := make([]audit.Draft, 0, len(facts))
	for _, f := range facts {
		name, data, err := station.Encode(f)
		if err != nil {
			return nil, err
		}
		actor := at.Actor
		if actor == "" {
			actor = station.ActorStation
		}
		drafts = append(drafts, audit.Draft{Type: name, Slot: at.Slot, Unit: string(at.Unit), Run: string(at.Run), Actor: string(actor), Data: data})
	}
	return drafts, nil
}

// Gate implements stock.Journal and rework.Journal.
func (j journal) Gate(ctx context.Context, at station.Scope, facts ...station.Fact) error {
	drafts, err := j.drafts(at, facts)
	if err != nil {
		return err
	}
	_, err = j.s.Gate(ctx, drafts...)
	return err
}

// Queue implements stock.Journal.
func (j journal) Queue(ctx context.Context, at station.Scope, facts ...station.Fact) error {
	drafts, err := j.drafts(at, facts)
	if err != nil {
		return err
	}
	return j.s.Queue(ctx, drafts...)
}

// resumeEvery is the time between two tries to append again after the log stopped.
const resumeEvery = time.Second

// awaitable is the log with a way to wait until it can be written again.
type awaitable struct{ *store.Store }

// Await implements engine.Log.
func (a awaitable) Await(ctx context.Context) error {
	for {
		switch h := a.State(); h.State {
		case store.OK:
			return nil
		case store.ReadOnly, store.Closed:
			return fmt.Errorf("the log is %s: %s", h.State, h.Reason)
		}
		if err := a.Resume(ctx); err == nil {
			continue
		}
		t := time.NewTimer(resumeEvery)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

// serialPort opens a real or virtual terminal by path.
func serialPort(path string, baud int) steps.Opener {
	return func(context.Context) (io.ReadWriteCloser, error) {
		return modem.OpenSerial(path, modem.SerialOptions{Baud: baud})
	}
}
