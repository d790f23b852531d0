package smdpsim

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"syscall"
)

// Errors of the state file.
var (
	ErrBusy  = errors.New("state file is in use by another process")
	ErrStore = errors.New("state file")
)

// maxSessions bounds the sessions that are remembered without a delivery; the
// oldest is forgotten first. Sessions with a delivery are needed to check the
// eUICC's result and number at most the download attempts.
const maxSessions = 4096

// compactAfter is how much may be appended to the state file before it is
// written anew, in bytes.
const compactAfter = 32 << 20

// store holds the state and writes every change before it becomes true. The
// Server's mutex guards it.
//
// The file is a list of JSON lines, each a transaction that replaces whole
// records; the last one wins. A transaction is appended with one write and not
// flushed: the page cache outlives a killed process. A process killed in the
// middle of the write leaves a torn last line, which counts as not written: its
// reply had not been sent. At open, and when much was appended, the live state
// is written to a new file that replaces the old one by rename.
type store struct {
	path   string   // "": in memory only
	file   *os.File // open for appending; nil with no path
	size   int64    // where the next line goes
	grown  int64    // bytes appended since the file was written anew
	broken error    // first failure after which the file cannot be trusted

	orders   map[string]*record
	matching map[MatchingID]string // matching id to order id
	packages map[string][]byte     // by digest
	sessions map[string]*session
	tries    map[string]int
	foreign  []Receipt
	refused  int
}

// change is a transaction on the store.
type change struct {
	orders   []*record
	sessions []*session
	forget   []string // sessions
	try      string   // counter to increment
	foreign  []Receipt
	refused  int
}

func openStore(path string) (*store, error) {
	s := &store{
		path: path, orders: map[string]*record{}, matching: map[MatchingID]string{},
		packages: map[string][]byte{}, sessions: map[string]*session{}, tries: map[string]int{},
	}
	if path == "" {
		return s, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStore, err)
	}
	defer f.Close()
	if err := lock(f); err != nil {
		return nil, err
	}
	if err := s.read(f); err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrStore, path, err)
	}
	// The new file is locked before it takes the name, so that there is no
	// moment in which another process finds the name unlocked.
	return s, s.compact()
}

func lock(f *os.File) error {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("%w: %s", ErrBusy, f.Name())
	}
	// The lock may have become free because the file was replaced meanwhile.
	have, err1 := f.Stat()
	named, err2 := os.Stat(f.Name())
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	if !os.SameFile(have, named) {
		return fmt.Errorf("%w: %s", ErrBusy, f.Name())
	}
	return nil
}

// read applies every whole line.
func (s *store) read(r io.Reader) error {
	br := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		b, err := br.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // what is left is a torn line
		}
		if err != nil {
			return err
		}
		var l line
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&l); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := s.apply(&l); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
}

func (s *store) apply(l *line) error {
	maps.Copy(s.packages, l.Packages)
	for _, o := range l.Orders {
		r, err := o.record(s.packages)
		if err != nil {
			return err
		}
		s.put(r)
	}
	for id, sess := range l.Sessions {
		if sess == nil {
			delete(s.sessions, id)
		} else {
			s.sessions[id] = sess
		}
	}
	maps.Copy(s.tries, l.Tries)
	s.foreign = append(s.foreign, l.Foreign...)
	s.refused = max(s.refused, l.Refused)
	return nil
}

func (s *store) put(r *record) {
	s.orders[r.ID] = r
	if r.MatchingID != "" {
		s.matching[r.MatchingID] = r.ID
	}
}

// compact writes the whole state to a new file in place of the old one.
func (s *store) compact() error {
	all := &line{Orders: map[string]*stored{}, Sessions: s.sessions, Packages: s.packages, Tries: s.tries, Foreign: s.foreign, Refused: s.refused}
	for id, r := range s.orders {
		all.Orders[id] = r.store()
	}
	b, err := all.encode()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	next := s.path + ".new"
	f, err := os.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	err = lock(f)
	if err == nil {
		_, err = f.Write(b)
	}
	if err == nil {
		err = os.Rename(next, s.path)
	}
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	if s.file != nil {
		_ = s.file.Close() // nothing of it is needed any more
	}
	s.file, s.size, s.grown = f, int64(len(b)), 0
	return nil
}

// commit writes a change and then makes it true. After an error nothing has
// changed.
func (s *store) commit(c change) error {
	if s.broken != nil {
		return s.broken
	}
	c.forget = append(c.forget, s.oldest(c)...)
	if s.path != "" {
		if err := s.write(c); err != nil {
			return err
		}
	}
	for _, r := range c.orders {
		s.put(r)
		if r.digest != "" {
			s.packages[r.digest] = r.Package
		}
	}
	for _, id := range c.forget {
		delete(s.sessions, id)
	}
	for _, sess := range c.sessions {
		s.sessions[sess.ID] = sess
	}
	if c.try != "" {
		s.tries[c.try]++
	}
	s.foreign = append(s.foreign, c.foreign...)
	s.refused += c.refused
	return nil
}

func (s *store) write(c change) error {
	l := &line{Sessions: map[string]*session{}, Foreign: c.foreign}
	if len(c.orders) > 0 {
		l.Orders = map[string]*stored{}
	}
	for _, r := range c.orders {
		l.Orders[r.ID] = r.store()
		if r.digest != "" && s.packages[r.digest] == nil {
			if l.Packages == nil {
				l.Packages = map[string][]byte{}
			}
			l.Packages[r.digest] = r.Package
		}
	}
	for _, id := range c.forget {
		l.Sessions[id] = nil
	}
	for _, sess := range c.sessions {
		l.Sessions[sess.ID] = sess
	}
	if c.try != "" {
		l.Tries = map[string]int{c.try: s.tries[c.try] + 1}
	}
	if c.refused > 0 {
		l.Refused = s.refused + c.refused
	}
	b, err := l.encode()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	if s.grown > compactAfter {
		if err := s.compact(); err != nil {
			return err
		}
	}
	if _, err := s.file.WriteAt(b, s.size); err != nil {
		// A torn line must not stay in front of later ones.
		if terr := s.file.Truncate(s.size); terr != nil {
			s.broken = fmt.Errorf("%w: %w", ErrStore, errors.Join(err, terr))
		}
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	s.size += int64(len(b))
	s.grown += int64(len(b))
	return nil
}

// add is the change that takes a new order in. Orders share equal packages.
func (s *store) add(r *record) change {
	if r.Package != nil {
		sum := sha256.Sum256(r.Package)
		r.digest = hex.EncodeToString(sum[:])
		if have, ok := s.packages[r.digest]; ok {
			r.Package = have
		}
	}
	return change{orders: []*record{r}}
}

// oldest are the sessions to forget so that the limit holds.
func (s *store) oldest(c change) []string {
	if len(c.sessions) == 0 || len(s.sessions) < maxSessions {
		return nil
	}
	var idle []*session
	for _, sess := range s.sessions {
		if sess.Stage == stageInitiated || sess.Stage == stageAuthenticated {
			idle = append(idle, sess)
		}
	}
	if len(idle) < maxSessions {
		return nil
	}
	first := slices.MinFunc(idle, func(a, b *session) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	})
	return []string{first.ID}
}

func (s *store) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file, s.broken = nil, fmt.Errorf("%w: %w", ErrStore, fs.ErrClosed)
	return err
}
