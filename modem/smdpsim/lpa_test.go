package smdpsim_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
)

// euicc is a card as the tests need one: it answers as SGP.22 says, checks what
// the server signs, and can be told to do one thing wrong. What wrong changes:
// "signature", "challenge", "transaction", "address", "otpk", "oid".
// authenticateServer is ES10b.AuthenticateServer.
// prepareDownload is ES10b.PrepareDownload. A one-time key is used again when
// the server asks for it.
// loaded is what a card finds in a bound profile package.
// load is ES10b.LoadBoundProfilePackage without the installation.
// notification makes a notification's metadata with the next sequence number.
// result is a ProfileInstallationResult; reason 0 is success.
// event is an OtherSignedNotification.
// cancelSession is ES10b.CancelSession.
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
