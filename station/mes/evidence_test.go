package mes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/audit/store/storetest"
	"linefit/rework"
	"linefit/station"
	"linefit/station/mes"
	"linefit/station/report"
	"linefit/station/stock"
)

// QA reads over TCP, with its own token: pages, tiles, bundles, containment. It
// needs nothing else to verify them, and can change nothing.
func TestEvidenceOverHTTP(t *testing.T) {
	log := storetest.Start(t, nil, store.Options{Projections: []audit.Projection{
		mes.OutboxProjection{}, rework.Projection{}, stock.Projection{}, audit.Names{}, report.RunIndex(),
	}})
	for _, unit := range []station.Serial{"SN1", "SN2"} {
		run := station.RunID("run-" + unit)
		build(t, log, unit, run, 1, station.Pass, station.Release)
		left(t, log, unit, run, 1)
	}
	s := serve(t, log, &fakeStation{}, func(o *mes.ServerOptions) {
		o.Evidence, o.VKey, o.ReadToken = log, log.VKey, true
	})
	get := func(path, token string) (int, []byte) {
		w := ask(s.Remote(), http.MethodGet, path, "", "Authorization", "Bearer "+token)
		return w.Code, w.Body.Bytes()
	}
	const qa = "fedcba9876543210"
	v, err := audit.ParseVKey(log.VKey())
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/audit/bundle?id=SN1", "/v1/audit/log/checkpoint", "/v1/audit", "/v1/audit/find"} {
		if code, _ := get(path, "none"); code != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d", path, code)
		}
	}
	if w := ask(s.Remote(), http.MethodPost, "/v1/station/halt", "{}", "Authorization", "Bearer "+qa); w.Code != http.StatusForbidden {
		t.Errorf("QA's token changed something: %d", w.Code)
	}
	code, body := get("/v1/audit/bundle?id=SN1", qa)
	b, err := audit.ParseBundle(body)
	if code != http.StatusOK || err != nil {
		t.Fatalf("%d, %v: %s", code, err, body)
	}
	if es, findings := b.Verify(v); len(findings) > 0 || len(es) == 0 || es[0].Unit != "SN1" {
		t.Errorf("%d entries, %v", len(es), findings)
	}
	code, body = get("/v1/audit/log/checkpoint", qa)
	if c, err := audit.OpenCheckpoint(body, v); code != http.StatusOK || err != nil || c.Size != log.Last() {
		t.Errorf("%d, %+v, %v", code, c, err)
	}
	first, err := log.Resource("tile/entries/000.p/2")
	if err != nil {
		t.Fatal(err)
	}
	if code, body := get("/v1/audit/log/tile/entries/000.p/2", qa); code != http.StatusOK || !bytes.Equal(body, first) {
		t.Errorf("%d, %d bytes", code, len(body))
	}
	var f mes.FindBody
	code, body = get("/v1/audit/find?slot=1,2&since_golden=true&verdict=pass", qa)
	if err := json.Unmarshal(body, &f); code != http.StatusOK || err != nil || len(f.Units) != 2 || f.First != 1 || f.Last != log.Last() {
		t.Errorf("%d, %v: %s", code, err, body)
	}
	for path, want := range map[string]int{
		"/v1/audit/bundle?id=nobody":                    http.StatusNotFound,
		"/v1/audit/bundle":                              http.StatusUnprocessableEntity,
		"/v1/audit/log/tile/0/999":                      http.StatusNotFound,
		"/v1/audit/log/../../lock":                      http.StatusTemporaryRedirect, // to a path outside of the log
		"/v1/audit/log/shards/0001/checkpoint":          http.StatusNotFound,
		"/v1/audit/find?digest=ab":                      http.StatusUnprocessableEntity,
		"/v1/audit/find?platform=eum":                   http.StatusUnprocessableEntity,
		"/v1/audit/find?verdict=maybe":                  http.StatusUnprocessableEntity,
		"/v1/audit/alarm":                               http.StatusNotFound, // this server has none
		"/v1/audit/find?platform=eum%3D8%2A&slot=1":     http.StatusOK,
		"/v1/audit/find?since=2026-01-01T00%3A00%3A00Z": http.StatusOK,
	} {
		if code, body := get(path, qa); code != want {
			t.Errorf("%s: %d, %s", path, code, body)
		}
	}
	// Pages go on where they ended.
	seen, after := 0, "0"
	for range 100 {
		w := ask(s.Remote(), http.MethodGet, "/v1/audit?limit=3&format=jsonl&after="+after, "", "Authorization", "Bearer "+qa)
		n := strings.Count(w.Body.String(), "\n")
		if seen += n; n == 0 {
			break
		}
		after = w.Header().Get("Linefit-Next")
	}
	if uint64(seen) != log.Last() {
		t.Errorf("%d entries in pages, %d in the log", seen, log.Last())
	}
}

// Nobody goes on with a damaged log through a token.
func TestAcceptIsNotRemote(t *testing.T) {
	log := storetest.Start(t, nil, store.Options{Projections: []audit.Projection{mes.OutboxProjection{}, rework.Projection{}, stock.Projection{}}})
	found := []audit.Finding{{Code: audit.FindRollback, Detail: "x"}}
	accepted := 0
	s := serve(t, log, &fakeStation{}, func(o *mes.ServerOptions) {
		o.Alarm = func() []audit.Finding { return found }
		o.Accept = func(_ context.Context, by station.Person, a audit.Acceptance) error {
			accepted++
			if by.Role != station.RoleQA || len(a.Persons) != 2 || len(a.Findings) != 1 {
				t.Errorf("%+v %+v", by, a)
			}
			found = nil
			return nil
		}
	})
	digest, err := mes.FindingsDigest(found)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"operator":"a","role":"qa","second":"b","why":"known","digest":"` + digest + `"}`
	if w := ask(s.Remote(), http.MethodPost, "/v1/audit/accept", body, "Authorization", "Bearer "+theToken); w.Code != http.StatusForbidden || accepted != 0 {
		t.Errorf("over TCP: %d %s", w.Code, w.Body)
	}
	if w := ask(s.Local(), http.MethodPost, "/v1/audit/accept", strings.Replace(body, digest, "0123456789abcdef", 1)); w.Code != http.StatusConflict || accepted != 0 {
		t.Errorf("other findings: %d %s", w.Code, w.Body)
	}
	if w := ask(s.Local(), http.MethodPost, "/v1/audit/accept", body); w.Code != http.StatusOK || accepted != 1 {
		t.Errorf("at the station: %d %s", w.Code, w.Body)
	}
}
