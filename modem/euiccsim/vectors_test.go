package euiccsim_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/euiccsim/saip"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

func vectors(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("LINEFIT_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("independent test vectors are not there: %v", err)
	}
	return dir
}

func vector(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectors(t), name))
	if err != nil {
		t.Skipf("independent test vectors are not there: %v", err)
	}
	return b
}

// published is a card with the published SGP.26 test certificates.
func published(t testing.TB) *euiccsim.Card {
	t.Helper()
	m, err := testpki.LoadCard(filepath.Join(vectors(t), "sgp26"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := euiccsim.New(euiccsim.Options{PKI: m.Given, Image: &euiccsim.MemoryImage{}})
	if err != nil {
		t.Fatal(err)
	}
	c.Reset()
	return c
}

// fromFile makes a download of a published profile, with the metadata that its
// header and files call for.
func fromFile(t testing.TB, c *euiccsim.Card, name string) *dp {
	t.Helper()
	b := vector(t, filepath.Join("ts48", name))
	p, err := saip.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	d := newDP(t, c)
	d.profile = b
	d.metadata = metadata(hex.EncodeToString(p.Header.ICCID), wire.TLV(0x95, []byte{0}), wire.TLV(0xB7, wire.TLV(0x80, hexBytes("00F110"))))
	return d
}

func TestPublishedProfilesInstall(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectors(t), "ts48", "*.der"))
	if err != nil || len(files) == 0 {
		t.Skip("independent test vectors are not there: no profiles")
	}
	c := newCard(t, nil)
	size, seen := 0, map[string]bool{}
	for _, path := range files {
		name := filepath.Base(path)
		d := fromFile(t, c, name)
		o := d.download()
		iccid := hex.EncodeToString(d.metadata[5:15])
		if seen[iccid] {
			if o.ok || o.reason != 9 {
				t.Errorf("%s, a second copy: %+v", name, o)
			}
			continue
		}
		seen[iccid] = true
		if !o.ok {
			t.Errorf("%s: command %d, reason %d", name, o.command, o.reason)
			continue
		}
		size += len(d.profile) + len(d.metadata)
		if used := c.State().UsedNVM; used != size {
			t.Errorf("%s: %d bytes used, want %d", name, used, size)
		}
		change(t, c, 0xBF31, byICCID(iccid), 0)
		exchange(t, c, "00A4000C022FE2")
		if got := exchange(t, c, "00B000000A"); got != strings.ToUpper(iccid)+"9000" {
			t.Errorf("%s: EF_ICCID %s", name, got)
		}
		exchange(t, c, "00A4040C07A0000000871002")
		exchange(t, c, "00A4000C026F07")
		if got := exchange(t, c, "00B0000009"); !strings.HasPrefix(got, "0809101010") || !strings.HasSuffix(got, "9000") {
			t.Errorf("%s: EF_IMSI %s", name, got)
		}
	}
	if len(seen) < 9 {
		t.Errorf("%d different profiles", len(seen))
	}
}

// The recorded exchanges of a real card, sent again: the virtual card answers
// with the same status words and elements.
func TestRecordedCards(t *testing.T) {
	for _, name := range []string{"omnikey-info", "omnikey-enable", "omnikey-profiles", "omnikey-notifications"} {
		t.Run(name, func(t *testing.T) {
			c := published(t)
			if name == "omnikey-enable" {
				c = newCard(t, nil)
				if o := fromFile(t, c, "TS48v7_SAIP2.3_NoBERTLV.der").download(); !o.ok {
					t.Fatalf("%+v", o)
				}
				c.Reset()
			}
			replay(t, c, string(vector(t, "cards/"+name+".log")), name)
		})
	}
}

func replay(t *testing.T, c *euiccsim.Card, log, name string) {
	t.Helper()
	var got []byte
	pending := 0
	for _, line := range strings.Split(log, "\n") {
		direction, text, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || direction != ">" && direction != "<" {
			continue
		}
		if direction == ">" {
			apdu := hexBytes(text)
			if apdu[1] == wire.InsGetResponse {
				apdu[4] = byte(pending) // this card's answers are as long as they are
			}
			got, _ = c.Transmit(apdu)
			continue
		}
		want, err := wire.ParseResponse(hexBytes(text))
		if err != nil {
			t.Fatal(err)
		}
		r, err := wire.ParseResponse(got)
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := r.SW.More(); ok {
			pending = n
		}
		if r.SW>>8 != want.SW>>8 {
			t.Errorf("%v, the real card said %v", r.SW, want.SW)
		}
		if len(want.Data) > 0 && name != "omnikey-notifications" {
			sameElements(t, r.Data, want.Data)
		}
	}
}

// sameElements checks that every element of the real card's answer is there.
func sameElements(t *testing.T, got, want []byte) {
	t.Helper()
	a, err := wire.Parse(got)
	if err != nil {
		t.Fatalf("%X: %v", got, err)
	}
	b, err := wire.Parse(want)
	if err != nil {
		t.Fatal(err)
	}
	if a.Tag != b.Tag {
		t.Errorf("%v, the real card gave %v", a.Tag, b.Tag)
	}
	list, err := b.Children()
	if err != nil || !b.Tag.Constructed() {
		return
	}
	for _, e := range list {
		if e.Tag == 0x99 {
			continue // forbiddenProfilePolicyRules is optional
		}
		if _, ok := a.Find(e.Tag); !ok {
			t.Errorf("%v / %v is missing", b.Tag, e.Tag)
		}
	}
}
