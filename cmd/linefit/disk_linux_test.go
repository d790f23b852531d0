package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"linefit/audit/store"
)

// smallDisk is an ext4 file system of its own, in a file, for a demo's store;
// the simulated world lies elsewhere.
type smallDisk struct {
	t          *testing.T
	image, mnt string
	dir        string // the demo's folder
}

func newSmallDisk(t *testing.T, megabytes int64) *smallDisk {
	t.Helper()
	if os.Geteuid() != 0 || os.Getenv("LINEFIT_LOOPFS") == "" {
		t.Skip("set LINEFIT_LOOPFS=1 and be root: this test mounts a small file system")
	}
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("mkfs.ext4 is not installed")
	}
	d := &smallDisk{t: t, image: filepath.Join(t.TempDir(), "image"), mnt: t.TempDir()}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, megabytes<<20); err != nil {
		t.Fatal(err)
	}
	d.command("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image)
	if out, err := d.mount(); err != nil {
		t.Skipf("no loop mounts here: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", d.mnt).Run() })
	d.dir = filepath.Join(d.mnt, "demo")
	if err := os.Mkdir(d.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(d.dir, "sim")); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *smallDisk) mount() ([]byte, error) {
	return exec.Command("mount", "-o", "loop,errors=remount-ro", d.image, d.mnt).CombinedOutput()
}

func (d *smallDisk) command(name string, args ...string) {
	d.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// fill leaves less than the store's reserve on the disk.
func (d *smallDisk) fill() (ballast string) {
	d.t.Helper()
	ballast = filepath.Join(d.mnt, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Statfs(d.mnt, &st); err != nil {
		d.t.Fatal(err)
	}
	keep := int64(4 << 20)
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Bsize-keep); err != nil {
		d.t.Fatal(err)
	}
	return ballast
}

// demoOn is a demo in a process of its own on a small disk.
type demoOn struct {
	t         *testing.T
	disk      *smallDisk
	cmd       *exec.Cmd
	out, errs lockedBuffer
	ended     chan error
}

func (d *smallDisk) demo() *demoOn {
	d.t.Helper()
	p := &demoOn{t: d.t, disk: d, ended: make(chan error, 1)}
	p.cmd = exec.CommandContext(d.t.Context(), "linefit", "demo", "--headless", "--units", "24", "--slots", "4", "--dir", d.dir, "--json") // see TestMain
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.errs
	if err := p.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	return p
}

func (p *demoOn) passes() int { return strings.Count(p.errs.String(), " pass ") }

func (p *demoOn) entries() uint64 {
	r, err := store.Verify(p.t.Context(), p.disk.dir, store.VerifyOptions{})
	if err != nil {
		return 0 // not begun
	}
	return r.Entries
}

// verdicts counts the passes in the log's own bytes.
func (p *demoOn) verdicts() (n int) {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.disk.dir, "segments", "*.seg"))
	if err != nil || len(files) == 0 {
		p.t.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		n += bytes.Count(b, []byte(`"verdict":"pass"`))
	}
	return n
}

// view is what a screen would show.
func (p *demoOn) view() (v struct{ Health, Detail string }) {
	p.t.Helper()
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(p.disk.dir, "linefit.sock"))
	}}}
	defer c.CloseIdleConnections()
	r, err := c.Get("http://station/v1/station")
	if err != nil {
		p.t.Fatalf("the screen gets nothing: %v\n%s", err, p.errs.String())
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
		p.t.Fatal(err)
	}
	return v
}

// stands waits until the log takes nothing more, and sees that it stays so,
// that the screen says why, and that no pass is shown that is not in the log.
func (p *demoOn) stands(why string) {
	p.t.Helper()
	eventually(p.t, "the screen is red", func() bool { return p.view().Health == "log_stopped" })
	n, shown := p.entries(), p.passes()
	time.Sleep(3 * time.Second) // what must not happen has time to
	if now := p.entries(); now != n || p.passes() != shown {
		p.t.Errorf("%d entries more, %d passes more\n%s", now-n, p.passes()-shown, p.errs.String())
	}
	if v := p.view(); v.Health != "log_stopped" || !strings.Contains(v.Detail, why) {
		p.t.Errorf("the screen says %+v", v)
	}
	if !strings.Contains(p.errs.String(), "the station stands (log_stopped)") {
		p.t.Errorf("stderr says nothing\n%s", p.errs.String())
	}
	select {
	case err := <-p.ended:
		p.t.Fatalf("it ended: %v\n%s", err, p.errs.String())
	default:
	}
}

// allPass waits for the end: every unit passed and everything adds up.
func (p *demoOn) allPass() {
	p.t.Helper()
	if err := <-p.ended; err != nil {
		p.t.Errorf("%v\n%s", err, p.errs.String())
	}
	var s summary
	if err := json.Unmarshal([]byte(p.out.String()), &s); err != nil || s.Units != 24 || s.Passed != 24 || !s.good("none") {
		p.t.Errorf("%v %s", err, p.out.String())
	}
}

// A disk that another program fills while the demo runs: the log takes nothing
// more, no run comes to a verdict, the screen says why, and after space was made
// the same process ends with every unit passed and every profile accounted for.
func TestDemoOnAFullDisk(t *testing.T) {
	d := newSmallDisk(t, 160)
	p := d.demo()
	eventually(t, "units pass", func() bool { return p.passes() >= 2 })
	ballast := d.fill()
	p.stands("MB are reserved")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	p.allPass()
	if !strings.Contains(p.errs.String(), "the station goes on") {
		t.Errorf("it does not say that it goes on\n%s", p.errs.String())
	}
}

// A disk that the kernel makes read-only while the demo runs (as after an I/O
// error): every pass that was shown is in the log, the screen and the API say
// why the station stands, it can be stopped, and after the disk was mended the
// same folder goes on to the end.
func TestDemoOnADiskThatTurnsReadOnly(t *testing.T) {
	d := newSmallDisk(t, 160)
	p := d.demo()
	eventually(t, "units pass", func() bool { return p.passes() >= 2 })
	d.command("mount", "-o", "remount,abort", d.mnt) // ext4: errors=remount-ro, without an error
	p.stands("read-only file system")
	shown := p.passes()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := <-p.ended; err == nil {
		t.Error("a demo that did not come to its end ended well")
	}
	d.command("umount", d.mnt)
	if out, err := d.mount(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if n := p.verdicts(); n < shown {
		t.Errorf("%d passes were shown, %d are in the log", shown, n)
	}
	d.demo().allPass()
}

// A disk that cannot be written from the beginning: nothing starts, and it is
// said why.
func TestDemoOnAReadOnlyDisk(t *testing.T) {
	d := newSmallDisk(t, 64)
	d.command("mount", "-o", "remount,ro", d.mnt)
	if code, out := cliRun(t, "demo", "--headless", "--units", "1", "--slots", "1", "--dir", d.dir); code != exitMissing || !strings.Contains(out, "read-only") {
		t.Errorf("exit %d, %s", code, out)
	}
}
