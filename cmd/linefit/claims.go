package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"linefit/modem"
	"linefit/station/config"
)

// A station tells every program on its machine which ports its slots use, by a
// socket in Linux's abstract namespace: it is gone in the instant the process
// ends, however it ends, and every user can read it. Whoever connects gets one
// JSON document.

// portClaim is a port that a running station uses.
type portClaim struct {
	Station string `json:"station"`
	Slot    int    `json:"slot"`
	Port    string `json:"port"` // as the station's file names it
	PID     int    `json:"pid"`
	API     string `json:"api"` // address of its API
}

const (
	claimPrefix  = "@linefit-ports-"
	claimTimeout = time.Second
	claimLimit   = 64 << 10 // bytes of a document
)

// claims serves what a station claims until it is closed.
type claims struct {
	listener net.Listener
	done     chan struct{}
}

// claimPorts announces the ports of a station's slots. Systems without an
// abstract namespace have no announcement.
func claimPorts(ctx context.Context, cfg *config.Config) (*claims, error) {
	if runtime.GOOS != "linux" {
		return nil, nil
	}
	socket, err := filepath.Abs(socketOf(cfg))
	if err != nil {
		return nil, err
	}
	list := make([]portClaim, 0, len(cfg.Slots))
	for _, s := range cfg.Slots {
		list = append(list, portClaim{Station: cfg.Station.Name, Slot: s.ID, Port: portName(s.Port), PID: os.Getpid(), API: "unix:" + socket})
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", fmt.Sprintf("%s%d-%d", claimPrefix, os.Getpid(), time.Now().UnixNano()))
	if err != nil {
		return nil, fmt.Errorf("announce the ports: %w", err)
	}
	c := &claims{listener: l, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetWriteDeadline(time.Now().Add(claimTimeout))
			_, _ = conn.Write(text) // who does not read it knows no more than before
			_ = conn.Close()
		}
	}()
	return c, nil
}

// Close ends the announcement.
func (c *claims) Close() error {
	if c == nil {
		return nil
	}
	err := c.listener.Close()
	<-c.done
	return err
}

// portOwner finds the running station whose slot uses a port.
func portOwner(ctx context.Context, path string) (portClaim, bool) {
	for _, name := range claimSockets() {
		for _, c := range readClaims(ctx, name) {
			if samePort(c.Port, path) {
				return c, true
			}
		}
	}
	return portClaim{}, false
}

// claimSockets lists the announcements of this machine (proc_net(5)).
func claimSockets() (names []string) {
	b, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		name := fields[len(fields)-1]
		// An accepted connection has the listener's name too.
		if len(fields) == 8 && strings.HasPrefix(name, claimPrefix) && fields[3] == acceptsConnections {
			names = append(names, name)
		}
	}
	return names
}

// acceptsConnections is the flag of a listening socket (__SO_ACCEPTCON).
const acceptsConnections = "00010000"

func readClaims(ctx context.Context, name string) (list []portClaim) {
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", name)
	if err != nil {
		return nil // it has ended meanwhile
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(claimTimeout))
	b, err := io.ReadAll(io.LimitReader(conn, claimLimit))
	if err != nil || json.Unmarshal(b, &list) != nil {
		return nil
	}
	return list
}

// samePort: both names lead to the same device, now or when it is there again.
func samePort(a, b string) bool {
	if same, err := filepath.Abs(b); filepath.Clean(a) == filepath.Clean(b) || err == nil && filepath.Clean(a) == same {
		return true
	}
	one, err1 := device(a)
	two, err2 := device(b)
	return err1 == nil && err2 == nil && os.SameFile(one, two)
}

// device is what a port's name leads to: a path, from wherever one is, or a name
// that stays with a USB module.
func device(name string) (os.FileInfo, error) {
	if info, err := os.Stat(name); err == nil {
		return info, nil
	}
	port, err := modem.Root("/").Find(name)
	if err != nil {
		return nil, err
	}
	return os.Stat(port.Path)
}
