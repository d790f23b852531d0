package smdpsim_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

func TestCancelReasons(t *testing.T) {
	b := newBench(t, nil)
	for _, reason := range []smdpsim.CancelReason{0, 1, 2, 3, 4, 5, 16, 30, 127} {
		for _, bound := range []bool{false, true} {
			t.Run(reason.String(), func(t *testing.T) {
				card, id := newCard(t, b.ca, 1), smdpsim.NewMatchingID()
				name := string(id)
				b.order(name, func(o *smdpsim.Order) { o.MatchingID = id })
				r, err := b.l.authenticate(card, id)
				if err != nil {
					t.Fatal(err)
				}
				state, deliveries := smdpsim.StateReleased, 0
				if bound {
					if err := r.get(""); err != nil {
						t.Fatal(err)
					}
					state, deliveries = smdpsim.StateDownloaded, 1
				}
				// Nothing that is wrong with the eUICC's answer ends anything.
				for wrong, code := range map[string]string{"signature": "8.1/6.1", "transaction": "8.10.1/3.9", "oid": "8.8/3.10"} {
					card.wrong = wrong
					want(t, r.cancel(reason), code)
					b.is(name, state, deliveries)
				}
				card.wrong = ""
				want(t, r.cancel(reason), "")
				alive := reason == smdpsim.CancelPostponed || reason == smdpsim.CancelTimeout
				if !alive {
					state = smdpsim.StateError
				}
				b.is(name, state, deliveries)
				want(t, r.cancel(reason), "8.10.1/3.9")
				if r.prepared != nil {
					want(t, r.getAgain(), "8.10.1/3.9")
				}
				_, err = b.l.download(card, id, "")
				if alive {
					want(t, err, "")
				} else {
					want(t, err, "8.2.6/3.8")
				}
			})
		}
	}
	r, err := b.l.authenticate(newCard(t, b.ca, 1), b.order("a", nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		response []byte
		code     string
	}{
		"unsigned error": {wire.TLV(0xBF41, wire.TLV(0x81, []byte{5})), "8.1/4.2"},
		"empty":          {wire.TLV(0xBF41), "1.3.1/2.2"},
		"no signature":   {wire.TLV(0xBF41, wire.TLV(0xA0, wire.TLV(0x30))), "1.3.1/2.2"},
	} {
		_, err := b.l.post(smdpsim.CancelSession, map[string][]byte{"transactionId": r.transaction, "cancelSessionResponse": c.response})
		t.Run(name, func(t *testing.T) { want(t, err, c.code) })
	}
	b.is("a", smdpsim.StateReleased, 0)
}

func TestCancelAfterARefusal(t *testing.T) {
	b := newBench(t, nil)
	card, id := newCard(t, b.ca, 1), b.order("a", func(o *smdpsim.Order) { o.Memory = 100_000 })
	card.free = 1
	r, err := b.l.authenticate(card, id)
	want(t, err, "8.1/4.8")
	_, err = b.l.post(smdpsim.GetBoundProfilePackage, map[string][]byte{"transactionId": r.transaction, "prepareDownloadResponse": wire.TLV(0xBF21)})
	want(t, err, "1.3.1/2.2")
	signed := wire.TLV(0x30, wire.TLV(0x80, r.transaction), wire.TLV(0x5F49, make([]byte, 65)))
	_, err = b.l.post(smdpsim.GetBoundProfilePackage, map[string][]byte{
		"transactionId": r.transaction, "prepareDownloadResponse": wire.TLV(0xBF21, wire.TLV(0xA0, signed, card.sign(t, signed))),
	})
	want(t, err, "8.2/3.7")
	want(t, r.cancel(smdpsim.CancelUndefined), "")
	want(t, r.cancel(smdpsim.CancelUndefined), "8.10.1/3.9")
	b.is("a", smdpsim.StateReleased, 0)
	card.free = 200_000
	_, err = b.l.download(card, id, "")
	want(t, err, "")
}

func TestInstallationErrors(t *testing.T) {
	b := newBench(t, nil)
	for reason := int64(1); reason <= 15; reason++ {
		card, id := newCard(t, b.ca, 1), smdpsim.NewMatchingID()
		name := string(id)
		b.order(name, func(o *smdpsim.Order) { o.MatchingID = id })
		r, err := b.l.download(card, id, "")
		if err != nil {
			t.Fatal(err)
		}
		failed := card.result(t, r.transaction, testICCID, testpki.DPOID, reason)
		want(t, b.l.notify(failed), "")
		if reason != 10 && reason != 11 {
			b.is(name, smdpsim.StateError, 1)
			_, err = b.l.authenticate(card, id)
			want(t, err, "8.2.6/3.8")
			continue
		}
		b.is(name, smdpsim.StateDownloaded, 1)
		if _, err := b.l.install(card, id); err != nil {
			t.Fatal(err)
		}
		want(t, b.l.notify(failed), "") // late and repeated: the profile stays installed
		b.is(name, smdpsim.StateInstalled, 2)
		if o := b.state(name); len(o.Receipts) != 2 || o.Receipts[0].Error != int(reason) {
			t.Errorf("%+v", o.Receipts)
		}
	}
}

func TestNotificationRefusals(t *testing.T) {
	b := newBench(t, nil)
	card := newCard(t, b.ca, 1)
	r, err := b.l.download(card, b.order("a", nil), "")
	if err != nil {
		t.Fatal(err)
	}
	expired, err := b.ca.CardWith(card.EID, testpki.RoleEUICC, testpki.DefectExpired)
	if err != nil {
		t.Fatal(err)
	}
	old := &euicc{Card: expired, seq: 100}
	bad := func(f func(*euicc) []byte) []byte {
		card.wrong = "signature"
		defer func() { card.wrong = "" }()
		return f(card)
	}
	pir := func(id []byte, iccid, oid string) []byte {
		otsk := card.otsk
		defer func() { card.otsk = otsk }()
		i := testICCID
		if iccid != "" {
			i = "89000123456789012341"
		}
		return card.result(t, id, i, oid, 0)
	}
	good := pir(r.transaction, "", testpki.DPOID)
	refusedSoFar := 0
	for name, c := range map[string]struct {
		body []byte
		code string
	}{
		"PIR signature":     {bad(func(e *euicc) []byte { return e.result(t, r.transaction, testICCID, testpki.DPOID, 0) }), "8.1/6.1"},
		"PIR bit":           {append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1), "8.1/6.1"},
		"PIR other ICCID":   {pir(r.transaction, "x", testpki.DPOID), "1.3.1/2.1"},
		"PIR other OID":     {pir(r.transaction, "", "2.999.77"), "8.8/3.10"},
		"event signature":   {bad(func(e *euicc) []byte { return e.event(t, smdpsim.EventEnable, testICCID) }), "8.1/6.1"},
		"event certificate": {old.event(t, smdpsim.EventEnable, testICCID), "8.1.3/6.3"},
		"event parts":       {wire.TLV(0x30, wire.TLV(0xBF2F)), "1.3.1/2.1"},
		"PIR empty":         {wire.TLV(0xBF37), "1.3.1/2.2"},
		"tag":               {wire.TLV(0xBF38), "1.3.1/2.1"},
		"nothing":           {[]byte{}, "1.3.1/2.1"},
		"cut":               {good[:9], "1.3.1/2.1"},
	} {
		b.l.t = t
		want(t, b.l.notify(c.body), c.code)
		refusedSoFar++
		if n := b.s.Notifications(); n.Accepted != 0 || n.Refused != refusedSoFar {
			t.Errorf("%s: %+v, not %d refused", name, n, refusedSoFar)
		}
		b.is("a", smdpsim.StateDownloaded, 1)
	}
	if status, _, err := b.l.raw(smdpsim.HandleNotification, []byte(`{"pendingNotification":"vzcA"}`)); status != 400 {
		t.Errorf("HTTP %d, %v", status, err)
	}
	// Those that are nothing of ours are acknowledged.
	other := newCard(t, b.ca, 2)
	for range 2 {
		want(t, b.l.notify(pir(make([]byte, 16), "", testpki.DPOID)), "")
		other.seq = 0
		want(t, b.l.notify(other.event(t, smdpsim.EventDisable, testICCID)), "")
	}
	if n := b.s.Notifications(); len(n.Foreign) != 1 || n.Foreign[0].EID != other.EID || n.Foreign[0].Event != smdpsim.EventDisable {
		t.Errorf("%+v", n)
	}
	want(t, b.l.notify(good), "")
	b.is("a", smdpsim.StateInstalled, 1)
}

func TestHTTP(t *testing.T) {
	b := newBench(t, nil)
	long := append([]byte(`{"smdpAddress":"`), bytes.Repeat([]byte("x"), smdpsim.MaxBody)...)
	for name, c := range map[string]struct {
		point  smdpsim.Point
		body   []byte
		status int
		code   string
	}{
		"no function": {"downloadOrder", []byte("{}"), 404, "1.3.1/2.1"},
		"empty":       {smdpsim.InitiateAuthentication, nil, 400, "1.3.1/2.1"},
		"no JSON":     {smdpsim.InitiateAuthentication, []byte("hello"), 400, "1.3.1/2.1"},
		"cut":         {smdpsim.InitiateAuthentication, []byte(`{"smdpAddress":`), 400, "1.3.1/2.1"},
		"array":       {smdpsim.InitiateAuthentication, []byte(`[]`), 400, "1.3.1/2.1"},
		"number":      {smdpsim.InitiateAuthentication, []byte(`{"smdpAddress":1}`), 400, "1.3.1/2.1"},
		"too large":   {smdpsim.InitiateAuthentication, long, 413, "1.3.1/2.1"},
		"base64":      {smdpsim.InitiateAuthentication, []byte(`{"smdpAddress":"` + address + `","euiccChallenge":"%%"}`), 200, "1.3.1/2.1"},
		"more fields": {smdpsim.CancelSession, []byte(`{"header":{"functionCallIdentifier":"x"},"transactionId":"00"}`), 200, "8.10.1/3.9"},
		"null":        {smdpsim.CancelSession, []byte(`{"transactionId":null}`), 200, "1.3.1/2.2"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, err := b.l.raw(c.point, c.body)
			want(t, err, c.code)
			if status != c.status {
				t.Errorf("HTTP %d, not %d", status, c.status)
			}
		})
	}
}

func TestManySessionsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of sessions")
	}
	b := newBench(t, nil)
	card := newCard(t, b.ca, 1)
	id := b.order("a", nil)
	r, err := b.l.download(card, id, "")
	if err != nil {
		t.Fatal(err)
	}
	first := func() []byte {
		challenge := make([]byte, 16)
		_, _ = rand.Read(challenge)
		out, err := b.l.post(smdpsim.InitiateAuthentication, map[string][]byte{"smdpAddress": []byte(address), "euiccChallenge": challenge, "euiccInfo1": card.info1()})
		if err != nil {
			t.Fatal(err)
		}
		return out["transactionId"]
	}
	oldest := first()
	for range 4100 {
		first()
	}
	_, err = b.l.post(smdpsim.CancelSession, map[string][]byte{"transactionId": oldest, "cancelSessionResponse": wire.TLV(0xBF41)})
	want(t, err, "8.10.1/3.9")
	// The one with a delivery is still there.
	want(t, b.l.notify(card.result(t, r.transaction, testICCID, testpki.DPOID, 0)), "")
	b.is("a", smdpsim.StateInstalled, 1)
}

func TestRoundTripperServesItsOwnHostOnly(t *testing.T) {
	b := newBench(t, nil)
	b.l.host = "other.example.com"
	if _, _, err := b.l.raw(smdpsim.CancelSession, []byte("{}")); !errors.Is(err, smdpsim.ErrHost) {
		t.Error(err)
	}
}
