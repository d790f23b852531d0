package witness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
)

// A Client speaks to one witness.
type Client struct {
	URL     string            // submission prefix, http:// or https://
	Key     note.Verifier     // of the witness ([audit.ParseWitnessKey])
	HTTP    http.RoundTripper // nil: one connection for each push
	Timeout time.Duration     // of one answer
}

// A Cosigned is a checkpoint that a witness has cosigned.
type Cosigned struct {
	Origin string
	Size   uint64
	From   uint64 // the size that the witness had
	Note   []byte // the signed note with the cosignature
}

// A ForkError says that the witness has seen another history of the log, or more
// of it than there is.
type ForkError struct{ Witness, Log, Detail string }

func (e *ForkError) Error() string {
	return fmt.Sprintf("fork: witness %q has seen another history of log %q: %s", e.Witness, e.Log, e.Detail)
}

// An UnknownLogError says that the witness does not know the log, or not its key.
type UnknownLogError struct {
	Log    string
	Status int // 403 or 404
	Answer string
}

func (e *UnknownLogError) Error() string {
	return fmt.Sprintf("the witness does not know log %q, or not its key (%d): %q", e.Log, e.Status, e.Answer)
}

// An AnswerError says that there was no answer, or none that a witness gives.
type AnswerError struct{ Err error }

func (e *AnswerError) Error() string { return "the witness: " + e.Err.Error() }
func (e *AnswerError) Unwrap() error { return e.Err }

// Prove proves that the log's newest shard only grew since it had so many entries
// ([linefit/audit/store.Store.Since], [linefit/audit/store.Log.Since]).
type Prove func(size uint64) (audit.Consistency, error)

const (
	// maxTries bounds how often a witness may say that it has another size.
	maxTries = 3
	// maxAnswer bounds its answer, in bytes.
	maxAnswer = 8192
)

// Push has the log's newest checkpoint cosigned. size is what the witness cosigned
// last, 0 where that is not known. Errors are *ForkError, *UnknownLogError,
// *AnswerError, and those of prove.
func (c *Client) Push(ctx context.Context, prove Prove, size uint64) (Cosigned, error) {
	for range maxTries {
		p, err := prove(size)
		if err != nil {
			return Cosigned{}, err
		}
		status, kind, answer, err := c.ask(ctx, p.Marshal())
		if err != nil {
			return Cosigned{}, &AnswerError{err}
		}
		said := strings.TrimSpace(string(answer))
		fork := func(detail string) error { return &ForkError{c.Key.Name(), p.New.Origin, detail} }
		switch status {
		case http.StatusOK:
			signed, err := audit.AddCosignature(p.New.Note, answer, c.Key)
			if err != nil {
				return Cosigned{}, &AnswerError{err}
			}
			return Cosigned{Origin: p.New.Origin, Size: p.New.Size, From: size, Note: signed}, nil
		case http.StatusConflict:
			has, err := strconv.ParseUint(strings.TrimSuffix(string(answer), "\n"), 10, 63)
			switch {
			case kind != "text/x.tlog.size" || err != nil:
				return Cosigned{}, &AnswerError{fmt.Errorf("it answers 409 without a size")}
			case has == size:
				return Cosigned{}, fork(fmt.Sprintf("the same size, %d, and another root", has))
			}
			size = has
		case http.StatusUnprocessableEntity:
			return Cosigned{}, fork("the proof does not fit")
		case http.StatusForbidden, http.StatusNotFound:
			return Cosigned{}, &UnknownLogError{p.New.Origin, status, said}
		default:
			return Cosigned{}, &AnswerError{fmt.Errorf("it answers %d: %q", status, said)}
		}
	}
	return Cosigned{}, &AnswerError{fmt.Errorf("it names another size each time")}
}

// ask posts a request to the witness.
func (c *Client) ask(ctx context.Context, request []byte) (status int, kind string, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(c.URL, "/")+"/add-checkpoint", bytes.NewReader(request))
	if err != nil {
		return 0, "", nil, err
	}
	transport := c.HTTP
	if transport == nil {
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	}
	// A witness answers itself: what it sends elsewhere is no answer.
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	reply, err := client.Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer reply.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(reply.Body, maxAnswer))
	return reply.StatusCode, reply.Header.Get("Content-Type"), answer, err
}
