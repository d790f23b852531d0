package smdpsim

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Limits of connections. A client that is slower is cut off.
const (
	readTimeout     = 30 * time.Second
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 5 * time.Second
)

// Serve serves ES9+ over TLS on l until ctx ends, and returns when the listener
// and every connection are closed and all goroutines are gone. It returns nil
// when ctx ended it. The certificate is CERT.DP.TLS (testpki.Server.TLS).
// HTTP/1.1 only: the functions need no more, and a connection can then be reset
// on command.
func (s *Server) Serve(ctx context.Context, l net.Listener, cert tls.Certificate) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	srv := &http.Server{
		Handler:           s,
		ReadTimeout:       readTimeout,
		ReadHeaderTimeout: readTimeout,
		IdleTimeout:       idleTimeout,
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{cert},
			MinVersion:   tls.VersionTLS12, // SGP.22 section 2.6.6
			NextProtos:   []string{"http/1.1"},
		},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		BaseContext:  func(net.Listener) context.Context { return ctx },
		ErrorLog:     log.New(io.Discard, "", 0), // handshakes that clients break off
	}
	silent := newSilent()
	srv.ConnState = silent.state
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { silent.end(); stopped <- shutdown(srv) })
	err := srv.ServeTLS(l, "", "")
	if !errors.Is(err, http.ErrServerClosed) {
		cancel() // the listener failed: the open connections go too
	}
	if stop() {
		return err // not reached: ServeTLS ends by ctx, by cancel above, or not at all
	}
	if serr := <-stopped; serr != nil {
		return serr
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// shutdown lets running requests end, which they do at once when their ctx
// ends, and closes what is left.
func shutdown(srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(err, srv.Close())
	}
	return nil
}

// silent holds the connections on which nothing was asked yet. A client may keep
// one for later; http.Server.Shutdown would wait some seconds for its request.
type silent struct {
	mu    sync.Mutex // guards what follows
	conns map[net.Conn]bool
	ended bool
}

func newSilent() *silent { return &silent{conns: map[net.Conn]bool{}} }

// state is an http.Server's ConnState.
func (s *silent) state(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(s.conns, c)
	case s.ended: // accepted while the listener was being closed
		_ = c.Close() // there is nothing on it to lose
	default:
		s.conns[c] = true
	}
}

// end closes them, and those that come from now on.
func (s *silent) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for c := range s.conns {
		_ = c.Close() // there is nothing on it to lose
	}
}

// ErrHost is the error of a request to another host than the server's.
var ErrHost = errors.New("no such host in this process")

// ErrConnection is the error of a connection that ended without a reply, as an
// HTTP client sees it.
var ErrConnection = errors.New("connection ended without a reply")

// RoundTripper is a transport to the server without a socket, for
// testing/synctest bubbles and simulated lines: the request is served in the
// caller's goroutine. It serves https requests to the server's address only.
func (s *Server) RoundTripper() http.RoundTripper { return inProcess{s} }

type inProcess struct{ s *Server }

// RoundTrip serves one request.
func (t inProcess) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	host := strings.TrimSuffix(req.URL.Host, ":443")
	if req.URL.Scheme != "https" || !t.s.isAddress(host) && !t.s.isAddress(req.URL.Host) {
		return nil, fmt.Errorf("%w: %s", ErrHost, req.URL.Host)
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	in := req.Clone(req.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &recorder{header: http.Header{}}
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				panic(p)
			}
			resp, err = nil, ErrConnection
		}
	}()
	t.s.ServeHTTP(w, in)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	return w.response(req), nil
}

// recorder is the http.ResponseWriter of the transport without a socket.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

func (w *recorder) response(req *http.Request) *http.Response {
	w.WriteHeader(http.StatusOK)
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		StatusCode: w.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        w.header,
		Body:          io.NopCloser(bytes.NewReader(w.body.Bytes())),
		ContentLength: int64(w.body.Len()),
		Request:       req,
	}
}
