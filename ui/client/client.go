// Package client speaks to a running station: over its unix socket or over TCP.
// It knows the API's paths and shapes and nothing of the station's inside.
//
//	c, err := client.New(client.Options{Address: "unix:/run/linefit/linefit.sock"})
//	reply, err := c.Do(ctx, station.Command{Kind: station.CmdScan, Text: "SN000123"})
//	c.Watch(ctx, func(s client.Snapshot) { ... })
//
// A refusal of the station comes back as the *station.Refusal that it was
// there; everything else is an *[Error]. A [Client] starts no goroutine of its
// own and may be used by any number of them.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"linefit/station"
)

// Options say which station, and how to be let in.
type Options struct {
	// Address is unix:/path, http://host:port, https://host or host:port, which
	// is http.
	Address string
	// Token is the bearer token for TCP.
	Token string
	// Lang is the language of what the station tells operators, "en" or "zh".
	Lang string
	// Transport replaces the way to the station: a demo and tests put the
	// station's handler behind it. Address is then only shown.
	Transport http.RoundTripper
}

// Client is a client of one station.
type Client struct {
	opt  Options
	base string
	http *http.Client
}

// commandTimeout bounds a request whose context has no deadline.
const commandTimeout = 70 * time.Second

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// New makes a client. It does not connect.
func New(opt Options) (*Client, error) {
	c := &Client{opt: opt}
	if strings.ContainsAny(opt.Token, "\r\n") {
		return nil, errors.New("the token has a line break in it")
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}
	path, isUnix := strings.CutPrefix(opt.Address, "unix:")
	if strings.HasPrefix(opt.Address, "/") {
		path, isUnix = opt.Address, true
	}
	if host, port, err := net.SplitHostPort(opt.Address); err == nil && !isUnix && port != "" && !strings.Contains(opt.Address, "/") { // HOST:PORT
		if host == "" {
			host = "localhost"
		}
		opt.Address = "http://" + net.JoinHostPort(host, port)
		c.opt.Address = opt.Address
	}
	switch u, err := url.Parse(opt.Address); {
	case isUnix && path == "":
		return nil, errors.New("the address unix: names no socket")
	case isUnix:
		c.base = "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil:
		return nil, errors.New("the address must be unix:/path, http://host:port or host:port")
	default:
		c.base = u.Scheme + "://" + u.Host
		transport.DialContext = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	}
	c.http = &http.Client{
		Transport:     http.RoundTripper(transport),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if opt.Transport != nil {
		c.http.Transport = opt.Transport
	}
	return c, nil
}

// Address is the station's address, for people.
func (c *Client) Address() string { return c.opt.Address }

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Kind says why there is no answer that could be used.
type Kind string

// Kinds of errors.
const (
	Unreachable Kind = "unreachable" // no station at this address, or it went away
	Denied      Kind = "denied"      // no permission on the socket, or no valid token
	NotFound    Kind = "not_found"
	Invalid     Kind = "invalid" // the station did not understand the request
	Broken      Kind = "broken"  // the answer is not one of this API
	Failed      Kind = "failed"  // the station could not do it
)

// Error is why a request had no success, where the station did not refuse it.
type Error struct {
	Kind   Kind
	Status int // HTTP status; 0: no answer
	Detail string
	// Mistakes are those of a file that was sent.
	Mistakes []Mistake
	err      error
}

// Mistake is one in a file that was sent.
type Mistake struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Path   string `json:"path,omitempty"`
	Text   string `json:"text"`
}

func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("%s (status %d)", e.Detail, e.Status)
	}
	return e.Detail
}

func (e *Error) Unwrap() error { return e.err }

// problem is a problem document.
type problem struct {
	Title  string        `json:"title"`
	Detail string        `json:"detail"`
	Code   station.Code  `json:"code"`
	Class  station.Class `json:"class"`
	// Errors are what is wrong with the request's form.
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
	Mistakes []Mistake `json:"mistakes"`
}

// request makes a request with what every one carries.
func (c *Client) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var r io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, r)
	if err != nil {
		return nil, &Error{Kind: Invalid, Detail: "the request cannot be made: " + err.Error(), err: err}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPost {
		var key [16]byte
		_, _ = rand.Read(key[:]) // never fails (crypto/rand)
		req.Header.Set("Idempotency-Key", hex.EncodeToString(key[:]))
	}
	if c.opt.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.opt.Token)
	}
	if c.opt.Lang != "" {
		req.Header.Set("Accept-Language", c.opt.Lang)
	}
	return req, nil
}

// call sends a request and reads its answer into out.
func (c *Client) call(ctx context.Context, method, path string, body, out any) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, commandTimeout)
		defer cancel()
	}
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return unreachable(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return unreachable(err)
	case len(data) > maxAnswer:
		return &Error{Kind: Broken, Status: resp.StatusCode, Detail: "the answer is too long"}
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return refusal(resp.StatusCode, data)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return &Error{Kind: Broken, Status: resp.StatusCode, Detail: "the answer is not understood: " + err.Error(), err: err}
	}
	return nil
}

// unreachable says that no answer came.
func unreachable(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	kind := Unreachable
	if errors.Is(err, fs.ErrPermission) {
		kind = Denied
	}
	return &Error{Kind: kind, Detail: err.Error(), err: err}
}

// refusal turns an answer that is no success into an error.
func refusal(status int, body []byte) error {
	var p problem
	if json.Unmarshal(body, &p) == nil && p.Code != "" {
		return &station.Refusal{Reason: &station.Reason{Code: p.Code, Class: p.Class, Detail: p.Detail}}
	}
	e := &Error{Kind: Failed, Status: status, Detail: p.Detail, Mistakes: p.Mistakes}
	for _, f := range p.Errors {
		e.Detail = strings.TrimSpace(e.Detail + "; " + strings.TrimSpace(f.Location+" "+f.Message))
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusMisdirectedRequest:
		e.Kind = Denied
	case status == http.StatusNotFound:
		e.Kind = NotFound
	case status == http.StatusBadRequest || status == http.StatusUnprocessableEntity || status == http.StatusRequestEntityTooLarge:
		e.Kind = Invalid
	case status >= 300 && status < 400:
		e.Kind = Broken
	}
	if e.Detail == "" {
		e.Detail = p.Title
	}
	if e.Detail == "" {
		e.Detail = http.StatusText(status)
	}
	return e
}
