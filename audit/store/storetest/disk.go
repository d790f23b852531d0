// Package storetest is the real store on a disk that fails by plan. Engine,
// stock, rework and MES tests use it to see what they do when a fact was not
// recorded, was recorded although they were told otherwise, was torn by a
// crash, took long, or found the disk full.
//
//	disk := storetest.NewDisk(storetest.Rule{Type: "run.verdict/1", Nth: 2, Fault: storetest.TookEffect})
//	st := storetest.Start(t, disk, store.Options{Dir: t.TempDir(), Projections: ps})
//	_, err := st.Gate(ctx, verdict) // the second one is a *store.StateError with Unknown set
//	st.Kill()                       // as kill -9
//	st = st.Restart()               // the entry is there
package storetest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"linefit/audit/store"
)

// A Fault is what happens to one batch.
type Fault int

const (
	// Failed: nothing is written and the writer is told so.
	Failed Fault = iota + 1
	// TookEffect: everything is written and durable, the writer is told that
	// it failed.
	TookEffect
	// Torn: the first half is written, the writer is told that it failed.
	Torn
	// Slow: everything is right, after Delay.
	Slow
	// Full: the disk is full from this batch on, until MakeSpace.
	Full
)

// A Rule applies a fault to the batches that carry an entry of a type.
type Rule struct {
	Type  string // fact type with version; empty matches every batch
	Nth   int    // which matching batch, from 1; 0 means every one
	Fault Fault
	Delay time.Duration // of Slow
}

// ErrDead is what a disk answers after Kill.
var ErrDead = errors.New("storetest: the machine is off")

// A Disk is a [store.FS] with faults. It is safe for use by several
// goroutines.
type Disk struct {
	store.FS

	mu     sync.Mutex
	rules  []Rule
	seen   []int
	full   bool
	dead   bool
	left   int              // steps until the machine goes off, 0 for never
	synced map[string]int64 // durable length of each segment
}

// NewDisk returns a disk with faults.
func NewDisk(rules ...Rule) *Disk {
	return &Disk{FS: store.OSFS(), rules: rules, seen: make([]int, len(rules)), synced: map[string]int64{}}
}

// Add adds a rule; its count begins now.
func (d *Disk) Add(r Rule) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rules, d.seen = append(d.rules, r), append(d.seen, 0)
}

// MakeSpace ends Full.
func (d *Disk) MakeSpace() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = false
}

// Fill makes the disk full at once.
func (d *Disk) Fill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = true
}

// DieAfter turns the machine off at the n-th write, flush, truncation, rename or
// removal from now on, which no longer happens.
func (d *Disk) DieAfter(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = n
}

func (d *Disk) isDead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// dies counts a change and says whether it no longer happens.
func (d *Disk) dies() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left > 0 {
		if d.left--; d.left == 0 {
			d.dead = true
		}
	}
	return d.dead
}

// decide returns the fault for a batch.
func (d *Disk) decide(batch []byte) (Fault, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.full {
		return Full, 0
	}
	for i, r := range d.rules {
		if r.Type != "" && !bytes.Contains(batch, []byte(`"type":"`+r.Type+`"`)) {
			continue
		}
		if d.seen[i]++; r.Nth != 0 && r.Nth != d.seen[i] {
			continue
		}
		if r.Fault == Full {
			d.full = true
		}
		return r.Fault, r.Delay
	}
	return 0, 0
}

// OpenFile implements [store.FS].
func (d *Disk) OpenFile(name string, flag int, perm fs.FileMode) (store.File, error) {
	if d.isDead() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: ErrDead}
	}
	f, err := d.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &file{File: f, disk: d, name: name, segment: strings.HasSuffix(name, ".seg")}, nil
}

// Rename implements [store.FS].
func (d *Disk) Rename(oldname, newname string) error {
	if d.dies() {
		return &fs.PathError{Op: "rename", Path: oldname, Err: ErrDead}
	}
	return d.FS.Rename(oldname, newname)
}

// Remove implements [store.FS].
func (d *Disk) Remove(name string) error {
	if d.dies() {
		return &fs.PathError{Op: "remove", Path: name, Err: ErrDead}
	}
	return d.FS.Remove(name)
}

// SyncDir implements [store.FS].
func (d *Disk) SyncDir(dir string) error {
	if d.dies() {
		return &fs.PathError{Op: "fsync", Path: dir, Err: ErrDead}
	}
	return d.FS.SyncDir(dir)
}

// Free implements [store.FS].
func (d *Disk) Free(dir string) (free, total uint64, err error) {
	d.mu.Lock()
	full := d.full
	d.mu.Unlock()
	free, total, err = d.FS.Free(dir)
	if full {
		free = 0
	}
	return free, total, err
}

// powerCut drops from the segments in dir what was never made durable.
func (d *Disk) powerCut(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for name, size := range d.synced {
		if filepath.Dir(filepath.Dir(name)) != filepath.Clean(dir) {
			continue
		}
		if st, err := os.Stat(name); err == nil && st.Size() > size {
			errs = append(errs, os.Truncate(name, size))
		}
	}
	return errors.Join(errs...)
}

type file struct {
	store.File
	disk    *Disk
	name    string
	segment bool
	syncErr error
	delay   time.Duration
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	fail := func(n int, err error) (int, error) {
		return n, &fs.PathError{Op: "write", Path: f.name, Err: err}
	}
	if f.disk.dies() {
		return fail(0, ErrDead)
	}
	if !f.segment || off == 0 { // a segment's header is no batch
		return f.File.WriteAt(p, off)
	}
	fault, delay := f.disk.decide(p)
	switch fault {
	case Failed:
		return fail(0, syscall.EIO)
	case Full:
		return fail(0, syscall.ENOSPC)
	case Torn:
		n, err := f.File.WriteAt(p[:len(p)/2], off)
		if err != nil {
			return n, err
		}
		return fail(n, syscall.EIO)
	case TookEffect:
		f.syncErr = &fs.PathError{Op: "fdatasync", Path: f.name, Err: syscall.EIO}
	case Slow:
		f.delay = delay
	}
	return f.File.WriteAt(p, off)
}

func (f *file) Sync() error {
	if f.disk.dies() {
		return &fs.PathError{Op: "fdatasync", Path: f.name, Err: ErrDead}
	}
	if f.delay > 0 {
		time.Sleep(f.delay)
		f.delay = 0
	}
	if err := f.File.Sync(); err != nil {
		return err
	}
	if f.segment {
		size, err := f.Size()
		if err != nil {
			return err
		}
		f.disk.mu.Lock()
		f.disk.synced[f.name] = size
		f.disk.mu.Unlock()
	}
	err := f.syncErr
	f.syncErr = nil
	return err
}

func (f *file) Truncate(size int64) error {
	if f.disk.dies() {
		return &fs.PathError{Op: "truncate", Path: f.name, Err: ErrDead}
	}
	return f.File.Truncate(size)
}
