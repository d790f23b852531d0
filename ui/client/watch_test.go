package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// line is a station's stream that a test writes to and cuts.
type line struct {
	mu    sync.Mutex
	dials int
	out   *io.PipeWriter // nil: nobody there
	next  func() (*http.Response, error)
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dials++
	if l.next != nil {
		return l.next()
	}
	pr, pw := io.Pipe()
	l.out = pw
	context.AfterFunc(r.Context(), func() { _ = pr.CloseWithError(r.Context().Err()) })
	return &http.Response{StatusCode: http.StatusOK, Body: pr, Header: http.Header{}}, nil
}

func (l *line) write(format string, args ...any) {
	l.mu.Lock()
	out := l.out
	l.mu.Unlock()
	_, _ = fmt.Fprintf(out, format, args...)
}

func (l *line) set(next func() (*http.Response, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = next
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{}
		c, err := New(Options{Address: "http://station", Transport: l})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var got []string
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			c.Watch(ctx, func(s Snapshot) {
				mu.Lock()
				defer mu.Unlock()
				if s.Err != nil {
					var e *Error
					if !errors.As(s.Err, &e) {
						t.Errorf("%T", s.Err)
						return
					}
					got = append(got, string(e.Kind))
					return
				}
				got = append(got, s.View.Detail)
			})
			close(done)
		}()
		seen := func() string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			s := strings.Join(got, " ")
			got = nil
			return s
		}
		expect := func(what, want string) {
			t.Helper()
			if s := seen(); s != want {
				t.Errorf("%s: %q, want %q", what, s, want)
			}
		}
		synctest.Wait()
		l.write("event: view\ndata: {\"detail\":\"a\"}\n\n")
		expect("first", "a")
		l.write(": alive\n\nevent: other\ndata: {}\n\nevent: view\ndata: {\"detail\":\ndata: \"b\"}\n\n")
		expect("more", "b")
		for range 10 {
			time.Sleep(5 * time.Second)
			l.write(": alive\n\n")
		}
		expect("quiet", "")
		_ = l.out.Close()
		expect("closed", "unreachable")
		time.Sleep(time.Second)
		synctest.Wait()
		l.write("event: view\ndata: {\"detail\":\"c\"}\n\n")
		expect("again", "c")
		time.Sleep(Silence + time.Second) // a dead line that nobody closed
		expect("silence", "unreachable")
		l.set(func() (*http.Response, error) { return nil, errors.New("connection refused") })
		time.Sleep(time.Minute)
		if s := strings.Fields(seen()); len(s) < 25 || len(s) > 40 {
			t.Errorf("%d tries in a minute", len(s))
		}
		l.set(func() (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusUnauthorized, Body: io.NopCloser(strings.NewReader(`{"title":"Unauthorized"}`))}, nil
		})
		time.Sleep(2 * time.Second)
		if s := seen(); !strings.Contains(s, "denied") {
			t.Errorf("%q", s)
		}
		l.set(func() (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("event: view\ndata: nonsense\n\n"))}, nil
		})
		time.Sleep(2 * time.Second)
		if s := seen(); !strings.Contains(s, "broken") {
			t.Errorf("%q", s)
		}
		cancel()
		<-done
	})
}

// FuzzEvents holds that no stream breaks the reader or makes it eat memory.
func FuzzEvents(f *testing.F) {
	for _, s := range []string{"", "data: x\n\n", "event: view\ndata: {}\n\n", ": c\n\n", "data\n\n", "event:\n\n", "a:b:c\r\n\r\n", "data: a\ndata: b\n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		total := 0
		_ = readEvents(strings.NewReader(s), func(_ string, data []byte) error {
			total += len(data)
			return nil
		})
		if total > len(s) {
			t.Errorf("%d bytes of %d", total, len(s))
		}
	})
}

func TestEventTooLong(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("data: "), zeros{})
	var e *Error
	if err := readEvents(endless, func(string, []byte) error { return nil }); !errors.As(err, &e) || e.Kind != Broken {
		t.Errorf("%v", err)
	}
	many := io.MultiReader(strings.NewReader(strings.Repeat("data: "+strings.Repeat("x", 1<<20)+"\n", 6)))
	if err := readEvents(many, func(string, []byte) error { return nil }); !errors.As(err, &e) || e.Kind != Broken {
		t.Errorf("%v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}
