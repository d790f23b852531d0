package smdpsim_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"testing"

	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// FuzzES9 sends any body to any function of a server with a session in each
// stage. Nothing that is not signed by the eUICC changes an order, and every
// reply is one of ES9+.
func FuzzES9(f *testing.F) {
	b := newBench(f, nil)
	card := newCard(f, b.ca, 1)
	id := b.order("a", nil)
	r, err := b.l.authenticate(card, id)
	if err != nil {
		f.Fatal(err)
	}
	if err := r.get(""); err != nil {
		f.Fatal(err)
	}
	r2, err := b.l.authenticate(card, b.order("b", nil))
	if err != nil {
		f.Fatal(err)
	}
	points := []smdpsim.Point{
		smdpsim.InitiateAuthentication, smdpsim.AuthenticateClient, smdpsim.GetBoundProfilePackage,
		smdpsim.HandleNotification, smdpsim.CancelSession,
	}
	seed := func(point uint8, fields map[string]string) {
		body, err := json.Marshal(fields)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(point, body)
	}
	b64 := base64.StdEncoding.EncodeToString
	tid := hex.EncodeToString(r.transaction)
	seed(0, map[string]string{"smdpAddress": address, "euiccChallenge": b64(make([]byte, 16)), "euiccInfo1": b64(card.info1())})
	seed(1, map[string]string{"transactionId": tid, "authenticateServerResponse": b64(r.auth)})
	seed(2, map[string]string{"transactionId": hex.EncodeToString(r2.transaction), "prepareDownloadResponse": b64(r.prepared)}) // another session's
	card.wrong = "signature"
	seed(3, map[string]string{"pendingNotification": b64(card.result(f, r.transaction, testICCID, testpki.DPOID, 0))})
	seed(3, map[string]string{"pendingNotification": b64(card.event(f, smdpsim.EventDelete, testICCID))})
	seed(4, map[string]string{"transactionId": tid, "cancelSessionResponse": b64(card.cancelSession(f, r.transaction, testpki.DPOID, 0))})
	seed(4, map[string]string{"transactionId": tid, "cancelSessionResponse": b64(wire.TLV(0xBF41, wire.TLV(0x81, []byte{5})))})
	f.Add(uint8(0), []byte(`{"smdpAddress":`))
	f.Fuzz(func(t *testing.T, point uint8, body []byte) {
		b.t, b.l.t = t, t
		status, _, err := b.l.raw(points[int(point)%len(points)], body)
		if status == 0 || status >= 500 {
			t.Errorf("HTTP %d, %v", status, err)
		}
		b.is("a", smdpsim.StateDownloaded, 1)
		b.is("b", smdpsim.StateReleased, 0)
	})
}

// FuzzNotification flips into the binary part directly.
func FuzzNotification(f *testing.F) {
	b := newBench(f, nil)
	card := newCard(f, b.ca, 1)
	r, err := b.l.download(card, b.order("a", nil), "")
	if err != nil {
		f.Fatal(err)
	}
	good := card.result(f, r.transaction, testICCID, testpki.DPOID, 0)
	bad := append([]byte{}, good...)
	bad[len(bad)-1] ^= 1
	f.Add(bad)
	card.wrong = "signature"
	f.Add(card.event(f, smdpsim.EventDelete, testICCID))
	f.Fuzz(func(t *testing.T, n []byte) {
		b.t, b.l.t = t, t
		_ = b.l.notify(n)
		b.is("a", smdpsim.StateDownloaded, 1)
	})
}
