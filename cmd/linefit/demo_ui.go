package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/charmbracelet/x/term"
	"golang.org/x/sync/errgroup"

	"linefit/station"
	"linefit/station/mes"
	"linefit/station/sim"
	"linefit/station/stock"
	"linefit/station/text"
	"linefit/ui"
	"linefit/ui/client"
)

// onScreen reports whether there is a terminal to show the station on.
func onScreen(a *app) bool {
	w := a.stdout
	if o, ok := w.(*output); ok {
		w = o.w
	}
	out, ok := w.(*os.File)
	in, ok2 := a.stdin.(*os.File)
	return ok && ok2 && term.IsTerminal(out.Fd()) && term.IsTerminal(in.Fd())
}

// maxSocketPath is what the kernel takes for a unix socket's path.
const maxSocketPath = 100

// serveAPI serves the station's API on a socket in the demo's folder, and on
// --listen where that is given.
func (d *demo) serveAPI(ctx context.Context) (serve func(context.Context) error, socket string, err error) {
	opt := serverOptions(d.plant)
	if d.cmd.Listen != "" {
		token, err := demoToken(filepath.Join(d.dir, "api.token"))
		if err != nil {
			return nil, "", exit(exitMissing, err)
		}
		opt.Tokens = []mes.Token{token}
	}
	server, err := mes.NewServer(opt)
	if err != nil {
		return nil, "", err
	}
	socket = d.socketPath()
	listeners, err := mes.Listen(ctx, mes.ListenOptions{Socket: socket, TCP: d.cmd.Listen})
	if err != nil {
		return nil, "", exit(exitMissing, err)
	}
	return func(ctx context.Context) error { return server.Serve(ctx, listeners) }, socket, nil
}

// socketPath is in the demo's folder, or where its name is too long for a socket,
// in one for temporary files.
func (d *demo) socketPath() string {
	socket := filepath.Join(d.dir, "linefit.sock")
	for _, dir := range []string{os.TempDir(), "/tmp"} {
		if len(socket) > maxSocketPath {
			socket = filepath.Join(dir, filepath.Base(d.dir)+".sock")
		}
	}
	return socket
}

// demoToken makes a token for changes over TCP and leaves it in a file.
func demoToken(file string) (mes.Token, error) {
	text := rand.Text()
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		return mes.Token{}, err
	}
	return mes.Token{Name: string(station.ActorMES), Secret: stock.NewSecret([]byte(text))}, nil
}

// screen shows the running line until the person leaves it.
func (d *demo) screen(a *app) (sum summary, err error) {
	defer func() { err = errors.Join(err, d.plant.Close(), d.world.Close()) }()
	ctx, stop := context.WithCancel(a.ctx)
	defer stop()
	serve, socket, err := d.serveAPI(ctx)
	if err != nil {
		return sum, err
	}
	c, err := client.New(client.Options{Address: "unix:" + socket})
	if err != nil {
		return sum, errors.Join(err, serve(canceled()))
	}
	defer c.Close()
	crew := d.crew()
	crew.Hands = 900 * time.Millisecond
	lang, _ := text.ParseLang(d.cmd.Lang) // checked with the other flags
	err = d.plant.Run(ctx, d.world.Serve, serve, func(ctx context.Context) error {
		defer stop()
		if err := d.stockUp(ctx); err != nil {
			return err
		}
		g, gctx := errgroup.WithContext(ctx)
		work, rest := context.WithCancel(gctx)
		g.Go(func() error { return crew.Run(work) })
		g.Go(func() error {
			defer rest()
			return ui.Run(gctx, ui.Options{Source: c, Lang: lang, Operator: "demo", ASCII: !utf8Locale(), FirstKey: crew.HandOver}, ui.Terminal{})
		})
		return g.Wait()
	})
	if err != nil {
		return sum, err
	}
	sum, err = d.summarize(context.WithoutCancel(a.ctx))
	sum.left = sum.Unaccounted > 0
	return sum, err
}

// canceled is a context that is over: what is served with it ends at once.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// crew are the people of the simulated line.
func (d *demo) crew() *sim.Crew {
	c := &sim.Crew{World: d.world, Station: d.plant, Repair: d.repair, Again: 200 * time.Millisecond}
	if d.prepares() {
		c.Lead = d.resupply
	}
	return c
}
