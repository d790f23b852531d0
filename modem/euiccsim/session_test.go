package euiccsim_test

import (
	"bytes"
	"crypto/ecdh"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"linefit/modem/euiccsim"
	"linefit/modem/smdpsim/bsp"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

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
