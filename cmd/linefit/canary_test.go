package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"linefit/audit"
	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/rework"
	"linefit/station"
	"linefit/station/mes"
	"linefit/station/plant"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
	"linefit/station/stock"
)

// spy gathers the secrets of a line and everything that leaves its station.
type spy struct {
	mu       sync.Mutex
	canaries []canary
	packages [][]byte
	sights   []sight
	logs     bytes.Buffer
}

func (s *spy) hide(name string, secret []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.canaries = append(s.canaries, canary{name, bytes.Clone(secret)})
}

func (s *spy) see(name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sights = append(s.sights, sight{name, bytes.Clone(data)})
}

// Write takes the station's log lines.
func (s *spy) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logs.Write(b)
}

// order gives every order canaries of its own.
func (s *spy) order(n int, o *smdpsim.Order) {
	o.MatchingID = smdpsim.MatchingID(fmt.Sprintf("CANARY-MATCH-%02d-Q7X", n))
	o.ConfirmationCode = smdpsim.ConfirmationCode(fmt.Sprintf("CANARY.CONFIRM.%02d", n))
	imsi := fmt.Sprintf("00101%02d98273645", n)
	o.Generic.IMSI, _ = ident.ParseIMSI(imsi)
	s.hide(fmt.Sprintf("matching id %d", n), []byte(o.MatchingID.Reveal()))
	s.hide(fmt.Sprintf("confirmation code %d", n), []byte(o.ConfirmationCode.Reveal()))
	s.hide(fmt.Sprintf("IMSI %d", n), []byte(imsi))
	if p, err := o.Generic.Package(); err == nil {
		s.packages = append(s.packages, p)
	}
}

// wire hides what a bound package has of its own, and sees what the MES is told.
func (s *spy) wire(path string, request, reply []byte) {
	var m struct {
		BPP string `json:"boundProfilePackage"`
	}
	switch {
	case strings.HasSuffix(path, "getBoundProfilePackage") && json.Unmarshal(reply, &m) == nil && m.BPP != "":
		if b, err := base64.StdEncoding.DecodeString(m.BPP); err == nil {
			s.windows("bound package", b[len(b)/2:], nil)
		}
	case strings.HasPrefix(path, "/v1/"):
		s.see("to the MES "+path, request)
	}
}

// windows hides parts of a secret that nothing else has.
func (s *spy) windows(name string, b []byte, others [][]byte) {
	for n, from := 0, 0; from+20 <= len(b) && n < 4; from += max(20, len(b)/8) {
		w := b[from : from+20]
		distinct := map[byte]bool{}
		for _, c := range w {
			distinct[c] = true
		}
		common := false
		for _, o := range others {
			common = common || bytes.Contains(o, w)
		}
		if len(distinct) > 14 && !common {
			s.hide(fmt.Sprintf("%s, bytes %d to %d", name, from, from+20), w)
			n++
		}
	}
}

// keysOf hides the keys and PINs of every profile package: what two packages do
// not share, byte by byte.
func (s *spy) keysOf() {
	for i, p := range s.packages {
		other := s.packages[(i+1)%len(s.packages)]
		for from, n := 0, 0; from+16 <= min(len(p), len(other)) && n < 4; from++ {
			differ := 0
			for k := range 16 {
				if p[from+k] != other[from+k] {
					differ++
				}
			}
			if differ >= 15 {
				s.hide(fmt.Sprintf("profile package %d, bytes %d to %d", i, from, from+16), p[from:from+16])
				n++
				from += 15
			}
		}
	}
}

const apiToken = "CANARY-token-5up3r-9f2c71"

// TestNoSecretLeaves pushes secrets through every path of the product and
// searches everything that leaves it, and the store without the vault's key.
func TestNoSecretLeaves(t *testing.T) {
	s := &spy{}
	key, private, err := audit.NewKey("linefit.test/canary")
	if err != nil {
		t.Fatal(err)
	}
	s.hide("audit key", []byte(strings.SplitN(private, "+", 5)[4])) // PRIVATE+KEY+name+hash+key; a key may have a + of its own
	s.hide("API token", []byte(apiToken))
	dir := filepath.Join(t.TempDir(), "store")
	vaultKey := dir + ".vault.key"
	var views []station.View
	synctest.Test(t, func(t *testing.T) { views = s.shift(t, key, dir, vaultKey) })
	s.keysOf()
	raw, err := os.ReadFile(vaultKey)
	if err != nil {
		t.Fatal(err)
	}
	s.hide("vault key", bytes.TrimSpace(raw))
	s.screens(t, views)
	s.commands(t, dir, vaultKey)
	s.see("log lines", s.logs.Bytes())
	s.sights = append(s.sights, folder(t, "store", dir)...)
	for _, f := range find(s.canaries, s.sights) {
		t.Error(f)
	}
	s.control(t)
	t.Logf("%d secrets, %d places", len(s.canaries), len(s.sights))
}

// control: what a person wrote as a remark is seen wherever remarks belong, so
// that those places were really looked at.
func (s *spy) control(t *testing.T) {
	where := find([]canary{{"remark", []byte(remark)}}, s.sights)
	for _, want := range []string{"store:segments", "audit export --format jsonl", "audit export --format csv", "audit export --format tiles", "audit show", "GET /v1/rework/LF000003", "GET /v1/audit", "to the MES"} {
		if !strings.Contains(strings.Join(where, "\n"), want) {
			t.Errorf("the remark is not seen in %q, only in %v", want, where)
		}
	}
	if len(s.canaries) < 40 || len(s.sights) < 60 {
		t.Errorf("%d secrets, %d places", len(s.canaries), len(s.sights))
	}
}

const remark = "REMARK-cold-joint-4417"

// shift runs units that pass, fail, are refused, are cancelled and repaired.
func (s *spy) shift(t *testing.T, key audit.Key, dir, vaultKey string) (views []station.View) {
	l := simtest.New(t, simtest.Options{
		Units: 8, Key: key, Order: s.order, Wire: s.wire, Logs: s,
		Code: func(n int, row []string) bool {
			row[2] = fmt.Sprintf("CANARY.CONFIRM.%02d", n)
			if n == 1 {
				row[2] = "CANARY.WRONG.9"
			}
			return true
		},
		Card: func(u sim.UnitState, c *euiccsim.Options) {
			switch u.Serial {
			case "LF000003":
				c.Faults[euiccsim.FaultLoadElement] = 1
			case "LF000004":
				c.Faults[euiccsim.FaultStateLost] = -1
			}
		},
	})
	s.hide("wrong confirmation code", []byte("CANARY.WRONG.9"))
	for n := range 8 {
		switch n {
		case 4:
			l.Fault(simtest.Load(7), simtest.Lost)
		case 5:
			l.Fault(simtest.Load(7), simtest.KilledAfter)
		case 6:
			l.Fault(simtest.Server(smdpsim.AuthenticateClient), simtest.Lost)
		case 7:
			l.FaultAlways(simtest.Server(smdpsim.HandleNotification), simtest.Failed) // pending at the end
			s.pending(t, l)
			continue
		}
		r := l.RunUnit(1)
		views = append(views, l.Station.View())
		if n == 3 {
			l.Allow(r.Unit, r.Disposition.Disposition)
		}
	}
	by := rework.Person{Actor: "tech-1", Role: rework.RoleQA}
	if _, err := l.Station.Desk.Claim(t.Context(), by, "LF000003"); err == nil {
		if _, err := l.Station.Desk.Repair(t.Context(), by, "LF000003", remark, "reflowed"); err != nil {
			t.Error(err)
		}
	} else {
		t.Error(err)
	}
	s.api(t, l.Station.Plant)
	if err := l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: "LPA:1$smdp.linefit.test$CANARY-MATCH-05-Q7X"}); err == nil {
		t.Error("a code was taken as a label")
	} else {
		s.see("refusal of a scan", fmt.Appendf(nil, "%v %+v", err, err))
	}
	views = append(views, l.Station.View())
	l.Reopen() // everything that was acknowledged is in its files
	s.keep(t, l, dir, vaultKey)
	return views
}

// pending lets the last unit leave while its notifications wait.
func (s *spy) pending(t *testing.T, l *simtest.Line) {
	u := l.Next(1)
	if err := l.Do(station.Command{Kind: station.CmdScan, Slot: 1, Text: u.Label}); err != nil {
		t.Fatal(err)
	}
	v := l.Wait(1, func(v station.SlotView) bool { return v.Waiting == station.WaitRemoval || v.Waiting == station.WaitBin })
	s.see("a slot", []byte(fmt.Sprintf("%+v", v)))
	if l.Station.Notify.Pending() == 0 {
		t.Error("no notification waits")
	}
}

// keep copies the store, without the world beside it.
func (s *spy) keep(t *testing.T, l *simtest.Line, dir, vaultKey string) {
	if err := os.CopyFS(dir, os.DirFS(l.Dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "sim", "vault.key"), vaultKey); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "sim", "mes.json")); err != nil {
		t.Fatal(err)
	} else {
		s.see("what the MES has", b)
	}
	if err := os.RemoveAll(filepath.Join(dir, "sim")); err != nil {
		t.Fatal(err)
	}
}

// api asks the station for everything, and for what it refuses.
func (s *spy) api(t *testing.T, pl *plant.Plant) {
	opt := serverOptions(pl)
	opt.ReadToken = true
	opt.Tokens = []mes.Token{{Name: "mes", Secret: stock.NewSecret([]byte(apiToken))}}
	server, err := mes.NewServer(opt)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, token, body string) []byte {
		r := httptest.NewRequestWithContext(t.Context(), method, "http://localhost"+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", fmt.Sprintf("key-%d", len(s.sights)))
		w := httptest.NewRecorder()
		server.Remote().ServeHTTP(w, r)
		s.see(fmt.Sprintf("%s %s: %d", method, path, w.Code), fmt.Appendf(w.Body.Bytes(), "%v", w.Header()))
		return w.Body.Bytes()
	}
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(ask(http.MethodGet, "/openapi.json", apiToken, ""), &doc); err != nil || len(doc.Paths) < 20 {
		t.Fatalf("%d paths, %v", len(doc.Paths), err)
	}
	fill := strings.NewReplacer("{slot}", "1", "{ticket}", "LF000003", "{id}", "LF000003", "{unit}", "LF000003", "{serial}", "LF000003")
	for path, ops := range doc.Paths {
		if _, ok := ops["get"]; ok && path != "/v1/stream" {
			ask(http.MethodGet, fill.Replace(path), apiToken, "")
			ask(http.MethodGet, fill.Replace(path), apiToken+"x", "")
		}
		if _, ok := ops["post"]; ok && !strings.Contains(path, "halt") {
			ask(http.MethodPost, fill.Replace(path), apiToken, `{"text":"LPA:1$smdp.linefit.test$CANARY-MATCH-05-Q7X","unit":"LPA:1$smdp.linefit.test$CANARY-MATCH-06-Q7X","slot":1,"list":"CANARY-MATCH-05-Q7X"}`)
		}
	}
	for after := 0; after < int(pl.Log.Last()); after += 100 {
		ask(http.MethodGet, fmt.Sprintf("/v1/audit?after=%d&limit=100", after), apiToken, "")
	}
	ask(http.MethodGet, "/metrics", apiToken, "")
	for _, list := range []string{"batch,activation_code\nX,LPA:1$smdp.linefit.test$CANARY-MATCH-05-Q7X\nX,CANARY-MATCH-05-Q7X\n", "{}"} {
		body, err := json.Marshal(map[string]string{"name": "codes.csv", "data": list})
		if err != nil {
			t.Fatal(err)
		}
		if answer := ask(http.MethodPost, "/v1/stock/import", apiToken, string(body)); bytes.Contains(answer, []byte("unexpected property")) || bytes.Contains(answer, []byte("imported\":1")) {
			t.Errorf("import: %s", answer)
		}
	}
}
