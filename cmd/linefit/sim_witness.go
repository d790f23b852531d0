package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
)

type simWitnessCmd struct {
	Listen string   `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where it listens (HTTP)."`
	Name   string   `default:"witness.example/w1" help:"Name in its key."`
	Log    []string `required:"" placeholder:"VKEY" help:"Verifier key of a log, or a file with it; may be said again."`
	JSON   bool     `name:"json" help:"Print address and key as one JSON document."`
	State  string   `type:"path" placeholder:"FILE" help:"Keep key and seen checkpoints there; otherwise they go with the process."`
}

// Run is a C2SP tlog-witness for tests: one that keeps what it has seen.
func (c *simWitnessCmd) Run(a *app) error {
	w := &simWitness{file: c.State, logs: map[string]note.Verifier{}, state: witnessState{Seen: map[string]string{}}}
	for _, given := range c.Log {
		if b, err := readFile(given); err == nil {
			given = string(b)
		}
		v, err := audit.ParseVKey(given)
		if err != nil {
			return exit(exitUsage, err)
		}
		w.logs[v.Name()] = v
	}
	if err := w.open(c.Name); err != nil {
		return exit(exitUsage, err)
	}
	var listen net.ListenConfig
	l, err := listen.Listen(a.ctx, "tcp", c.Listen)
	if err != nil {
		return exit(exitMissing, err)
	}
	url := "http://" + l.Addr().String()
	if c.JSON {
		err = a.json(map[string]string{"url": url, "vkey": w.key.VKey()})
	} else {
		_, err = fmt.Fprintf(a.stdout, "url   %s\nvkey  %s\n", url, w.key.VKey())
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	server := &http.Server{Handler: w, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(a.ctx, func() { _ = server.Close() }) // Serve says it
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// witnessState is what a witness must not forget.
type witnessState struct {
	Seed []byte            `json:"seed"`
	Seen map[string]string `json:"seen"` // newest checkpoint of each log, as signed by the log
}

// simWitness answers POST /add-checkpoint.
type simWitness struct {
	file string
	logs map[string]note.Verifier
	key  *audit.WitnessKey

	mu    sync.Mutex // guards what follows
	state witnessState
}

func (w *simWitness) open(name string) (err error) {
	b, err := os.ReadFile(w.file)
	switch {
	case w.file == "" || errors.Is(err, fs.ErrNotExist):
		w.state.Seed = make([]byte, 32)
		_, _ = rand.Read(w.state.Seed) // never fails (crypto/rand)
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(b, &w.state); err != nil || w.state.Seen == nil {
			return fmt.Errorf("%s is no state of a witness", w.file)
		}
	}
	if w.key, err = audit.NewWitnessKey(name, w.state.Seed, time.Now); err != nil {
		return err
	}
	return w.save()
}

// save keeps the state before anybody is told.
func (w *simWitness) save() error {
	if w.file == "" {
		return nil
	}
	b, err := json.Marshal(w.state)
	if err == nil {
		err = os.WriteFile(w.file+".new", b, 0o600)
	}
	if err == nil {
		err = os.Rename(w.file+".new", w.file)
	}
	return err
}

// ServeHTTP implements http.Handler, with the answers of C2SP tlog-witness.
func (w *simWitness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/add-checkpoint" {
		http.NotFound(rw, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, 1<<16))
	if err != nil {
		http.Error(rw, "too long", http.StatusBadRequest)
		return
	}
	status, answer := w.add(body)
	if status == http.StatusConflict {
		rw.Header().Set("Content-Type", "text/x.tlog.size")
	}
	rw.WriteHeader(status)
	_, _ = rw.Write(answer) // a log that is gone asks again
}

func (w *simWitness) add(body []byte) (status int, answer []byte) {
	head, signed, ok := bytes.Cut(body, []byte("\n\n"))
	first, _, _ := strings.Cut(string(head), "\n")
	old, err := strconv.ParseUint(strings.TrimPrefix(first, "old "), 10, 63)
	c, err2 := audit.ParseCheckpoint(signed)
	if !ok || err != nil || err2 != nil || !strings.HasPrefix(first, "old ") || old > c.Size {
		return http.StatusBadRequest, []byte("malformed request\n")
	}
	v := w.logs[c.Origin]
	if v == nil {
		return http.StatusNotFound, []byte("unknown log\n")
	}
	if _, err := audit.OpenCheckpoint(signed, v); err != nil {
		return http.StatusForbidden, []byte("not signed by the log's key\n")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	seen, have := w.state.Seen[c.Origin]
	var last audit.Checkpoint
	if have {
		if last, err = audit.OpenCheckpoint([]byte(seen), v); err != nil {
			return http.StatusInternalServerError, []byte("damaged state\n")
		}
	}
	if old != last.Size || have && last.Size == c.Size && last.Root != c.Root {
		return http.StatusConflict, fmt.Appendln(nil, last.Size)
	}
	if have {
		if _, err := audit.ParseConsistency(body, []byte(seen), v); err != nil {
			return http.StatusUnprocessableEntity, []byte("the proof does not fit\n")
		}
	} else if bytes.Contains(head, []byte("\n")) {
		return http.StatusUnprocessableEntity, []byte("a proof from nothing has no hashes\n")
	}
	w.state.Seen[c.Origin] = string(c.Note)
	if err := w.save(); err != nil {
		return http.StatusInternalServerError, []byte("cannot keep it\n")
	}
	return http.StatusOK, w.cosign(signed)
}

// cosign is the witness's signature line.
func (w *simWitness) cosign(signed []byte) []byte {
	i := bytes.LastIndex(signed, []byte("\n\n"))
	cosigned, err := note.Sign(&note.Note{Text: string(signed[:i+1])}, w.key)
	if err != nil { // the text was opened as a note before
		return nil
	}
	return cosigned[bytes.LastIndex(cosigned, []byte("\n\n"))+2:]
}
