package euiccsim_test

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"linefit/modem/euiccsim"
	"linefit/modem/euiccsim/saip"
	"linefit/modem/smdpsim/bsp"
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

// A session of an independent SM-DP+ and eUICC: their signatures hold under
// the checks that the virtual card makes, and their package opens.
func TestIndependentSession(t *testing.T) {
	parse := func(name string, tag wire.Tag) wire.Node {
		n, err := wire.ParseTag(vector(t, "session/"+name+".der"), tag)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	find := func(n wire.Node, path ...wire.Tag) wire.Node {
		found, err := n.Need(path...)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	m, err := testpki.LoadCard(filepath.Join(vectors(t), "sgp26"))
	if err != nil {
		t.Fatal(err)
	}
	initiate := parse("initiate-response", 0x30)
	list, err := initiate.Children()
	if err != nil {
		t.Fatal(err)
	}
	auth, _, err := testpki.VerifyServer(list[4].Raw, testpki.RoleDPAuth, m.CIs, time.Time{})
	if err != nil || !testpki.Verify(testpki.Key(auth.PublicKey), list[2].Value, list[1].Raw) {
		t.Fatalf("serverSignature1: %v", err)
	}
	answer := find(parse("auth-server-response", 0xBF38), 0xA0)
	parts, err := answer.Children()
	if err != nil {
		t.Fatal(err)
	}
	chain, err := testpki.VerifyCard(parts[2].Raw, parts[3].Raw, m.CIs, time.Time{})
	if err != nil || chain.EID != m.Given.EID || !testpki.Verify(chain.CardKey, parts[1].Value, parts[0].Raw) {
		t.Fatalf("euiccSignature1: %v", err)
	}
	second := find(parse("authenticate-response", 0xBF3B), 0xA0)
	signed2, signature2 := find(second, 0x30), find(second, 0x5F37)
	all, err := second.Children()
	if err != nil {
		t.Fatal(err)
	}
	pb, _, err := testpki.VerifyServer(all[4].Raw, testpki.RoleDPPB, m.CIs, time.Time{})
	if err != nil || !testpki.Verify(testpki.Key(pb.PublicKey), signature2.Value, signed2.Raw, parts[1].Raw) {
		t.Fatalf("smdpSignature2: %v", err)
	}
	prepared := find(parse("prepare-download-response", 0xBF21), 0xA0)
	if !testpki.Verify(chain.CardKey, find(prepared, 0x5F37).Value, find(prepared, 0x30).Raw, signature2.Raw) {
		t.Fatal("euiccSignature2")
	}
	pir := parse("pending-notification", 0xBF37)
	if !testpki.Verify(chain.CardKey, find(pir, 0x5F37).Value, find(pir, 0xBF27).Raw) {
		t.Fatal("euiccSignPIR")
	}
	openIndependentPackage(t, parse("bound-profile-package", 0xBF36), find(prepared, 0x30, 0x5F49), find(signed2, 0x80).Value, pb.PublicKey)
}

func openIndependentPackage(t *testing.T, bpp, otPK wire.Node, id []byte, pb any) {
	t.Helper()
	sequences, err := bpp.Children()
	if err != nil {
		t.Fatal(err)
	}
	isc := sequences[0]
	signature, err := isc.Need(0x5F37)
	if err != nil || !testpki.Verify(testpki.Key(pb), signature.Value, isc.Value[:len(isc.Value)-len(signature.Raw)], otPK.Raw) {
		t.Fatalf("smdpSign: %v", err)
	}
	own, err := ecdh.P256().NewPrivateKey(vector(t, "session/otsk-dp.bin"))
	if err != nil {
		t.Fatal(err)
	}
	template, err := isc.Need(0xA6)
	if err != nil {
		t.Fatal(err)
	}
	crt, err := bsp.ParseCRT(template)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := bsp.Agree(own, otPK.Value, crt, hexBytes(testEID))
	if err != nil {
		t.Fatal(err)
	}
	c := published(t)
	euiccsim.ContinueLoad(c, keys, id, len(bpp.Value)-len(isc.Raw))
	call(t, c, sequences[1].Raw)                                                  // A0 with its 87
	call(t, c, sequences[2].Raw[:sequences[2].Header()])                          // A1
	call(t, c, sequences[2].Value)                                                // 88
	call(t, c, sequences[3].Raw[:sequences[3].Header()])                          // A3
	n, err := wire.ParseTag(call(t, c, slices.Clone(sequences[3].Value)), 0xBF37) // 86
	if err != nil {
		t.Fatal(err)
	}
	// The fixture in place of a profile is no SAIP package: it is refused as an
	// element, after every MAC held.
	about, _ := n.Find(0xBF27, 0xBF2F, 0x5A)
	reason, ok := n.Find(0xBF27, 0xA2, 0xA1, 0x81)
	if !ok || reason.Value[0] != 12 || !bytes.Equal(about.Value, hexBytes(iccidA)) {
		t.Errorf("%X", n.Raw)
	}
}
