package smdpsim_test

import (
	"bytes"
	"testing"
	"time"

	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

func TestInitiateRefusals(t *testing.T) {
	b := newBench(t, nil)
	card := newCard(t, b.ca, 1)
	other := bytes.Repeat([]byte{7}, 20)
	good := map[string][]byte{"smdpAddress": []byte(address), "euiccChallenge": make([]byte, 16), "euiccInfo1": card.info1()}
	info := func(svn []byte, verify, sign []byte) []byte {
		return wire.TLV(0xBF20, wire.TLV(0x82, svn), wire.TLV(0xA9, wire.TLV(0x04, verify)), wire.TLV(0xAA, wire.TLV(0x04, sign)))
	}
	key := card.CIs[0].SubjectKeyId
	for name, c := range map[string]struct {
		field string
		value []byte
		code  string
	}{
		"good":             {"smdpAddress", []byte(address), ""},
		"address's case":   {"smdpAddress", []byte("SMDP.Example.com:8443"), ""},
		"other address":    {"smdpAddress", []byte("smdp.example.com"), "8.8.1/3.8"},
		"no address":       {"smdpAddress", nil, "1.3.1/2.2"},
		"no challenge":     {"euiccChallenge", nil, "1.3.1/2.2"},
		"short challenge":  {"euiccChallenge", make([]byte, 15), "1.3.1/2.1"},
		"no info":          {"euiccInfo1", nil, "1.3.1/2.2"},
		"other object":     {"euiccInfo1", wire.TLV(0xBF22), "1.3.1/2.1"},
		"truncated":        {"euiccInfo1", card.info1()[:20], "1.3.1/2.1"},
		"no SVN":           {"euiccInfo1", wire.TLV(0xBF20), "1.3.1/2.2"},
		"old SVN":          {"euiccInfo1", info([]byte{1, 1, 0}, key, key), "8.8.3/3.1"},
		"newer SVN":        {"euiccInfo1", info([]byte{3, 1, 0}, key, key), ""},
		"long SVN":         {"euiccInfo1", info([]byte{2, 2, 0, 0}, key, key), "1.3.1/2.1"},
		"CI to verify":     {"euiccInfo1", info([]byte{2, 2, 0}, other, key), "8.8.4/3.7"},
		"CI to sign":       {"euiccInfo1", info([]byte{2, 2, 0}, key, other), "8.8.2/3.1"},
		"CIs are no lists": {"euiccInfo1", wire.TLV(0xBF20, wire.TLV(0x82, []byte{2, 2, 0}), wire.TLV(0xA9), wire.TLV(0xAA)), "8.8.4/3.7"},
	} {
		params := map[string][]byte{}
		for k, v := range good {
			params[k] = v
		}
		if params[c.field] = c.value; c.value == nil {
			delete(params, c.field)
		}
		t.Run(name, func(t *testing.T) {
			out, err := b.l.post(smdpsim.InitiateAuthentication, params)
			want(t, err, c.code)
			if c.code == "" && (len(out["transactionId"]) != 16 || len(out["serverSignature1"]) != 67) {
				t.Errorf("%v", out)
			}
		})
	}
}

// Each thing that can be wrong with an eUICC's answer has its own code, and
// none of them touches the order.
func TestAuthenticateRefusals(t *testing.T) {
	b := newBench(t, nil)
	id := b.order("a", func(o *smdpsim.Order) { o.Memory, o.Metadata.PPRs = 50_000, []int{smdpsim.PPR1} })
	test := b.order("test", func(o *smdpsim.Order) { o.Metadata.Class = smdpsim.ClassTest })
	late := b.order("late", func(o *smdpsim.Order) { o.Expires = time.Now().Add(-time.Second) })
	eid := newCard(t, b.ca, 1).EID
	foreign, err := testpki.New([]byte("another CI"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		role   testpki.Role
		defect testpki.Defect
		change func(*euicc)
		id     smdpsim.MatchingID
		code   string
	}{
		"good":            {},
		"signature":       {change: func(e *euicc) { e.wrong = "signature" }, code: "8.1/6.1"},
		"challenge":       {change: func(e *euicc) { e.wrong = "challenge" }, code: "8.1/6.1"},
		"transaction id":  {change: func(e *euicc) { e.wrong = "transaction" }, code: "8.10.1/3.9"},
		"server address":  {change: func(e *euicc) { e.wrong = "address" }, code: "8.8.1/3.8"},
		"unknown code":    {id: "MID-unknown", code: "8.2.6/3.8"},
		"memory":          {change: func(e *euicc) { e.free = 49_999 }, code: "8.1/4.8"},
		"enough memory":   {change: func(e *euicc) { e.free = 50_000 }},
		"forbidden rule":  {change: func(e *euicc) { e.forbidden = []int{smdpsim.PPR1} }, code: "8.2.5/4.3"},
		"other rule":      {change: func(e *euicc) { e.forbidden = []int{smdpsim.PPR2} }},
		"test profile":    {id: test, code: "8.2.5/4.3"},
		"expired order":   {id: late, code: "8.8.5/4.10"},
		"eUICC expired":   {role: testpki.RoleEUICC, defect: testpki.DefectExpired, code: "8.1.3/6.3"},
		"eUICC not yet":   {role: testpki.RoleEUICC, defect: testpki.DefectNotYetValid, code: "8.1.3/6.3"},
		"eUICC policy":    {role: testpki.RoleEUICC, defect: testpki.DefectPolicy, code: "8.1.3/6.1"},
		"eUICC usage":     {role: testpki.RoleEUICC, defect: testpki.DefectUsage, code: "8.1.3/6.1"},
		"eUICC curve":     {role: testpki.RoleEUICC, defect: testpki.DefectCurve, code: "8.1.3/6.1"},
		"eUICC issuer":    {role: testpki.RoleEUICC, defect: testpki.DefectCI, code: "8.1.3/6.1"},
		"eUICC bit":       {role: testpki.RoleEUICC, defect: testpki.DefectSignature, code: "8.1.3/6.1"},
		"eUICC EUM":       {role: testpki.RoleEUICC, defect: testpki.DefectConstraint, code: "8.1.3/6.1"},
		"EUM expired":     {role: testpki.RoleEUM, defect: testpki.DefectExpired, code: "8.1.2/6.3"},
		"EUM not yet":     {role: testpki.RoleEUM, defect: testpki.DefectNotYetValid, code: "8.1.2/6.3"},
		"EUM policy":      {role: testpki.RoleEUM, defect: testpki.DefectPolicy, code: "8.1.2/6.1"},
		"EUM usage":       {role: testpki.RoleEUM, defect: testpki.DefectUsage, code: "8.1.2/6.1"},
		"EUM bit":         {role: testpki.RoleEUM, defect: testpki.DefectSignature, code: "8.1.2/6.1"},
		"EUM curve":       {role: testpki.RoleEUM, defect: testpki.DefectCurve, code: "8.1.2/6.1"},
		"EUM issuer":      {role: testpki.RoleEUM, defect: testpki.DefectCI, code: "8.1.2/6.1"},
		"EUM other range": {role: testpki.RoleEUM, defect: testpki.DefectConstraint, code: "8.1.3/6.1"},
		"other CI": {change: func(e *euicc) {
			card, err := foreign.Card(eid)
			if err != nil {
				t.Fatal(err)
			}
			card.CIs = e.CIs // it trusts ours, but is not under it
			e.Card = card
		}, code: "8.11.1/3.9"},
	} {
		t.Run(name, func(t *testing.T) {
			card := newCard(t, b.ca, 1)
			if c.defect != testpki.DefectNone {
				var err error
				if card.Card, err = b.ca.CardWith(eid, c.role, c.defect); err != nil {
					t.Fatal(err)
				}
			}
			if c.change != nil {
				c.change(card)
			}
			if c.id == "" {
				c.id = id
			}
			b.l.t = t
			_, err := b.l.authenticate(card, c.id)
			want(t, err, c.code)
		})
	}
	b.is("a", smdpsim.StateReleased, 0)
	b.is("test", smdpsim.StateReleased, 0)
	b.is("late", smdpsim.StateError, 0)
}

func TestAuthenticateMalformed(t *testing.T) {
	b := newBench(t, nil)
	id := b.order("a", nil)
	card := newCard(t, b.ca, 1)
	r, err := b.l.authenticate(card, id)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.l.post(smdpsim.AuthenticateClient, map[string][]byte{"transactionId": r.transaction, "authenticateServerResponse": r.auth})
	if err != nil || !bytes.Equal(again["profileMetadata"], r.offer["profileMetadata"]) {
		t.Errorf("repeated: %v", err)
	}
	for name, c := range map[string]struct {
		id, response []byte
		code         string
	}{
		"no id":        {nil, r.auth, "1.3.1/2.2"},
		"unknown id":   {make([]byte, 16), r.auth, "8.10.1/3.9"},
		"no response":  {r.transaction, nil, "1.3.1/2.2"},
		"empty":        {r.transaction, wire.TLV(0xBF38), "1.3.1/2.2"},
		"other object": {r.transaction, wire.TLV(0xBF21), "1.3.1/2.1"},
		"cut":          {r.transaction, r.auth[:len(r.auth)-1], "1.3.1/2.1"},
		"parts":        {r.transaction, wire.TLV(0xBF38, wire.TLV(0xA0, wire.TLV(0x30))), "1.3.1/2.1"},
		"eUICC error":  {r.transaction, wire.TLV(0xBF38, wire.TLV(0xA1, wire.TLV(0x80, r.transaction), wire.TLV(0x02, []byte{2}))), "8.1/4.2"},
	} {
		params := map[string][]byte{"transactionId": c.id, "authenticateServerResponse": c.response}
		for k, v := range params {
			if v == nil {
				delete(params, k)
			}
		}
		_, err := b.l.post(smdpsim.AuthenticateClient, params)
		if t.Run(name, func(t *testing.T) { want(t, err, c.code) }); t.Failed() {
			return
		}
	}
}

func TestGetRefusals(t *testing.T) {
	b := newBench(t, nil)
	for name, c := range map[string]struct{ wrong, code string }{
		"good":           {},
		"signature":      {"signature", "8.1/6.1"},
		"transaction id": {"transaction", "8.10.1/3.9"},
		"one-time key":   {"otpk", "1.3.1/2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			card, id := newCard(t, b.ca, 1), b.order(name, func(o *smdpsim.Order) { o.MatchingID = smdpsim.NewMatchingID() })
			r, err := b.l.authenticate(card, id)
			if err != nil {
				t.Fatal(err)
			}
			card.wrong = c.wrong
			want(t, r.get(""), c.code)
			if c.code != "" {
				b.is(name, smdpsim.StateReleased, 0)
			}
		})
	}
	r, err := b.l.authenticate(newCard(t, b.ca, 1), b.order("a", nil))
	if err != nil {
		t.Fatal(err)
	}
	first, err := b.l.post(smdpsim.InitiateAuthentication, map[string][]byte{"smdpAddress": []byte(address), "euiccChallenge": make([]byte, 16), "euiccInfo1": r.card.info1()})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		id, response []byte
		code         string
	}{
		"eUICC error":       {r.transaction, wire.TLV(0xBF21, wire.TLV(0xA1, wire.TLV(0x80, r.transaction), wire.TLV(0x02, []byte{1}))), "8.1/4.2"},
		"not authenticated": {first["transactionId"], wire.TLV(0xBF21), "8.10.1/3.9"},
		"unknown":           {make([]byte, 16), wire.TLV(0xBF21), "8.10.1/3.9"},
		"empty":             {r.transaction, wire.TLV(0xBF21), "1.3.1/2.2"},
		"no data":           {r.transaction, wire.TLV(0xBF21, wire.TLV(0xA0)), "1.3.1/2.2"},
		"no signature":      {r.transaction, wire.TLV(0xBF21, wire.TLV(0xA0, wire.TLV(0x30))), "1.3.1/2.2"},
		"other object":      {r.transaction, wire.TLV(0xBF38), "1.3.1/2.1"},
	} {
		_, err := b.l.post(smdpsim.GetBoundProfilePackage, map[string][]byte{"transactionId": c.id, "prepareDownloadResponse": c.response})
		t.Run(name, func(t *testing.T) { want(t, err, c.code) })
	}
	b.is("a", smdpsim.StateReleased, 0)
}

// A session that the server refused can be cancelled by its eUICC and then
// takes no order along.
