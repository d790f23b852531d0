package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"linefit/audit/store"
	"linefit/station/mes"
)

// The people of these tests. Nothing that leaves a station has any of it.
const (
	anna, annaBadge = "Annegret Canarius", "B-7731-CANARIO"
	bert            = "bertil.canarsson"
	vera            = "Vera Canarova"
)

// People work under pseudonyms, on a store that no station holds and on a
// running one; who they are is found nowhere, and can be erased.
func TestOperators(t *testing.T) {
	t.Run("store", func(t *testing.T) {
		o := &operators{bench: newBench(t)}
		o.work("--store", o.dir)
		o.seen()
	})
	t.Run("socket", func(t *testing.T) {
		o := &operators{bench: newBench(t)}
		socket := filepath.Join(t.TempDir(), "s")
		o.open(func(s *store.Store) {
			o.serve(s, socket, func() {
				o.work("--address", "unix:"+socket)
				o.pages(socket)
			})
		})
		o.seen()
	})
}

type operators struct {
	*bench
	sights []sight
}

// linefit runs a command and keeps what it said.
func (o *operators) linefit(want int, text string, args ...string) string {
	o.t.Helper()
	var out, errs bytes.Buffer
	code := run(context.Background(), args, strings.NewReader(""), &out, &errs)
	if code != want || !strings.Contains(out.String()+errs.String(), text) {
		o.t.Errorf("linefit %s: exit %d, not %d with %q\n%s%s", strings.Join(args, " "), code, want, text, &out, &errs)
	}
	if len(args) < 2 || args[1] != "name" || code != exitOK { // the one command that is for telling
		o.sights = append(o.sights, sight{strings.Join(args[:2], " "), append(out.Bytes(), errs.Bytes()...)})
	}
	return out.String()
}

// pseudonym does something as a person and returns the pseudonym in the answer.
func (o *operators) pseudonym(args ...string) string {
	o.t.Helper()
	var t struct{ Actor, Operator string }
	text := o.linefit(exitOK, "", append(args, "--json")...)
	if err := json.Unmarshal([]byte(text), &t); err != nil || !strings.HasPrefix(t.Actor+t.Operator, "op-") {
		o.t.Fatalf("%v: %s: %v", args, text, err)
	}
	return t.Actor + t.Operator
}

func (o *operators) work(where ...string) {
	o.t.Helper()
	as := func(by, role string, args ...string) []string {
		return append(slices.Concat(args, where), "--by", by, "--role", role)
	}
	first := o.pseudonym(as(anna, "operator", "rework", "claim", "SN1")...)
	o.linefit(exitVerdict, "is claimed by "+first, as(bert, "operator", "rework", "claim", "SN1")...)
	// Another spelling, the badge and the pseudonym are the same person.
	o.linefit(exitOK, "has that name or badge too", as(vera, "lead", "operators", "link", anna, "--also", annaBadge)...)
	o.linefit(exitUsage, "a person's of its own", as(vera, "lead", "operators", "link", bert, "--also", annaBadge)...)
	if again := o.pseudonym(as("  ANNEGRET   canarius ", "operator", "rework", "repair", "SN1", "--cause", "contacts", "--action", "cleaned")...); again != first {
		o.t.Errorf("%s, then %s", first, again)
	}
	o.linefit(exitRefused, "takes role qa", as(vera, "lead", "operators", "name", first, "--why", "complaint 7")...)
	o.linefit(exitUsage, "names the person", as(vera, "qa", "operators", "name", first, "--why", "what did "+anna+" do?")...)
	o.linefit(exitOK, strings.ToLower(anna)+", "+strings.ToLower(annaBadge), as(vera, "qa", "operators", "name", first, "--why", "complaint 7")...)
	// Who holds a ticket cannot be forgotten before it is given back.
	second := o.pseudonym(as(bert, "lead", "rework", "claim", "SN2")...)
	o.linefit(exitVerdict, "has claimed ticket T-SN2", as(vera, "qa", "operators", "forget", bert, "--why", "left")...)
	o.linefit(exitRefused, "takes role qa", as(vera, "lead", "operators", "forget", anna, "--why", "left")...)
	o.linefit(exitUsage, "names the person", as(vera, "qa", "operators", "forget", anna, "--why", "badge "+annaBadge+" returned")...)
	o.linefit(exitOK, first+" is nobody's any more", as(vera, "qa", "operators", "forget", annaBadge, "--why", "left")...)
	// Forgotten: not by name, badge or pseudonym; and the pseudonym is no person.
	for _, who := range []string{anna, annaBadge, first} {
		o.linefit(exitMissing, "nobody of that name", as(vera, "qa", "operators", "name", who, "--why", "complaint 8")...)
	}
	o.linefit(exitRefused, "nobody's here", as(first, "lead", "rework", "claim", "SN2")...)
	o.linefit(exitOK, "closed", as(vera, "qa", "rework", "dispose", "SN2", "--as", "scrap", "--why", "label cannot be trusted")...)
	if list := o.linefit(exitOK, second, append([]string{"operators", "list"}, where...)...); strings.Contains(list, first) {
		o.t.Errorf("%s is forgotten and listed\n%s", first, list)
	}
	third := o.pseudonym(as(vera, "lead", "operators", "link", o.pseudonym(as(anna, "lead", "operators", "link", anna, "--also", "ann")...), "--also", "annie")...)
	if third == first || third == second {
		o.t.Errorf("the same pseudonym again: %s", third)
	}
}

// pages asks the API for everything that it gives.
func (o *operators) pages(socket string) {
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	defer c.CloseIdleConnections()
	for _, path := range []string{"/v1/operators", "/v1/audit?limit=100", "/v1/station", "/v1/tickets?closed=true", "/v1/units/SN1", "/v1/audit/bundle?id=SN1", "/v1/outbox", "/metrics", "/openapi.json"} {
		r, err := c.Get("http://station" + path)
		if err != nil {
			o.t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			o.t.Fatal(err)
		}
		_ = r.Body.Close()
		o.sights = append(o.sights, sight{fmt.Sprintf("GET %s: %d", path, r.StatusCode), b})
	}
	// A badge that ends up where units are scanned is not kept.
	for _, body := range []string{`{"text":"LF:OP:B-7731-CANARIO"}`, `{"text":"X","operator":"` + strings.Repeat(bert, 5) + `"}`} {
		r, err := c.Post("http://station/v1/scan", "application/json", strings.NewReader(body))
		if err != nil {
			o.t.Fatal(err)
		}
		b, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		o.sights = append(o.sights, sight{"POST /v1/scan", b})
	}
	var signed mes.OperatorBody
	r, err := c.Post("http://station/v1/operators/sign-on", "application/json", strings.NewReader(`{"operator":"`+bert+`","role":"lead"}`))
	if err != nil {
		o.t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&signed); err != nil || !strings.HasPrefix(string(signed.Operator), "op-") {
		o.t.Errorf("%+v, %v", signed, err)
	}
}

// seen looks for people in the store, vault included, every export and report.
func (o *operators) seen() {
	o.t.Helper()
	out := o.t.TempDir()
	o.linefit(exitOK, "good", "audit", "verify", "--store", o.dir)
	for _, f := range []string{"jsonl", "csv"} {
		o.linefit(exitOK, "op-", "audit", "export", "--format", f, "--store", o.dir)
	}
	o.linefit(exitOK, "", "audit", "export", "--format", "tiles", "--out", filepath.Join(out, "tiles"), "--store", o.dir)
	o.linefit(exitOK, "", "audit", "export", "--format", "bundle", "--unit", "SN1", "--out", filepath.Join(out, "bundle"), "--store", o.dir)
	o.linefit(exitOK, "", "report", "--out", filepath.Join(out, "report.html"), "--store", o.dir)
	o.linefit(exitOK, "", "report", "--json", "--store", o.dir)
	o.linefit(exitOK, "", "why", "SN1", "--store", o.dir)
	o.sights = append(o.sights, folder(o.t, "store", o.dir)...)
	o.sights = append(o.sights, folder(o.t, "out", out)...)
	var canaries []canary
	for _, name := range []string{anna, annaBadge, bert, vera} {
		canaries = append(canaries, canary{name, []byte(name)})
	}
	for _, f := range find(canaries, o.sights) {
		o.t.Error(f)
	}
}
