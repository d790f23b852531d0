package plant

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/rework"
	"linefit/station"
	"linefit/station/admission"
	"linefit/station/engine"
	"linefit/station/fixture"
	"linefit/station/mes"
	"linefit/station/notify"
	"linefit/station/pairing"
	"linefit/station/people"
	"linefit/station/recipe"
	"linefit/station/steps"
	"linefit/station/stock"
	"linefit/station/witness"
)

// Plant is an assembled station. It owns everything below.
type Plant struct {
	Plan    Plan
	Store   *store.Store // nil where the log came from outside
	Log     Log
	Journal Journal
	Ledger  *stock.Ledger
	Desk    *rework.Desk
	Office  *admission.Office
	Engine  *engine.Engine
	Outbox  *mes.Outbox
	Notify  *notify.Outbox
	Pairing *pairing.Book
	People  *people.Book
	Bench   *steps.Bench
	// Witness has the log cosigned; nil where nobody does.
	Witness *witness.Keeper
}

// UncleanError says that the log did not open clean. Nothing was started.
type UncleanError struct{ Reason string }

func (e *UncleanError) Error() string { return "the log did not open clean: " + e.Reason }

// Open opens the plan's store and puts the station together. Nothing runs yet.
// Errors: [*UncleanError], those of the store and of the plan's parts.
func Open(ctx context.Context, p Plan) (_ *Plant, err error) {
	opt := p.StoreOptions()
	if anchor := p.askAnchor(ctx); anchor != nil {
		opt.Anchors = append(slices.Clone(opt.Anchors), anchor)
	}
	var running atomic.Pointer[engine.Engine]
	opt.Quiet = func() bool { e := running.Load(); return e == nil || quiet(e.View()) }
	s, err := store.Open(ctx, opt)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if h := s.State(); h.State != store.OK && !(p.Unclean && h.Cause == store.CauseAlarm) {
		return nil, &UncleanError{h.Reason}
	}
	pl, err := New(ctx, p, awaitable{s})
	if err != nil {
		return nil, err
	}
	pl.Store = s
	pl.Witness = p.Witnesses.keeper(s, p.Logger)
	running.Store(pl.Engine)
	return pl, nil
}

// mesOptions are those of the MES, with the log's name.
func (p Plan) mesOptions() mes.ClientOptions {
	o := p.MES
	if o.Origin == "" && p.Key != nil {
		o.Origin = p.Key.Name()
	}
	return o
}

// New puts the station together over an open log. Nothing runs yet.
func New(ctx context.Context, p Plan, log Log) (*Plant, error) {
	vault, err := stock.OpenVault(ctx, filepath.Join(p.Dir, "vault"), p.Vault)
	if err != nil {
		return nil, err
	}
	archive, err := recipe.OpenArchive(filepath.Join(p.Dir, "recipes"))
	if err != nil {
		return nil, err
	}
	if err := archive.Keep(p.Recipe); err != nil {
		return nil, err
	}
	pl := &Plant{Plan: p, Log: log, Journal: Journal{log}}
	pl.Ledger = stock.NewLedger(log.View, vault, func(ctx context.Context) error { _, err := log.Gate(ctx); return err })
	if p.FromMES {
		pl.Ledger.FromMES()
	}
	pl.Pairing = pairing.NewBook(log.View, pl.Journal)
	pl.Desk = rework.NewDesk(log.View, pl.Journal)
	if pl.People, err = people.Open(people.Options{Vault: vault, Views: log.View, Journal: pl.Journal}); err != nil {
		return nil, err
	}
	for _, damaged := range pl.People.Damaged() {
		p.Logger.Error().Err(damaged).Msg("who a pseudonym is cannot be read")
	}
	if err := pl.connect(vault); err != nil {
		return nil, err
	}
	return pl, pl.install(archive)
}

// held reports whether the terms of a profile's batch keep its notifications back.
func (pl *Plant) held(n station.NotificationKept) (held bool, err error) {
	err = pl.Log.View(func(v audit.View) error {
		items, err := stock.ByICCID(v, n.ICCID)
		for _, i := range items {
			if err != nil || i.EID != n.EID {
				continue
			}
			var terms station.StockBatch
			terms, _, err = stock.Terms(v, i.Batch)
			held = held || terms.Notifications == stock.NotificationsHold
		}
		return err
	})
	return held, err
}

// connect makes what talks to MES and servers.
func (pl *Plant) connect(vault *stock.Vault) error {
	p := pl.Plan
	client, err := mes.NewClient(p.mesOptions())
	if err != nil {
		return err
	}
	pl.Outbox = mes.NewOutbox(mes.OutboxOptions{Log: pl.Log, Client: client, Anchored: pl.anchored, Logger: p.Logger})
	pl.Office = &admission.Office{
		Views: pl.Log.View, Policy: p.Policy, MES: client, Recipe: p.Recipe, Units: p.Units, Name: p.Place.Station, MESis: p.Place.MES,
		Refused: pl.refused,
	}
	if p.FromMES {
		pl.Office.Codes = codes{pl}
	}
	pl.Notify, err = notify.New(notify.Options{
		Views: pl.Log.View, Vault: vault, Journal: pl.Journal, Send: pl.send, Held: pl.held,
		Timeout: p.Notify.Timeout, Backoff: p.Notify.Backoff, Parallel: p.Notify.Parallel,
	})
	return err
}

// send hands a notification to its server.
func (pl *Plant) send(ctx context.Context, address string, raw []byte) error {
	if pl.Plan.SMDP != "" {
		address = pl.Plan.SMDP
	}
	s, err := pl.Plan.RSP.Server(address)
	if err != nil {
		return err
	}
	return s.Notify(ctx, raw)
}

// install makes the engine over the slots.
func (pl *Plant) install(archive *recipe.Archive) error {
	p := pl.Plan
	fixtures, ports := map[int]fixture.Fixture{}, map[int]steps.Opener{}
	for id, s := range p.Slots {
		fixtures[id], ports[id] = s.Fixture, s.Port
	}
	trust := p.Trust
	if trust.Issuers == nil {
		trust.Issuers = p.Issuers
	}
	bench, err := steps.New(steps.Options{
		Ports: ports, Fixtures: fixtures, Quirks: p.Quirks, Stock: pl.Ledger, Items: pl.Ledger,
		Server: steps.Servers{Client: p.RSP, Address: p.SMDP}, Outbox: pl.Notify, Trust: trust, Pairing: pl.Pairing, EIMs: p.EIMs, Carried: p.Carried,
		Lot: pl.Office.Going,
	})
	if err != nil {
		return err
	}
	pl.Bench = bench
	opened := p.Place
	opened.Slots, opened.Next = len(p.Slots), pl.Log.Last()+1
	pl.Engine, err = engine.New(engine.Options{
		Log: pl.Log, Bench: bench, Fixtures: fixtures, Admission: office{pl.Office}, Policy: pl.Office,
		Acceptance: mes.NewAcceptance(mes.AcceptanceOptions{Outbox: pl.Outbox, Within: p.Answer, Late: p.Late, Hold: pl.Office.Hold}),
		Recipes:    archive.Find, Resume: pl.Office.Resume, Stopped: pl.Office.Stopped, Opened: opened, Faults: p.Faults, Grace: p.Grace,
		Assign: p.Assign, AssignWithin: p.Within, Observer: p.Observer,
	})
	return err
}

// office is the office while the log may stand: it admits nobody then, and says
// so as it says everything else.
type office struct{ *admission.Office }

// Admit implements engine.Admission.
func (o office) Admit(ctx context.Context, run station.RunID, ask engine.Ask) (engine.Grant, error) {
	grant, err := o.Office.Admit(ctx, run, ask)
	return grant, Later(err)
}

// Recover brings the ledger and the vault to one state, keeps back what the log
// may not know of, and finishes erasing people. It comes before Work.
func (pl *Plant) Recover(ctx context.Context) error {
	if _, err := pl.People.Recover(); err != nil {
		return err
	}
	if err := pl.Ledger.Recover(ctx, pl.Journal); err != nil {
		return err
	}
	n, err := pl.Ledger.Secure(ctx, pl.Journal)
	if n > 0 {
		pl.Plan.Logger.Warn().Int("profiles", n).Msg("profiles are in quarantine until they are reconciled")
	}
	if err != nil {
		return err
	}
	n, err = pl.Ledger.Tidy(ctx, RunningIn(pl.Log.View), 0, pl.Journal)
	if n > 0 {
		pl.Plan.Logger.Info().Int("profiles", n).Msg("given back to the MES: their runs never began")
	}
	return err
}

// Work is what runs side by side as long as the station is up, without the log.
func (pl *Plant) Work() []func(context.Context) error {
	named := func(name string, run func(context.Context) error) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := run(ctx); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		}
	}
	work := []func(context.Context) error{
		named("engine", pl.Engine.Run), named("MES outbox", pl.Outbox.Run), named("stock", pl.keepStock), named("stock level", pl.watchStock),
		named("archive", pl.keepArchive), named("scrub", pl.keepScrub), named("witnesses", pl.Witness.Run),
	}
	if !pl.Plan.Offline {
		work = append(work, named("notifications", pl.Notify.Run))
	}
	return work
}

// Run works until ctx is done. The log outlives everything that writes to it;
// more works from the beginning, everything else once the log can be written. A
// log that was still not what it must be at the end is an [*UncleanError].
func (pl *Plant) Run(ctx context.Context, more ...func(context.Context) error) error {
	sctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var log errgroup.Group
	log.Go(func() error { return pl.Store.Run(sctx) })
	g, gctx := errgroup.WithContext(ctx)
	for _, work := range more {
		g.Go(func() error { return work(gctx) })
	}
	g.Go(func() error { return pl.work(gctx, g.Go) })
	err := g.Wait()
	var unclean error
	if h := pl.Store.State(); h.Cause == store.CauseAlarm {
		unclean = &UncleanError{h.Reason}
	}
	stop()
	return errors.Join(err, unclean, log.Wait())
}

// work begins what writes to the log, once that takes it.
func (pl *Plant) work(ctx context.Context, begin func(func() error)) error {
	for {
		err := Await(ctx, pl.Store)
		if err == nil {
			err = pl.Recover(ctx)
		}
		var state *store.StateError
		switch {
		case err == nil:
			for _, work := range pl.Work() {
				begin(func() error { return work(ctx) })
			}
			return nil
		case ctx.Err() != nil:
			return nil
		case !errors.As(err, &state):
			return err
		}
	}
}

// holdWithin bounds the comparison with a checkpoint.
const holdWithin = 10 * time.Second

// Alarm is what is wrong with the log, nil if nothing is.
func (pl *Plant) Alarm() []audit.Finding { return pl.Store.State().Findings }

// Accept lets the station go on with a log that is not what it must be: a's two
// people, one of them QA, have seen the findings.
func (pl *Plant) Accept(ctx context.Context, by station.Person, a audit.Acceptance) error {
	return Accept(ctx, pl.Store, by, a)
}

// Accept is [Plant.Accept] for a store that is open in this process.
func Accept(ctx context.Context, s *store.Store, by station.Person, a audit.Acceptance) error {
	if err := by.Allow(station.RoleQA, "going on with a log that is not what it must be"); err != nil {
		return err
	}
	if s.State().Cause != store.CauseAlarm {
		return station.Refuse(station.ScanInvalid, "there is nothing to accept: the log is what it must be")
	}
	if len(a.Persons) != 2 || a.Persons[0] == a.Persons[1] || a.Persons[1] == "" || a.Reason == "" {
		return station.Refuse(station.PermissionMissing, "going on takes two different people and a reason")
	}
	return s.Accept(ctx, a)
}

// Close gives the store back, after Run.
func (pl *Plant) Close() error { return pl.Store.Close() }
