package rsp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestDoubled(t *testing.T) {
	for text, twice := range map[string]bool{
		`{}`: false, `[]`: false, `{"a":1,"b":{"a":2},"c":[{"a":1},{"a":2}]}`: false, `{"a":"b","b":"a"}`: false, `{"a":["b","b"],"b":{}}`: false,
		`{"a":1,"a":2}`: true, `{"a":1,"A":2}`: true, `{"x":{"a":{},"b":[],"a":[]}}`: true, `[{"a":[{"b":1,"b":1}]}]`: true, `{"a":{"a":1},"a":1}`: true,
	} {
		if got := doubled([]byte(text)); (got != nil) != twice {
			t.Errorf("%s: %v", text, got)
		}
	}
}

type answers func() (*http.Response, error)

func (a answers) RoundTrip(*http.Request) (*http.Response, error) { return a() }

// FuzzServer: no answer of a server to any ES9+ function makes the client panic;
// every error is typed, and what has a member twice is no answer.
func FuzzServer(f *testing.F) {
	const good = `{"header":{"functionExecutionStatus":{"status":"Executed-Success"}},"transactionId":"00FF",`
	f.Add(good + `"serverSigned1":"MACAAQGBAQGDAQCEAQA=","serverSignature1":"XzcA","euiccCiPKIdToBeUsed":"BAA=","serverCertificate":"MAA="}`)
	f.Add(good + `"profileMetadata":"vyUA","smdpSigned2":"MAA=","smdpSignature2":"XzcA","smdpCertificate":"MAA="}`)
	f.Add(good + `"boundProfilePackage":"vzYA"}`)
	f.Add(`{"header":{"functionExecutionStatus":{"status":"Failed","status":"Executed-Success"}}}`)
	f.Add(``)
	f.Fuzz(func(t *testing.T, body string) {
		c := NewClient(ClientConfig{Retries: []time.Duration{}, MaxReply: 1 << 16, Transport: answers(func() (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
		})})
		s, err := c.Server("smdp.example.com")
		if err != nil {
			t.Fatal(err)
		}
		in := initiated{id: "00FF", rawID: []byte{0, 0xFF}}
		for name, call := range map[Function]func(context.Context) error{
			InitiateAuthentication: func(ctx context.Context) error { _, err := s.initiate(ctx, make([]byte, 16), []byte{1}); return err },
			AuthenticateClient:     func(ctx context.Context) error { _, _, err := s.authenticate(ctx, in, []byte{1}); return err },
			GetBoundProfilePackage: func(ctx context.Context) error { _, err := s.getPackage(ctx, in, []byte{1}); return err },
			CancelSession:          func(ctx context.Context) error { return s.cancel(ctx, in, []byte{1}) },
			HandleNotification:     func(ctx context.Context) error { return s.Notify(ctx, []byte{1}) },
		} {
			err := call(t.Context())
			var refused *ServerError
			var status *HTTPError
			if err != nil && !errors.Is(err, ErrReply) && !errors.As(err, &refused) && !errors.As(err, &status) {
				t.Fatalf("%s: untyped error %v", name, err)
			}
			if err == nil && strings.TrimSpace(body) != "" && doubled([]byte(body)) != nil {
				t.Fatalf("%s takes %s", name, body)
			}
		}
	})
}
