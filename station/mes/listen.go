package mes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// ListenOptions say where the API is served.
type ListenOptions struct {
	// Socket is the path of the unix socket; empty is none. A socket that
	// nobody listens on any more is replaced.
	Socket string
	// Mode is the socket's permission, 0600 or 0660; zero is 0600.
	Mode os.FileMode
	// TCP is an address, "127.0.0.1:8088"; empty is none.
	TCP string
	// Expose allows an address that is reachable from other machines.
	Expose bool
}

// Listeners are open, and nothing is served on them yet.
type Listeners struct {
	Local  net.Listener // unix socket; nil: none
	Remote net.Listener // TCP; nil: none
}

// Close closes what Serve has not taken over.
func (l Listeners) Close() error {
	var errs []error
	for _, one := range []net.Listener{l.Local, l.Remote} {
		if one != nil {
			errs = append(errs, one.Close())
		}
	}
	return errors.Join(errs...)
}

// ErrExposed is the error of an address that others could reach without
// anybody having said so.
var ErrExposed = errors.New("the address is reachable from other machines: that must be said with expose")

// Listen opens the listeners.
func Listen(ctx context.Context, opt ListenOptions) (Listeners, error) {
	var l Listeners
	if opt.Socket != "" {
		local, err := listenUnix(ctx, opt.Socket, opt.Mode)
		if err != nil {
			return l, err
		}
		l.Local = local
	}
	if opt.TCP != "" {
		remote, err := listenTCP(ctx, opt.TCP, opt.Expose)
		if err != nil {
			return Listeners{}, errors.Join(err, l.Close())
		}
		l.Remote = remote
	}
	return l, nil
}

// listenUnix listens on a socket that never was open to others than its owner,
// or its group.
func listenUnix(ctx context.Context, path string, mode os.FileMode) (net.Listener, error) {
	if mode == 0 {
		mode = 0o600
	}
	if mode != 0o600 && mode != 0o660 {
		return nil, fmt.Errorf("mes: socket mode %04o is neither 0600 nor 0660", mode)
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	cfg := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return setSocketMode(c, mode) }}
	l, err := cfg.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("mes: %w", err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("mes: %w", err), l.Close())
	}
	return l, nil
}

// removeStale removes a socket that a dead station left behind. A living one,
// or a file that is no socket, is an error.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("mes: %w", err)
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("mes: %s exists and is no socket", path)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close() // only to see that somebody answers
		return fmt.Errorf("mes: %s: %w", path, syscall.EADDRINUSE)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("mes: %w", err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("mes: %w", err)
	}
	return nil
}

func listenTCP(ctx context.Context, addr string, expose bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("mes: %w", err)
	}
	ip := net.ParseIP(host)
	if loopback := host == "localhost" || ip != nil && ip.IsLoopback(); !loopback && !expose {
		return nil, fmt.Errorf("mes: %s: %w", addr, ErrExposed)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("mes: %w", err)
	}
	return l, nil
}

// Serve serves the API on the listeners until ctx is done, then lets requests
// come to their end for a few seconds. It closes the listeners.
func (s *Server) Serve(ctx context.Context, l Listeners) error {
	g, gctx := errgroup.WithContext(ctx)
	serve := func(listener net.Listener, handler http.Handler) {
		if listener == nil {
			return
		}
		base, end := context.WithCancel(context.WithoutCancel(ctx))
		server := &http.Server{
			Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
			MaxHeaderBytes: 32 << 10, BaseContext: func(net.Listener) context.Context { return base },
		}
		g.Go(func() error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("mes: serve %s: %w", listener.Addr(), err)
			}
			return nil
		})
		g.Go(func() error {
			<-gctx.Done()
			end() // streams end; what changes state has a context of its own
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := server.Shutdown(stop); err != nil {
				return server.Close()
			}
			return nil
		})
	}
	serve(l.Local, s.Local())
	serve(l.Remote, s.Remote())
	return g.Wait()
}
