package store_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"linefit/audit"
	"linefit/audit/store"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("LINEFIT_STORE_CHILD"); dir != "" {
		if err := child(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv("LINEFIT_STORE_LOOK"); dir != "" {
		if err := lookInside(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// Badger leaves these two behind where its Open fails, as it does in
	// TestDerivedStateLostOrAhead; TestCloseEndsAll looks for them otherwise.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/dgraph-io/badger/v4.(*DB).monitorCache"),
		goleak.IgnoreAnyFunction("github.com/dgraph-io/ristretto/v2/z.(*AllocatorPool).freeupAllocators"))
}

func TestCloseEndsAll(t *testing.T) {
	before := goleak.IgnoreCurrent()
	o := fill(t, 50)
	s, stop := start(t, o)
	if _, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN1", 1)); err != nil {
		t.Fatal(err)
	}
	stop()
	goleak.VerifyNone(t, before)
}

func childOptions(dir string) (store.Options, error) {
	key, err := audit.LoadOrCreateKey(filepath.Join(filepath.Dir(dir), "station.key"), "test.example/killed")
	return store.Options{Dir: dir, Key: key, SegmentSize: 64 << 10, Projections: []audit.Projection{counts{}}, PublishEvery: 20 * time.Millisecond}, err
}

// noSync is the control of the power cut test: a disk whose flushes lie.
type noSync struct{ store.FS }

func (n noSync) OpenFile(name string, flag int, perm fs.FileMode) (store.File, error) {
	f, err := n.FS.OpenFile(name, flag, perm)
	return lyingFile{f}, err
}

func (n noSync) SyncDir(string) error { return nil }

type lyingFile struct{ store.File }

func (lyingFile) Sync() error { return nil }

// child is a station that is killed: it says on stdout what it was promised.
func child(dir string) error {
	o, err := childOptions(dir)
	if err != nil {
		return err
	}
	if os.Getenv("LINEFIT_STORE_NOSYNC") != "" {
		o.FS = noSync{store.OSFS()}
	}
	if os.Getenv("LINEFIT_STORE_RESERVE") != "" {
		o.Reserve = 1
	}
	ctx := context.Background()
	s, err := store.Open(ctx, o)
	if err != nil {
		return err
	}
	if h := s.State(); h.State != store.OK {
		return fmt.Errorf("state %+v", h)
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	say("open %d", s.Last())
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				unit := fmt.Sprintf("SN%d-%d", w, i/10)
				if err := s.Queue(ctx, draft("step.started/1", 1+w, unit, i)); err != nil {
					say("error %v", err)
					return
				}
				es, err := s.Gate(ctx, draft("step.done/1", 1+w, unit, i))
				if err != nil {
					say("error %v", err)
					return
				}
				say("ack %d", es[0].Seq)
				if i%20 == 0 {
					if c, err := s.Checkpoint(); err == nil {
						say("cp %s", base64.StdEncoding.EncodeToString(c))
					}
				}
			}
		}()
	}
	return s.Run(ctx)
}

// kill -9 while writing: nothing acknowledged is lost, nothing is alarming,
// and every checkpoint that was handed out still holds.
func TestKill(t *testing.T) {
	rounds := 6
	if os.Getenv("LINEFIT_SOAK") != "" {
		rounds = 100
	}
	dir := filepath.Join(t.TempDir(), "store")
	rng := rand.New(rand.NewPCG(7, 7))
	var acked uint64
	for round := range rounds {
		// Every third one is killed while it starts.
		promised, checkpoint := killOnce(t, dir, time.Duration(rng.IntN(60))*time.Millisecond, round%3 == 2)
		acked = max(acked, promised)
		r := verify(t, dir, store.VerifyOptions{Checkpoint: checkpoint})
		if !r.OK || r.Entries < acked {
			t.Fatalf("round %d: %d of %d acknowledged entries, %+v", round, r.Entries, acked, r.Findings)
		}
	}
	o, err := childOptions(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, stop := start(t, o)
	if h := s.State(); h.State != store.OK || s.Last() < acked {
		t.Fatalf("%+v, %d of %d", h, s.Last(), acked)
	}
	if done, started := count(t, s, "step.done/1"), count(t, s, "step.started/1"); done == 0 || started < done {
		t.Errorf("%d done, %d started", done, started)
	}
	stop()
	rebuilt, err := store.Rebuild(t.Context(), o)
	if err != nil || !rebuilt.Same {
		t.Fatalf("%+v, %v", rebuilt, err)
	}
	t.Logf("%d rounds, %d entries acknowledged", rounds, acked)
}

// killOnce runs a child for a while after its start or its first
// acknowledgement, kills it, and returns the newest entry and checkpoint that
// it was promised.
func killOnce(t *testing.T, dir string, after time.Duration, early bool) (acked uint64, checkpoint []byte) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LINEFIT_STORE_CHILD="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var once sync.Once
	kill := func() {
		time.AfterFunc(after, func() {
			if err := cmd.Process.Kill(); err != nil {
				t.Errorf("kill: %v", err)
			}
		})
	}
	if early {
		once.Do(kill)
	}
	for lines.Scan() {
		what, arg, _ := strings.Cut(lines.Text(), " ")
		switch what {
		case "ack":
			var seq uint64
			if _, err := fmt.Sscan(arg, &seq); err != nil {
				t.Fatal(err)
			}
			acked = max(acked, seq)
			once.Do(kill)
		case "cp":
			if checkpoint, err = base64.StdEncoding.DecodeString(arg); err != nil {
				t.Fatal(err)
			}
		case "error":
			t.Errorf("child: %s", arg)
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
	return acked, checkpoint
}
