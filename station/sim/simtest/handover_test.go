package simtest_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/modem/euiccsim"
	"linefit/station/eim"
	"linefit/station/handover"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
	"linefit/station/stock"
)

// vaulted opens a line's vault as handover does.
type vaulted struct{ v *stock.VaultReader }

func (o vaulted) Association(handle string) (eim.Association, error) {
	s, err := o.v.Get(stock.KindToken, handle)
	if err != nil {
		return eim.Association{}, err
	}
	return eim.ParseAssociation(s.Reveal())
}

func (o vaulted) Result(string) (string, error) { return "", errors.New("none") }

func openVaulted(t *testing.T, l *simtest.Line) vaulted {
	t.Helper()
	v, err := stock.ReadVault(t.Context(), filepath.Join(l.Dir, "vault"), stock.KeyFile{Path: filepath.Join(l.Dir, "sim", "vault.key")})
	if err != nil {
		t.Fatal(err)
	}
	return vaulted{v}
}

func collect(t *testing.T, l *simtest.Line) *handover.Collector {
	t.Helper()
	c := handover.NewCollector(time.Time{}, time.Time{})
	for _, e := range l.Entries() {
		if err := c.See(e); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// tokensOf are the association tokens that the units' cards gave.
func tokensOf(t *testing.T, l *simtest.Line) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for _, u := range l.World.Units() {
		s, err := euiccsim.ReadState(euiccsim.FileImage(filepath.Join(l.Dir, "sim", "cards", string(u.EID)+".card")))
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range s.Tokens {
			out[string(u.EID)] = token
		}
	}
	return out
}

// TestHandover: the operator of the eIM gets the token that the card gave,
// whatever happened on the way, and nothing of it lies anywhere but sealed.
func TestHandover(t *testing.T) {
	for _, c := range []struct {
		name string
		at   simtest.Point
		how  simtest.How
	}{
		{"nothing", "", ""},
		{"answer lost", simtest.Card("AddInitialEim"), simtest.AnswerLost},
		{"killed before it was kept", simtest.Card("AddInitialEim"), simtest.KilledAfter},
		{"trace of a failed read-back", simtest.Card("GetCerts"), simtest.Failed},
		{"power lost behind it", simtest.Card("AddInitialEim"), simtest.PowerAfter},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := simtest.New(t, simtest.Options{Recipe: simtest.Recipe(t, "iot"), Units: 2, Card: func(_ sim.UnitState, o *euiccsim.Options) { o.ES10cOnIoT = true }})
				if c.at != "" {
					l.Fault(c.at, c.how)
				}
				l.RunUnit(1)
				l.RunUnit(1)
				if c.at != "" && l.Struck() != 1 {
					t.Fatalf("struck %d times", l.Struck())
				}
				l.Check()
				handedOver(t, l)
			})
		})
	}
}

func handedOver(t *testing.T, l *simtest.Line) {
	t.Helper()
	columns, err := handover.ParseColumns([]string{"EID=eid", "IMEI=imei", "ICCID=iccid", "Token=association_token", "Counter=counter", "CERT.EUICC=euicc_certificate"})
	if err != nil {
		t.Fatal(err)
	}
	table, err := collect(t, l).Table("eim.linefit.test", columns, openVaulted(t, l))
	if err != nil {
		t.Fatal(err)
	}
	var csv bytes.Buffer
	if err := table.WriteCSV(&csv); err != nil {
		t.Fatal(err)
	}
	tokens := tokensOf(t, l)
	if len(tokens) != 2 || table.Units != 2 || table.Secrets != 2 || len(table.LeftOut) != 0 {
		t.Fatalf("tokens of %d cards; %d units, %d secrets, left out %v", len(tokens), table.Units, table.Secrets, table.LeftOut)
	}
	for _, u := range l.World.Units() {
		want := string(u.EID) + "," + string(u.IMEI) + ","
		if !strings.Contains(csv.String(), want) || !strings.Contains(csv.String(), ","+strconv.FormatInt(tokens[string(u.EID)], 10)+",0,MII") {
			t.Errorf("%s is not in the list as its card says (token %d):\n%s", u.EID, tokens[string(u.EID)], csv.String())
		}
	}
	for _, token := range tokens {
		canary(t, l.Dir, token)
	}
}

// canary looks for a token in whatever the station has written, as a number, in
// bytes and in hexadecimal. The virtual world beside it is not the station's.
func canary(t *testing.T, dir string, token int64) {
	t.Helper()
	raw := bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, uint64(token)), "\x00")
	text := hex.EncodeToString(raw)
	needles := [][]byte{[]byte(strconv.FormatInt(token, 10)), raw, []byte(text), []byte(strings.ToUpper(text))}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.Name() == "sim" {
				return fs.SkipDir
			}
			return err
		}
		data, err := os.ReadFile(path)
		files++
		for _, n := range needles {
			if bytes.Contains(data, n) {
				t.Errorf("%s has the association token in clear", path)
			}
		}
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("%d files, %v", files, err)
	}
}

// Only what has shipped is handed over, and nobody gets another eIM's units.
func TestHandoverLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := simtest.New(t, simtest.Options{Recipe: simtest.Recipe(t, "fleet"), Fleet: sim.FleetOf([]string{"sgp22", "sgp32", "sgp02"}), Units: 6, Card: func(u sim.UnitState, o *euiccsim.Options) {
			if u.Generation == euiccsim.SGP32 && u.Serial == "LF000005" {
				o.Faults[euiccsim.FaultStateLost] = -1
			}
		}})
		for range 6 {
			l.RunUnit(1)
		}
		c := collect(t, l)
		columns, err := handover.ParseColumns(handover.DefaultColumns)
		if err != nil {
			t.Fatal(err)
		}
		table, err := c.Table("eim.linefit.test", columns, openVaulted(t, l))
		if err != nil || table.Units != 1 || len(table.LeftOut) != 1 || table.LeftOut[0].Unit != "LF000005" {
			t.Errorf("%d units, left out %v, %v", table.Units, table.LeftOut, err)
		}
		if other, err := c.Table("another.eim", columns, openVaulted(t, l)); err != nil || other.Units != 0 || other.Secrets != 0 {
			t.Errorf("%+v, %v", other, err)
		}
		// An eIM's token that is gone is an error and no half list.
		vault := l.Station.Ledger.Vault()
		handles, err := vault.List(stock.KindToken)
		if err != nil || len(handles) == 0 {
			t.Fatal(err)
		}
		for _, h := range handles {
			if err := vault.Delete(stock.KindToken, h.Handle); err != nil {
				t.Fatal(err)
			}
		}
		if table, err := c.Table("eim.linefit.test", columns, openVaulted(t, l)); !errors.Is(err, stock.ErrNoItem) || table.Units != 0 {
			t.Errorf("%+v, %v", table, err)
		}
	})
}

func TestHandoverColumns(t *testing.T) {
	_, err := handover.ParseColumns([]string{"EID=eid", "EID=imei", "x=nothing", "=eid"})
	for _, want := range []string{`heading "EID" is there twice`, `field "nothing" is not known; known are eid, imei`, `column "=eid" has no heading`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	// A field for every name of the record that an operator may need.
	names, docs := handover.Fields()
	page, err := os.ReadFile("../../../docs/iot.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range names {
		if docs[i] == "" || !strings.Contains(string(page), "`"+n+"`") {
			t.Errorf("field %s (%s) is not in docs/iot.md", n, docs[i])
		}
	}
}
