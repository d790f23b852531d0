package smdpsim

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"linefit/modem/ident"
	"linefit/modem/wire"
)

const (
	pathPrefix = "/gsma/rsp2/es9plus/"
	// MaxBody is the largest request that is read, in bytes. The largest real
	// one is an AuthenticateServerResponse with two certificates.
	MaxBody = 64 << 10

	protocolPrefix = "gsma/rsp/v"
	protocol       = protocolPrefix + "2.5.0"
)

// request is the union of the functions' inputs (SGP.22 section 6.5.2): JSON
// with binary data in base64. Other fields are ignored.
type request struct {
	SMDPAddress                *string `json:"smdpAddress"`
	EUICCChallenge             *string `json:"euiccChallenge"`
	EUICCInfo1                 *string `json:"euiccInfo1"`
	TransactionID              *string `json:"transactionId"`
	AuthenticateServerResponse *string `json:"authenticateServerResponse"`
	PrepareDownloadResponse    *string `json:"prepareDownloadResponse"`
	PendingNotification        *string `json:"pendingNotification"`
	CancelSessionResponse      *string `json:"cancelSessionResponse"`
}

// call is one request on its way through the server.
type call struct {
	point Point
	req   request
	at    time.Time
	fault Fault

	// Learned on the way, for events, charges and faults.
	transaction string
	eid         ident.EID
	order       string
	from, to    State
	detail      string
}

// reply is the output of a function besides the header; nil is HTTP 204.
type reply map[string]string

// ServeHTTP serves ES9+ (SGP.22 section 6.5). HTTP statuses: 200 for every
// function that was understood, with the function's status in the header; 204
// for handleNotification; 400 for a body that is no JSON object, or for a
// notification that is refused; 404, 405, 413 and 415 for requests that name no
// function; 500 when the state cannot be kept.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.ops != nil && strings.HasPrefix(r.URL.Path, adminPrefix) {
		s.ops.ServeHTTP(w, r)
		return
	}
	c := &call{at: time.Now()}
	if status, err := c.accept(w, r); err != nil {
		s.refuse(w, c, status, err)
		return
	}
	s.identify(c)
	if err := s.draw(c); err != nil {
		s.refuse(w, c, http.StatusInternalServerError, err)
		return
	}
	due := c.at.Add(s.delay(c))
	defer s.charge(c, due)
	switch c.fault.Kind {
	case FaultReset, FaultServerError:
		if !sleep(r.Context(), due) {
			return
		}
		s.observe(c, "fault")
		if c.fault.Kind == FaultReset {
			abort(w, true)
			return
		}
		http.Error(w, "fault on command", c.fault.http())
		return
	}
	out, err := s.run(c)
	if !sleep(r.Context(), due) {
		return
	}
	s.reply(w, c, out, err)
}

func (s *Server) delay(c *call) time.Duration {
	var d time.Duration
	if s.cfg.Delay != nil {
		d = s.cfg.Delay(c.point)
	}
	if c.fault.Kind == FaultSlow {
		d += c.fault.Delay
	}
	return d
}

// run does the function. Errors are a *[Status] or the server's own.
func (s *Server) run(c *call) (reply, error) {
	if c.fault.Kind == FaultRefuse {
		return nil, c.fault.refusal()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch c.point {
	case InitiateAuthentication:
		return s.initiate(c)
	case AuthenticateClient:
		return s.authenticate(c)
	case GetBoundProfilePackage:
		return s.getBoundProfilePackage(c)
	case HandleNotification:
		return nil, s.handleNotification(c)
	case CancelSession:
		return s.cancelSession(c)
	}
	return nil, fmt.Errorf("function %s", c.point)
}

// accept reads a request. An error comes with its HTTP status.
func (c *call) accept(w http.ResponseWriter, r *http.Request) (int, error) {
	w.Header().Set("X-Admin-Protocol", protocol)
	name, ok := strings.CutPrefix(r.URL.Path, pathPrefix)
	switch c.point = Point(name); c.point {
	case InitiateAuthentication, AuthenticateClient, GetBoundProfilePackage, HandleNotification, CancelSession:
	default:
		ok = false
	}
	if !ok {
		c.point = ""
		return http.StatusNotFound, errors.New("no such function")
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed, errors.New("functions are called with POST")
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return http.StatusUnsupportedMediaType, errors.New("the body must be application/json")
	}
	// Some LPAs leave the header out; a wrong one is refused.
	if p := r.Header.Get("X-Admin-Protocol"); p != "" && !strings.HasPrefix(p, protocolPrefix) {
		return http.StatusOK, statusVersion
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return http.StatusRequestEntityTooLarge, err
		}
		return http.StatusBadRequest, err
	}
	if b := bytes.TrimLeft(body, " \t\r\n"); len(b) == 0 || b[0] != '{' {
		return http.StatusBadRequest, errors.New("the body is no JSON object")
	}
	if err := json.Unmarshal(body, &c.req); err != nil {
		return http.StatusBadRequest, errors.New("the body is no JSON object of the function's form")
	}
	return 0, nil
}

// refuse answers a request that was not understood.
func (s *Server) refuse(w http.ResponseWriter, c *call, status int, err error) {
	st, ok := statusOf(err)
	if !ok {
		st = statusInvalid.with("%v", err)
		c.detail = err.Error()
		s.observe(c, fmt.Sprintf("http %d", status))
	} else {
		s.observe(c, st.Code())
	}
	if status == http.StatusInternalServerError {
		http.Error(w, "the state cannot be kept", status)
		return
	}
	write(w, status, nil, st)
}

// reply answers a request that was done, or falsifies the answer.
func (s *Server) reply(w http.ResponseWriter, c *call, out reply, err error) {
	st, failed := statusOf(err)
	switch {
	case failed:
		s.observe(c, st.Code())
	case err != nil:
		c.detail = err.Error()
		s.observe(c, "http 500")
		http.Error(w, "the state cannot be kept", http.StatusInternalServerError)
		return
	default:
		s.observe(c, "ok")
	}
	switch c.fault.Kind {
	case FaultReplyLost:
		abort(w, false)
		return
	case FaultServerErrorAfter:
		http.Error(w, "fault on command", c.fault.http())
		return
	}
	switch {
	case failed && c.point == HandleNotification:
		write(w, http.StatusBadRequest, nil, st) // this function has no other way to fail
	case failed:
		write(w, http.StatusOK, nil, st)
	case c.point == HandleNotification:
		w.WriteHeader(http.StatusNoContent)
	default:
		write(w, http.StatusOK, out, nil)
	}
}

// executionStatus is the header of every reply (SGP.22 section 6.5.1.4).
type executionStatus struct {
	Status string  `json:"status"`
	Data   *Status `json:"statusCodeData,omitempty"`
}

func write(w http.ResponseWriter, status int, out reply, failure *Status) {
	head := executionStatus{Status: "Executed-Success"}
	if failure != nil {
		head = executionStatus{Status: "Failed", Data: failure}
	}
	body := map[string]any{"header": map[string]any{"functionExecutionStatus": head}}
	for k, v := range out {
		body[k] = v
	}
	b, err := json.Marshal(body)
	if err != nil {
		http.Error(w, "reply", http.StatusInternalServerError) // not reached: strings always marshal
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that went away has no use for an error
}

// data decodes a binary parameter.
func data(p *string, name string) ([]byte, error) {
	if p == nil {
		return nil, statusMissing.with("%s is missing", name)
	}
	b, err := base64.StdEncoding.DecodeString(*p)
	if err != nil {
		return nil, statusInvalid.with("%s is not base64", name)
	}
	return b, nil
}

// object decodes a binary parameter that is one TLV of a known tag, the whole
// tree of which is well-formed.
func object(p *string, name string, tag wire.Tag) (wire.Node, error) {
	b, err := data(p, name)
	if err != nil {
		return wire.Node{}, err
	}
	n, err := wire.ParseTag(b, tag)
	if err == nil {
		err = n.Check()
	}
	if err != nil {
		return wire.Node{}, statusInvalid.with("%s: %v", name, err)
	}
	return n, nil
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// need is [wire.Node.Need] with a function status as error.
func need(n wire.Node, path ...wire.Tag) (wire.Node, error) {
	found, err := n.Need(path...)
	if err != nil {
		return wire.Node{}, statusMissing.with("%v", err)
	}
	return found, nil
}

// sized is need for a value of a known size.
func sized(n wire.Node, size int, path ...wire.Tag) ([]byte, error) {
	found, err := need(n, path...)
	if err != nil {
		return nil, err
	}
	if len(found.Value) != size {
		return nil, statusInvalid.with("%v: %d bytes, not %d", found.Tag, len(found.Value), size)
	}
	return found.Value, nil
}
