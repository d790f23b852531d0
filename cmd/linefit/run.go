package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"linefit/station"
	"linefit/station/config"
	"linefit/station/plant"
	"linefit/ui/client"
)

type runCmd struct {
	Config string `required:"" type:"path" placeholder:"FILE" help:"The station file."`
	Unit   string `required:"" placeholder:"SERIAL" help:"The unit's serial, or all that its label's barcode says."`
	Slot   int    `required:"" help:"The slot in which it stands."`
	By     string `placeholder:"NAME" env:"LINEFIT_OPERATOR" default:"engineering" help:"Name, badge or pseudonym of the person who acts; the log has the pseudonym only."`
	JSON   bool   `name:"json" help:"Print the result as one JSON document."`
}

// runResult is what one run came to.
type runResult struct {
	Run         station.RunID       `json:"run"`
	Unit        station.Serial      `json:"unit"`
	Slot        int                 `json:"slot"`
	Verdict     station.Verdict     `json:"verdict"`
	Disposition station.Disposition `json:"disposition"`
	Step        string              `json:"step,omitempty"`
	Reason      *station.Reason     `json:"reason,omitempty"`
	Millis      int64               `json:"ms"`
}

// commander is a station to give commands to: the daemon, or one in this process.
type commander interface {
	start(ctx context.Context, cmd station.Command) (station.Reply, error)
	watch(ctx context.Context, fn func(station.View) (done bool)) error
}

// Run provisions one unit: through the daemon where it runs, else by itself.
func (c *runCmd) Run(a *app) error {
	cfg, err := loadStation(c.Config)
	if err != nil {
		return err
	}
	if err := c.check(cfg); err != nil {
		return exit(exitUsage, err)
	}
	if daemon, err := client.New(client.Options{Address: "unix:" + socketOf(cfg)}); err == nil {
		defer daemon.Close()
		if _, err := daemon.Station(a.ctx); err == nil {
			return c.one(a, remote{daemon})
		}
	}
	return c.alone(a, cfg)
}

// check wants a unit and one of the station's slots: a command barcode is
// nothing to run.
func (c *runCmd) check(cfg *config.Config) error {
	var errs []error
	if b, err := station.ParseBarcode(c.Unit); err != nil {
		errs = append(errs, fmt.Errorf("--unit: %w", err))
	} else if b.Unit == "" {
		errs = append(errs, errors.New("--unit: a command barcode; wanted: a serial, or what the unit's label says"))
	}
	ids := make([]int, len(cfg.Slots))
	for i, s := range cfg.Slots {
		ids[i] = s.ID
	}
	if !slices.Contains(ids, c.Slot) {
		errs = append(errs, fmt.Errorf("--slot %d: the station has the slots %v", c.Slot, ids))
	}
	return errors.Join(errs...)
}

// alone holds the store's lock itself for one unit.
func (c *runCmd) alone(a *app, cfg *config.Config) error {
	logger := zerolog.New(a.stderr).Level(zerolog.WarnLevel)
	pl, closeAll, err := openStation(a.ctx, cfg, logger, false)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(a.ctx)
	defer stop()
	var result error
	err = pl.Run(ctx, func(ctx context.Context) error {
		defer stop()
		result = c.one(&app{ctx: ctx, stdout: a.stdout, stderr: a.stderr}, local{pl})
		return nil
	})
	return errors.Join(result, err, closeAll())
}

// one starts the unit and waits for its result.
func (c *runCmd) one(a *app, s commander) error {
	reply, err := s.start(a.ctx, station.Command{Kind: station.CmdScan, Slot: c.Slot, Text: c.Unit, Operator: station.Actor(c.By)})
	var refusal *station.Refusal
	if errors.As(err, &refusal) {
		return exit(exitVerdict, err)
	}
	if err != nil {
		return exit(exitMissing, err)
	}
	var result runResult
	err = s.watch(a.ctx, func(v station.View) bool {
		for _, slot := range v.Slots {
			if l := slot.Last; slot.ID == c.Slot && decided(slot, reply.Run) {
				result = runResult{Run: l.Run, Unit: l.Unit, Slot: slot.ID, Verdict: l.Verdict, Disposition: l.Disposition, Step: l.Step, Reason: l.Reason, Millis: l.Millis}
				return true
			}
		}
		return false
	})
	if err != nil {
		return exit(exitMissing, err)
	}
	return c.print(a, result)
}

// decided reports whether a run has its result for good: the lamp shows it (or
// would, had the station not been away meanwhile), or the unit has left. Before
// that the MES may still have a word in it.
func decided(slot station.SlotView, run station.RunID) bool {
	if slot.Last == nil || slot.Last.Run != run {
		return false
	}
	switch slot.Lamp {
	case station.LampPass, station.LampFail, station.LampHold:
		return true
	}
	return slot.Run != run || slot.Fault != nil || slot.Unwatched && slot.Waiting == station.WaitRemoval
}

func (c *runCmd) print(a *app, r runResult) error {
	if c.JSON {
		if err := printJSON(a.stdout, r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.stdout, "%s  slot %d  %s, %s  %.1f s\n", r.Unit, r.Slot, r.Verdict, r.Disposition, float64(r.Millis)/1000)
		if r.Reason != nil {
			fmt.Fprintf(a.stdout, "%s: %s\n", r.Step, r.Reason)
		}
	}
	if r.Verdict != station.Pass {
		return exit(exitVerdict, nil)
	}
	return nil
}

// local is the station in this process.
type local struct{ pl *plant.Plant }

// upWithin bounds the time until the station's own slots are up.
const upWithin = 30 * time.Second

func (l local) start(ctx context.Context, cmd station.Command) (station.Reply, error) {
	up, cancel := context.WithTimeout(ctx, upWithin)
	defer cancel()
	err := l.watch(up, func(v station.View) bool { return len(v.Slots) == len(l.pl.Plan.Slots) })
	if err != nil {
		return station.Reply{}, err
	}
	if cmd.Operator, err = l.pl.People.Resolve(string(cmd.Operator)); err != nil {
		return station.Reply{}, err
	}
	return l.pl.Do(ctx, cmd)
}

func (l local) watch(ctx context.Context, fn func(station.View) bool) error {
	for {
		changed := l.pl.Changed()
		if fn(l.pl.Engine.View()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// remote is the daemon.
type remote struct{ c *client.Client }

func (r remote) start(ctx context.Context, cmd station.Command) (station.Reply, error) {
	reply, err := r.c.Do(ctx, cmd)
	return reply.Reply, err
}

func (r remote) watch(ctx context.Context, fn func(station.View) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found := false
	var lost error
	r.c.Watch(ctx, func(s client.Snapshot) {
		lost = s.Err
		if s.Err == nil && fn(s.View) {
			found = true
			cancel()
		}
	})
	if found {
		return nil
	}
	return errors.Join(errors.New("the station was left before the run ended"), lost)
}
