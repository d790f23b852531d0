package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/modem/smdpsim"
)

// smdpProcess is a running `linefit sim smdp`.
type smdpProcess struct {
	t     *testing.T
	start simSmdpStart
	lines *bufio.Reader
	stop  func() int
}

func startSmdp(t *testing.T, args ...string) *smdpProcess {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	var stderr bytes.Buffer
	done := make(chan int, 1)
	go func() {
		code := run(ctx, append([]string{"sim", "smdp", "--listen", "127.0.0.1:0", "--json"}, args...), nil, w, &stderr)
		_ = w.Close()
		done <- code
	}()
	p := &smdpProcess{t: t, lines: bufio.NewReader(r)}
	p.stop = func() int {
		cancel()
		go func() { _, _ = io.Copy(io.Discard, p.lines) }() // what is still printed
		return <-done
	}
	t.Cleanup(cancel)
	line, err := p.lines.ReadBytes('\n')
	if err != nil {
		t.Fatalf("no first line: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(line, &p.start); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return p
}

func (p *smdpProcess) client() *http.Client {
	p.t.Helper()
	pem, err := os.ReadFile(p.start.CA)
	if err != nil {
		p.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		p.t.Fatal("no certificate in the CA file")
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
}

func (p *smdpProcess) post(path, body string) (int, string) {
	p.t.Helper()
	resp, err := p.client().Post(p.start.URL+path, "application/json", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestSimSmdp(t *testing.T) {
	p := startSmdp(t, "--count", "3", "--events")
	if len(p.start.Profiles) != 3 || !strings.HasPrefix(p.start.URL, "https://127.0.0.1:") {
		t.Fatalf("%+v", p.start)
	}
	seen := map[string]bool{}
	for _, one := range p.start.Profiles {
		want := "LPA:1$" + strings.TrimPrefix(p.start.URL, "https://") + "$" + one.MatchingID
		if one.ActivationCode != want || one.ICCID == "" || seen[one.MatchingID] || one.State != "released" {
			t.Errorf("%+v", one)
		}
		seen[one.MatchingID] = true
	}
	event := make(chan []byte, 1)
	go func() {
		line, _ := p.lines.ReadBytes('\n')
		event <- line
	}()
	code, body := p.post("/gsma/rsp2/es9plus/initiateAuthentication", `{"smdpAddress":"elsewhere.example.com"}`)
	if code != 200 || !strings.Contains(body, `"8.8.1"`) {
		t.Errorf("HTTP %d %s", code, body)
	}
	var e smdpsim.Event
	if line := <-event; json.Unmarshal(line, &e) != nil || e.Status != "8.8.1/3.8" || e.Point != smdpsim.InitiateAuthentication {
		t.Errorf("%s", line)
	}
	resp, err := p.client().Get(p.start.URL + "/sim/orders")
	if err != nil {
		t.Fatal(err)
	}
	var orders []smdpsim.OrderInfo
	if err := json.NewDecoder(resp.Body).Decode(&orders); err != nil || len(orders) != 3 {
		t.Errorf("%+v, %v", orders, err)
	}
	_ = resp.Body.Close()
	ca := p.start.CA
	if exited := p.stop(); exited != exitOK {
		t.Errorf("exit %d", exited)
	}
	if _, err := os.Stat(ca); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", ca, err)
	}
}

func writeProfiles(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i, name := range names {
		der, err := smdpsim.GeneratedProfile(i).Package()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".der"), der, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The state file keeps matching ids over a restart, and new files join in.
func TestSimSmdpKeepsItsState(t *testing.T) {
	dir, state := writeProfiles(t, "one"), filepath.Join(t.TempDir(), "smdp.state")
	p := startSmdp(t, "--profiles", dir, "--state", state)
	first := p.start.Profiles[0]
	if first.Order != "one" || first.ICCID != string(smdpsim.GeneratedICCID(0)) {
		t.Errorf("%+v", first)
	}
	if code := p.stop(); code != exitOK {
		t.Errorf("exit %d", code)
	}
	der, err := smdpsim.GeneratedProfile(7).Package()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "two.der"), der, 0o600); err != nil {
		t.Fatal(err)
	}
	p = startSmdp(t, "--profiles", dir, "--state", state)
	if len(p.start.Profiles) != 2 || p.start.Profiles[0].MatchingID != first.MatchingID {
		t.Errorf("%+v", p.start.Profiles)
	}
	// Its state file has one owner.
	var out, stderr bytes.Buffer
	if code := run(context.Background(), []string{"sim", "smdp", "--listen", "127.0.0.1:0", "--state", state}, nil, &out, &stderr); code != exitMissing {
		t.Errorf("exit %d, %s", code, stderr.String())
	}
	if _, err := os.Stat(p.start.CA); err != nil {
		t.Error(err)
	}
	_ = p.stop()
	// The same name with another profile is a mistake.
	if err := os.WriteFile(filepath.Join(dir, "one.der"), der, 0o600); err != nil {
		t.Fatal(err)
	}
	stderr.Reset()
	code := run(context.Background(), []string{"sim", "smdp", "--listen", "127.0.0.1:0", "--state", state, "--profiles", dir}, nil, &out, &stderr)
	if code != exitUsage || !strings.Contains(stderr.String(), "another profile") {
		t.Errorf("exit %d, %s", code, stderr.String())
	}
}

func TestSimSmdpOrders(t *testing.T) {
	dir := writeProfiles(t, "one")
	file := filepath.Join(t.TempDir(), "orders.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`orders:
  - {id: plain, profile: one, matching_id: ABC-1}
  - {id: code, generated: 5, size: 6000, confirmation_code: "1234", attempts: 2, expires: 2099-01-01T00:00:00Z}
  - {id: bound, generated: 6, eid: "89049032123451234512345678901235", held: true, class: test, pprs: [1], owner: {mcc_mnc: "00101", gid1: "0a", gid2: ""}}
  - {id: ruled, generated: 7, pprs: [2]}
  - {id: pending, profile: one, iccid: "8988299800000000995", eid: "89049032123451234512345678901235", pending: true}
`)
	p := startSmdp(t, "--profiles", dir, "--orders", file)
	var got []string
	for _, o := range p.start.Profiles {
		got = append(got, fmt.Sprint(o.Order, " ", o.State, " ", o.ConfirmationCode, " ", o.MatchingID == "", " ", o.ICCID))
	}
	want := []string{
		"bound available false false " + string(smdpsim.GeneratedICCID(6)),
		"code released true false " + string(smdpsim.GeneratedICCID(5)),
		"pending released false true 8988299800000000995",
		"plain released false false " + string(smdpsim.GeneratedICCID(0)),
		"ruled released false false " + string(smdpsim.GeneratedICCID(7)),
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%v", got)
	}
	if code, _ := p.post("/sim/orders/bound/release", ""); code != 200 {
		t.Errorf("HTTP %d", code)
	}
	_ = p.stop()

	write(`orders:
  - {id: a, profile: nothere}
  - {id: b, generated: 1, eid: "89049032123451234512345678901236"}
  - {id: b, generated: 2, expires: tomorrow}
`)
	var out, stderr bytes.Buffer
	code := run(context.Background(), []string{"sim", "smdp", "--listen", "127.0.0.1:0", "--orders", file}, nil, &out, &stderr)
	if code != exitUsage {
		t.Errorf("exit %d", code)
	}
	for _, s := range []string{"orders.yaml:2:", "nothere", "orders.yaml:3:", "check digits", "orders.yaml:4:", "tomorrow", "earlier order"} {
		if !strings.Contains(stderr.String(), s) {
			t.Errorf("%q is not in\n%s", s, stderr.String())
		}
	}
}

// Everything that is wrong is told at once, and nothing is started.
func TestSimSmdpMistakes(t *testing.T) {
	pki, profiles := t.TempDir(), t.TempDir()
	for _, name := range []string{"a.der", "b.der"} {
		if err := os.WriteFile(filepath.Join(profiles, name), []byte("no profile"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"everything": {
			[]string{"--listen", "127.0.0.1:0", "--pki", pki, "--profiles", profiles, "--fault", "x=y"}, exitUsage,
			[]string{"ci.der", "dpauth.der", "dppb.der", "a.der", "b.der", `"x=y"`},
		},
		"empty folder":   {[]string{"--listen", "127.0.0.1:0", "--profiles", t.TempDir()}, exitUsage, []string{"no profile package"}},
		"no folder":      {[]string{"--listen", "127.0.0.1:0", "--profiles", filepath.Join(pki, "none")}, exitUsage, []string{"none"}},
		"port taken":     {[]string{"--listen", taken.Addr().String()}, exitMissing, []string{"in use"}},
		"no port":        {[]string{"--listen", "127.0.0.1"}, exitUsage, []string{"missing port"}},
		"unknown flag":   {[]string{"--listn", "x"}, exitUsage, []string{"--listn"}},
		"count":          {[]string{"--count", "-1"}, exitUsage, []string{"--count"}},
		"state's folder": {[]string{"--listen", "127.0.0.1:0", "--state", filepath.Join(pki, "none", "state")}, exitMissing, []string{"none"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out, stderr bytes.Buffer
			if code := run(context.Background(), append([]string{"sim", "smdp"}, c.args...), nil, &out, &stderr); code != c.code {
				t.Errorf("exit %d: %s", code, stderr.String())
			}
			for _, s := range c.says {
				if !strings.Contains(stderr.String(), s) {
					t.Errorf("%q is not in\n%s", s, stderr.String())
				}
			}
		})
	}
}
