package smdpsim_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"linefit/modem/smdpsim"
)

func TestOperatorOverHTTP(t *testing.T) {
	b := newBench(t, func(c *smdpsim.Config) { c.Operator = true })
	b.order("a", func(o *smdpsim.Order) { o.Held, o.MatchingID = true, "CANARY" })
	do := func(method, path string, status int, into any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "https://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := b.l.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%s %s: HTTP %d", method, path, resp.StatusCode)
		}
		var raw json.RawMessage
		if err := json.NewDecoder(resp.Body).Decode(&raw); err != nil || strings.Contains(string(raw), "CANARY") {
			t.Errorf("%s: %s, %v", path, raw, err)
		}
		if into != nil {
			if err := json.Unmarshal(raw, into); err != nil {
				t.Error(err)
			}
		}
	}
	var list []smdpsim.OrderInfo
	do("GET", "/sim/orders", 200, &list)
	if len(list) != 1 || list[0].State != smdpsim.StateAvailable {
		t.Errorf("%+v", list)
	}
	var one smdpsim.OrderInfo
	do("POST", "/sim/orders/a/release", 200, &one)
	if one.State != smdpsim.StateReleased {
		t.Errorf("%+v", one)
	}
	do("POST", "/sim/orders/a/release", 409, nil)
	do("POST", "/sim/orders/b/reset", 404, nil)
	do("GET", "/sim/orders/b", 404, nil)
	do("POST", "/sim/orders/a/withdraw", 200, &one)
	do("POST", "/sim/orders/a/reset", 200, &one)
	if _, err := b.l.install(newCard(t, b.ca, 1), "CANARY"); err != nil {
		t.Fatal(err)
	}
	do("GET", "/sim/orders/a", 200, &one)
	var n smdpsim.Notifications
	do("GET", "/sim/notifications", 200, &n)
	if one.State != smdpsim.StateInstalled || len(one.Receipts) != 1 || one.Receipts[0].Event != smdpsim.EventInstall || n.Accepted != 1 {
		t.Errorf("%+v %+v", one, n)
	}
	// Without the setting there is nothing but ES9+.
	b = newBench(t, nil)
	if status, _, _ := b.l.raw("../../../sim/orders", nil); status != 404 {
		t.Errorf("HTTP %d", status)
	}
}

func TestParseFaults(t *testing.T) {
	plan, err := smdpsim.ParseFaults([]string{
		"getBoundProfilePackage=reply-lost", "getBoundProfilePackage=slow:1500ms@2", "authenticateClient=refuse:8.1/4.8@*",
		"cancelSession=server-error:502@3", "handleNotification=server-error-after", "initiateAuthentication=wrong-signature",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		point   smdpsim.Point
		attempt int
		kind    smdpsim.FaultKind
	}{
		{smdpsim.GetBoundProfilePackage, 1, smdpsim.FaultReplyLost},
		{smdpsim.GetBoundProfilePackage, 2, smdpsim.FaultSlow},
		{smdpsim.GetBoundProfilePackage, 3, smdpsim.FaultNone},
		{smdpsim.AuthenticateClient, 7, smdpsim.FaultRefuse},
		{smdpsim.CancelSession, 1, smdpsim.FaultNone},
		{smdpsim.CancelSession, 3, smdpsim.FaultServerError},
		{smdpsim.HandleNotification, 1, smdpsim.FaultServerErrorAfter},
		{smdpsim.InitiateAuthentication, 1, smdpsim.FaultWrongSignature},
	} {
		f := plan(smdpsim.FaultPoint{Point: c.point, Attempt: c.attempt})
		if f.Kind != c.kind || f.Kind == smdpsim.FaultSlow && f.Delay != 1500*time.Millisecond ||
			f.Kind == smdpsim.FaultServerError && f.HTTP != 502 || f.Kind == smdpsim.FaultRefuse && f.Status.Code() != "8.1/4.8" {
			t.Errorf("%+v: %+v", c, f)
		}
	}
	bad := []string{
		"", "x=slow", "cancelSession", "cancelSession=x", "cancelSession=slow", "cancelSession=slow:-1s", "cancelSession=refuse:8",
		"cancelSession=server-error:404", "cancelSession=reset:1", "cancelSession=reset@0", "cancelSession=reset@x",
	}
	if _, err := smdpsim.ParseFaults(bad); !errors.Is(err, smdpsim.ErrPlan) || strings.Count(err.Error(), "\n")+1 != len(bad) {
		t.Errorf("%v", err)
	}
}

func TestGeneratedProfiles(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range []int{0, 1, 2, 99, 1_000, 999_999_999} {
		g := smdpsim.GeneratedProfile(n)
		der, err := g.Package()
		if err != nil || !g.ICCID.LuhnValid() || len(g.ICCID) != 19 || seen[string(g.ICCID)] || len(der) > smdpsim.GenericSize {
			t.Errorf("%d: %s, %d bytes, %v", n, g.ICCID, len(der), err)
		}
		seen[string(g.ICCID)] = true
	}
}
