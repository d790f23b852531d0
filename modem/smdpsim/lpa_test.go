package smdpsim_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/modem/smdpsim/bsp"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

const address = "smdp.example.com:8443"

// euicc is a card as the tests need one: it answers as SGP.22 says, checks what
// the server signs, and can be told to do one thing wrong. What wrong changes:
// "signature", "challenge", "transaction", "address", "otpk", "oid".
type euicc struct {
	*testpki.Card
	free      int
	forbidden []int
	svn       byte
	wrong     string
	seq       int64
	otsk      *ecdh.PrivateKey // kept after a download that may be tried again
	installed ident.ICCID
}

func newCard(t testing.TB, a *testpki.Authority, number int) *euicc {
	t.Helper()
	eid, err := ident.EIDWithCheck(fmt.Sprintf("%s%022d", testpki.EUMPrefix, number))
	if err != nil {
		t.Fatal(err)
	}
	card, err := a.Card(eid)
	if err != nil {
		t.Fatal(err)
	}
	return &euicc{Card: card, free: 200_000, svn: 2}
}

func (e *euicc) sign(t testing.TB, parts ...[]byte) []byte {
	t.Helper()
	signature, err := testpki.Sign(e.Key, parts...)
	if err != nil {
		t.Fatal(err)
	}
	if e.wrong == "signature" {
		signature[7] ^= 0x10
	}
	return wire.TLV(0x5F37, signature)
}

func (e *euicc) ids(tag wire.Tag) []byte {
	return wire.TLV(tag, wire.TLV(0x04, e.CIs[0].SubjectKeyId))
}

func (e *euicc) info1() []byte {
	return wire.TLV(0xBF20, wire.TLV(0x82, []byte{e.svn, 2, 0}), e.ids(0xA9), e.ids(0xAA))
}

func (e *euicc) info2() []byte {
	free := []byte{byte(e.free >> 24), byte(e.free >> 16), byte(e.free >> 8), byte(e.free)}
	parts := [][]byte{
		wire.TLV(0x81, []byte{2, 3, 1}), wire.TLV(0x82, []byte{e.svn, 2, 0}), wire.TLV(0x83, []byte{1, 0, 0}),
		wire.TLV(0x84, wire.TLV(0x81, []byte{0}), wire.TLV(0x82, free), wire.TLV(0x83, []byte{0x40, 0})),
		wire.BitString(0x85, 1, 4), wire.BitString(0x88, 0), e.ids(0xA9), e.ids(0xAA),
	}
	if e.forbidden != nil {
		parts = append(parts, wire.BitString(0x99, e.forbidden...))
	}
	return wire.TLV(0xBF22, append(parts, wire.TLV(0x04, []byte{1, 0, 0}), wire.TLV(0x0C, []byte("TEST")))...)
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[0] ^= 1
	return b
}

// authenticateServer is ES10b.AuthenticateServer.
func (e *euicc) authenticateServer(t testing.TB, r map[string][]byte, challenge []byte, matchingID smdpsim.MatchingID) ([]byte, error) {
	t.Helper()
	cert, _, err := testpki.VerifyServer(r["serverCertificate"], testpki.RoleDPAuth, e.CIs, e.Cert.NotBefore)
	if err != nil {
		return nil, err
	}
	signed, signature := parse(t, r["serverSigned1"]), parse(t, r["serverSignature1"])
	if !testpki.Verify(testpki.Key(cert.PublicKey), signature.Value, signed.Raw) {
		return nil, errors.New("invalidSignature")
	}
	if got := find(t, signed, 0x81); !bytes.Equal(got, challenge) {
		return nil, errors.New("euiccChallengeMismatch")
	}
	id, server, host := find(t, signed, 0x80), find(t, signed, 0x84), find(t, signed, 0x83)
	switch e.wrong {
	case "transaction":
		id = flip(id)
	case "challenge":
		server = flip(server)
	case "address":
		host = append(host, '0')
	}
	device := wire.TLV(0xA1, wire.TLV(0x80, []byte{0x53, 0x76, 0x14, 0x80}), wire.TLV(0xA1, wire.TLV(0x80, []byte{9, 0, 0})),
		wire.TLV(0x82, []byte{0x53, 0x76, 0x14, 0x80, 0x21, 0x43, 0x65, 0x7F}))
	params := wire.TLV(0xA0, wire.TLV(0x80, []byte(matchingID.Reveal())), device)
	if matchingID == "" {
		params = wire.TLV(0xA0, device)
	}
	signed1 := wire.TLV(0x30, wire.TLV(0x80, id), wire.TLV(0x83, host), wire.TLV(0x84, server), e.info2(), params)
	return wire.TLV(0xBF38, wire.TLV(0xA0, signed1, e.sign(t, signed1), e.Cert.Raw, e.EUM.Raw)), nil
}

// prepareDownload is ES10b.PrepareDownload. A one-time key is used again when
// the server asks for it.
func (e *euicc) prepareDownload(t testing.TB, r map[string][]byte, signature1 []byte, code smdpsim.ConfirmationCode) ([]byte, error) {
	t.Helper()
	cert, _, err := testpki.VerifyServer(r["smdpCertificate"], testpki.RoleDPPB, e.CIs, e.Cert.NotBefore)
	if err != nil {
		return nil, err
	}
	signed, signature := parse(t, r["smdpSigned2"]), parse(t, r["smdpSignature2"])
	if !testpki.Verify(testpki.Key(cert.PublicKey), signature.Value, signed.Raw, signature1) {
		return nil, errors.New("invalidSignature")
	}
	id := find(t, signed, 0x80)
	if !bytes.Equal(id, r["transactionId"]) {
		return nil, errors.New("invalidTransactionId")
	}
	asked, again := signed.Find(0x5F49)
	if e.otsk == nil || !again || !bytes.Equal(asked.Value, e.otsk.PublicKey().Bytes()) {
		if e.otsk, err = ecdh.P256().GenerateKey(rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	point := e.otsk.PublicKey().Bytes()
	switch e.wrong {
	case "transaction":
		id = flip(id)
	case "otpk":
		point[64] ^= 1
	}
	parts := [][]byte{wire.TLV(0x80, id), wire.TLV(0x5F49, point)}
	if code != "" {
		inner := sha256.Sum256([]byte(code.Reveal()))
		outer := sha256.Sum256(append(inner[:], id...))
		parts = append(parts, wire.TLV(0x04, outer[:]))
	}
	signed2 := wire.TLV(0x30, parts...)
	return wire.TLV(0xBF21, wire.TLV(0xA0, signed2, e.sign(t, signed2, signature.Raw))), nil
}

// loaded is what a card finds in a bound profile package.
type loaded struct {
	transaction, metadata, profile []byte
	replaced                       bool
}

// load is ES10b.LoadBoundProfilePackage without the installation.
func (e *euicc) load(t testing.TB, r map[string][]byte, pb []byte) (*loaded, error) {
	t.Helper()
	bpp := parse(t, r["boundProfilePackage"])
	if bpp.Tag != 0xBF36 {
		t.Fatalf("a package of tag %v", bpp.Tag)
	}
	channel, err := bpp.Need(0xBF23)
	if err != nil {
		t.Fatal(err)
	}
	cert, _, err := testpki.VerifyServer(pb, testpki.RoleDPPB, e.CIs, e.Cert.NotBefore)
	if err != nil {
		return nil, err
	}
	signature := find(t, channel, 0x5F37)
	covered := channel.Value[:len(channel.Value)-len(wire.TLV(0x5F37, signature))]
	if !testpki.Verify(testpki.Key(cert.PublicKey), signature, covered, wire.TLV(0x5F49, e.otsk.PublicKey().Bytes())) {
		return nil, errors.New("invalidSignature")
	}
	template, err := channel.Need(0xA6)
	if err != nil {
		t.Fatal(err)
	}
	crt, err := bsp.ParseCRT(template)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := bsp.Agree(e.otsk, find(t, channel, 0x5F49), crt, e.EID.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	out := &loaded{transaction: find(t, channel, 0x80)}
	s := bsp.New(keys)
	if configure, err := open(bpp, 0xA0, s.Open); err != nil || !bytes.Equal(configure, []byte{0xBF, 0x24, 0x00}) {
		return nil, fmt.Errorf("ConfigureISDP %x: %w", configure, err)
	}
	if out.metadata, err = open(bpp, 0xA1, s.Verify); err != nil {
		return nil, err
	}
	if replace, err := open(bpp, 0xA2, s.Open); err != nil {
		return nil, err
	} else if replace != nil {
		ppk, err := bsp.ParseReplaceRequest(replace)
		if err != nil {
			return nil, err
		}
		s.Replace(ppk)
		out.replaced = true
	}
	out.profile, err = open(bpp, 0xA3, s.Open)
	return out, err
}

func open(bpp wire.Node, seq wire.Tag, one func([]byte) ([]byte, error)) ([]byte, error) {
	n, ok := bpp.Find(seq)
	if !ok {
		return nil, nil
	}
	segments, err := n.Children()
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, segment := range segments {
		if len(segment.Raw) > bsp.MaxSegment {
			return nil, fmt.Errorf("segment of %d bytes", len(segment.Raw))
		}
		plain, err := one(segment.Raw)
		if err != nil {
			return nil, err
		}
		out = append(out, plain...)
	}
	return out, nil
}

// notification makes a notification's metadata with the next sequence number.
func (e *euicc) notification(event smdpsim.ProfileEvent, iccid ident.ICCID) []byte {
	e.seq++
	return wire.TLV(0xBF2F, wire.Integer(0x80, e.seq), wire.BitString(0x81, int(event)), wire.TLV(0x0C, []byte(address)), wire.TLV(0x5A, iccid.Bytes()))
}

// result is a ProfileInstallationResult; reason 0 is success.
func (e *euicc) result(t testing.TB, transaction []byte, iccid ident.ICCID, oid string, reason int64) []byte {
	t.Helper()
	final := wire.TLV(0xA0, wire.TLV(0x4F, append(bytes.Clone(wire.AIDISDR[:14]), 0x11, 0x00)), wire.TLV(0x04, []byte{0x30, 0x00}))
	if reason != 0 {
		final = wire.TLV(0xA1, wire.Integer(0x80, 5), wire.Integer(0x81, reason))
	} else {
		e.installed, e.otsk = iccid, nil
	}
	signed := wire.TLV(0xBF27, wire.TLV(0x80, transaction), e.notification(smdpsim.EventInstall, iccid), e.oid(t, 0x06, oid), wire.TLV(0xA2, final))
	return wire.TLV(0xBF37, signed, e.sign(t, signed))
}

func (e *euicc) oid(t testing.TB, tag wire.Tag, dotted string) []byte {
	t.Helper()
	if e.wrong == "oid" {
		dotted += ".1"
	}
	b, err := wire.OID(tag, dotted)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// event is an OtherSignedNotification.
func (e *euicc) event(t testing.TB, event smdpsim.ProfileEvent, iccid ident.ICCID) []byte {
	t.Helper()
	tbs := e.notification(event, iccid)
	return wire.TLV(0x30, tbs, e.sign(t, tbs), e.Cert.Raw, e.EUM.Raw)
}

// cancelSession is ES10b.CancelSession.
func (e *euicc) cancelSession(t testing.TB, transaction []byte, oid string, reason smdpsim.CancelReason) []byte {
	t.Helper()
	if e.wrong == "transaction" {
		transaction = flip(transaction)
	}
	signed := wire.TLV(0x30, wire.TLV(0x80, transaction), e.oid(t, 0x81, oid), wire.Integer(0x82, int64(reason)))
	return wire.TLV(0xBF41, wire.TLV(0xA0, signed, e.sign(t, signed)))
}

func parse(t testing.TB, b []byte) wire.Node {
	t.Helper()
	n, err := wire.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func find(t testing.TB, n wire.Node, path ...wire.Tag) []byte {
	t.Helper()
	found, err := n.Need(path...)
	if err != nil {
		t.Fatal(err)
	}
	return found.Value
}

// refused is a function that failed, by subject and reason.
type refused string

func (r refused) Error() string { return string(r) }

// errHTTP is a reply with another status than 200 and 204 and no function status.
type errHTTP int

func (e errHTTP) Error() string { return fmt.Sprintf("HTTP %d", int(e)) }

// lpa calls ES9+ functions.
type lpa struct {
	t      testing.TB
	client *http.Client
	host   string
}

func inProcess(t testing.TB, s *smdpsim.Server) *lpa {
	return &lpa{t: t, client: &http.Client{Transport: s.RoundTripper()}, host: s.Address()}
}

// post calls a function with base64 parameters and decodes those of the reply;
// transactionId is hexadecimal.
func (l *lpa) post(point smdpsim.Point, params map[string][]byte) (map[string][]byte, error) {
	l.t.Helper()
	in := map[string]string{}
	for k, v := range params {
		switch k {
		case "transactionId":
			in[k] = strings.ToLower(hex.EncodeToString(v))
		case "smdpAddress":
			in[k] = string(v)
		default:
			in[k] = base64.StdEncoding.EncodeToString(v)
		}
	}
	body, err := json.Marshal(in)
	if err != nil {
		l.t.Fatal(err)
	}
	_, out, err := l.raw(point, body)
	return out, err
}

func (l *lpa) raw(point smdpsim.Point, body []byte) (int, map[string][]byte, error) {
	l.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://"+l.host+"/gsma/rsp2/es9plus/"+string(point), bytes.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "gsma-rsp-lpad")
	req.Header.Set("X-Admin-Protocol", "gsma/rsp/v2.2.0")
	resp, err := l.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, nil, err
	}
	if p := resp.Header.Get("X-Admin-Protocol"); !strings.HasPrefix(p, "gsma/rsp/v2.") {
		l.t.Errorf("%s: X-Admin-Protocol is %q", point, p)
	}
	if resp.StatusCode == http.StatusNoContent && len(b) == 0 {
		return resp.StatusCode, nil, nil
	}
	out, err := decode(b)
	if err != nil && errors.Is(err, errFormat) {
		err = errHTTP(resp.StatusCode)
	}
	return resp.StatusCode, out, err
}

var errFormat = errors.New("no ES9+ reply")

func decode(b []byte) (map[string][]byte, error) {
	var head struct {
		Header struct {
			Status struct {
				Status string
				Data   *struct{ SubjectCode, ReasonCode, Message string } `json:"statusCodeData"`
			} `json:"functionExecutionStatus"`
		}
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, errFormat
	}
	switch st := head.Header.Status; {
	case st.Status == "Failed" && st.Data != nil:
		return nil, refused(st.Data.SubjectCode + "/" + st.Data.ReasonCode)
	case st.Status != "Executed-Success":
		return nil, errFormat
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, errFormat
	}
	out := map[string][]byte{}
	for k, raw := range fields {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			continue
		}
		v, err := base64.StdEncoding.DecodeString(s)
		if k == "transactionId" {
			v, err = hex.DecodeString(s)
		}
		if err != nil {
			return nil, errFormat
		}
		out[k] = v
	}
	return out, nil
}

// run is one download session with all that a test may look at afterwards.
type run struct {
	l           *lpa
	card        *euicc
	transaction []byte
	signature1  []byte // euiccSignature1 as a TLV
	auth        []byte // AuthenticateServerResponse
	offer       map[string][]byte
	prepared    []byte
	bpp         map[string][]byte
	loaded      *loaded
}

// initiate and authenticate.
func (l *lpa) authenticate(card *euicc, matchingID smdpsim.MatchingID) (*run, error) {
	l.t.Helper()
	challenge := make([]byte, 16)
	_, _ = rand.Read(challenge)
	first, err := l.post(smdpsim.InitiateAuthentication, map[string][]byte{"smdpAddress": []byte(l.host), "euiccChallenge": challenge, "euiccInfo1": card.info1()})
	if err != nil {
		return nil, err
	}
	r := &run{l: l, card: card, transaction: first["transactionId"]}
	if r.auth, err = card.authenticateServer(l.t, first, challenge, matchingID); err != nil {
		return r, err
	}
	n := parse(l.t, r.auth)
	signature, _ := n.Find(0xA0, 0x5F37)
	r.signature1 = signature.Raw
	r.offer, err = l.post(smdpsim.AuthenticateClient, map[string][]byte{"transactionId": r.transaction, "authenticateServerResponse": r.auth})
	return r, err
}

// get prepares the download and gets the package.
func (r *run) get(code smdpsim.ConfirmationCode) error {
	r.l.t.Helper()
	var err error
	if r.prepared, err = r.card.prepareDownload(r.l.t, r.offer, r.signature1, code); err != nil {
		return err
	}
	return r.getAgain()
}

func (r *run) getAgain() error {
	var err error
	r.bpp, err = r.l.post(smdpsim.GetBoundProfilePackage, map[string][]byte{"transactionId": r.transaction, "prepareDownloadResponse": r.prepared})
	return err
}

func (r *run) load() error {
	r.l.t.Helper()
	var err error
	r.loaded, err = r.card.load(r.l.t, r.bpp, r.offer["smdpCertificate"])
	return err
}

func (l *lpa) notify(b []byte) error {
	_, err := l.post(smdpsim.HandleNotification, map[string][]byte{"pendingNotification": b})
	return err
}

func (r *run) cancel(reason smdpsim.CancelReason) error {
	_, err := r.l.post(smdpsim.CancelSession, map[string][]byte{"transactionId": r.transaction, "cancelSessionResponse": r.card.cancelSession(r.l.t, r.transaction, testpki.DPOID, reason)})
	return err
}

// download runs a whole download up to the package in the card.
func (l *lpa) download(card *euicc, matchingID smdpsim.MatchingID, code smdpsim.ConfirmationCode) (*run, error) {
	l.t.Helper()
	r, err := l.authenticate(card, matchingID)
	if err != nil {
		return r, err
	}
	if err := r.get(code); err != nil {
		return r, err
	}
	return r, r.load()
}

// install downloads and delivers the eUICC's result.
func (l *lpa) install(card *euicc, matchingID smdpsim.MatchingID) (*run, error) {
	l.t.Helper()
	r, err := l.download(card, matchingID, "")
	if err != nil {
		return r, err
	}
	info, err := smdpsim.ParsePackage(r.loaded.profile)
	if err != nil {
		l.t.Fatal(err)
	}
	return r, l.notify(card.result(l.t, r.transaction, info.ICCID, testpki.DPOID, 0))
}
