package simtest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/station"
	"linefit/station/sim/simtest"
	"linefit/station/stock"
)

// TestCodesFromTheMESShowNowhere: what the MES hands out is in its own answer and
// sealed in the vault, and nowhere else: not in the log, the store, what the
// process says, the views, what the MES is told, or why a code was refused.
func TestCodesFromTheMESShowNowhere(t *testing.T) {
	const match, confirm = "CANARY-MES-MATCH", "CANARY.MES.CONFIRM"
	var mu sync.Mutex
	var seen bytes.Buffer
	see := func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		seen.Write(b)
		seen.WriteByte('\n')
	}
	synctest.Test(t, func(t *testing.T) {
		var logs bytes.Buffer
		l := simtest.New(t, simtest.Options{
			Units: 7, Slots: 7, MESCodes: true, Logs: &logs, MESBreaks: "at '/profile/activation_code': got number, want string",
			Order: func(n int, o *smdpsim.Order) {
				o.MatchingID = smdpsim.MatchingID(fmt.Sprintf("%s-%d", match, n))
				o.ConfirmationCode = smdpsim.ConfirmationCode(confirm)
			},
			Wire: func(path string, request, _ []byte) {
				if strings.HasPrefix(path, "/v1/") {
					see(request)
				}
			},
			Profile: func(unit station.Serial, _ ident.ICCID) map[string]any {
				out := map[string]any{"confirmation_code": confirm}
				switch unit {
				case "LF000002":
					out["ref"] = match + "-1"
				case "LF000003":
					out["activation_code"] = 17 // no text: the whole answer is not understood
				case "LF000004":
					out["activation_code"] = "LPA:1$smdp.linefit.test/" + match + "$x"
				case "LF000005":
					out["confirmation_code"] = confirm + strings.Repeat("X", 300)
				case "LF000006":
					out["confirmation_code"] = confirm + "-WRONG"
				}
				return out
			},
		})
		good := 0
		for slot := 1; slot <= 7; slot++ {
			if slot == 3 { // no decision, however often it is asked
				u := l.Next(slot)
				see(fmt.Append(nil, l.Do(station.Command{Kind: station.CmdScan, Slot: slot, Text: u.Label})))
				continue
			}
			r := l.RunUnit(slot)
			see(fmt.Appendf(nil, "%+v", r.Refused))
			if r.Run != nil && r.Verdict.Verdict == station.Pass {
				good++
			}
		}
		if good != 2 {
			t.Errorf("%d units passed", good)
		}
		l.Drain()
		for _, e := range l.Entries() {
			see(e.Data)
		}
		list, err := l.Station.Room().List(stock.Filter{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []any{l.Station.View(), list} {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			see(b)
			see(fmt.Appendf(nil, "%+v", v))
		}
		l.Reopen()
		mu.Lock()
		seen.Write(logs.Bytes())
		mu.Unlock()
		for _, dir := range []string{"segments", "vault", "badger", "recipes"} {
			err := filepath.WalkDir(filepath.Join(l.Dir, dir), func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				b, err := os.ReadFile(path)
				see(b)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	all := bytes.ToUpper(seen.Bytes())
	for _, secret := range []string{match, confirm} {
		if at := bytes.Index(all, []byte(secret)); at >= 0 {
			t.Errorf("%s is shown: …%q…", secret, seen.Bytes()[max(0, at-200):min(at+80, len(all))])
		}
	}
	if !bytes.Contains(all, []byte("ISSUE-00001")) {
		t.Error("the ref is nowhere: the places were not looked at")
	}
}
