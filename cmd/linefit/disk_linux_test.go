package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"linefit/audit/store"
)

// smallDisk is a file system of its own for a demo's store; the simulated world
// lies elsewhere.
func smallDisk(t *testing.T, megabytes string) (dir string) {
	t.Helper()
	if os.Geteuid() != 0 || os.Getenv("LINEFIT_LOOPFS") == "" {
		t.Skip("set LINEFIT_LOOPFS=1 and be root: this test mounts a small file system")
	}
	dir = filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+megabytes+"m", "none", dir).CombinedOutput(); err != nil {
		t.Skipf("no mounts here: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "sim")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fill leaves less than the store's reserve on the disk.
func fill(t *testing.T, dir string) (ballast string) {
	t.Helper()
	ballast = filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	keep := int64(4 << 20)
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Bsize-keep); err != nil {
		t.Fatal(err)
	}
	return ballast
}

func entriesIn(t *testing.T, dir string) uint64 {
	t.Helper()
	r, err := store.Verify(t.Context(), dir, store.VerifyOptions{})
	if err != nil {
		return 0 // not begun
	}
	return r.Entries
}

// eventually waits for what another goroutine brings about.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
		time.Sleep(20 * time.Millisecond) // the disk is filled by hand here: there is nothing to wait on
	}
}

// A disk that is really full while the demo runs: the log takes nothing more,
// no run comes to a verdict, and after space was made the demo ends with every
// unit passed and every profile accounted for.
func TestDemoOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, "128")
	var out, errs lockedBuffer
	code := make(chan int, 1)
	go func() {
		code <- run(t.Context(), []string{"demo", "--headless", "--units", "24", "--slots", "4", "--dir", dir, "--json"}, nil, &out, &errs)
	}()
	passes := func() int { return strings.Count(errs.String(), " pass ") }
	eventually(t, "units pass", func() bool { return passes() >= 2 })
	ballast := fill(t, dir)
	n := uint64(0)
	eventually(t, "the log stands", func() bool {
		was := n
		n = entriesIn(t, dir)
		time.Sleep(300 * time.Millisecond) // longer than any step of the demo is silent
		return n > 0 && n == was
	})
	shown := passes()
	time.Sleep(3 * time.Second) // what must not happen has time to
	if now := entriesIn(t, dir); now != n || passes() != shown {
		t.Errorf("on a full disk: %d entries more, %d passes more\n%s", now-n, passes()-shown, errs.String())
	}
	select {
	case c := <-code:
		t.Fatalf("it ended with %d\n%s", c, errs.String())
	default:
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if c := <-code; c != exitOK {
		t.Errorf("exit %d\n%s", c, errs.String())
	}
	var s struct{ Units, Passed, Unaccounted int }
	if err := json.Unmarshal([]byte(out.String()), &s); err != nil || s.Units != 24 || s.Passed != 24 || s.Unaccounted != 0 {
		t.Errorf("%v %s", err, out.String())
	}
}

// A disk that cannot be written: nothing starts, and it is said why.
func TestDemoOnAReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t, "64")
	if out, err := exec.Command("mount", "-o", "remount,ro", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if code, out := cliRun(t, "demo", "--headless", "--units", "1", "--slots", "1", "--dir", dir); code != exitMissing || !strings.Contains(out, "read-only") {
		t.Errorf("exit %d, %s", code, out)
	}
}
