package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"linefit/internal/strictyaml"
	"linefit/station"
	"linefit/station/stock"
	"linefit/ui/client"
)

// The mark beside a list goes only when it is certain that nothing of it was
// taken: an answer that was lost may have been a yes.
func TestNothingTaken(t *testing.T) {
	var reply atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status := int(reply.Load())
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	ask := func(address string, status int) error {
		c, err := client.New(client.Options{Address: address})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		reply.Store(int32(status))
		var out stock.Imported
		return c.Post(t.Context(), "/v1/stock/import", map[string]string{}, &out)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"mistakes":                {strictyaml.Problems{{File: "f", Line: 1, Column: 1, Text: "x"}}, true},
		"refused":                 {station.Refuse(station.PermissionMissing, "x"), true},
		"begun and not ended":     {fmt.Errorf("stock: %w: %w", stock.ErrUnfinished, station.Refuse(station.VaultFault, "x")), false},
		"no station there":        {ask(nobody, 200), true},
		"station: mistakes":       {ask(server.URL, 422), true},
		"station: fault":          {ask(server.URL, 500), false},
		"station: out of time":    {ask(server.URL, 504), false},
		"station: gone meanwhile": {ask(server.URL, 0), false},
		"station: not understood": {ask(server.URL, 200), false},
	} {
		if c.err == nil {
			t.Errorf("%s: no error", name)
		}
		if got := nothingTaken(personError(c.err)); got != c.want {
			t.Errorf("%s: %v: %v", name, got, c.err)
		}
	}
	if !nothingTaken(errors.New("the claim at the MES was refused")) {
		t.Error("an error before anything was done")
	}
}

// Mistakes that a running station has found come out like this process's own.
func TestMistakesOfAStation(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"title":"x","status":422,"detail":"codes.csv:2:1: eid: x","mistakes":[{"file":"codes.csv","line":2,"column":1,"text":"eid: x"}]}`)
	}))
	defer server.Close()
	c, err := client.New(client.Options{Address: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = personError(c.Post(t.Context(), "/v1/stock/import", map[string]string{}, nil))
	var coded *exitError
	var mistakes strictyaml.Problems
	if !errors.As(err, &coded) || coded.code != exitUsage || !errors.As(err, &mistakes) || mistakes.Error() != "codes.csv:2:1: eid: x" {
		t.Errorf("%v", err)
	}
}
