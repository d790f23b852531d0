package rsp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// TransportConfig is how connections to SM-DP+ servers are made.
type TransportConfig struct {
	// Roots are the only trust anchors. There is no default: the certificate
	// issuers of the RSP ecosystem are not those of the web.
	Roots *x509.CertPool

	// Dial, if set, is asked for the address to connect to in place of
	// host:port; the certificate is still checked against the host.
	Dial func(hostport string) string

	// DialTimeout bounds connecting and the TLS handshake, each; 10 s when 0.
	DialTimeout time.Duration
}

// Transport makes connections to SM-DP+ servers and keeps them for the next call
// and the next download. Close it with CloseIdleConnections.
type Transport struct {
	*http.Transport
	dial *tlsDialer
}

// NewTransport makes a transport.
func NewTransport(cfg TransportConfig) *Transport {
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = 10 * time.Second
	}
	roots := cfg.Roots
	if roots == nil {
		roots = x509.NewCertPool()
	}
	d := &tlsDialer{
		cfg:    cfg,
		tls:    &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(64)},
		dialer: net.Dialer{Timeout: cfg.DialTimeout},
		early:  map[string]*earlyConn{},
	}
	return &Transport{dial: d, Transport: &http.Transport{
		DialTLSContext:      d.connect,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}}
}

// Preconnect begins a connection to a server that will be called soon, so that
// the handshakes happen beside other work. The first call within [earlyLimit]
// takes it; when it did not come about, that call makes its own. end gives back
// a connection that nobody took, and waits for one that is being made.
func (t *Transport) Preconnect(ctx context.Context, address string) (end func()) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(address, "443")
	}
	ctx, cancel := context.WithCancel(ctx)
	e := &earlyConn{ready: make(chan struct{}), begun: time.Now()}
	t.dial.offer(address, e)
	go func() {
		defer close(e.ready)
		e.conn, e.err = t.dial.handshake(ctx, "tcp", address)
	}()
	return func() {
		cancel()
		<-e.ready
		if t.dial.take(address, e) == e {
			e.discard()
		}
	}
}

// earlyLimit is the age at which an early connection is not used any more: the
// server may have closed it.
const earlyLimit = 10 * time.Second

// earlyConn is a connection that was begun before it was asked for.
type earlyConn struct {
	begun time.Time
	ready chan struct{} // closed when conn or err is set
	conn  net.Conn
	err   error
}

func (e *earlyConn) discard() {
	if e.conn != nil {
		_ = e.conn.Close()
	}
}

// tlsDialer makes TLS connections. It is safe for use by several goroutines.
type tlsDialer struct {
	cfg    TransportConfig
	tls    *tls.Config
	dialer net.Dialer

	mu    sync.Mutex
	early map[string]*earlyConn // by host:port
}

func (d *tlsDialer) offer(address string, e *earlyConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.early[address] = e
}

// take removes an early connection, only this one or, with nil, any; nil when it
// is not there.
func (d *tlsDialer) take(address string, only *earlyConn) *earlyConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.early[address]
	if e == nil || only != nil && e != only {
		return nil
	}
	delete(d.early, address)
	return e
}

// connect uses an early connection, or makes one.
func (d *tlsDialer) connect(ctx context.Context, network, address string) (net.Conn, error) {
	e := d.take(address, nil)
	if e == nil {
		return d.handshake(ctx, network, address)
	}
	select {
	case <-e.ready:
	case <-ctx.Done():
		d.offer(address, e) // its owner closes it
		return nil, ctx.Err()
	}
	if e.err == nil && time.Since(e.begun) < earlyLimit {
		return e.conn, nil
	}
	e.discard()
	return d.handshake(ctx, network, address)
}

// handshake makes a connection whose certificate is that of the host.
func (d *tlsDialer) handshake(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	target := address
	if d.cfg.Dial != nil {
		target = d.cfg.Dial(address)
	}
	raw, err := d.dialer.DialContext(ctx, network, target)
	if err != nil {
		return nil, err
	}
	cfg := d.tls.Clone()
	cfg.ServerName = host
	conn := tls.Client(raw, cfg)
	ctx, cancel := context.WithTimeout(ctx, d.cfg.DialTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return conn, nil
}

// ErrNoCertificate says that a file has no certificate in it.
var ErrNoCertificate = errors.New("no certificate in it")

// ParseCertificates reads the certificates of a PEM file, or the one of a DER
// file.
func ParseCertificates(b []byte) ([]*x509.Certificate, error) {
	if !bytes.Contains(b, []byte("-----BEGIN")) {
		cert, err := x509.ParseCertificate(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoCertificate, err)
		}
		return []*x509.Certificate{cert}, nil
	}
	var certs []*x509.Certificate
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certs)+1, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, ErrNoCertificate
	}
	return certs, nil
}

// Pool makes a pool of trust anchors.
func Pool(certs ...*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool
}
