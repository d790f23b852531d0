package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/rs/zerolog"

	"linefit/audit/store"
	"linefit/station"
	"linefit/station/config"
	"linefit/station/mes"
	"linefit/station/plant"
	"linefit/station/stock"
)

type serveCmd struct {
	Config string `required:"" type:"path" placeholder:"FILE" help:"The station file, such as configs/station.yaml."`
	Log    string `default:"info" enum:"debug,info,warn,error" help:"How much the process says of itself: debug, info, warn or error."`
}

// Run is the daemon.
func (c *serveCmd) Run(a *app) error {
	cfg, err := loadStation(c.Config)
	if err != nil {
		return err
	}
	level, err := zerolog.ParseLevel(c.Log)
	if err != nil {
		return exit(exitUsage, err)
	}
	logger := zerolog.New(a.stderr).Level(level).With().Timestamp().Str("station", cfg.Station.Name).Logger()
	pl, closeAll, err := openStation(a.ctx, cfg, logger, true)
	if err != nil {
		return err
	}
	api, listen, err := serveAPI(a.ctx, pl, cfg)
	if err != nil {
		return errors.Join(err, closeAll())
	}
	up := func(ctx context.Context) error {
		if !awaitSlots(ctx, pl, len(cfg.Slots)) {
			return nil
		}
		logger.Info().Str("socket", cfg.API.Socket).Str("listen", listen).Int("slots", len(cfg.Slots)).
			Int("faults", len(pl.Plan.Faults)).Uint64("head", pl.Store.Last()).Msg("station is up")
		if h := pl.Store.State(); h.State != store.OK {
			logger.Error().Str("log", string(h.State)).Msg(h.Reason + "; no unit is started until two people have accepted it: linefit audit accept")
		}
		return nil
	}
	err = errors.Join(pl.Run(a.ctx, api, up), closeAll())
	logger.Info().Err(err).Msg("station is down")
	var unclean *plant.UncleanError
	if errors.As(err, &unclean) {
		return exit(exitVerdict, err)
	}
	return err
}

// awaitSlots waits until every slot is worked on, or the log stands: what is asked
// before is refused. It is false when ctx was done first.
func awaitSlots(ctx context.Context, pl *plant.Plant, slots int) bool {
	for {
		changed, log := pl.Changed(), pl.Store.Changed()
		if pl.Store.State().State != store.OK || len(pl.View().Slots) == slots {
			return true
		}
		select {
		case <-changed:
		case <-log:
		case <-ctx.Done():
			return false
		}
	}
}

// openStation assembles the station of a file. closeAll gives back store and
// fixtures, after run. unclean takes a log that is not what it must be, too.
func openStation(ctx context.Context, cfg *config.Config, logger zerolog.Logger, unclean bool) (_ *plant.Plant, closeAll func() error, err error) {
	p, err := fromConfig(ctx, cfg, logger)
	if err != nil {
		return nil, nil, err
	}
	p.Unclean = unclean
	pl, err := plant.Open(ctx, p.Plan)
	if err != nil {
		return nil, nil, errors.Join(startError(err), p.CloseSlots())
	}
	claimed, err := claimPorts(ctx, cfg)
	if err != nil {
		logger.Warn().Err(err).Msg("linefit euicc on this machine will not know that the slots' ports are in use")
	}
	return pl, func() error { return errors.Join(claimed.Close(), p.CloseSlots(), pl.Close()) }, nil
}

// startError gives an error of assembling its exit code: what is held by another
// program, or is not there, is 3.
func startError(err error) error {
	var coded *exitError
	var unclean *plant.UncleanError
	var kind *store.KindError
	switch {
	case errors.As(err, &coded):
		return err
	case errors.As(err, &kind):
		return exit(exitUsage, err)
	case errors.Is(err, fs.ErrPermission):
		return exit(exitRefused, err)
	case errors.As(err, &unclean):
		return exit(exitVerdict, fmt.Errorf("%w; linefit audit verify says what is wrong, linefit audit accept lets two people go on", err))
	}
	return exit(exitMissing, err)
}

// serveAPI opens the API's listeners and returns what serves them, and the TCP
// address, with the port that the system chose where the file says 0; "": none.
func serveAPI(ctx context.Context, pl *plant.Plant, cfg *config.Config) (serve func(context.Context) error, listen string, err error) {
	opt := serverOptions(pl)
	opt.ReadToken = cfg.API.Expose || cfg.API.ReadTokenFile != ""
	for _, t := range []struct {
		file string
		as   mes.Token
	}{{cfg.API.TokenFile, mes.Token{Name: string(station.ActorMES)}}, {cfg.API.ReadTokenFile, mes.Token{Name: "qa", ReadOnly: true}}} {
		if t.file == "" {
			continue
		}
		b, err := readFile(t.file)
		if err != nil {
			return nil, "", exit(exitMissing, err)
		}
		t.as.Secret = stock.NewSecret([]byte(strings.TrimSpace(string(b))))
		opt.Tokens = append(opt.Tokens, t.as)
	}
	server, err := mes.NewServer(opt)
	if err != nil {
		return nil, "", exit(exitUsage, err)
	}
	listeners, err := mes.Listen(ctx, mes.ListenOptions{Socket: socketOf(cfg), TCP: cfg.API.Listen, Expose: cfg.API.Expose})
	if err != nil {
		return nil, "", exit(exitMissing, err)
	}
	if listeners.Remote != nil {
		listen = listeners.Remote.Addr().String()
	}
	return func(ctx context.Context) error { return server.Serve(ctx, listeners) }, listen, nil
}

func serverOptions(pl *plant.Plant) mes.ServerOptions {
	return mes.ServerOptions{
		Station: pl, Log: pl.Store, Outbox: pl.Outbox, Desk: pl.Desk, Stock: pl.Room(), Pairing: pl.Pairing, People: pl.People, LoadingReport: pl.LoadingReport, Recipes: []*station.Recipe{pl.Plan.Recipe},
		Recipe: pl.Plan.Recipe.Name, VKey: pl.Store.VKey, Evidence: pl.Store, Alarm: pl.Alarm, Accept: pl.Accept, Hand: byHand(pl), Logger: pl.Plan.Logger,
	}
}
