package mes

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"linefit/station/stock"
)

// None is the name of the MES of a station that has none.
const None = "none"

// Answers of an MES, to a route check and to a result.
const (
	AnswerConfirmed    = "confirmed"
	AnswerRejectedHold = "rejected_hold" // the unit is to be held
	AnswerRejectedPass = "rejected_pass" // nothing is to be done here; the unit may go on
	AnswerError        = "error"         // no decision
	AnswerDeferred     = "deferred"      // the result is told later
	AnswerNone         = "none"          // there is no MES
)

// Link is what is known of the way to the MES: station.View.MES.
type Link string

// States of the link.
const (
	LinkNone        Link = "none"
	LinkOK          Link = "ok"
	LinkUnreachable Link = "unreachable"
	LinkRefused     Link = "refused" // the MES does not accept this station's token
	LinkStopped     Link = "stopped" // the MES answered 410: it wants no more events
)

// ClientOptions say where the MES is.
type ClientOptions struct {
	URL string // http or https; "" and "none" are a station without an MES
	// Token goes out as a bearer token where it is not empty.
	Token stock.Secret
	// WebhookSecret signs events as in Standard Webhooks where it is not
	// empty: "whsec_" and the base64 of 24 to 64 bytes.
	WebhookSecret stock.Secret
	// Transport carries the requests; nil is one of [NewTransport] without a
	// CA of its own. Tests and the demo put an MES in memory behind it.
	Transport http.RoundTripper
	// RouteTimeout bounds a route check as a whole.
	RouteTimeout time.Duration
	// EventTimeout bounds one delivery of an event; zero is 15 s.
	EventTimeout time.Duration
	// WebhookOrigin is this station's name in terms of DNS; with it the MES is asked
	// for leave before the first event (see handshake). Empty: it is not.
	WebhookOrigin string
	// Origin is the name of the station's log, that of its first shard; it goes
	// with every request.
	Origin string
}

// Client speaks to the MES. It may be used by any goroutine.
type Client struct {
	opt    ClientOptions
	base   *url.URL
	http   *http.Client
	signer *webhooks.Webhook
	shake  *handshake

	mu      sync.Mutex // guards what follows
	link    Link
	detail  string
	changed chan struct{}
}

// NewTransport is a transport for the MES: TLS 1.2 or newer, the system's
// roots or those of a PEM file's contents, no proxy.
func NewTransport(caPEM []byte) (*http.Transport, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(caPEM) > 0 {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(caPEM) {
			return nil, errors.New("mes: no certificate in the CA file")
		}
	}
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSClientConfig:     cfg,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
	}, nil
}

// NewClient makes a client. Its errors are mistakes in the options; they show
// no secret.
func NewClient(opt ClientOptions) (*Client, error) {
	c := &Client{opt: opt, link: LinkNone, changed: make(chan struct{}), shake: newHandshake(opt.WebhookOrigin)}
	if opt.URL == "" || opt.URL == None {
		return c, nil
	}
	base, err := url.Parse(strings.TrimSuffix(opt.URL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, errors.New("mes: the URL is not http:// or https:// and a host")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("mes: the URL must not have a user, a query or a fragment")
	}
	c.base, c.link = base, LinkOK
	if opt.WebhookOrigin != "" {
		if err := checkOrigin(opt.WebhookOrigin); err != nil {
			return nil, err
		}
	}
	if !opt.WebhookSecret.Empty() {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(opt.WebhookSecret.RevealText()), "whsec_"))
		if err != nil || len(key) < 24 || len(key) > 64 {
			return nil, errors.New("mes: the webhook secret is not whsec_ and the base64 of 24 to 64 bytes")
		}
		if c.signer, err = webhooks.NewWebhookRaw(key); err != nil {
			return nil, errors.New("mes: the webhook secret cannot be used")
		}
	}
	transport := opt.Transport
	if transport == nil {
		if transport, err = NewTransport(nil); err != nil {
			return nil, err
		}
	}
	if c.opt.EventTimeout <= 0 {
		c.opt.EventTimeout = 15 * time.Second
	}
	c.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// None reports whether the station has no MES.
func (c *Client) None() bool { return c.base == nil }

// Link is the state of the link and what is wrong with it.
func (c *Client) Link() (Link, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link, c.detail
}

func (c *Client) setLink(l Link, detail string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l && c.detail == detail {
		return
	}
	c.link, c.detail = l, detail
	close(c.changed)
	c.changed = make(chan struct{})
}

// Changed returns a channel that is closed when the link's state changes.
func (c *Client) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// maxReply bounds what is read of an answer.
const maxReply = 64 << 10

// reply is an answer of the MES.
type reply struct {
	status     int
	retryAfter time.Duration
	header     http.Header
	body       []byte
}

// do sends one request. An error means that no answer came, or not all of it.
func (c *Client) do(ctx context.Context, method, path string, header http.Header, body []byte) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, bytes.NewReader(body))
	if err != nil {
		return reply{}, fmt.Errorf("mes: %w", err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "linefit")
	req.Header.Set("Linefit-Origin", c.opt.Origin)
	if !c.opt.Token.Empty() {
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(c.opt.Token.RevealText()))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, c.failed(ctx, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err != nil {
		return reply{}, c.failed(ctx, err)
	}
	if len(data) > maxReply {
		data = nil // nothing that is understood is as long as this
	}
	c.answered(resp.StatusCode)
	return reply{status: resp.StatusCode, retryAfter: retryAfter(resp.Header.Get("Retry-After")), header: resp.Header, body: data}, nil
}

// failed notes that no answer came, unless the caller gave up.
func (c *Client) failed(ctx context.Context, err error) error {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err // without the URL
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		c.setLink(LinkUnreachable, err.Error())
	}
	return fmt.Errorf("mes: %w", err)
}

// answered notes what a status says of the link.
func (c *Client) answered(status int) {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusProxyAuthRequired:
		c.setLink(LinkRefused, fmt.Sprintf("the MES answers %d %s", status, http.StatusText(status)))
	case status >= 300 && status < 400:
		c.setLink(LinkUnreachable, fmt.Sprintf("the MES redirects (%d), which is not followed", status))
	case status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout:
		c.setLink(LinkUnreachable, fmt.Sprintf("the MES answers %d %s", status, http.StatusText(status)))
	default:
		c.setLink(LinkOK, "")
	}
}

// Anchor asks the MES for the newest checkpoint of this station's log that it
// keeps: the log must be consistent with it. It is nil where the MES has none.
// The answer is not verified here.
func (c *Client) Anchor(ctx context.Context) ([]byte, error) {
	if c.None() {
		return nil, nil
	}
	r, err := c.do(ctx, http.MethodGet, "/v1/checkpoints?origin="+url.QueryEscape(c.opt.Origin), nil, nil)
	switch {
	case err != nil:
		return nil, err
	case r.status == http.StatusNotFound || r.status == http.StatusNoContent:
		return nil, nil
	case r.status != http.StatusOK:
		return nil, fmt.Errorf("mes: checkpoints: status %d", r.status)
	}
	return r.body, nil
}

// headers of an event: its key, its signature and the newest checkpoint.
func (c *Client) eventHeaders(id string, body, checkpoint []byte, now time.Time) (http.Header, error) {
	h := http.Header{}
	h.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	h.Set("Idempotency-Key", id)
	if len(checkpoint) > 0 {
		h.Set("Linefit-Checkpoint", base64.StdEncoding.EncodeToString(checkpoint))
	}
	if c.signer != nil {
		sig, err := c.signer.Sign(id, now, body)
		if err != nil {
			return nil, fmt.Errorf("mes: sign event: %w", err)
		}
		h.Set(webhooks.HeaderWebhookID, id)
		h.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
		h.Set(webhooks.HeaderWebhookSignature, sig)
	}
	return h, nil
}

// jitter spreads a delay by a quarter to both sides, so that stations of one
// line do not come back at the same instant.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d*3/4 + rand.N(d/2+1)
}
