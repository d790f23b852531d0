package store_test

import (
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
)

// meanwhileFS does something before a segment is opened for the n-th time.
type meanwhileFS struct {
	store.FS
	left atomic.Int32
	do   func()
}

func (m *meanwhileFS) OpenFile(name string, flag int, perm fs.FileMode) (store.File, error) {
	if strings.HasSuffix(name, ".seg") && m.left.Add(-1) == 0 {
		m.do()
	}
	return m.FS.OpenFile(name, flag, perm)
}

// A station publishes, and rotates, while its own log is being scrubbed: what was
// published since the scrub began is no old copy that was put back.
func TestScrubWhileTheStationPublishes(t *testing.T) {
	for _, rotate := range []bool{false, true} {
		o := sharded(t)
		o.SegmentSize = 0
		disk := &meanwhileFS{FS: store.OSFS()}
		o.FS = disk
		s, stop := start(t, o)
		gateN(t, s, "SN1", 10)
		publish := func() {
			if _, err := s.Publish(t.Context()); err != nil {
				t.Error(err)
			}
			gateN(t, s, "SN1", 1) // which carries it
		}
		publish()
		for nth := int32(1); nth <= 3; nth++ { // before the headers, before the entries
			disk.do = func() {
				for range 3 {
					publish()
				}
				if rotate {
					if err := s.Rotate(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
			disk.left.Store(nth)
			if r, err := s.Scrub(t.Context(), 1<<30); err != nil || !r.OK {
				t.Fatalf("rotate %t, %d: %+v, %v", rotate, nth, r.Findings, err)
			}
			if h := s.State(); h.State != store.OK {
				t.Fatalf("%+v", h)
			}
		}
		// An old copy is one all the same.
		old := readAll(t, filepath.Join(o.Dir, "checkpoint"))
		publish()
		stop()
		write(t, filepath.Join(o.Dir, "checkpoint"), old)
		if r := verify(t, o.Dir, store.VerifyOptions{}); !hasCode(r, audit.FindCheckpoint) {
			t.Errorf("rotate %t: %+v", rotate, r.Findings)
		}
	}
}
