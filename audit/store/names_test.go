package store_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"linefit/audit/store"
)

// namesFS knows which names a power cut would take: those of files that were made
// or renamed since their folder was flushed last. One flush fails, once, as a disk
// does that drops what it could not write (the next one says nothing of it).
type namesFS struct {
	store.FS
	mu    sync.Mutex
	loose map[string]bool
	syncs int
	fail  int  // which flush fails
	hold  bool // none fails, nor is counted
}

func (n *namesFS) lose(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.loose[filepath.Clean(name)] = true
}

// fails counts a flush.
func (n *namesFS) fails() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hold {
		return false
	}
	n.syncs++
	return n.syncs == n.fail
}

func (n *namesFS) OpenFile(name string, flag int, perm fs.FileMode) (store.File, error) {
	_, err := os.Stat(name)
	f, openErr := n.FS.OpenFile(name, flag, perm)
	if openErr == nil && flag&os.O_CREATE != 0 && err != nil {
		n.lose(name)
	}
	if openErr != nil {
		return nil, openErr
	}
	return &namesFile{f, n}, nil
}

func (n *namesFS) Rename(from, to string) error {
	n.lose(to)
	return n.FS.Rename(from, to)
}

func (n *namesFS) SyncDir(dir string) error {
	if n.fails() {
		return syscall.EIO
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for name := range n.loose {
		if filepath.Dir(name) == filepath.Clean(dir) {
			delete(n.loose, name)
		}
	}
	return n.FS.SyncDir(dir)
}

type namesFile struct {
	store.File
	n *namesFS
}

func (f *namesFile) Sync() error {
	if f.n.fails() {
		return syscall.EIO
	}
	return f.File.Sync()
}

// Whichever flush fails once, and then takes everything: an entry is acknowledged
// only where the segment that holds it would be found after a power cut, its name
// included; what was published then holds.
func TestOneFlushFailsOnce(t *testing.T) {
	for fail := 1; fail < 50; fail++ {
		t.Run(fmt.Sprint(fail), func(t *testing.T) {
			o := sharded(t)
			o.Dir = filepath.Join(t.TempDir(), "store")
			o.SegmentSize = 1500
			disk := &namesFS{FS: store.OSFS(), loose: map[string]bool{}, fail: fail}
			o.FS = disk
			for range 2 { // made, and opened: what fails then is said, and done again at the next start
				made, err := store.Open(t.Context(), o)
				if err == nil {
					err = made.Close()
				}
				if err != nil && disk.syncs < disk.fail {
					t.Fatal(err)
				}
			}
			disk.hold = true
			s, _ := start(t, o)
			disk.mu.Lock()
			disk.hold = false
			disk.mu.Unlock()
			acked := uint64(0)
			for i := range 12 {
				if i == 6 {
					if err := s.Rotate(t.Context()); err != nil {
						resume(t, s)
					}
				}
				es, err := s.Gate(t.Context(), draft("step.done/1", 1, "SN1", i))
				if err != nil {
					if h := s.State(); h.State != store.Stopped || h.Cause != store.CauseWrite {
						t.Fatalf("%+v", h)
					}
					resume(t, s)
					continue
				}
				if acked >= es[0].Seq {
					t.Fatalf("entry %d after %d", es[0].Seq, acked)
				}
				acked = es[0].Seq
				disk.mu.Lock()
				for name := range disk.loose {
					if filepath.Ext(name) == ".seg" {
						t.Errorf("entry %d is acknowledged, and a power cut takes %s", acked, filepath.Base(name))
					}
				}
				disk.mu.Unlock()
			}
			if h := s.State(); h.State == store.Stopped {
				resume(t, s)
			}
			if s.Last() < acked {
				t.Errorf("%d entries, %d were acknowledged", s.Last(), acked)
			}
			if _, err := s.Publish(t.Context()); err != nil {
				resume(t, s)
			}
			if r := verify(t, o.Dir, store.VerifyOptions{}); !r.OK {
				t.Error(r.Findings)
			}
			if r, err := store.OpenLog(o.Dir, ""); err != nil || r.VKey() != s.VKey() {
				t.Errorf("%v", err)
			}
		})
	}
}

func resume(t *testing.T, s *store.Store) {
	t.Helper()
	if err := s.Resume(t.Context()); err != nil && s.Resume(t.Context()) != nil {
		t.Fatal(err)
	}
}
