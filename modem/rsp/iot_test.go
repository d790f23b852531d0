package rsp_test

import (
	"crypto/x509"
	"errors"
	"testing"

	"linefit/modem/euicc"
	"linefit/modem/euiccsim"
	"linefit/modem/rsp"
	"linefit/modem/wire"
)

// The order that SGP.32 asks for: immediate enable while no eIM is associated,
// download, enable in that session, the eIM last, read back.
func TestIoT(t *testing.T) {
	w := newWorld(t, options{order: small, card: func(o *euiccsim.Options) { o.Generation = euiccsim.SGP32 }})
	card, ch := w.open()
	defer ch.Close(t.Context())
	info, err := card.Info2(t.Context())
	if err != nil || info.Generation() != euicc.SGP32 || info.IPAMode != 0 || len(info.IoTVersions) == 0 || !info.ECallSupported || !info.FallbackSupported {
		t.Fatalf("%+v, %v", info, err)
	}
	if err := card.ConfigureImmediateEnable(t.Context(), true, "", address); err != nil {
		t.Fatal(err)
	}
	p := w.params(card)
	p.Info2 = &info
	r, err := rsp.Download(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := card.ImmediateEnable(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	list, err := card.IoTProfiles(t.Context())
	if err != nil || len(list) != 1 || list[0].State != euicc.Enabled || list[0].ICCID != r.ICCID {
		t.Errorf("%+v, %v", list, err)
	}
	w.eim(card)
	certificate, eum, err := card.Certificates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	own, err := euicc.ParseCertificate(certificate)
	if err != nil {
		t.Fatal(err)
	}
	maker, err := euicc.ParseCertificate(eum)
	if err != nil {
		t.Fatal(err)
	}
	if err := euicc.VerifyChain(own, maker, issuers(t), w.card.EID().Bytes(), own.NotBefore); err != nil {
		t.Error(err)
	}
	if err := card.IoTMemoryReset(t.Context(), euicc.ResetOperational, euicc.ResetEIM); err != nil && !errors.Is(err, euicc.ErrNothingToDelete) {
		t.Errorf("reset: %v", err)
	}
	if eims, err := card.EIMs(t.Context()); err != nil || len(eims) != 0 {
		t.Errorf("after the reset: %+v, %v", eims, err)
	}
}

// eim associates an eIM and reads it back; a second one is refused.
func (w *world) eim(card *euicc.Card) {
	w.t.Helper()
	ca, err := authority()
	if err != nil {
		w.t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&ca.EUM.Key.PublicKey)
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := wire.Parse(spki)
	if err != nil {
		w.t.Fatal(err)
	}
	config := wire.TLV(0x30, wire.TLV(0x80, []byte("eim-1")), wire.TLV(0x81, []byte("eim.example.com")), wire.Integer(0x82, 2), wire.Integer(0x83, 7),
		wire.Integer(0x84, -1), wire.TLV(0xA5, wire.TLV(0xA0, key.Value)))
	tokens, err := card.AddInitialEIM(w.t.Context(), config)
	if err != nil || len(tokens) != 1 || tokens[0] < 1 {
		w.t.Fatalf("%v, %v", tokens, err)
	}
	eims, err := card.EIMs(w.t.Context())
	if err != nil || len(eims) != 1 || eims[0].ID != "eim-1" || eims[0].FQDN != "eim.example.com" || eims[0].Counter != 7 || eims[0].Token != tokens[0] {
		w.t.Errorf("%+v, %v", eims, err)
	}
	if _, err := card.AddInitialEIM(w.t.Context(), config); !errors.Is(err, euicc.ErrEIMExists) {
		w.t.Errorf("a second initial eIM: %v", err)
	}
	if err := card.ConfigureImmediateEnable(w.t.Context(), true, "", ""); !errors.Is(err, euicc.ErrEIMExists) {
		w.t.Errorf("immediate enable with an eIM: %v", err)
	}
}
