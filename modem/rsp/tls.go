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

// NewTransport makes a transport that keeps connections for the next call and
// the next download. Close it with CloseIdleConnections.
func NewTransport(cfg TransportConfig) *http.Transport {
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = 10 * time.Second
	}
	dialer := &net.Dialer{Timeout: cfg.DialTimeout}
	roots := cfg.Roots
	if roots == nil {
		roots = x509.NewCertPool()
	}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if cfg.Dial != nil {
				address = cfg.Dial(address)
			}
			return dialer.DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{
			RootCAs: roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(64),
		},
		TLSHandshakeTimeout: cfg.DialTimeout,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}
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
