package main

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"linefit/station"
	"linefit/station/stock"
	"linefit/ui/client"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A list gets more time than the quarter of an hour that a station takes for the
// largest one; everything else has a minute or so.
func TestListsHaveTime(t *testing.T) {
	var left time.Duration
	c, err := client.New(client.Options{Address: "http://127.0.0.1:1", Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		end, ok := r.Context().Deadline()
		if !ok {
			t.Error("no end")
		}
		left = time.Until(end)
		return nil, errors.New("nobody there")
	})})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, room, book := t.Context(), remoteRoom{c}, remoteBook{c}
	for name, call := range map[string]struct {
		do   func() error
		list bool
	}{
		"import":       {func() error { _, err := room.importList(ctx, station.Person{}, stock.Source{}, nil); return err }, true},
		"reconcile":    {func() error { _, _, err := room.reconcile(ctx, reconciling{}); return err }, true},
		"units import": {func() error { _, err := book.Import(ctx, station.Person{}, "f", nil, false); return err }, true},
		"release":      {func() error { _, err := room.release(ctx, stock.Decision{}); return err }, false},
		"list":         {func() error { _, err := room.list(ctx, "", stock.Filter{}, 1); return err }, false},
	} {
		left = 0
		if err := call.do(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if call.list != (left > 15*time.Minute) || left <= 0 || !call.list && left > 2*time.Minute {
			t.Errorf("%s has %v", name, left)
		}
	}
}
