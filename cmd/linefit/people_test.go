package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/rework"
	"linefit/station"
	"linefit/station/ifpp"
	"linefit/station/mes"
	"linefit/station/people"
	"linefit/station/plant"
	"linefit/station/stock"
)

// bench is a station's store for commands to work on, running or not.
type bench struct {
	t       *testing.T
	dir     string
	issuers []*x509.Certificate // of the station that serves
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: filepath.Join(t.TempDir(), "store")}
	_, err := audit.LoadOrCreateKey(b.dir+".audit.key", "linefit.test/bench")
	if err != nil {
		t.Fatal(err)
	}
	_, err = stock.OpenVault(context.Background(), filepath.Join(b.dir, "vault"), stock.KeyFile{Path: b.dir + ".vault.key", Make: true})
	if err != nil {
		t.Fatal(err)
	}
	b.open(func(s *store.Store) {
		j := plant.Journal{Log: s}
		for unit, code := range map[string]station.Code{"SN1": station.ModuleFirmware, "SN2": station.IdentityMismatch} {
			at := station.Scope{Slot: 1, Unit: station.Serial(unit), Run: station.RunID("r" + unit)}
			reason := station.NewReason(code, "seen")
			err := j.Gate(context.Background(), at, station.RunStarted{Recipe: "consumer", Version: 1},
				station.RunVerdict{Verdict: station.Failed, Reason: reason, Step: "identify"},
				station.TicketOpened{Ticket: "T-" + unit, Queue: "repair", Wanted: map[bool]station.Disposition{true: station.Hold, false: station.Rework}[unit == "SN2"], Reason: reason},
				station.UnitDisposed{Disposition: station.Rework}, station.UnitLeft{})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	return b
}

// open holds the store while fn works.
func (b *bench) open(fn func(*store.Store)) {
	b.t.Helper()
	key, err := readKey(b.dir+".audit.key", b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := store.Open(context.Background(), store.Options{Dir: b.dir, Key: key, Projections: plant.Projections()})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var g errgroup.Group
	g.Go(func() error { return s.Run(ctx) })
	fn(s)
	stop()
	if err := g.Wait(); err != nil {
		b.t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// linefit runs the command line and wants an exit code and a text in what it
// printed.
func (b *bench) linefit(want int, text string, args ...string) string {
	b.t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), args, strings.NewReader(""), &stdout, &stderr)
	if code != want || !strings.Contains(stdout.String()+stderr.String(), text) {
		b.t.Errorf("linefit %s: exit %d, not %d with %q\n%s%s", strings.Join(args, " "), code, want, text, &stdout, &stderr)
	}
	if strings.Contains(stdout.String()+stderr.String(), "CANARY") {
		b.t.Errorf("linefit %s shows a code\n%s%s", strings.Join(args, " "), &stdout, &stderr)
	}
	return stdout.String()
}

func (b *bench) file(name, text string) string {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

const somecodes = "batch,activation_code,iccid\nB,LPA:1$s.example$CANARY-1,8949000000000000018\nB,LPA:1$s.example$CANARY-2,8949000000000000026\n"

// TestProfilesAndRework works on a store that no station holds, and then the
// same on a running station.
func TestProfilesAndRework(t *testing.T) {
	t.Run("store", func(t *testing.T) {
		b := newBench(t)
		b.work("--store", b.dir)
	})
	t.Run("socket", func(t *testing.T) {
		b := newBench(t)
		socket := filepath.Join(t.TempDir(), "s")
		b.open(func(s *store.Store) {
			b.serve(s, socket, func() {
				b.linefit(3, "is in use by", "rework", "list", "--store", b.dir)
				b.work("--address", "unix:"+socket)
			})
		})
		b.linefit(3, "", "rework", "list", "--address", "unix:"+socket)
	})
}

// still is a station that does nothing.
type still struct{}

func (still) View() station.View { return station.View{} }
func (still) Do(context.Context, station.Command) (station.Reply, error) {
	return station.Reply{}, nil
}
func (still) Changed() <-chan struct{} { return nil }

// serve serves the store's station on a socket while fn works.
func (b *bench) serve(s *store.Store, socket string, fn func()) {
	b.t.Helper()
	vault, err := stock.OpenVault(context.Background(), filepath.Join(b.dir, "vault"), stock.KeyFile{Path: b.dir + ".vault.key"})
	if err != nil {
		b.t.Fatal(err)
	}
	none, err := mes.NewClient(mes.ClientOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	j := plant.Journal{Log: s}
	who, err := people.Open(people.Options{Vault: vault, Views: s.View, Journal: j})
	if err != nil {
		b.t.Fatal(err)
	}
	server, err := mes.NewServer(mes.ServerOptions{
		Station: still{}, People: who, Evidence: s, Log: s, Outbox: mes.NewOutbox(mes.OutboxOptions{Log: s, Client: none}), Desk: rework.NewDesk(s.View, j),
		Stock: &stock.Room{
			Ledger: stock.NewLedger(s.View, vault, nil), Journal: j, Trust: stock.TrustIssuers(b.issuers...), Inspect: ifpp.Inspect, Running: plant.RunningIn(s.View),
		},
		LoadingReport: func(batch string) (func(io.Writer) error, error) { return plant.LoadingReport(s, vault, batch) },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		b.t.Fatal(err)
	}
	h := &http.Server{Handler: server.Local()}
	var g errgroup.Group
	g.Go(func() error { return h.Serve(l) })
	fn()
	if err := h.Close(); err != nil {
		b.t.Fatal(err)
	}
	_ = g.Wait() // http.ErrServerClosed
}

// work is what people do, with its exit codes.
func (b *bench) work(where ...string) {
	b.t.Helper()
	at := func(args ...string) []string { return append(args, where...) }
	by := func(name, role string, args ...string) []string {
		return append(at(args...), "--by", name, "--role", role)
	}
	list := b.file("codes.csv", somecodes)

	b.linefit(2, "say one of --address, --config and --store", "profiles", "list", "--store", b.dir, "--config", "x.yaml")
	b.t.Setenv("LINEFIT_ADDRESS", "unix:/nonexistent") // gives way to what is said
	b.linefit(3, "", "profiles", "list")
	b.linefit(2, "--by is missing", at("profiles", "import", list)...)
	b.linefit(4, "takes role lead", by("olga", "operator", "profiles", "import", list)...)
	b.linefit(2, "codes.csv:4:3: activation_code: no activation code", by("anna", "lead", "profiles", "import", b.file("codes.csv", somecodes+"B,x,\n"))...)
	b.linefit(0, "2 profiles imported", by("anna", "lead", "profiles", "import", list, "--wipe")...)
	if _, err := os.Stat(list); !os.IsNotExist(err) {
		b.t.Errorf("the list was not erased: %v", err)
	}
	b.linefit(2, "is in the stock already", by("anna", "lead", "profiles", "import", b.file("codes.csv", somecodes))...)
	b.linefit(1, "batch B: 2 left", at("profiles", "list", "--low", "3")...)
	var stocked stock.Stocked
	if err := json.Unmarshal([]byte(b.linefit(0, "", at("profiles", "list", "--json")...)), &stocked); err != nil || stocked.Count.Available != 2 || len(stocked.Profiles) != 2 {
		b.t.Fatalf("%+v, %v", stocked, err)
	}
	b.linefit(4, "takes role lead", by("olga", "operator", "profiles", "notifications", "hold", "--batch", "B", "--why", "x")...)
	b.linefit(0, "notifications of batch B: hold", by("anna", "lead", "profiles", "notifications", "hold", "--batch", "B", "--why", "contract")...)
	b.linefit(2, "no batch", by("anna", "lead", "profiles", "notifications", "send", "--batch", "C", "--why", "x")...)
	b.linefit(0, "2 profiles quarantined", by("anna", "lead", "profiles", "quarantine", "--why", "backup restored")...)
	b.linefit(4, "takes role lead", by("olga", "operator", "profiles", "release", stocked.Profiles[0].Handle, "--why", "x")...)
	b.linefit(0, "available", by("anna", "lead", "profiles", "release", "iccid:8949000000000000018", "--why", "compared")...)
	b.linefit(1, "is available", by("anna", "lead", "profiles", "release", stocked.Profiles[0].Handle, "--why", "again")...)
	b.linefit(3, "0 profiles are", by("anna", "lead", "profiles", "release", "nothing", "--why", "x")...)
	b.linefit(0, "spent", by("anna", "lead", "profiles", "resolve", stocked.Profiles[1].Handle, "--as", "spent", "--why", "provider says so")...)
	b.linefit(1, "available here, installed at the SM-DP+", at("profiles", "reconcile", "--smdp-list", b.file("o.csv", "iccid,state\n8949000000000000018,installed\n8949000000000000026,error\n"))...)
	b.linefit(0, "everything agrees", at("profiles", "reconcile", "--smdp-list", b.file("o.csv", "iccid,state\n8949000000000000018,released\n8949000000000000026,error\n"))...)
	b.linefit(0, "replace", at("profiles", "claim")...)
	b.linefit(0, "89049032123451234512345678901235", at("profiles", "request", b.file("e.csv", "eid\n89049032123451234512345678901235\n"))...)
	b.linefit(0, "1 codes erased", by("anna", "lead", "profiles", "erase", "--keep", "0s")...)

	b.linefit(0, "T-SN1", at("rework", "list")...)
	b.linefit(0, "Wrong module firmware", at("rework", "show", "SN1")...)
	b.linefit(3, "", at("rework", "show", "SN9")...)
	b.linefit(4, "takes role lead", by("olga", "operator", "rework", "claim", "SN2")...)
	b.linefit(0, "claimed", by("olga", "operator", "rework", "claim", "SN1")...)
	b.linefit(1, "is claimed by op-", by("otto", "operator", "rework", "claim", "SN1")...)
	b.linefit(0, "repaired", by("olga", "operator", "rework", "repair", "T-SN1", "--cause", "old firmware", "--action", "flashed")...)
	b.linefit(4, "takes role lead", by("olga", "operator", "rework", "dispose", "SN2", "--as", "release", "--why", "fine")...)
	b.linefit(0, "closed", by("quentin", "qa", "rework", "dispose", "SN2", "--as", "scrap", "--why", "label cannot be trusted")...)
	var story rework.Story
	if err := json.Unmarshal([]byte(b.linefit(0, "", at("rework", "show", "SN2", "--json")...)), &story); err != nil || story.Unit.Disposition != station.Scrap {
		b.t.Errorf("%+v, %v", story, err)
	}
}

func TestProfilesSplit(t *testing.T) {
	b := newBench(t)
	out, key := filepath.Join(t.TempDir(), "shares"), filepath.Join(t.TempDir(), "planning.key")
	var made struct {
		Shares map[string]string
		VKey   string
	}
	whole, fresh := b.file("codes.csv", somecodes), b.file("fresh.csv", somecodes)
	text := b.linefit(0, "", "profiles", "split", whole, "--stations", "bench-1,bench-2", "--key", key, "--out", out, "--json")
	if err := json.Unmarshal([]byte(text), &made); err != nil || len(made.Shares) != 2 {
		t.Fatalf("%s: %v", text, err)
	}
	args := func(share string) []string {
		return []string{"profiles", "import", share, "--store", b.dir, "--by", "anna", "--role", "lead", "--station", "bench-1", "--share-key", made.VKey, "--shares-only"}
	}
	b.linefit(2, "another station's", args(made.Shares["bench-2"])...)
	b.linefit(2, "is no share", args(b.file("codes.csv", somecodes))...)
	b.linefit(2, "codes.csv was split for bench-1,bench-2", "profiles", "split", whole, "--stations", "a,b,c", "--key", key, "--out", filepath.Join(out, "again"))
	b.linefit(0, "", "profiles", "split", whole, "--stations", "bench-1,bench-2", "--key", key, "--out", filepath.Join(out, "same"))
	for _, share := range []string{"bench-1.share", "bench-2.share"} {
		one, _ := os.ReadFile(filepath.Join(out, share))
		if same, err := os.ReadFile(filepath.Join(out, "same", share)); err != nil || !bytes.Equal(one, same) {
			t.Errorf("%s: %v", share, err)
		}
	}
	b.linefit(2, "was split for", "profiles", "split", whole, "--stations", "bench-2,bench-1", "--key", key, "--out", filepath.Join(out, "again"))
	b.linefit(2, "was split for", "profiles", "import", whole, "--store", b.dir, "--by", "anna", "--role", "lead")
	b.linefit(2, "is no name of a file", "profiles", "split", fresh, "--stations", "../a,b", "--key", key, "--out", out)
	if err := os.WriteFile(filepath.Join(out, "b.share"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.linefit(3, "b.share", "profiles", "split", fresh, "--stations", "a,b", "--key", key, "--out", out)
	b.linefit(2, "", "profiles", "split", b.file("bad.csv", "batch,activation_code\nB,x\n"), "--stations", "a", "--key", key+".new", "--out", out)
	b.linefit(2, "no signing key", "profiles", "split", fresh, "--stations", "a", "--key", key+".vkey", "--out", out)
	for _, none := range []string{filepath.Join(out, "a.share"), filepath.Join(out, "again", "a.share"), fresh + ".taken", key + ".new"} {
		if _, err := os.Lstat(none); err == nil {
			t.Errorf("%s is there", none)
		}
	}
	b.linefit(0, "1 profiles imported", args(made.Shares["bench-1"])...)
	b.linefit(2, "codes.csv:2:3", "profiles", "split", b.file("codes.csv", "batch,activation_code\nB,x\n"), "--stations", "a", "--key", key, "--out", out)
	b.linefit(3, "", "profiles", "split", b.file("codes.csv", somecodes), "--stations", "bench-1", "--key", key, "--out", out) // nothing is overwritten
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if fmt.Sprint(made.Shares["bench-1"]) != filepath.Join(out, "bench-1.share") {
		t.Errorf("%v", made.Shares)
	}
}
