package bsp_test

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"testing"

	"linefit/modem/smdpsim/bsp"
	"linefit/modem/wire"
)

func TestDeriveKnownAnswers(t *testing.T) {
	for _, c := range []struct{ secret, eid, mcv, enc, mac string }{
		{
			"8902dca391bbb22570fe60c176076246f568b1941265dff1d729e63039658089", "89049032123451234512345678901335",
			"734bc93ddb10c71c5ad13d420dc08b5b", "d782d575b22a38334556a3d9a1e2ae6b", "a35addc192ae8f934e2932116c7e89e7",
		},
		{
			"c9a993dd4879a8f7161f2085410edd4f9652f1df37be097ba96ba2ca6be528fe", "89049032123451234512345678901235",
			"406d507b448a699e7a36a38494debbde", "472f5bfadd97f21d34f3ce9b51b92751", "9ec07f5b36a13e12a991d66e294e6242",
		},
	} {
		got, err := bsp.Derive(unhex(t, c.secret), crt(bytes.Repeat([]byte{0x80}, 8)), unhex(t, c.eid))
		if err != nil || got != keys(t, c.mcv, c.enc, c.mac) {
			t.Errorf("EID %s: other keys, %v", c.eid, err)
		}
	}
}

func TestSessionKnownAnswers(t *testing.T) {
	k := keys(t, "406d507b448a699e7a36a38494debbde", "472f5bfadd97f21d34f3ce9b51b92751", "9ec07f5b36a13e12a991d66e294e6242")
	metadata := unhex(t, "bf252d5a0a98001032547698103214910947534d415f54455354921147534d415f544553545f50524f46494c45950100")
	replace := unhex(t, "bf26368010000102030405060708090a0b0c0d0e0f8110010102030405060708090a0b0c0d0e0f8210020102030405060708090a0b0c0d0e0f")
	want := []string{
		"8718f6fe031e4b9cfe87c8e1e62f3fde85c49412d7722a6a2d89",
		"8838bf252d5a0a98001032547698103214910947534d415f54455354921147534d415f544553545f50524f46494c459501008a62cc9adbb5ccbc",
		"8748a14c800a001992351cd46ad2945654674369701d82b7b46567652bc8fbed234939fc57fba748015525fd6c651e9d3d1330652d42a0cfad950e912122af4ec5362d3c0bc535729c40",
	}
	s := bsp.New(k)
	isdp, err1 := s.Seal(0x87, unhex(t, "bf2400"))
	store, err2 := s.Authenticate(0x88, metadata)
	repl, err3 := s.Seal(0x87, replace)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for i, got := range [][]byte{isdp, store, repl} {
		if hex.EncodeToString(got) != want[i] {
			t.Errorf("segment %d is %x", i, got)
		}
	}
	ppk, err := bsp.ParseReplaceRequest(replace)
	if err != nil || !bytes.Equal(bsp.ReplaceRequest(ppk), replace) {
		t.Errorf("ReplaceSessionKeys did not survive: %v", err)
	}
}

func TestBoundProfilePackageOfAnotherServer(t *testing.T) {
	bpp, err := wire.ParseTag(vector(t, "session/bound-profile-package.der"), 0xBF36)
	if err != nil {
		t.Fatal(err)
	}
	prepare, err := wire.ParseTag(vector(t, "session/prepare-download-response.der"), 0xBF21)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := prepare.Need(0xA0, 0x30, 0x5F49)
	if err != nil {
		t.Fatal(err)
	}
	template, err := bpp.Need(0xBF23, 0xA6)
	if err != nil {
		t.Fatal(err)
	}
	host, err := bsp.ParseCRT(template)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(host.Bytes(), template.Raw) {
		t.Errorf("control reference template became %x", host.Bytes())
	}
	own, err := ecdh.P256().NewPrivateKey(vector(t, "session/otsk-dp.bin"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := bsp.Agree(own, peer.Value, host, unhex(t, "89049032123451234512345678901235"))
	if err != nil {
		t.Fatal(err)
	}

	receive, send := bsp.New(k), bsp.New(k)
	for _, part := range []struct {
		seq  wire.Tag
		tag  byte
		open func([]byte) ([]byte, error)
		seal func(byte, []byte) ([]byte, error)
		want []byte
	}{
		{0xA0, 0x87, receive.Open, send.Seal, unhex(t, "bf2400")},
		{0xA1, 0x88, receive.Verify, send.Authenticate, vector(t, "session/store-metadata.der")},
		{0xA3, 0x86, receive.Open, send.Seal, vector(t, "session/upp.der")},
	} {
		segment, err := bpp.Need(part.seq, wire.Tag(part.tag))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := part.open(segment.Raw)
		if err != nil || !bytes.Equal(plain, part.want) {
			t.Fatalf("%v held %x, %v", part.seq, plain, err)
		}
		again, err := part.seal(part.tag, plain)
		if err != nil || !bytes.Equal(again, segment.Raw) {
			t.Errorf("%v sealed again is %x, %v", part.seq, again, err)
		}
	}
}
