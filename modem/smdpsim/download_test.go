package smdpsim_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// bench is a server with one authority.
// order adds an order with a generated profile; change may adjust it.
// is checks the state and the attempts of an order.
func TestDownloadInstallEnableDelete(t *testing.T) {
	b := newBench(t, nil)
	id := b.order("a", nil)
	card := newCard(t, b.ca, 1)
	b.is("a", smdpsim.StateReleased, 0)

	r, err := b.l.download(card, id, "")
	if err != nil {
		t.Fatal(err)
	}
	b.is("a", smdpsim.StateDownloaded, 1)
	want4, err := smdpsim.GenericProfile(testICCID, testIMSI, "linefit generic", 1)
	if err != nil || !bytes.Equal(r.loaded.profile, want4) {
		t.Errorf("another profile arrived, %v", err)
	}
	if !bytes.Equal(r.loaded.metadata, r.offer["profileMetadata"]) {
		t.Error("the package's metadata are not those of the offer")
	}
	if !bytes.Equal(r.loaded.transaction, r.transaction) {
		t.Error("the package has another transaction id")
	}

	result := card.result(t, r.transaction, testICCID, testpki.DPOID, 0)
	enabled := card.event(t, smdpsim.EventEnable, testICCID)
	disabled := card.event(t, smdpsim.EventDisable, testICCID)
	for i, n := range [][]byte{result, enabled, result, disabled, enabled} { // repeated ones count once
		if err := b.l.notify(n); err != nil {
			t.Fatalf("notification %d: %v", i, err)
		}
		b.is("a", smdpsim.StateInstalled, 1)
	}
	if err := b.l.notify(card.event(t, smdpsim.EventDelete, testICCID)); err != nil {
		t.Fatal(err)
	}
	b.is("a", smdpsim.StateUnavailable, 1)

	o := b.state("a")
	var events []smdpsim.ProfileEvent
	for i, rec := range o.Receipts {
		events = append(events, rec.Event)
		if rec.EID != card.EID || rec.ICCID != testICCID || rec.Seq != int64(i+1) {
			t.Errorf("receipt %+v", rec)
		}
	}
	if !slices.Equal(events, []smdpsim.ProfileEvent{0, 1, 2, 3}) || !slices.Equal(o.Consumers(), []ident.EID{card.EID}) || len(o.Installs) != 1 {
		t.Errorf("%v, %+v", events, o)
	}
	if n := b.s.Notifications(); n.Accepted != 4 || n.Refused != 0 || len(n.Foreign) != 0 {
		t.Errorf("%+v", n)
	}
	_, err = b.l.authenticate(card, id)
	want(t, err, "8.2.6/3.8")
}

// Every published profile package is bound and comes out whole, with and
// without profile protection keys.
func TestPublishedProfiles(t *testing.T) {
	b := newBench(t, nil)
	n := 0
	for name, der := range ts48(t) {
		for _, ppk := range []bool{false, true} {
			n++
			id := b.order(fmt.Sprint(n), func(o *smdpsim.Order) {
				o.Generic, o.Package, o.ProtectionKeys = nil, der, ppk
			})
			r, err := b.l.download(newCard(t, b.ca, n), id, "")
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if !bytes.Equal(r.loaded.profile, der) || r.loaded.replaced != ppk {
				t.Errorf("%s, keys %v: another profile arrived (keys %v)", name, ppk, r.loaded.replaced)
			}
		}
	}
}

func TestRewrittenICCID(t *testing.T) {
	b := newBench(t, nil)
	base, err := smdpsim.GenericProfile("89000123456789012341", testIMSI, "base", 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		iccid := ident.ICCID(fmt.Sprintf("898821100000012345%d", i))
		id := b.order(fmt.Sprint(i), func(o *smdpsim.Order) { o.Generic, o.Package, o.ICCID = nil, base, iccid })
		r, err := b.l.install(newCard(t, b.ca, i), id)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := smdpsim.ParsePackage(r.loaded.profile); err != nil || info.ICCID != iccid {
			t.Errorf("%+v, %v", info, err)
		}
		if got, err := ident.ICCIDFromBytes(find(t, parse(t, r.loaded.metadata), 0x5A)); err != nil || got != iccid {
			t.Errorf("metadata are of %s, %v", got, err)
		}
	}
}

func TestMetadata(t *testing.T) {
	b := newBench(t, nil)
	owner := &smdpsim.Owner{MCCMNC: [3]byte{0x62, 0xF2, 0x10}, GID1: []byte{1}, GID2: []byte{2}}
	id := b.order("a", func(o *smdpsim.Order) {
		o.Metadata = smdpsim.Metadata{
			ServiceProvider: "Anbieter", Name: "Profil", Class: smdpsim.ClassProvisioning, PPRs: []int{smdpsim.PPR1, smdpsim.PPR2}, Owner: owner,
			Recipients: []smdpsim.Recipient{
				{Address: "one.example.com", Events: []smdpsim.ProfileEvent{smdpsim.EventInstall, smdpsim.EventDelete}},
				{Address: "two.example.com", Events: []smdpsim.ProfileEvent{smdpsim.EventEnable}},
			},
		}
	})
	r, err := b.l.authenticate(newCard(t, b.ca, 1), id)
	if err != nil {
		t.Fatal(err)
	}
	wanted := wire.TLV(0xBF25,
		wire.TLV(0x5A, testICCID.Bytes()), wire.TLV(0x91, []byte("Anbieter")), wire.TLV(0x92, []byte("Profil")), wire.TLV(0x95, []byte{1}),
		wire.TLV(0xB6,
			wire.TLV(0x30, wire.TLV(0x80, []byte{0x04, 0x90}), wire.TLV(0x81, []byte("one.example.com"))),
			wire.TLV(0x30, wire.TLV(0x80, []byte{0x06, 0x40}), wire.TLV(0x81, []byte("two.example.com")))),
		wire.TLV(0xB7, wire.TLV(0x80, []byte{0x62, 0xF2, 0x10}), wire.TLV(0x81, []byte{1}), wire.TLV(0x82, []byte{2})),
		wire.TLV(0x99, []byte{0x05, 0x60}))
	if !bytes.Equal(r.offer["profileMetadata"], wanted) {
		t.Errorf("metadata %x", r.offer["profileMetadata"])
	}
	id = b.order("b", nil)
	if r, err = b.l.authenticate(newCard(t, b.ca, 1), id); err != nil {
		t.Fatal(err)
	}
	n := parse(t, r.offer["profileMetadata"])
	if got := find(t, n, 0xB6, 0x30, 0x81); string(got) != address {
		t.Errorf("notifications go to %s", got)
	}
	if class := find(t, n, 0x95); !bytes.Equal(class, []byte{2}) {
		t.Errorf("class %x", class)
	}
}

func TestConfirmationCode(t *testing.T) {
	b := newBench(t, nil)
	card := newCard(t, b.ca, 1)
	id := b.order("a", func(o *smdpsim.Order) { o.ConfirmationCode = "2468" })
	if code, _, err := b.s.ActivationCode("a"); err != nil || code.Reveal() != "LPA:1$"+address+"$"+id.Reveal()+"$$1" {
		t.Errorf("%q, %v", code.Reveal(), err)
	}
	r, err := b.l.authenticate(card, id)
	if err != nil {
		t.Fatal(err)
	}
	if got := find(t, parse(t, r.offer["smdpSigned2"]), 0x01); !bytes.Equal(got, []byte{0xFF}) {
		t.Errorf("ccRequiredFlag is %x", got)
	}
	want(t, r.get(""), "8.2.7/2.2")
	want(t, r.get(""), "8.2.7/2.2") // a missing code counts for nothing
	want(t, r.get("1111"), "8.2.7/3.8")
	want(t, r.get("2222"), "8.2.7/3.8")
	b.is("a", smdpsim.StateReleased, 0)
	want(t, r.get("2468"), "")
	b.is("a", smdpsim.StateDownloaded, 1)

	id = b.order("b", func(o *smdpsim.Order) { o.ConfirmationCode, o.ConfirmationAttempts = "2468", 2 })
	if r, err = b.l.authenticate(card, id); err != nil {
		t.Fatal(err)
	}
	want(t, r.get("1111"), "8.2.7/3.8")
	if r, err = b.l.authenticate(card, id); err != nil { // the counter is the order's, not the session's
		t.Fatal(err)
	}
	want(t, r.get("1111"), "8.2.7/6.4")
	b.is("b", smdpsim.StateError, 0)
	want(t, r.get("2468"), "8.2/3.7")
	_, err = b.l.authenticate(card, id)
	want(t, err, "8.2.7/6.4")
	if _, err := b.s.Reset("b"); err != nil {
		t.Fatal(err)
	}
	_, err = b.l.download(card, id, "2468")
	want(t, err, "")
}

func TestAttemptsAndOneTimeKeys(t *testing.T) {
	b := newBench(t, nil)
	card := newCard(t, b.ca, 1)
	id := b.order("a", func(o *smdpsim.Order) { o.Attempts = 3 })
	first, err := b.l.download(card, id, "")
	if err != nil {
		t.Fatal(err)
	}
	// The eUICC kept its key: the same protected profile, a new channel.
	second, err := b.l.download(card, id, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := find(t, parse(t, second.offer["smdpSigned2"]), 0x5F49); !bytes.Equal(got, card.otsk.PublicKey().Bytes()) {
		t.Error("the key of the first binding was not offered again")
	}
	one, two := parse(t, first.bpp["boundProfilePackage"]), parse(t, second.bpp["boundProfilePackage"])
	for _, tag := range []wire.Tag{0xA0, 0xA1, 0xA3} {
		if !bytes.Equal(find(t, one, tag), find(t, two, tag)) {
			t.Errorf("%v differs though the one-time keys are the same", tag)
		}
	}
	// The eUICC lost its key: bound anew.
	card.otsk = nil
	third, err := b.l.download(card, id, "")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(find(t, two, 0xA3), find(t, parse(t, third.bpp["boundProfilePackage"]), 0xA3)) {
		t.Error("another one-time key, the same protected profile")
	}
	b.is("a", smdpsim.StateDownloaded, 3)
	var reused []bool
	for _, x := range b.state("a").Bindings {
		reused = append(reused, x.Reused)
	}
	if !slices.Equal(reused, []bool{false, true, false}) {
		t.Errorf("reused: %v", reused)
	}
	want(t, third.getAgain(), "8.8.5/6.4")
	b.is("a", smdpsim.StateError, 3)
	_, err = b.l.authenticate(card, id)
	want(t, err, "8.8.5/6.4")
	// What was loaded before may still turn out installed.
	if err := b.l.notify(card.result(t, third.transaction, testICCID, testpki.DPOID, 0)); err != nil {
		t.Fatal(err)
	}
	b.is("a", smdpsim.StateInstalled, 3)

	id = b.order("b", func(o *smdpsim.Order) { o.NoRebind = true })
	if _, err := b.l.download(card, id, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := b.l.download(card, id, ""); err != nil {
		t.Fatal(err)
	}
	card.otsk = nil
	_, err = b.l.download(card, id, "")
	want(t, err, "8.2/3.7")
	b.is("b", smdpsim.StateDownloaded, 2)

	// A repeated request in one session is another delivery of the same package.
	id = b.order("c", nil)
	r, err := b.l.download(card, id, "")
	if err != nil {
		t.Fatal(err)
	}
	before := parse(t, r.bpp["boundProfilePackage"])
	if err := r.getAgain(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(find(t, before, 0xA3), find(t, parse(t, r.bpp["boundProfilePackage"]), 0xA3)) {
		t.Error("the repeated delivery differs")
	}
	b.is("c", smdpsim.StateDownloaded, 2)
}

// The deletion may be told before the installation.
