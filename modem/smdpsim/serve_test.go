package smdpsim_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"linefit/modem/smdpsim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve serves the bench's server over TLS on loopback; stop ends it and
// returns what Serve returned.
func serve(t *testing.T, change func(*smdpsim.Config)) (b *bench, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var cert tls.Certificate
	b = newBench(t, func(c *smdpsim.Config) {
		c.Address = l.Addr().String()
		if cert, err = c.PKI.TLS(); err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(c)
		}
	})
	pki, err := b.ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pki.Pool()}, ForceAttemptHTTP2: true}
	b.l.client = &http.Client{Transport: transport}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.s.Serve(ctx, l, cert) }()
	stop = func() error {
		transport.CloseIdleConnections()
		cancel()
		return <-done
	}
	t.Cleanup(cancel)
	return b, stop
}

func TestServeOverTLS(t *testing.T) {
	b, stop := serve(t, nil)
	if _, err := b.l.install(newCard(t, b.ca, 1), b.order("a", nil)); err != nil {
		t.Error(err)
	}
	b.is("a", smdpsim.StateInstalled, 1)
	untrusting := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if _, err := untrusting.Post("https://"+b.l.host, "application/json", nil); err == nil {
		t.Error("a client without the CI accepted the certificate")
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://"+b.l.host+"/gsma/rsp2/es9plus/cancelSession", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, media, protocol string
		status                  int
	}{
		{http.MethodGet, "application/json", "", 405},
		{http.MethodPost, "text/plain", "", 415},
		{http.MethodPost, "", "", 415},
		{http.MethodPost, "application/json; charset=utf-8", "gsma/rsp/v3.0.0", 200},
		{http.MethodPost, "application/json", "soap", 200},
	} {
		req.Method, req.Body = c.method, io.NopCloser(bytes.NewReader([]byte("{}")))
		req.Header.Set("Content-Type", c.media)
		req.Header.Set("X-Admin-Protocol", c.protocol)
		resp, err := b.l.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%+v: HTTP %d", c, resp.StatusCode)
		}
		if _, err := decode(body); c.protocol == "soap" {
			want(t, err, "1.3.2/2.1")
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestFaultsOverTLS(t *testing.T) {
	for kind, reset := range map[smdpsim.FaultKind]bool{smdpsim.FaultReset: true, smdpsim.FaultReplyLost: false} {
		b, stop := serve(t, plan(smdpsim.GetBoundProfilePackage, smdpsim.Fault{Kind: kind}))
		card := newCard(t, b.ca, 1)
		r, err := b.l.authenticate(card, b.order("a", nil))
		if err != nil {
			t.Fatal(err)
		}
		err = r.get("")
		if err == nil || reset != errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: the client sees %v", kind, err)
		}
		if err := r.getAgain(); err != nil {
			t.Error(err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

// A request that waits does not hold the end of the server up.
func TestServeEndsWhileRequestsWait(t *testing.T) {
	waiting := make(chan struct{}, 1)
	b, stop := serve(t, func(c *smdpsim.Config) {
		c.Delay = func(smdpsim.Point) time.Duration {
			waiting <- struct{}{}
			return time.Hour
		}
	})
	failed := make(chan error, 1)
	go func() {
		_, _, err := b.l.raw(smdpsim.CancelSession, []byte(`{"transactionId":"00"}`))
		failed <- err
	}()
	<-waiting
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := <-failed; err == nil {
		t.Error("a reply came though the server ended")
	}
}

// Nor does a connection that a client holds and asks nothing on, with or without
// its handshake.
func TestServeEndsUnderSilentConnections(t *testing.T) {
	b, stop := serve(t, nil)
	pki, err := b.ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := net.Dial("tcp", b.l.host)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	// With TLS 1.2 the server's handshake has ended when the client's has.
	shaken, err := tls.Dial("tcp", b.l.host, &tls.Config{RootCAs: pki.Pool(), MaxVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer shaken.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, c := range []net.Conn{plain, shaken} {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the server has ended and its connection has not")
		}
	}
}

func TestServeEndsWithItsListener(t *testing.T) {
	b := newBench(t, nil)
	pki, err := b.ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := pki.TLS()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := b.s.Serve(context.Background(), l, cert); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestRoundTripHonoursTheContext(t *testing.T) {
	b := newBench(t, func(c *smdpsim.Config) { c.Delay = func(smdpsim.Point) time.Duration { return time.Hour } })
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+"/gsma/rsp2/es9plus/cancelSession", bytes.NewReader([]byte("{}")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	done := make(chan error, 1)
	go func() {
		_, err := b.s.RoundTripper().RoundTrip(req)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := b.s.RoundTripper().RoundTrip(req); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
