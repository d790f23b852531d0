package euicc_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/damonto/euicc-go/bertlv"
	sgp22 "github.com/damonto/euicc-go/v2"

	"linefit/modem/euicc"
	"linefit/modem/wire"
)

func issuer(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	ci, err := x509.ParseCertificate(read(t, "sgp26", name))
	if err != nil {
		t.Fatal(err)
	}
	return ci
}

// One session made by an independent SM-DP+ library: what we would send is what
// it got, and what the eUICC signed verifies over the bytes as received.
func TestSession(t *testing.T) {
	c, s := card(hex.EncodeToString(read(t, "session", "auth-server-response.der"))+"9000", hex.EncodeToString(read(t, "session", "prepare-download-response.der"))+"9000")
	initiate := read(t, "session", "initiate-response.der")
	n, err := wire.ParseTag(initiate, 0x30)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := n.Children() // transaction id, signed data, signature, key identifier, certificate
	if err != nil || len(parts) != 5 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	signed, err := euicc.ParseServerSigned1(parts[1].Raw)
	if err != nil || signed.Address != "smdp.example.com" || !bytes.Equal(signed.Challenge, read(t, "session", "euicc-challenge.bin")) || !bytes.Equal(signed.TransactionID, read(t, "session", "transaction-id.bin")) {
		t.Fatalf("%+v, %v", signed, err)
	}
	ctx, err := euicc.CtxParams1("", euicc.Device{TAC: "00000000"}, false)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := c.AuthenticateServer(t.Context(), euicc.ServerAuthentication{Signed1: parts[1].Raw, Signature1: parts[2].Raw, CIPKID: wire.TLV(0x04, parts[3].Value), Certificate: parts[4].Raw}, ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(auth.Raw, ctx) {
		t.Error("the eUICC signed other parameters than ours")
	}
	if !bytes.HasSuffix(s.requests[0], append(bytes.Clone(parts[4].Raw), ctx...)) {
		t.Error("the certificate was not passed on as received")
	}
	eid := unhex(t, "89049032123451234512345678901235")
	cert, err := auth.Verify([]*x509.Certificate{issuer(t, "ci-2017.der"), issuer(t, "ci.der")}, eid, time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	verifySession(t, c, auth, cert)
}

func verifySession(t *testing.T, c *euicc.Card, auth euicc.Authentication, cert *x509.Certificate) {
	t.Helper()
	answer, err := wire.ParseTag(read(t, "session", "authenticate-response.der"), 0xBF3B)
	if err != nil {
		t.Fatal(err)
	}
	ok, err := answer.Need(0xA0)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := ok.Children() // transaction id, metadata, signed data, signature, certificate
	if err != nil || len(parts) < 5 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	offer := euicc.DownloadOffer{Signed2: parts[2].Raw, Signature2: parts[3].Raw, Certificate: parts[4].Raw}
	if required, err := offer.ConfirmationCodeRequired(); err != nil || required {
		t.Errorf("confirmation code %v, %v", required, err)
	}
	prepared, err := c.PrepareDownload(t.Context(), offer, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := wire.Parse(prepared)
	signed, _ := n.Find(0xA0, 0x30)
	signature, _ := n.Find(0xA0, 0x5F37)
	if err := euicc.VerifySignature(cert, append(bytes.Clone(signed.Raw), offer.Signature2...), signature.Value); err != nil {
		t.Errorf("euiccSignature2: %v", err)
	}
	result, err := euicc.ParseInstallationResult(read(t, "session", "pending-notification.der"))
	if err != nil || !result.OK() {
		t.Fatalf("%+v, %v", result, err)
	}
	if err := result.Verify(cert); err != nil {
		t.Errorf("installation result: %v", err)
	}
	for i := range result.Data {
		forged := *result
		forged.Data = bytes.Clone(result.Data)
		forged.Data[i] ^= 1
		if err := forged.Verify(cert); !errors.Is(err, euicc.ErrSignature) {
			t.Fatalf("a result with bit %d flipped verifies: %v", i, err)
		}
	}
	if result.Notification.Address != "smdp.example.com" || result.SMDPOID != "2.999" {
		t.Errorf("%+v", result)
	}
	p, err := euicc.ParseBoundPackage(read(t, "session", "bound-profile-package.der"))
	if err != nil {
		t.Fatal(err)
	}
	m, has := p.Metadata()
	if !has || !bytes.Equal(m.Raw, read(t, "session", "store-metadata.der")) || !bytes.Equal(p.TransactionID(), auth.TransactionID) {
		t.Errorf("metadata in the package: %+v", m)
	}
}

func TestChainIsChecked(t *testing.T) {
	c, _ := card(hex.EncodeToString(read(t, "session", "auth-server-response.der")) + "9000")
	auth, err := c.AuthenticateServer(t.Context(), euicc.ServerAuthentication{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	eid := unhex(t, "89049032123451234512345678901235")
	for name, check := range map[string]func() error{
		"another issuer": func() error {
			other := issuer(t, "eum.der")
			_, err := auth.Verify([]*x509.Certificate{other}, eid, at)
			return err
		},
		"another EID": func() error { _, err := auth.Verify(nil, make([]byte, 16), at); return err },
		"expired":     func() error { _, err := auth.Verify(nil, eid, at.AddDate(100, 0, 0)); return err },
		"not yet":     func() error { _, err := auth.Verify(nil, eid, at.AddDate(-100, 0, 0)); return err },
		"another EUM": func() error {
			a := auth
			a.EUM = read(t, "sgp26", "dpauth.der")
			_, err := a.Verify(nil, eid, at)
			return err
		},
		"self as EUM": func() error { a := auth; a.EUM = a.Certificate; _, err := a.Verify(nil, eid, at); return err },
	} {
		if err := check(); !errors.Is(err, euicc.ErrChain) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := euicc.ParseCertificate([]byte{0x30, 0}); !errors.Is(err, euicc.ErrCertificate) {
		t.Error(err)
	}
}

func TestConfirmationHash(t *testing.T) {
	inner := sha256.Sum256([]byte("1234"))
	want := sha256.Sum256(append(inner[:], 1, 2, 3))
	if !bytes.Equal(euicc.ConfirmationHash("1234", []byte{1, 2, 3}), want[:]) {
		t.Error("wrong hash")
	}
	id, cc := []byte{9, 9}, "0042"
	signed2 := wire.TLV(0x30, wire.TLV(0x80, id), []byte{1, 1, 0xFF})
	var tlv bertlv.TLV
	if err := tlv.UnmarshalBinary(signed2); err != nil {
		t.Fatal(err)
	}
	oracle := sgp22.PrepareDownloadRequest{TransactionID: id, Signed2: &tlv, ConfirmationCode: []byte(cc)}
	if !bytes.Equal(oracle.HashedConfirmationCode(), euicc.ConfirmationHash(cc, id)) {
		t.Error("another library hashes differently")
	}
}

// The other library's segmentation agrees on operators' packages.
func TestSegmentationOracle(t *testing.T) {
	for _, n := range []string{"1", "2"} {
		raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.Join(strings.Fields(string(read(t, "bpp", "bpp@"+n+".txt"))), ""), "="))
		if err != nil {
			t.Fatal(err)
		}
		var tlv bertlv.TLV
		if err := tlv.UnmarshalBinary(raw); err != nil {
			t.Fatal(err)
		}
		want, err := sgp22.SegmentedBoundProfilePackage(&tlv)
		if err != nil {
			t.Fatal(err)
		}
		p, err := euicc.ParseBoundPackage(raw)
		if err != nil {
			t.Fatal(err)
		}
		if len(want) != len(p.Segments()) {
			t.Fatalf("%d and %d segments", len(want), len(p.Segments()))
		}
		for i := range want {
			if !bytes.Equal(want[i], p.Segments()[i]) {
				t.Errorf("segment %d differs", i)
			}
		}
	}
}

func TestInstallationResultOracle(t *testing.T) {
	for _, final := range [][]byte{
		wire.TLV(0xA0, wire.TLV(0x4F, []byte{1, 2, 3, 4, 5}), wire.TLV(0x04, []byte{0x30, 0})),
		wire.TLV(0xA1, wire.Integer(0x80, 5), wire.Integer(0x81, 9)),
		wire.TLV(0xA1, wire.Integer(0x80, 0), wire.Integer(0x81, 127)),
	} {
		raw := wire.TLV(0xBF37, wire.TLV(0xBF27, wire.TLV(0x80, []byte{1, 2}), wire.TLV(0xBF2F, wire.Integer(0x80, 200), wire.BitString(0x81, 0), wire.TLV(0x0C, []byte("dp.example")), wire.TLV(0x5A, unhex(t, "98001032547698103214"))), wire.TLV(0x06, []byte{0x88, 0x37, 0x0A}), wire.TLV(0xA2, final)), wire.TLV(0x5F37, make([]byte, 64)))
		r, err := euicc.ParseInstallationResult(raw)
		if err != nil {
			t.Fatal(err)
		}
		var tlv bertlv.TLV
		var oracle sgp22.LoadBoundProfilePackageResponse
		if err := tlv.UnmarshalBinary(raw); err != nil {
			t.Fatal(err)
		}
		if err := oracle.UnmarshalBERTLV(&tlv); err != nil {
			t.Fatal(err)
		}
		var failure *sgp22.LoadBoundProfilePackageError
		if errors.As(oracle.Valid(), &failure) != !r.OK() || !bytes.Equal(oracle.ISDPAID(), r.AID) || int64(oracle.Notification.SequenceNumber) != r.Notification.Sequence || oracle.Notification.Address != r.Notification.Address {
			t.Errorf("%+v and %+v", oracle, r)
		}
		if failure != nil && (int(failure.ErrorReason) != r.Failure.Reason || int(failure.BPPCommandID) != r.Failure.Command) {
			t.Errorf("%v and %v", failure, r.Failure)
		}
		if failure != nil && !strings.Contains(r.Failure.Error(), strings.TrimSpace(failure.String())) {
			t.Errorf("%q and %q", r.Failure.Error(), failure.String())
		}
	}
}

// FuzzDecode: no bytes of a card or server make a decoder panic, and what is
// decoded keeps the bytes as received.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"BF37", "BF2D02A000", "BF2881EDA0", "BF2009820302000" + "0A900AA00", "BF2203820302", "BF4305A003300080", "BF3103800105",
		"BF2705800101BF2F00A200", "BF361BBF2303010203A0048702AABBA1048802CCDDA30786021122860133", "BF2502" + "5A00", "3000",
		"BF38" + "08A106800101020101", "BF55" + "06A00430028001", "BF57" + "04A0028401", "BF2B03A0013000",
	} {
		if b, err := hex.DecodeString(s); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := euicc.ParseInstallationResult(b); err == nil && !bytes.Equal(r.Raw, b) {
			t.Fatal("installation result is not as received")
		}
		if p, err := euicc.ParsePending(b); err == nil && !bytes.Equal(p.Raw, b) {
			t.Fatal("notification is not as received")
		}
		if p, err := euicc.ParseBoundPackage(b); err == nil {
			var all []byte
			for _, s := range p.Segments() {
				all = append(all, s...)
			}
			if !bytes.Equal(all, b) {
				t.Fatal("the segments are not the package")
			}
			p.Metadata()
			p.APDUs(255)
		}
		_, _ = euicc.ParseMetadata(b)
		_, _ = euicc.ParseServerSigned1(b)
		if info, err := euicc.ParseInfo2(b); err == nil {
			_ = info.Generation()
		}
		_, _ = euicc.ParseInfo1(b)
		o := euicc.DownloadOffer{Signed2: b}
		_, _ = o.ConfirmationCodeRequired()
		_, _ = o.TransactionID()
		fuzzCard(t, b)
	})
}

func fuzzCard(t *testing.T, answer []byte) {
	for _, run := range []func(c *euicc.Card) error{
		func(c *euicc.Card) error { _, err := c.EID(t.Context()); return err },
		func(c *euicc.Card) error { _, err := c.Profiles(t.Context()); return err },
		func(c *euicc.Card) error { _, err := c.Notifications(t.Context()); return err },
		func(c *euicc.Card) error { _, err := c.Retrieve(t.Context(), 1); return err },
		func(c *euicc.Card) error { _, err := c.RAT(t.Context()); return err },
		func(c *euicc.Card) error { _, err := c.EIMs(t.Context()); return err },
		func(c *euicc.Card) error { _, err := c.AddInitialEIM(t.Context()); return err },
		func(c *euicc.Card) error { _, _, err := c.Certificates(t.Context()); return err },
		func(c *euicc.Card) error { _, err := c.ConnectivityParameters(t.Context()); return err },
		func(c *euicc.Card) error { _, err := c.Addresses(t.Context()); return err },
		func(c *euicc.Card) error {
			_, err := c.AuthenticateServer(t.Context(), euicc.ServerAuthentication{}, nil)
			return err
		},
		func(c *euicc.Card) error {
			_, err := c.PrepareDownload(t.Context(), euicc.DownloadOffer{}, nil)
			return err
		},
		func(c *euicc.Card) error { _, err := c.CancelSession(t.Context(), []byte{1}, 1); return err },
		func(c *euicc.Card) error { return c.IoTMemoryReset(t.Context(), 1) },
	} {
		raw := hex.EncodeToString(append(bytes.Clone(answer), 0x90, 0))
		c, _ := card(raw, raw)
		_ = run(c)
	}
}

func BenchmarkSegmentation(b *testing.B) {
	payload := bytes.Repeat([]byte{0x5A}, 1016)
	var sequence []byte
	for range 13 {
		sequence = append(sequence, wire.TLV(0x86, payload)...)
	}
	raw := wire.TLV(0xBF36, wire.TLV(0xBF23, wire.TLV(0x80, []byte{7})), wire.TLV(0xA0, wire.TLV(0x87, []byte{0xAA})), wire.TLV(0xA1, wire.TLV(0x88, []byte{0xCC})), wire.TLV(0xA3, sequence))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := euicc.ParseBoundPackage(raw); err != nil {
			b.Fatal(err)
		}
	}
}
