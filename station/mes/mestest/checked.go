// Package mestest holds a station and an MES to the document that is between them
// (mes.MESDocument): every request that a station sends and every answer that an
// MES gives, be it a test's, the virtual one or a customer's.
//
//	c := mestest.Checked(transportToTheMES)
//	... mes.ClientOptions{Transport: c} ...
//	for _, what := range c.Problems() { t.Error(what) }
//
// Members that the document does not name are problems here, although it lets
// them pass: what one side has come to say belongs into it.
package mestest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Checker is an http.RoundTripper that looks at what passes. It may be used by any
// number of goroutines.
type Checker struct {
	next http.RoundTripper
	doc  *document
	err  error

	mu    sync.Mutex // guards what follows
	found []string
	seen  map[string]int
}

// Checked looks at what passes to next.
func Checked(next http.RoundTripper) *Checker {
	doc, err := loaded()
	return &Checker{next: next, doc: doc, err: err, seen: map[string]int{}}
}

// Problems are what was against the document, each once.
func (c *Checker) Problems() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := append([]string{}, c.found...)
	if c.err != nil {
		out = append(out, c.err.Error())
	}
	return out
}

// Seen counts the exchanges by method and path, and the events by type.
func (c *Checker) Seen(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[what]
}

func (c *Checker) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, have := range c.found {
		if have == text {
			return
		}
	}
	c.found = append(c.found, text)
}

// RoundTrip implements http.RoundTripper.
func (c *Checker) RoundTrip(r *http.Request) (*http.Response, error) {
	var request []byte
	if r.Body != nil {
		var err error
		if request, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(request))
	}
	op, name := c.request(r, request)
	resp, err := c.next.RoundTrip(r)
	if err != nil || op == nil {
		return resp, err
	}
	reply, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(reply))
	c.answer(op, name, resp, reply)
	return resp, nil
}

// request holds a request to its operation; nil where there is none.
func (c *Checker) request(r *http.Request, body []byte) (*operation, string) {
	if c.err != nil {
		return nil, ""
	}
	op, path := c.doc.find(r)
	name := r.Method + " " + path
	if op == nil {
		c.problem("%s %s is not in the document", r.Method, r.URL.Path)
		return nil, name
	}
	c.mu.Lock()
	c.seen[name]++
	c.mu.Unlock()
	for _, p := range op.Parameters {
		value := r.Header.Get(p.Name)
		if p.In == "query" {
			value = r.URL.Query().Get(p.Name)
		}
		if p.Required && value == "" {
			c.problem("%s: no %s %s", name, p.In, p.Name)
		}
	}
	switch {
	case op.RequestBody == nil && len(body) > 0:
		c.problem("%s has a body", name)
	case op.RequestBody != nil:
		c.body(name, op.RequestBody.Content, r.Header.Get("Content-Type"), body)
		var event struct{ Type string }
		if json.Unmarshal(body, &event) == nil && event.Type != "" {
			c.mu.Lock()
			c.seen[event.Type]++
			c.mu.Unlock()
		}
	}
	return op, name
}

func (c *Checker) answer(op *operation, name string, resp *http.Response, body []byte) {
	r, ok := op.Responses[strconv.Itoa(resp.StatusCode)]
	if !ok {
		r, ok = op.Responses["default"]
	}
	if !ok {
		c.problem("%s: status %d is not in the document", name, resp.StatusCode)
		return
	}
	for header, about := range r.Headers {
		if about.Required && resp.Header.Get(header) == "" {
			c.problem("%s: the answer has no %s", name, header)
		}
	}
	if len(r.Content) > 0 && len(bytes.TrimSpace(body)) > 0 {
		c.body(fmt.Sprintf("%s: answer %d", name, resp.StatusCode), r.Content, resp.Header.Get("Content-Type"), body)
	}
}

func (c *Checker) body(name string, content map[string]*jsonschema.Schema, media string, body []byte) {
	bare := func(s string) string { s, _, _ = strings.Cut(s, ";"); return s }
	for want, schema := range content {
		if bare(media) != bare(want) {
			c.problem("%s: Content-Type is %q, not %q", name, media, want)
			continue
		}
		if bare(want) == "text/plain" {
			continue
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err == nil {
			err = schema.Validate(v)
		}
		if err != nil {
			c.problem("%s: %v", name, err)
		}
	}
}
