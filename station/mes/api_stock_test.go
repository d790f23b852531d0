package mes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"linefit/station"
	"linefit/station/mes"
	"linefit/station/stock"
)

const secretCode = "CANARY-51C0FFEE"

// withStock gives a server a stock with a vault of its own.
func withStock(t *testing.T, log mes.Log) func(*mes.ServerOptions) {
	t.Helper()
	vault, err := stock.OpenVault(context.Background(), filepath.Join(t.TempDir(), "vault"), stock.KeyBytes(strings.Repeat("k", stock.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	return func(o *mes.ServerOptions) {
		o.Stock = &stock.Room{
			Ledger: stock.NewLedger(log.View, vault, nil), Journal: queueing{journal{log}}, Running: func(station.StockItem) bool { return false },
		}
	}
}

// queueing waits where a real journal would not.
type queueing struct{ journal }

func (q queueing) Queue(ctx context.Context, at station.Scope, facts ...station.Fact) error {
	return q.Gate(ctx, at, facts...)
}

func body(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestStockOverTheAPI takes a list in, sees it, decides about a profile and
// reconciles; no answer shows a code.
func TestStockOverTheAPI(t *testing.T) {
	log := openLog(t, nil)
	s := serve(t, log, newFakeStation(), withStock(t, log))
	post := func(path string, want int, v any) string {
		t.Helper()
		w := ask(s.Local(), "POST", path, body(t, v))
		if w.Code != want {
			t.Errorf("POST %s: %d %s", path, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), secretCode) {
			t.Errorf("POST %s shows a code: %s", path, w.Body)
		}
		return w.Body.String()
	}
	list := fmt.Sprintf("batch,activation_code,iccid\nB,LPA:1$s.example$%s-1,8949000000000000018\nB,LPA:1$s.example$%s-2,\n", secretCode, secretCode)
	who := map[string]any{"operator": "anna", "role": "lead", "name": "codes.csv", "data": list}
	post("/v1/stock/import", http.StatusForbidden, map[string]any{"operator": "olga", "role": "operator", "name": "codes.csv", "data": list})
	got := post("/v1/stock/import", http.StatusUnprocessableEntity, map[string]any{"operator": "anna", "role": "lead", "name": "codes.csv", "data": list + "B,LPA:9$" + secretCode + ",\n"})
	if !strings.Contains(got, "codes.csv:4:3: activation_code: no activation code") {
		t.Errorf("mistakes: %s", got)
	}
	if !strings.Contains(got, `"mistakes":[{"file":"codes.csv","line":4,"column":3,"text":"activation_code: no activation code`) {
		t.Errorf("mistakes for programs: %s", got)
	}
	// What JSON has made of a file that is not UTF-8, a name that no key holds, nothing.
	for what, in := range map[string]map[string]any{
		"a character was lost":        {"operator": "anna", "role": "lead", "name": "l.csv", "data": "batch,ac,operator\nB,LPA:1$s.example$X,Telef\xf3nica\n"},
		"name: 2000 bytes, more than": {"operator": "anna", "role": "lead", "name": "l.csv", "data": "ac\nLPA:1$s.example$X\n", "batch": map[string]any{"batch": strings.Repeat("x", 2000)}},
		"the file is empty":           {"operator": "anna", "role": "lead", "name": "l.csv", "data": ""},
	} {
		if got := post("/v1/stock/import", http.StatusUnprocessableEntity, in); !strings.Contains(got, what) {
			t.Errorf("%s: %s", what, got)
		}
	}
	post("/v1/stock/import", http.StatusOK, who)
	post("/v1/stock/import", http.StatusUnprocessableEntity, who)

	stocked := into[stock.Stocked](t, ask(s.Remote(), "GET", "/v1/stock?batch=B", ""))
	if stocked.Count.Available != 2 || len(stocked.Profiles) != 2 || len(stocked.Offers) != 1 || stocked.Offers[0].Left != 2 {
		t.Errorf("%+v", stocked)
	}
	if one := into[stock.Stocked](t, ask(s.Remote(), "GET", "/v1/stock?id=iccid:8949000000000000018", "")); len(one.Profiles) != 1 {
		t.Errorf("%+v", one)
	}
	if few := into[stock.Stocked](t, ask(s.Remote(), "GET", "/v1/stock?limit=1", "")); len(few.Profiles) != 1 || !few.More {
		t.Errorf("%+v", few)
	}
	got = post("/v1/stock/quarantine", http.StatusOK, map[string]any{"operator": "anna", "role": "lead", "why": "restored"})
	if !strings.Contains(got, `"profiles":2`) {
		t.Errorf("quarantine: %s", got)
	}
	post("/v1/stock/notifications", http.StatusOK, map[string]any{"operator": "anna", "role": "lead", "batch": "B", "to": "hold", "why": "contract"})
	post("/v1/stock/notifications", http.StatusForbidden, map[string]any{"operator": "olga", "batch": "B", "to": "send", "why": "please"})
	post("/v1/stock/notifications", http.StatusUnprocessableEntity, map[string]any{"operator": "anna", "role": "lead", "batch": "B", "to": "lose", "why": "x"})
	handle := stocked.Profiles[0].Handle
	post("/v1/stock/"+handle+"/release", http.StatusForbidden, map[string]any{"operator": "olga", "why": "please"})
	post("/v1/stock/"+handle+"/release", http.StatusOK, map[string]any{"operator": "anna", "role": "lead", "why": "compared by hand"})
	post("/v1/stock/nothing/release", http.StatusNotFound, map[string]any{"operator": "anna", "role": "lead", "why": "x"})
	post("/v1/stock/"+stocked.Profiles[1].Handle+"/resolve", http.StatusOK, map[string]any{"operator": "anna", "role": "lead", "why": "provider's list", "finding": "spent"})
	got = post("/v1/stock/reconcile", http.StatusOK, map[string]any{"server": map[string]any{"name": "o.csv", "data": "iccid,state\n8949000000000000018,installed\n"}})
	if !strings.Contains(got, `"mismatched"`) || !strings.Contains(got, "o.csv:2") {
		t.Errorf("reconcile: %s", got)
	}
	post("/v1/stock/reconcile", http.StatusUnprocessableEntity, map[string]any{"units": map[string]any{"name": "u.csv", "data": "x\n"}})
	got = post("/v1/stock/needed", http.StatusOK, map[string]any{"name": "e.csv", "data": "eid\n89049032123451234512345678901235\n"})
	if !strings.Contains(got, "89049032123451234512345678901235") {
		t.Errorf("needed: %s", got)
	}
	got = post("/v1/stock/erase", http.StatusOK, map[string]any{"operator": "anna", "role": "lead", "keep_hours": 0})
	if !strings.Contains(got, `"profiles":1`) {
		t.Errorf("erase: %s", got)
	}
	claims := ask(s.Remote(), "GET", "/v1/stock/claims", "")
	if claims.Code != http.StatusOK || !strings.Contains(claims.Body.String(), `"replace"`) {
		t.Errorf("claims: %d %s", claims.Code, claims.Body)
	}
	// Over TCP the token says who acts, and large lists are taken.
	long := list
	for n := range 3000 {
		long += fmt.Sprintf("B,LPA:1$s.example$X-%d,\n", n)
	}
	w := ask(s.Remote(), "POST", "/v1/stock/import", body(t, map[string]any{"name": "l.csv", "data": strings.ReplaceAll(long, secretCode+"-", "Y")[strings.Index(long, "\n")+1:]}), "Authorization", "Bearer "+theToken)
	if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "must name the columns") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
