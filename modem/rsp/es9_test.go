package rsp_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"linefit/modem/rsp"
	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func notify(t *testing.T, cfg rsp.ClientConfig, rt roundTrip) error {
	t.Helper()
	cfg.Transport = rt
	s, err := rsp.NewClient(cfg).Server("smdp.example.com:8443", secret)
	if err != nil {
		t.Fatal(err)
	}
	return s.Notify(t.Context(), []byte{1, 2, 3})
}

func TestRequestShape(t *testing.T) {
	err := notify(t, rsp.ClientConfig{}, func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.String() != "https://smdp.example.com:8443/gsma/rsp2/es9plus/handleNotification" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if r.Header.Get("User-Agent") != "gsma-rsp-lpad" || r.Header.Get("X-Admin-Protocol") != "gsma/rsp/v2.2.2" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%v", r.Header)
		}
		if string(body) != `{"pendingNotification":"AQID"}` {
			t.Errorf("%s", body)
		}
		return answer(204, ""), nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestReplies(t *testing.T) {
	failed := `{"header":{"functionExecutionStatus":{"status":"Failed","statusCodeData":{"subjectCode":"8.2.6","reasonCode":"3.8","subjectIdentifier":"` + secret + `","message":"no order for ` + strings.ToLower(secret) + `"}}}}`
	for _, c := range []struct {
		status int
		body   string
		want   error
	}{
		{204, "", nil},
		{200, "", nil},
		{200, `{"header":{"functionExecutionStatus":{"status":"Executed-Success"}}}`, nil},
		{200, failed, &rsp.ServerError{Subject: "8.2.6", Reason: "3.8"}},
		{200, `{"header":{"functionExecutionStatus":{"status":"Expired"}}}`, &rsp.ServerError{}},
		{200, `{}`, rsp.ErrReply},
		{200, `<html>`, rsp.ErrReply},
		{200, `[1]`, rsp.ErrReply},
		{200, strings.Repeat(" ", 2000) + "{}", rsp.ErrReply},
		{302, "", &rsp.HTTPError{}},
		{404, "", &rsp.HTTPError{}},
		{503, "", rsp.ErrNetwork},
		{429, "", rsp.ErrNetwork},
	} {
		err := notify(t, rsp.ClientConfig{Retries: []time.Duration{}, MaxReply: 1000}, func(*http.Request) (*http.Response, error) { return answer(c.status, c.body), nil })
		var status *rsp.HTTPError
		switch {
		case c.want == nil && err == nil, c.want != nil && errors.Is(err, c.want):
		case c.status != 200 && c.status != 204 && errors.As(err, &status) && status.Status == c.status:
		default:
			t.Errorf("%d %.60s: %v", c.status, c.body, err)
		}
		if err != nil && strings.Contains(strings.ToLower(err.Error()), strings.ToLower(secret)) {
			t.Errorf("the matching id is in the error: %v", err)
		}
		var refusal *rsp.ServerError
		if errors.As(err, &refusal) && strings.Contains(fmt.Sprintf("%+v", refusal), secret) {
			t.Errorf("the matching id is in a field: %+v", refusal)
		}
	}
}

// Only calls that cannot have changed anything are repeated, and only when no
// answer came.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			fail  func() (*http.Response, error)
			tries int
		}{
			{func() (*http.Response, error) { return nil, errors.New("reset") }, 3},
			{func() (*http.Response, error) { return answer(503, ""), nil }, 3},
			{func() (*http.Response, error) { return answer(404, ""), nil }, 1},
			{func() (*http.Response, error) { return answer(200, "{}"), nil }, 1},
		} {
			n, start := 0, time.Now()
			err := notify(t, rsp.ClientConfig{Retries: []time.Duration{time.Second, 2 * time.Second}}, func(*http.Request) (*http.Response, error) { n++; return c.fail() })
			if err == nil || n != c.tries {
				t.Errorf("%d tries, want %d: %v", n, c.tries, err)
			}
			if want := map[int]time.Duration{1: 0, 3: 3 * time.Second}[c.tries]; time.Since(start) != want {
				t.Errorf("took %v, want %v", time.Since(start), want)
			}
		}
	})
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := notify(t, rsp.ClientConfig{Retries: []time.Duration{}, Timeouts: rsp.Timeouts{Notify: 7 * time.Second}}, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		if !errors.Is(err, rsp.ErrNetwork) || time.Since(start) != 7*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestHostIsAllowed(t *testing.T) {
	c := rsp.NewClient(rsp.ClientConfig{AllowHost: func(a string) error {
		if a != "good.example" {
			return errors.New("not on the list")
		}
		return nil
	}})
	if _, err := c.Server("good.example"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"bad.example", "good.example:444", "", "a b", "good.example/../x", "x@good.example"} {
		if _, err := c.Server(bad); !errors.Is(err, rsp.ErrHost) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A whole download over TLS: one connection for all calls and for the next
// download, and only the given trust anchors.
func TestTLS(t *testing.T) {
	ca, err := authority()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := keys.TLS("smdp.example.com")
	if err != nil {
		t.Fatal(err)
	}
	other, err := testpki.New([]byte("another authority"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, options{order: small})
	var connections atomic.Int32
	backend := httptest.NewUnstartedServer(w.server)
	backend.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	backend.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	backend.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes
	backend.StartTLS()
	defer backend.Close()
	try := func(pool *x509.CertPool) error {
		transport := rsp.NewTransport(rsp.TransportConfig{Roots: pool, Dial: func(string) string { return backend.Listener.Addr().String() }})
		defer transport.CloseIdleConnections()
		w.client = rsp.NewClient(rsp.ClientConfig{Transport: transport, Retries: []time.Duration{}})
		_, err := w.download(nil)
		if err == nil {
			_, second := w.download(nil)
			var f *rsp.Failure
			if !errors.As(second, &f) || f.Advice.Row != rsp.RowOrderRefused {
				t.Errorf("the same code again: %v", second)
			}
		}
		return err
	}
	for name, pool := range map[string]*x509.CertPool{"none": nil, "another": rsp.Pool(other.CI.Cert)} {
		var f *rsp.Failure
		if err := try(pool); !errors.As(err, &f) || f.Advice.Row != rsp.RowServerUnreached || f.Advice.Action != rsp.ActionFix || f.Advice.Halt != rsp.HaltNow {
			t.Errorf("trust anchors: %s: %v", name, err)
		}
	}
	before := connections.Load()
	if err := try(rsp.Pool(ca.CI.Cert)); err != nil {
		t.Fatal(err)
	}
	if n := connections.Load() - before; n != 1 {
		t.Errorf("%d connections for two downloads", n)
	}
	if o := w.orderNow(); o.State != smdpsim.StateInstalled {
		t.Errorf("%+v", o)
	}
}

// A connection that was begun early is the one that the first call uses, one that
// nobody used is closed, and one that failed is made again by the call.
func TestPreconnect(t *testing.T) {
	const serverName = "smdp.example.com"
	ca, err := authority()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := keys.TLS(serverName)
	if err != nil {
		t.Fatal(err)
	}
	var opened atomic.Int32
	server := func(state func(net.Conn, http.ConnState)) string {
		backend := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
		backend.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		backend.Config.ErrorLog = log.New(io.Discard, "", 0)
		backend.Config.ConnState = state
		backend.StartTLS()
		t.Cleanup(backend.Close)
		return backend.Listener.Addr().String()
	}
	main := server(func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	})
	var target atomic.Value
	target.Store(server(nil)) // hears of the first connection, or not: that was given up
	var dead atomic.Bool
	transport := rsp.NewTransport(rsp.TransportConfig{Roots: rsp.Pool(ca.CI.Cert), Dial: func(string) string {
		if dead.Swap(false) {
			return "127.0.0.1:1" // tcpmux: nobody
		}
		return target.Load().(string)
	}})
	t.Cleanup(transport.CloseIdleConnections)
	client := rsp.NewClient(rsp.ClientConfig{Transport: transport, Retries: []time.Duration{}})
	notify := func() error {
		s, err := client.Server(serverName)
		if err != nil {
			return err
		}
		return s.Notify(t.Context(), []byte{0x30, 0})
	}
	transport.Preconnect(t.Context(), serverName)()
	target.Store(main)
	end := transport.Preconnect(t.Context(), serverName)
	if err := notify(); err != nil || opened.Load() != 1 {
		t.Errorf("%d connections, %v", opened.Load(), err)
	}
	end()
	if err := notify(); err != nil || opened.Load() != 1 {
		t.Errorf("%d connections for the second call, %v", opened.Load(), err)
	}
	transport.CloseIdleConnections()
	dead.Store(true)
	end = transport.Preconnect(t.Context(), serverName)
	defer end()
	if err := notify(); err != nil {
		t.Errorf("after an early connection that failed: %v", err)
	}
}

func TestParseCertificates(t *testing.T) {
	ca, err := authority()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ca.Server()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"PEM": append([]byte("# comment\n"), keys.RootPEM()...), "DER": ca.CI.Cert.Raw} {
		if certs, err := rsp.ParseCertificates(b); err != nil || len(certs) != 1 || !certs[0].Equal(ca.CI.Cert) {
			t.Errorf("%s: %d, %v", name, len(certs), err)
		}
	}
	for _, b := range []string{"", "x", "-----BEGIN PRIVATE KEY-----\n" + base64.StdEncoding.EncodeToString([]byte("x")) + "\n-----END PRIVATE KEY-----\n"} {
		if _, err := rsp.ParseCertificates([]byte(b)); !errors.Is(err, rsp.ErrNoCertificate) {
			t.Errorf("%q: %v", b, err)
		}
	}
}

// FuzzReply: no answer of a server makes the client panic or a refusal look
// like success.
func FuzzReply(f *testing.F) {
	f.Add(200, `{"header":{"functionExecutionStatus":{"status":"Failed","statusCodeData":{"subjectCode":"8.1","reasonCode":"4.8"}}}}`)
	f.Add(204, "")
	f.Add(200, `{"header":{"functionExecutionStatus":{"status":"Executed-Success"}},"boundProfilePackage":"vzY="}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 100 || status > 599 {
			return
		}
		err := notify(t, rsp.ClientConfig{Retries: []time.Duration{}, MaxReply: 4096}, func(*http.Request) (*http.Response, error) { return answer(status, body), nil })
		if err == nil && (status < 200 || status > 299) {
			t.Fatalf("HTTP status %d is success", status)
		}
		if err == nil && strings.Contains(body, `"status":"Failed"`) && strings.Count(body, "status") == 1 && status == 200 {
			t.Fatalf("%s is success", body)
		}
	})
}
