package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/internal/strictyaml"
	"linefit/rework"
	"linefit/station"
	"linefit/station/pairing"
	"linefit/station/people"
	"linefit/station/plant"
	"linefit/station/stock"
	"linefit/ui/client"
)

// where says which station a person works with: a running one by its address,
// or the store of one that does not run.
type where struct {
	Address   string `placeholder:"ADDR" env:"LINEFIT_ADDRESS" help:"The running station: unix:/path or http://host:port (default: unix:/run/linefit/linefit.sock)."`
	Config    string `type:"path" placeholder:"FILE" help:"The station file; its socket is the address."`
	TokenFile string `type:"path" placeholder:"FILE" help:"Bearer token for an address over TCP."`
	Store     string `type:"path" placeholder:"DIR" help:"The store of a station that does not run."`
	AuditKey  string `type:"path" placeholder:"FILE" help:"With --store: the log's signing key; by default DIR.audit.key, or that of a demo."`
	VaultKey  string `type:"path" placeholder:"FILE" help:"With --store: the vault's key; by default DIR.vault.key, or that of a demo."`
	JSON      bool   `name:"json" help:"Print one JSON document."`
}

// who says who acts.
type who struct {
	By   string `placeholder:"NAME" env:"LINEFIT_OPERATOR" help:"Name, badge or pseudonym of the person who acts; the log has the pseudonym only."`
	Role string `enum:"operator,lead,qa" default:"operator" help:"That person's role: operator, lead or qa. Over TCP the token has its own."`
}

func (w who) person() (station.Person, error) {
	if w.By == "" {
		return station.Person{}, exit(exitUsage, errors.New("--by is missing: who acts stands in the log"))
	}
	return station.Person{Actor: station.Actor(w.By), Role: station.Role(w.Role)}, nil
}

// check settles on one station: the one that was named, else the service on
// this machine. An address in the environment gives way to a flag.
func (w *where) check() error {
	if (w.Config != "" || w.Store != "") && w.Address == os.Getenv("LINEFIT_ADDRESS") {
		w.Address = ""
	}
	if w.Address == "" && w.Config == "" && w.Store == "" {
		w.Address = "unix:" + defaultSocket
	}
	n := 0
	for _, s := range []string{w.Address, w.Config, w.Store} {
		if s != "" {
			n++
		}
	}
	if n != 1 {
		return exit(exitUsage, errors.New("say one of --address, --config and --store"))
	}
	return nil
}

// client is a client of the running station.
func (w where) client() (*client.Client, error) {
	opt := client.Options{Address: w.Address}
	if w.Config != "" {
		cfg, err := loadConfig(w.Config)
		if err != nil {
			return nil, err
		}
		opt.Address = "unix:" + socketOf(cfg)
	}
	if w.TokenFile != "" {
		b, err := readFile(w.TokenFile)
		if err != nil {
			return nil, exit(exitMissing, err)
		}
		opt.Token = strings.TrimSpace(string(b))
	}
	c, err := client.New(opt)
	if err != nil {
		return nil, exit(exitUsage, err)
	}
	return c, nil
}

// station works with the station that was named: through its API, or where it
// does not run with its store.
func (w where) station(a *app, remote func(context.Context, *client.Client) error, local func(context.Context, *offline) error) error {
	if err := w.check(); err != nil {
		return err
	}
	if w.Store != "" {
		return personError(w.withStore(a, local))
	}
	c, err := w.client()
	if err != nil {
		return err
	}
	defer c.Close()
	return personError(remote(a.ctx, c))
}

// offline is the store of a station that does not run, held by this process.
type offline struct {
	store   *store.Store
	journal plant.Journal
	where   where
	people  *people.Book // opened by the first who needs it
}

// book is who is who at the station.
func (o *offline) book(ctx context.Context) (*people.Book, error) {
	if o.people != nil {
		return o.people, nil
	}
	vault, err := o.where.vault(ctx)
	if err != nil {
		return nil, err
	}
	o.people, err = people.Open(people.Options{Vault: vault, Views: o.store.View, Journal: o.journal})
	if err != nil {
		return nil, exit(exitMissing, err)
	}
	_, err = o.people.Recover()
	return o.people, err
}

// as gives the person who acts the pseudonym that the log gets.
func (o *offline) as(ctx context.Context, by station.Person) (station.Person, error) {
	book, err := o.book(ctx)
	if err == nil {
		by.Actor, err = book.Resolve(string(by.Actor))
	}
	return by, err
}

// vault is that of a store that this process holds.
func (w where) vault(ctx context.Context) (*stock.Vault, error) {
	key := firstFile(w.VaultKey, w.Store+".vault.key", filepath.Join(w.Store, "sim", "vault.key"))
	if key == "" {
		return nil, exit(exitMissing, fmt.Errorf("the vault's key is missing: there is no %s.vault.key; say --vault-key", w.Store))
	}
	v, err := stock.OpenVault(ctx, filepath.Join(w.Store, "vault"), stock.KeyFile{Path: key})
	if err != nil {
		return nil, exit(exitMissing, err)
	}
	return v, nil
}

// withStore opens the store, works, and gives it back.
func (w where) withStore(a *app, fn func(context.Context, *offline) error) error {
	return w.withAnyStore(a, false, fn)
}

// withAnyStore is withStore, with unclean for a log that did not open clean too.
func (w where) withAnyStore(a *app, unclean bool, fn func(context.Context, *offline) error) error {
	log, err := store.OpenLog(w.Store, "")
	if err != nil {
		return exit(exitMissing, err)
	}
	path := firstFile(w.AuditKey, w.Store+".audit.key", filepath.Join(w.Store, "sim", "audit.key"))
	key, err := readKey(path, w.Store)
	if err != nil {
		if held := store.Free(w.Store); held != nil { // who has the store matters more than its key
			err = held
		}
		return exit(exitMissing, err)
	}
	opt := plant.Plan{Dir: w.Store, Key: key, ShardKey: shardKeys(path), Anchors: readAnchors(anchorFile(w.Store))}.StoreOptions()
	opt.Sim = log.Sim()
	s, err := store.Open(a.ctx, opt)
	if err != nil {
		return exit(exitMissing, err)
	}
	if h := s.State(); h.State != store.OK && !unclean {
		return errors.Join(startError(&plant.UncleanError{Reason: h.Reason}), s.Close())
	}
	run, end := context.WithCancel(context.WithoutCancel(a.ctx)) // the log outlives what writes to it
	var g errgroup.Group
	g.Go(func() error { return s.Run(run) })
	err = fn(a.ctx, &offline{store: s, journal: plant.Journal{Log: s}, where: w})
	end()
	return errors.Join(err, g.Wait(), s.Close())
}

// readKey reads the signing key of a store: none is ever made here.
func readKey(path, dir string) (audit.Key, error) {
	if path == "" {
		return nil, fmt.Errorf("the log's signing key is missing: there is no %s.audit.key; say --audit-key", dir)
	}
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	key, err := audit.ParseKey(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// firstFile is the file that was named, else the first guess that exists.
func firstFile(named string, guesses ...string) string {
	if named != "" {
		return named
	}
	for _, g := range guesses {
		if _, err := os.Stat(g); err == nil {
			return g
		}
	}
	return ""
}

// personError gives an error of what people do its exit code.
func personError(err error) error {
	var coded *exitError
	var refusal *station.Refusal
	var mistakes strictyaml.Problems
	var remote *client.Error
	switch {
	case err == nil, errors.As(err, &coded):
		return err
	case errors.As(err, &refusal):
		return exit(refusalCode(refusal.Reason.Code), err)
	case errors.As(err, &mistakes), errors.Is(err, stock.ErrShare), errors.Is(err, stock.ErrLists), errors.Is(err, stock.ErrFromMES), errors.Is(err, stock.ErrBatch), errors.Is(err, stock.ErrNoShare), errors.Is(err, stock.ErrOtherStation):
		return exit(exitUsage, err)
	case errors.Is(err, rework.ErrNoTicket), errors.Is(err, rework.ErrNoUnit), errors.Is(err, rework.ErrManyUnits), errors.Is(err, stock.ErrNoProfile),
		errors.Is(err, pairing.ErrNoUnit), errors.Is(err, pairing.ErrUnused), errors.Is(err, people.ErrNobody):
		return exit(exitMissing, err)
	case errors.As(err, &remote) && len(remote.Mistakes) > 0: // as where this process had found them
		for _, m := range remote.Mistakes {
			mistakes = append(mistakes, strictyaml.Problem(m))
		}
		if what, ok := strings.CutSuffix(remote.Detail, mistakes.Error()); !ok || what != "" { // there is more to say
			return exit(exitUsage, fmt.Errorf("%s", remote.Detail))
		}
		return exit(exitUsage, mistakes)
	case errors.As(err, &remote):
		return exit(map[client.Kind]int{
			client.Unreachable: exitMissing, client.Denied: exitRefused, client.NotFound: exitMissing, client.Invalid: exitUsage,
			client.Failed: exitMissing, client.Broken: exitInternal,
		}[remote.Kind], err)
	}
	return err
}

func refusalCode(code station.Code) int {
	switch code {
	case station.PermissionMissing:
		return exitRefused
	case station.ScanInvalid:
		return exitUsage
	case station.LogStopped, station.VaultFault:
		return exitMissing
	}
	return exitVerdict
}
