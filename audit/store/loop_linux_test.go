package store_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"linefit/audit/store"
)

// The tests in this file mount file systems of their own: they run as root
// with LINEFIT_LOOPFS or LINEFIT_SOAK set.

func needLoop(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 || os.Getenv("LINEFIT_LOOPFS")+os.Getenv("LINEFIT_SOAK") == "" {
		t.Skip("set LINEFIT_LOOPFS=1 and be root: this test mounts a loop file system")
	}
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("mkfs.ext4 is not installed")
	}
}

// A loopFS is an ext4 file system in a file.
type loopFS struct {
	t     *testing.T
	image string
	dir   string
}

func newLoop(t *testing.T, megabytes int64) *loopFS {
	t.Helper()
	l := &loopFS{t: t, image: filepath.Join(t.TempDir(), "image"), dir: filepath.Join(t.TempDir(), "mnt")}
	if err := os.Mkdir(l.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, l.image, nil)
	if err := os.Truncate(l.image, megabytes<<20); err != nil {
		t.Fatal(err)
	}
	l.command("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", l.image)
	if out, err := exec.Command("mount", "-o", "loop", l.image, l.dir).CombinedOutput(); err != nil {
		t.Skipf("no loop mounts here: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", l.dir).Run() }) // mounted or not
	return l
}

func (l *loopFS) command(name string, args ...string) {
	l.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		l.t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// cut shuts the file system down without flushing its journal, as a power cut
// does: what is not on the device is gone.
func (l *loopFS) cut() {
	l.t.Helper()
	const ext4Shutdown, noLogFlush = 0x8004587d, 2
	d, err := os.Open(l.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	defer d.Close()
	if err := unix.IoctlSetPointerInt(int(d.Fd()), ext4Shutdown, noLogFlush); err != nil {
		l.t.Skipf("no shutdown ioctl here: %v", err)
	}
}

func (l *loopFS) remount() {
	l.t.Helper()
	l.command("umount", l.dir)
	l.command("mount", "-o", "loop", l.image, l.dir)
}

// runChild runs a station in dir until stop returns, then kills it, and
// returns the newest entry acknowledged before stop was called.
func runChild(t *testing.T, dir string, stop func(acked *atomic.Uint64), env ...string) uint64 {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, "LINEFIT_STORE_CHILD="+dir)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acked atomic.Uint64
	ended := make(chan struct{})
	first := make(chan struct{})
	go func() {
		defer close(ended)
		open := true
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if n, ok := strings.CutPrefix(lines.Text(), "ack "); ok {
				var seq uint64
				if _, err := fmt.Sscan(n, &seq); err == nil && seq > acked.Load() {
					acked.Store(seq)
				}
				if open {
					open = false
					close(first)
				}
			}
		}
	}()
	select {
	case <-first:
	case <-ended:
		t.Fatal("the child ended without an acknowledgement")
	}
	stop(&acked)
	_ = cmd.Process.Kill() // it may have ended by the fault itself
	<-ended
	_ = cmd.Wait() // killed
	return acked.Load()
}

// powerCuts pulls the plug again and again and returns how many of the rounds
// lost acknowledged entries.
func powerCuts(t *testing.T, rounds int, env ...string) (lost int) {
	t.Helper()
	for round := range rounds {
		l := newLoop(t, 64)
		dir := filepath.Join(l.dir, "store")
		var before uint64
		runChild(t, dir, func(acked *atomic.Uint64) {
			time.Sleep(time.Duration(20+7*(round%10)) * time.Millisecond) // the moment is the test's input
			before = acked.Load()
			l.cut()
		}, env...)
		l.remount()
		r, err := store.Verify(t.Context(), dir, store.VerifyOptions{})
		if err != nil || !r.OK || r.Entries < before {
			lost++
			t.Logf("round %d: %d of %d acknowledged entries, %v %+v", round, r.Entries, before, err, r.Findings)
			l.command("umount", l.dir)
			continue
		}
		o, err := childOptions(dir)
		if err != nil {
			t.Fatal(err)
		}
		s, stop := start(t, o)
		if h := s.State(); h.State != store.OK || s.Last() < before {
			t.Errorf("round %d: %+v", round, h)
			lost++
		}
		stop()
		l.command("umount", l.dir)
	}
	return lost
}

func TestPowerCut(t *testing.T) {
	needLoop(t)
	rounds := 10
	if os.Getenv("LINEFIT_SOAK") != "" {
		rounds = 100
	}
	if lost := powerCuts(t, rounds); lost > 0 {
		t.Errorf("%d of %d power cuts lost acknowledged entries", lost, rounds)
	}
	// The control: without flushes the same test must see losses.
	if lost := powerCuts(t, 3, "LINEFIT_STORE_NOSYNC=1"); lost < 3 {
		t.Errorf("the control without flushes lost entries in %d of 3 rounds: this test proves nothing here", lost)
	}
}

// A disk that another program fills: nothing is acknowledged and lost, and
// the log goes on when there is space again, even if the station died.
func TestDiskReallyFull(t *testing.T) {
	needLoop(t)
	l := newLoop(t, 48)
	dir := filepath.Join(l.dir, "store")
	ballast := filepath.Join(l.dir, "ballast")
	var before uint64
	runChild(t, dir, func(acked *atomic.Uint64) {
		time.Sleep(30 * time.Millisecond) // let it write a little
		_ = exec.Command("dd", "if=/dev/zero", "of="+ballast, "bs=64k").Run()
		time.Sleep(100 * time.Millisecond) // and meet the full disk
		before = acked.Load()
	}, "LINEFIT_STORE_RESERVE=1")
	remove(t, ballast)
	r := verify(t, dir, store.VerifyOptions{})
	if !r.OK || r.Entries < before {
		t.Fatalf("%d of %d acknowledged entries, %+v", r.Entries, before, r.Findings)
	}
	o, err := childOptions(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, stop := start(t, o)
	if _, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN", 1)); err != nil {
		t.Fatal(err)
	}
	stop()
	t.Logf("%d entries acknowledged before the disk was full", before)
}
