package mes_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"linefit/station"
	"linefit/station/mes"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// TestServe serves on a unix socket and on TCP, and ends with streams open.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "api.sock")
	stale, err := net.Listen("unix", path) // what kill -9 leaves behind
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = stale.Close()
	l, err := mes.Listen(t.Context(), mes.ListenOptions{Socket: path, Mode: 0o660, TCP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v %v", info, err)
	}
	st := newFakeStation()
	s := serve(t, openLog(t, nil), st)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	if _, err := mes.Listen(t.Context(), mes.ListenOptions{Socket: path}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second station takes the socket: %v", err)
	}
	unix := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	resp, err := unix.Post("http://station/v1/slots/1/abort", "application/json", nil) // no token on the socket
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || len(st.commands()) != 1 || st.commands()[0].Kind != station.CmdAbort {
		t.Errorf("%d %v", resp.StatusCode, st.commands())
	}
	tcp := &http.Client{Transport: &http.Transport{}}
	resp, err = tcp.Post("http://"+l.Remote.Addr().String()+"/v1/slots/1/abort", "application/json", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("TCP without a token: %d", resp.StatusCode)
	}
	resp, err = tcp.Get("http://" + l.Remote.Addr().String() + "/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if _, err := resp.Body.Read(buf); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("serve: %v", err)
	}
	_ = resp.Body.Close()
	unix.CloseIdleConnections()
	tcp.CloseIdleConnections()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, opt := range map[string]mes.ListenOptions{
		"file in the way": {Socket: file}, "no folder": {Socket: filepath.Join(dir, "no", "s")}, "mode": {Socket: filepath.Join(dir, "s"), Mode: 0o666},
		"no port": {TCP: "127.0.0.1"}, "all addresses": {TCP: ":0"}, "other address": {TCP: "0.0.0.0:0"}, "name": {TCP: "station.plant:0"},
		"second fails": {Socket: filepath.Join(dir, "s2"), TCP: "192.0.2.1:0", Expose: true},
	} {
		if l, err := mes.Listen(t.Context(), opt); err == nil {
			t.Errorf("%s: listens", name)
			_ = l.Close()
		}
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "precious" {
		t.Errorf("the file was touched: %q %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "s2")); !errors.Is(err, os.ErrNotExist) {
		t.Error("a socket was left behind")
	}
	l, err := mes.Listen(t.Context(), mes.ListenOptions{TCP: "0.0.0.0:0", Expose: true})
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}
