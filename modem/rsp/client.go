package rsp

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"linefit/internal/pause"
)

// Timeouts are the deadlines of the ES9+ calls, each for one try. Zero fields
// have the defaults named.
type Timeouts struct {
	Initiate     time.Duration // 15 s
	Authenticate time.Duration // 30 s
	GetPackage   time.Duration // 60 s: the server may bind the package only now
	Notify       time.Duration // 15 s
	Cancel       time.Duration // 15 s
}

// ClientConfig is what a [Client] is made of.
type ClientConfig struct {
	// Transport makes the connections; see [NewTransport]. It is shared by all
	// downloads, so that connections are used again.
	Transport http.RoundTripper

	// AllowHost refuses servers by an error; nil allows every server.
	AllowHost func(address string) error

	// Protocol is the X-Admin-Protocol header; "gsma/rsp/v2.2.2" when empty.
	Protocol string

	Timeouts Timeouts

	// Retries are the waits before another try of a call that got no answer and
	// cannot have changed anything (initiateAuthentication,
	// handleNotification). Nil means 500 ms and 2 s; empty means none.
	Retries []time.Duration

	// MaxReply bounds an answer's body in bytes; 8 MiB when 0.
	MaxReply int64

	// Trace, if set, is called after every try, from any goroutine.
	Trace func(Exchange)
}

// Exchange is one traced HTTP exchange. It has no bodies: they carry bound
// packages.
type Exchange struct {
	Function Function
	Address  string
	Status   int // 0 without an answer
	Sent     int // bytes of the request's body
	Received int
	Took     time.Duration
	Err      error // redacted
}

// Client makes ES9+ calls. It is safe for use by several goroutines.
type Client struct {
	http *http.Client
	cfg  ClientConfig
}

// NewClient makes a client. It follows no redirects: a server's answer comes
// from the server that was asked.
func NewClient(cfg ClientConfig) *Client {
	or := func(field *time.Duration, value time.Duration) {
		if *field == 0 {
			*field = value
		}
	}
	or(&cfg.Timeouts.Initiate, 15*time.Second)
	or(&cfg.Timeouts.Authenticate, 30*time.Second)
	or(&cfg.Timeouts.GetPackage, time.Minute)
	or(&cfg.Timeouts.Notify, 15*time.Second)
	or(&cfg.Timeouts.Cancel, 15*time.Second)
	if cfg.Protocol == "" {
		cfg.Protocol = "gsma/rsp/v2.2.2"
	}
	if cfg.MaxReply == 0 {
		cfg.MaxReply = 8 << 20
	}
	if cfg.Retries == nil {
		cfg.Retries = []time.Duration{500 * time.Millisecond, 2 * time.Second}
	}
	return &Client{cfg: cfg, http: &http.Client{
		Transport:     cfg.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Server is one SM-DP+ as one download talks to it. It counts round trips and
// is used by one goroutine at a time.
type Server struct {
	client  *Client
	address string
	secrets []Secret
	trips   int
}

// Server makes calls to one address. The secrets are kept out of its errors.
func (c *Client) Server(address string, secrets ...Secret) (*Server, error) {
	if err := CheckAddress(address); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHost, err)
	}
	if c.cfg.AllowHost != nil {
		if err := c.cfg.AllowHost(address); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrHost, err)
		}
	}
	return &Server{client: c, address: address, secrets: secrets}, nil
}

// Address is the SM-DP+ address.
func (s *Server) Address() string { return s.address }

// RoundTrips is the number of HTTP exchanges so far.
func (s *Server) RoundTrips() int { return s.trips }

// der is a TLV in base64. Some servers leave out the padding or break lines.
type der []byte

// MarshalJSON writes standard base64.
func (d der) MarshalJSON() ([]byte, error) {
	return json.Marshal(base64.StdEncoding.EncodeToString(d))
}

// UnmarshalJSON reads base64 with or without padding and white space.
func (d *der) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	s = strings.TrimRight(strings.Join(strings.Fields(s), ""), "=")
	decoded, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return errors.New("a field is not base64")
	}
	*d = decoded
	return nil
}

// reply is the header of every answer and all fields that any function has.
type reply struct {
	Header struct {
		Execution struct {
			Status string `json:"status"`
			Code   struct {
				Subject    string `json:"subjectCode"`
				Reason     string `json:"reasonCode"`
				Identifier string `json:"subjectIdentifier"`
				Message    string `json:"message"`
			} `json:"statusCodeData"`
		} `json:"functionExecutionStatus"`
	} `json:"header"`
	TransactionID   string `json:"transactionId"`
	ServerSigned1   der    `json:"serverSigned1"`
	Signature1      der    `json:"serverSignature1"`
	CIPKID          der    `json:"euiccCiPKIdToBeUsed"`
	Certificate     der    `json:"serverCertificate"`
	Metadata        der    `json:"profileMetadata"`
	Signed2         der    `json:"smdpSigned2"`
	Signature2      der    `json:"smdpSignature2"`
	SMDPCertificate der    `json:"smdpCertificate"`
	Package         der    `json:"boundProfilePackage"`
}

// call makes one ES9+ call. Only what cannot have changed anything is repeated,
// and only when no answer came.
func (s *Server) call(ctx context.Context, f Function, timeout time.Duration, request any, repeatable bool) (*reply, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f, err)
	}
	for try := 0; ; try++ {
		r, err := s.once(ctx, f, timeout, body)
		if err == nil || !repeatable || try >= len(s.client.cfg.Retries) || !errors.Is(err, ErrNetwork) || untrusted(err) || ctx.Err() != nil {
			return r, err
		}
		if pause.For(ctx, s.client.cfg.Retries[try]) != nil {
			return nil, err
		}
	}
}

// once is one HTTP exchange.
func (s *Server) once(ctx context.Context, f Function, timeout time.Duration, body []byte) (r *reply, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	x := Exchange{Function: f, Address: s.address, Sent: len(body)}
	start := time.Now()
	s.trips++
	defer func() {
		if x.Took, x.Err = time.Since(start), err; s.client.cfg.Trace != nil {
			s.client.cfg.Trace(x)
		}
	}()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.address+"/gsma/rsp2/es9plus/"+string(f), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "gsma-rsp-lpad")
	request.Header.Set("X-Admin-Protocol", s.client.cfg.Protocol)
	response, err := s.client.http.Do(request)
	if err != nil {
		return nil, &NetworkError{f, err}
	}
	defer response.Body.Close()
	x.Status = response.StatusCode
	answer, err := io.ReadAll(io.LimitReader(response.Body, s.client.cfg.MaxReply+1))
	x.Received = len(answer)
	if err != nil {
		return nil, &NetworkError{f, err}
	}
	return s.decode(f, response.StatusCode, answer)
}

func (s *Server) decode(f Function, status int, answer []byte) (*reply, error) {
	if int64(len(answer)) > s.client.cfg.MaxReply {
		return nil, &ReplyError{f, fmt.Errorf("more than %d bytes", s.client.cfg.MaxReply)}
	}
	if status < 200 || status > 299 {
		return nil, &HTTPError{f, status}
	}
	if len(bytes.TrimSpace(answer)) == 0 {
		if f == HandleNotification || f == CancelSession {
			return &reply{}, nil
		}
		return nil, &ReplyError{f, errors.New("it is empty")}
	}
	var r reply
	if err := json.Unmarshal(answer, &r); err != nil {
		return nil, &ReplyError{f, errors.New("it is not the JSON of this function")}
	}
	if err := doubled(answer); err != nil {
		return nil, &ReplyError{f, err}
	}
	switch x := r.Header.Execution; {
	case x.Status == "Executed-Success" || x.Status == "Executed-WithWarning":
		return &r, nil
	case x.Status == "" && f == HandleNotification && status == http.StatusNoContent:
		return &r, nil
	case x.Status == "":
		return nil, &ReplyError{f, errors.New("it has no execution status")}
	default:
		return nil, &ServerError{
			Function: f, Status: scrub(x.Status, nil), Subject: statusCode(x.Code.Subject, s.secrets), Reason: statusCode(x.Code.Reason, s.secrets),
			Identifier: scrub(x.Code.Identifier, s.secrets), Message: scrub(x.Code.Message, s.secrets),
		}
	}
}
