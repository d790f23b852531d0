package smdpsim_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/smdpsim"
	"linefit/modem/wire"
)

// real is a virtual eUICC behind APDUs, with as much of an LPA as moves its
// messages to the server and back.
type real struct {
	t    *testing.T
	card *euiccsim.Card
	l    *lpa
}

func newReal(t *testing.T, b *bench, number int) *real {
	t.Helper()
	credentials := newCard(t, b.ca, number).Card
	card, err := euiccsim.New(euiccsim.Options{PKI: credentials, Image: &euiccsim.MemoryImage{}, Direct: true})
	if err != nil {
		t.Fatal(err)
	}
	card.Reset()
	r := &real{t, card, b.l}
	r.open()
	return r
}

// open opens the ISD-R on channel 1, at the beginning and after a reset.
func (r *real) open() {
	r.t.Helper()
	if out, sw := r.apdu(wire.Command{INS: wire.InsManageChannel, Ne: 1}); !sw.OK() || !bytes.Equal(out, []byte{1}) {
		r.t.Fatalf("MANAGE CHANNEL: %x %v", out, sw)
	}
	if _, sw := r.apdu(wire.Command{CLA: 0x01, INS: wire.InsSelect, P1: 0x04, Data: wire.AIDISDR, Ne: 256}); !sw.OK() {
		r.t.Fatalf("SELECT ISD-R: %v", sw)
	}
}

func (r *real) apdu(c wire.Command) ([]byte, wire.SW) {
	r.t.Helper()
	var out []byte
	for {
		b, err := c.Append(nil)
		if err != nil {
			r.t.Fatal(err)
		}
		answer, _ := r.card.Transmit(b)
		resp, err := wire.ParseResponse(answer)
		if err != nil {
			r.t.Fatal(err)
		}
		out = append(out, resp.Data...)
		n, more := resp.SW.More()
		if !more {
			return out, resp.SW
		}
		c = wire.Command{CLA: c.CLA, INS: wire.InsGetResponse, Ne: n}
	}
}

// es10 sends one command or segment in STORE DATA blocks.
func (r *real) es10(data []byte) []byte {
	r.t.Helper()
	for block := 0; ; block++ {
		n := min(255, len(data))
		c := wire.Command{CLA: 0x81, INS: wire.InsStoreData, P1: 0x11, P2: byte(block), Data: data[:n]}
		if data = data[n:]; len(data) == 0 {
			c.P1, c.Ne = 0x91, 256
		}
		out, sw := r.apdu(c)
		if !sw.OK() {
			r.t.Fatalf("block %d: %v", block, sw)
		}
		if len(data) == 0 {
			return out
		}
	}
}

// segments cuts a bound profile package as SGP.22 section 2.5.5 says.
func segments(t *testing.T, bpp []byte) [][]byte {
	t.Helper()
	n := parse(t, bpp)
	parts, err := n.Children()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for _, p := range parts {
		head := p.Raw[:p.Header()]
		children, err := p.Children()
		if err != nil {
			t.Fatal(err)
		}
		switch p.Tag {
		case 0xBF23:
			out = append(out, bytes.Join([][]byte{n.Raw[:n.Header()], p.Raw}, nil))
		case 0xA0, 0xA2:
			out = append(out, p.Raw)
		default:
			out = append(out, head)
			for _, c := range children {
				out = append(out, c.Raw)
			}
		}
	}
	return out
}

// download runs a download and returns the card's installation result.
func (r *real) download(matchingID smdpsim.MatchingID) wire.Node {
	r.t.Helper()
	challenge := find(r.t, parse(r.t, r.es10(wire.TLV(0xBF2E))), 0x80)
	first, err := r.l.post(smdpsim.InitiateAuthentication, map[string][]byte{
		"smdpAddress": []byte(r.l.host), "euiccChallenge": challenge, "euiccInfo1": r.es10(wire.TLV(0xBF20)),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	device := wire.TLV(0xA1, wire.TLV(0x80, []byte{0x53, 0x76, 0x14, 0x80}), wire.TLV(0xA1))
	auth := r.es10(wire.TLV(0xBF38, first["serverSigned1"], first["serverSignature1"], first["euiccCiPKIdToBeUsed"], first["serverCertificate"],
		wire.TLV(0xA0, wire.TLV(0x80, []byte(matchingID.Reveal())), device)))
	offer, err := r.l.post(smdpsim.AuthenticateClient, map[string][]byte{"transactionId": first["transactionId"], "authenticateServerResponse": auth})
	if err != nil {
		r.t.Fatal(err)
	}
	prepared := r.es10(wire.TLV(0xBF21, offer["smdpSigned2"], offer["smdpSignature2"], offer["smdpCertificate"]))
	got, err := r.l.post(smdpsim.GetBoundProfilePackage, map[string][]byte{"transactionId": first["transactionId"], "prepareDownloadResponse": prepared})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, segment := range segments(r.t, got["boundProfilePackage"]) {
		if out := r.es10(segment); len(out) > 0 {
			return parse(r.t, out)
		}
	}
	r.t.Fatal("no installation result")
	return wire.Node{}
}

// pending sends every notification that the card holds and removes it.
func (r *real) pending() {
	r.t.Helper()
	list, err := parse(r.t, r.es10(wire.TLV(0xBF28))).Need(0xA0)
	if err != nil {
		r.t.Fatal(err)
	}
	entries, err := list.Children()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		seq := wire.TLV(0x80, find(r.t, e, 0x80))
		whole, err := parse(r.t, r.es10(wire.TLV(0xBF2B, wire.TLV(0xA0, seq)))).Need(0xA0)
		if err != nil {
			r.t.Fatal(err)
		}
		if err := r.l.notify(whole.Value); err != nil {
			r.t.Errorf("notification %x: %v", seq, err)
		}
		r.es10(wire.TLV(0xBF30, seq))
	}
}

// reads checks the start of a transparent file under the MF of the enabled
// profile, on channel 0.
func (r *real) reads(file, content []byte) {
	r.t.Helper()
	for _, id := range [][]byte{{0x3F, 0x00}, file} {
		if _, sw := r.apdu(wire.Command{INS: wire.InsSelect, P2: 0x04, Data: id, Ne: 256}); !sw.OK() {
			r.t.Fatalf("SELECT %x: %v", id, sw)
		}
	}
	got, sw := r.apdu(wire.Command{INS: wire.InsReadBinary, Ne: len(content)})
	if !sw.OK() || !bytes.Equal(got, content) {
		r.t.Errorf("file %x has %x, %v", file, got, sw)
	}
}

// The virtual eUICC and the virtual SM-DP+, which share no message code, agree
// about whole lives of profiles: published ones and generated ones.
func TestWithTheVirtualEUICC(t *testing.T) {
	type profile struct {
		name string
		add  func(*smdpsim.Order)
	}
	wide := smdpsim.Metadata{ServiceProvider: strings.Repeat("ä", 32), Name: strings.Repeat("中", 64)}
	profiles := []profile{
		{"generated for tests", func(o *smdpsim.Order) { o.Metadata.Class = smdpsim.ClassTest }},
		{"generated with long names", func(o *smdpsim.Order) { o.Metadata = wide }},
		{"generated", func(o *smdpsim.Order) { o.Generic.Size = smdpsim.GenericSize }},
		{"generated with keys", func(o *smdpsim.Order) { o.Generic.Size, o.ProtectionKeys = 30_000, true }},
	}
	for name, der := range publishedProfiles(t) {
		profiles = append(profiles, profile{name, func(o *smdpsim.Order) { o.Generic, o.Package, o.ICCID = nil, der, testICCID }})
	}
	for i, p := range profiles {
		t.Run(p.name, func(t *testing.T) {
			b := newBench(t, nil)
			r := newReal(t, b, i)
			id := b.order("a", p.add)
			result := r.download(id)
			if _, ok := result.Find(0xBF27, 0xA2, 0xA0, 0x4F); !ok {
				t.Fatalf("not installed: %x", result.Raw)
			}
			b.is("a", smdpsim.StateDownloaded, 1)
			r.pending()
			b.is("a", smdpsim.StateInstalled, 1)

			iccid := wire.TLV(0x5A, testICCID.Bytes())
			for _, step := range []struct {
				name  string
				apdu  []byte
				tag   wire.Tag
				state smdpsim.State
			}{
				{"enable", wire.TLV(0xBF31, wire.TLV(0xA0, iccid), wire.TLV(0x81, []byte{0})), 0xBF31, smdpsim.StateInstalled},
				{"disable", wire.TLV(0xBF32, wire.TLV(0xA0, iccid), wire.TLV(0x81, []byte{0})), 0xBF32, smdpsim.StateInstalled},
				{"delete", wire.TLV(0xBF33, iccid), 0xBF33, smdpsim.StateUnavailable},
			} {
				if got := find(t, parse(t, r.es10(step.apdu)), 0x80); !bytes.Equal(got, []byte{0}) {
					t.Fatalf("%s: result %x", step.name, got)
				}
				r.card.Reset()
				if step.name == "enable" {
					r.reads([]byte{0x2F, 0xE2}, testICCID.Bytes())
				}
				r.open()
				r.pending()
				b.is("a", step.state, 1)
			}
			accepted := 4
			if p.name == "generated for tests" {
				accepted = 2 // neither enabling nor disabling is told
			}
			if n := b.s.Notifications(); n.Accepted != accepted || n.Refused != 0 || len(n.Foreign) != 0 {
				t.Errorf("%+v", n)
			}
			o := b.state("a")
			if len(o.Installs) != 1 || o.EID != r.card.EID() || len(o.Consumers()) != 1 {
				t.Errorf("%+v", o)
			}
		})
	}
}

// Policy rules need the owner of the profile: the virtual eUICC refuses them
// without, and installs a profile of the network that its files name.
func TestPolicyRulesNeedAnOwner(t *testing.T) {
	for i, step := range []struct {
		network string
		error   []byte // errorReason; nil: installed
	}{{"", []byte{15}}, {"26201", []byte{13}}, {"001019", []byte{13}}, {"00101", nil}} {
		b := newBench(t, nil)
		id := b.order("a", func(o *smdpsim.Order) {
			o.Metadata.PPRs = []int{smdpsim.PPR1, smdpsim.PPR2}
			if step.network == "" {
				return
			}
			owner, err := smdpsim.OwnerOf(step.network)
			if err != nil {
				t.Fatal(err)
			}
			o.Metadata.Owner = owner
		})
		result := newReal(t, b, i).download(id)
		failed, _ := result.Find(0xBF27, 0xA2, 0xA1, 0x81)
		if !bytes.Equal(failed.Value, step.error) {
			t.Errorf("owner %q: %x", step.network, result.Raw)
		}
	}
	for _, bad := range []string{"", "0010", "0010111", "0010x"} {
		if owner, err := smdpsim.OwnerOf(bad); !errors.Is(err, smdpsim.ErrOrder) {
			t.Errorf("%q: %v, %v", bad, owner, err)
		}
	}
}

// What a real eUICC reports in place of a signed answer is told to the LPA by
// its number.
func TestTheEUICCsErrorIsTold(t *testing.T) {
	b := newBench(t, func(c *smdpsim.Config) {
		c.Fault = func(p smdpsim.FaultPoint) smdpsim.Fault {
			if p.Point == smdpsim.InitiateAuthentication {
				return smdpsim.Fault{Kind: smdpsim.FaultWrongSignature}
			}
			return smdpsim.Fault{}
		}
	})
	b.order("a", nil)
	r := newReal(t, b, 1)
	first, err := r.l.post(smdpsim.InitiateAuthentication, map[string][]byte{
		"smdpAddress": []byte(address), "euiccChallenge": find(t, parse(t, r.es10(wire.TLV(0xBF2E))), 0x80), "euiccInfo1": r.es10(wire.TLV(0xBF20)),
	})
	if err != nil {
		t.Fatal(err)
	}
	device := wire.TLV(0xA1, wire.TLV(0x80, []byte{0x53, 0x76, 0x14, 0x80}), wire.TLV(0xA1))
	auth := r.es10(wire.TLV(0xBF38, first["serverSigned1"], first["serverSignature1"], first["euiccCiPKIdToBeUsed"], first["serverCertificate"],
		wire.TLV(0xA0, device)))
	body, err := json.Marshal(map[string]string{
		"transactionId": hex.EncodeToString(first["transactionId"]), "authenticateServerResponse": base64.StdEncoding.EncodeToString(auth),
	})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.l.client.Post("https://"+address+"/gsma/rsp2/es9plus/authenticateClient", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Contains(out, []byte("AuthenticateServer with error 2")) { // invalidSignature
		t.Errorf("%s, %v", out, err)
	}
}
