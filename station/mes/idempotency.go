package mes

import (
	"bytes"
	"container/list"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// Limits of kept answers.
const (
	maxKey      = 255
	maxKept     = 4096
	keepFor     = 24 * time.Hour
	maxKeptBody = 16 << 10
)

// idempotency gives a request that comes again under the same Idempotency-Key
// the answer of the first one. Keys are kept in memory, a day long and 4096 of
// them: after a restart it is the station's own state that refuses a second
// start of the same unit.
type idempotency struct {
	mu    sync.Mutex // guards what follows
	byKey map[string]*keptAnswer
	age   *list.List // of *keptAnswer, oldest first
}

type keptAnswer struct {
	key    string
	sum    [sha256.Size]byte // of method, path and body
	at     time.Time
	done   bool
	status int
	header http.Header
	body   []byte
	elem   *list.Element
}

func newIdempotency() *idempotency {
	return &idempotency{byKey: map[string]*keptAnswer{}, age: list.New()}
}

// serve handles a POST of a caller. Without a key it goes straight on.
func (s *idempotency) serve(w http.ResponseWriter, r *http.Request, who string, next http.Handler) {
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		next.ServeHTTP(w, r)
		return
	}
	if len(key) > maxKey {
		writeProblem(w, &Problem{Status: http.StatusBadRequest, Detail: "the Idempotency-Key has more than 255 characters"})
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		status := http.StatusBadRequest
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		writeProblem(w, &Problem{Status: status, Detail: "the body could not be read"})
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	sum := sha256.Sum256(append([]byte(r.Method+" "+r.URL.RequestURI()+"\n"), body...))
	kept, first := s.begin(who+"\x00"+key, sum)
	switch {
	case first:
		s.record(w, r, kept, next)
	case kept.sum != sum:
		writeProblem(w, &Problem{Status: http.StatusUnprocessableEntity, Detail: "this Idempotency-Key was used for another request"})
	case !kept.done:
		writeProblem(w, &Problem{Status: http.StatusConflict, Detail: "the first request with this Idempotency-Key is still worked on"})
	default:
		for k, v := range kept.header {
			w.Header()[k] = v
		}
		w.Header().Set("Idempotency-Replayed", "true")
		w.WriteHeader(kept.status)
		_, _ = w.Write(kept.body)
	}
}

// begin finds a key's answer, a copy, or notes that it is being made.
func (s *idempotency) begin(key string, sum [sha256.Size]byte) (*keptAnswer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for e := s.age.Front(); e != nil; e = s.age.Front() {
		old := e.Value.(*keptAnswer)
		if now.Sub(old.at) < keepFor && s.age.Len() < maxKept {
			break
		}
		s.age.Remove(e)
		delete(s.byKey, old.key)
	}
	if kept := s.byKey[key]; kept != nil {
		again := *kept
		return &again, false
	}
	kept := &keptAnswer{key: key, sum: sum, at: now}
	kept.elem = s.age.PushBack(kept)
	s.byKey[key] = kept
	return kept, true
}

// record serves the first request of a key and keeps its answer. A fault of
// the server's own is not kept, for another try may fare better, nor is what was
// wrong with the request itself: it changed nothing, and the next one under this
// key is the right one.
func (s *idempotency) record(w http.ResponseWriter, r *http.Request, kept *keptAnswer, next http.Handler) {
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	finished := false
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !finished || rec.status >= 500 || malformed[rec.status] || rec.tooLong {
			if s.byKey[kept.key] == kept {
				s.age.Remove(kept.elem)
				delete(s.byKey, kept.key)
			}
			return
		}
		kept.done, kept.status, kept.body = true, rec.status, rec.body.Bytes()
		kept.header = http.Header{}
		if ct := w.Header().Get("Content-Type"); ct != "" {
			kept.header.Set("Content-Type", ct)
		}
	}()
	next.ServeHTTP(rec, r)
	finished = true
}

// malformed are the answers to requests that never reached the station.
var malformed = map[int]bool{
	http.StatusBadRequest: true, http.StatusUnsupportedMediaType: true, http.StatusRequestEntityTooLarge: true, http.StatusUnprocessableEntity: true,
}

// recorder passes an answer on and keeps it.
type recorder struct {
	http.ResponseWriter
	status  int
	body    bytes.Buffer
	tooLong bool
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.body.Len()+len(p) > maxKeptBody {
		r.tooLong = true
	} else {
		r.body.Write(p)
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
