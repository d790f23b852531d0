package witness_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"linefit/audit"
	"linefit/station"
	"linefit/station/witness"
)

// memLog is a log in memory.
type memLog struct {
	mu  sync.Mutex
	key audit.Key
	raw [][]byte
}

func newLog(t *testing.T, origin, what string, n int) *memLog {
	t.Helper()
	k, _, err := audit.NewKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	l := &memLog{key: k}
	l.grow(what, n)
	return l
}

func (l *memLog) grow(what string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		l.raw = append(l.raw, fmt.Appendf(nil, "%s %d", what, len(l.raw)))
	}
}

// cut takes entries away, as a store that was put back.
func (l *memLog) cut(to int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.raw = l.raw[:to]
}

func (l *memLog) since(size uint64) (audit.Consistency, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := uint64(len(l.raw))
	if size > n {
		return audit.Consistency{}, &audit.FindingError{Finding: audit.Finding{Code: audit.FindRollback, Detail: "shorter"}}
	}
	c := audit.NewCollector()
	if err := c.WantTree(n, size); err != nil {
		return audit.Consistency{}, err
	}
	for _, r := range l.raw {
		c.Add(r)
	}
	signed, err := audit.SignCheckpoint(c.Head(), l.key)
	if err != nil {
		return audit.Consistency{}, err
	}
	head, err := audit.ParseCheckpoint(signed)
	if err != nil {
		return audit.Consistency{}, err
	}
	p := audit.Consistency{Old: audit.Checkpoint{Origin: head.Origin, Head: audit.Head{Size: size}}, New: head}
	p.Path, err = c.Tree(n, size)
	return p, err
}

// remote is a witness behind a RoundTripper: one with a memory, and its faults.
type remote struct {
	t   *testing.T
	key *audit.WitnessKey

	mu    sync.Mutex
	seen  map[string]string // newest checkpoint of each log
	asked int
	fault func(*http.Request) (*http.Response, error) // nil: it works
}

func newRemote(t *testing.T, name string) *remote {
	t.Helper()
	k, err := audit.NewWitnessKey(name, bytes.Repeat([]byte{7}, 32), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return &remote{t: t, key: k, seen: map[string]string{}}
}

func (r *remote) client(t *testing.T) *witness.Client {
	t.Helper()
	v, err := audit.ParseWitnessKey(r.key.VKey())
	if err != nil {
		t.Fatal(err)
	}
	return &witness.Client{URL: "https://" + r.key.Name() + "/", Key: v, HTTP: r, Timeout: 10 * time.Second}
}

func (r *remote) set(fault func(*http.Request) (*http.Response, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = fault
}

func (r *remote) times() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

func reply(status int, kind, text string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(text))}, nil
}

// RoundTrip answers as C2SP tlog-witness says.
func (r *remote) RoundTrip(q *http.Request) (*http.Response, error) {
	r.mu.Lock()
	fault := r.fault
	r.asked++
	r.mu.Unlock()
	if fault != nil {
		return fault(q)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	head, signed, _ := bytes.Cut(body, []byte("\n\n"))
	first, _, _ := strings.Cut(string(head), "\n")
	old, err := strconv.ParseUint(strings.TrimPrefix(first, "old "), 10, 63)
	c, err2 := audit.ParseCheckpoint(signed)
	if q.Method != http.MethodPost || !strings.HasSuffix(q.URL.Path, "/add-checkpoint") || err != nil || err2 != nil {
		r.t.Errorf("%s %s: %s", q.Method, q.URL, body)
		return reply(http.StatusBadRequest, "text/plain", "malformed")
	}
	var last audit.Checkpoint
	if text, have := r.seen[c.Origin]; have {
		if last, err = audit.ParseCheckpoint([]byte(text)); err != nil {
			return nil, err
		}
	}
	if old != last.Size || last.Size > 0 && last.Size == c.Size && last.Root != c.Root {
		return reply(http.StatusConflict, "text/x.tlog.size", fmt.Sprintln(last.Size))
	}
	if p := (audit.Consistency{Old: last, New: c}); last.Size > 0 {
		for _, line := range strings.Split(string(head), "\n")[1:] {
			h, err := tlog.ParseHash(line)
			if err != nil {
				return reply(http.StatusBadRequest, "text/plain", err.Error())
			}
			p.Path = append(p.Path, h)
		}
		if p.Check() != nil {
			return reply(http.StatusUnprocessableEntity, "text/plain", "it does not fit")
		}
	}
	r.seen[c.Origin] = string(signed)
	i := bytes.LastIndex(signed, []byte("\n\n"))
	cosigned, err := note.Sign(&note.Note{Text: string(signed[:i+1])}, r.key)
	if err != nil {
		return nil, err
	}
	return reply(http.StatusOK, "text/plain", string(cosigned[bytes.LastIndex(cosigned, []byte("\n\n"))+2:]))
}

func newKeeper(t *testing.T, dir string, log *memLog, remotes ...*remote) *witness.Keeper {
	t.Helper()
	o := witness.Options{Prove: func(size uint64) (audit.Consistency, error) { return log.since(size) }, Keep: dir, Every: time.Minute, Logger: zerolog.Nop()}
	for _, r := range remotes {
		o.Clients = append(o.Clients, r.client(t))
	}
	return witness.NewKeeper(o)
}

// cosignedIn is the size of the one checkpoint in the folder that the witness has
// cosigned; nothing else is there.
func cosignedIn(t *testing.T, dir string, r *remote) uint64 {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) > 1 {
		t.Fatal(files, err)
	}
	if len(files) == 0 {
		return 0
	}
	b, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
	if err != nil {
		t.Fatal(err)
	}
	c, err := audit.ParseCheckpoint(b)
	if err != nil || len(audit.Cosigners(b, []note.Verifier{r.client(t).Key})) != 1 {
		t.Fatalf("%s, %v", b, err)
	}
	return c.Size
}

// A station's checkpoints are cosigned as they grow; whatever a witness does, the
// keeper goes on at the next time, says what is wrong, keeps nothing that was not
// cosigned, and ends with its context.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		log, w := newLog(t, "test.example/st-1", "this", 5), newRemote(t, "witness.example/w1")
		k := newKeeper(t, dir, log, w)
		if s := k.Status(); len(s) != 1 || s[0] != (station.Witness{Name: "witness.example/w1"}) {
			t.Fatalf("%+v", s)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		expect := func(what string, size uint64, tries int, errText string) {
			t.Helper()
			synctest.Wait()
			s := k.Status()[0]
			if got := cosignedIn(t, dir, w); got != size || s.Size != size || s.Tries != tries || !strings.Contains(s.Error, errText) || (errText == "") != (s.Error == "") {
				t.Fatalf("%s: %d kept, %+v", what, got, s)
			}
		}
		expect("at once", 5, 0, "")
		asked := w.times()
		time.Sleep(time.Minute)
		expect("nothing new", 5, 0, "")
		if w.times() != asked {
			t.Error("the same checkpoint was pushed again")
		}
		log.grow("this", 300)
		time.Sleep(time.Minute)
		expect("grown", 305, 0, "")
		for i, f := range []struct {
			what, text string
			fault      func(*http.Request) (*http.Response, error)
			takes      time.Duration
		}{
			{"down", "no route", func(*http.Request) (*http.Response, error) { return nil, errors.New("no route to the witness") }, 0},
			{"hangs", "deadline", func(q *http.Request) (*http.Response, error) { <-q.Context().Done(); return nil, q.Context().Err() }, 10 * time.Second},
			{"answers 500", "500", func(*http.Request) (*http.Response, error) { return reply(500, "text/plain", "broken") }, 0},
			{"redirects", "302", func(*http.Request) (*http.Response, error) { return reply(302, "text/plain", "") }, 0},
			{"409 without a size", "without a size", func(*http.Request) (*http.Response, error) { return reply(409, "text/plain", "305\n") }, 0},
			{"other sizes", "another size each time", func() func(*http.Request) (*http.Response, error) {
				n := 0
				return func(*http.Request) (*http.Response, error) {
					n++
					return reply(409, "text/x.tlog.size", fmt.Sprintln(n))
				}
			}(), 0},
			{"unknown log", "does not know log", func(*http.Request) (*http.Response, error) { return reply(404, "text/plain", "unknown log") }, 0},
			{"signs nothing", "no signature line", func(*http.Request) (*http.Response, error) { return reply(200, "text/plain", "ok\n") }, 0},
			{"signs something else", "does not verify", func(*http.Request) (*http.Response, error) {
				return reply(200, "text/plain", "\u2014 witness.example/w1 "+strings.Repeat("A", 104)+"\n")
			}, 0},
			{"answers for ever", "no signature line", func(*http.Request) (*http.Response, error) {
				return reply(200, "text/plain", strings.Repeat("x", 1<<20))
			}, 0},
		} {
			w.set(f.fault)
			log.grow("this", 1)
			time.Sleep(time.Minute + f.takes)
			expect(f.what, 305, i+1, f.text)
			if k.Status()[0].Fork {
				t.Errorf("%s is no fork", f.what)
			}
		}
		w.set(nil)
		time.Sleep(time.Minute)
		expect("back again", 315, 0, "")
		w.set(func(q *http.Request) (*http.Response, error) { <-q.Context().Done(); return nil, q.Context().Err() })
		log.grow("this", 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		at := time.Now()
		stop()
		if err := <-done; err != nil || time.Since(at) > 0 {
			t.Errorf("it ended after %s: %v", time.Since(at), err)
		}
		// Another start knows what was kept.
		w.set(nil)
		k = newKeeper(t, dir, log, w)
		if s := k.Status()[0]; s.Size != 315 || s.Log != "test.example/st-1" || s.At == "" {
			t.Errorf("%+v", s)
		}
	})
}

// A log that was put back, and one with another history, is said to be one; what
// was cosigned before stays.
func TestKeeperFindsForks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		log, w := newLog(t, "test.example/st-1", "this", 50), newRemote(t, "witness.example/w1")
		k := newKeeper(t, dir, log, w)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		synctest.Wait()
		fork := func(what string) {
			t.Helper()
			time.Sleep(time.Minute)
			synctest.Wait()
			if s := k.Status()[0]; !s.Fork || s.Size != 50 || cosignedIn(t, dir, w) != 50 {
				t.Errorf("%s: %+v", what, s)
			}
		}
		log.cut(30)
		fork("rolled back")
		log.grow("that", 20)
		fork("another history, as long")
		log.grow("that", 20)
		fork("another history, longer")
		log.cut(30)
		log.grow("this", 40)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := k.Status()[0]; s.Fork || s.Size != 70 || s.Error != "" {
			t.Errorf("the right one again: %+v", s)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// One witness that hangs holds up no other one; a folder that is not there is
// waited for; the next shard is another log.
func TestKeeperOfSeveral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "not mounted")
		log := newLog(t, "test.example/st-1", "this", 5)
		slow, quick := newRemote(t, "witness.example/slow"), newRemote(t, "witness.example/quick")
		slow.set(func(q *http.Request) (*http.Response, error) { <-q.Context().Done(); return nil, q.Context().Err() })
		k := newKeeper(t, dir, log, slow, quick)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		synctest.Wait()
		if s := k.Status(); s[1].Tries != 1 || !strings.Contains(s[1].Error, "keep the cosigned checkpoint") || s[0].Tries != 0 {
			t.Fatalf("%+v", s)
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := k.Status(); s[1].Size != 5 || s[1].Error != "" || s[0].Tries == 0 {
			t.Fatalf("%+v", s)
		}
		next := newLog(t, "test.example/st-1/2", "next", 2)
		log.mu.Lock()
		log.key, log.raw = next.key, next.raw
		log.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := k.Status(); s[1].Log != "test.example/st-1/2" || s[1].Size != 2 || cosignedIn(t, dir, quick) != 2 {
			t.Fatalf("%+v", s)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
