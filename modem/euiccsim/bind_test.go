package euiccsim_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"

	"linefit/modem/smdpsim/bsp"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// metadata is a StoreMetadataRequest with further elements in order.
func metadata(iccid string, more ...[]byte) []byte {
	parts := [][]byte{wire.TLV(0x5A, hexBytes(iccid)), wire.TLV(0x91, []byte("Provider")), wire.TLV(0x92, []byte("Name"))}
	return wire.TLV(0xBF25, append(parts, more...)...)
}

// upp is a small profile package: header, MF with EF_ICCID, USIM with EF_IMSI, end.
func upp(iccid, imsi string, more ...[]byte) []byte {
	element := func(n int64) []byte { return wire.TLV(0xA0, wire.Integer(0x81, n)) }
	template := wire.TLV(0x81, hexBytes("67810F010201"))
	fcp := func(parts ...[]byte) []byte { return wire.TLV(0xA1, parts...) }
	header := wire.TLV(0xA0, wire.Integer(0x80, 2), wire.Integer(0x81, 3), wire.TLV(0x83, swap(hexBytes(iccid))),
		wire.TLV(0xA5, wire.TLV(0x81)), wire.TLV(0xA6, wire.TLV(0x06, hexBytes("67810F010201"))))
	mf := wire.TLV(0xB0, element(1), template,
		wire.TLV(0xA2, fcp(wire.TLV(0x82, hexBytes("7821")), wire.TLV(0x83, hexBytes("3F00")))),
		wire.TLV(0xA4, fcp(wire.TLV(0x82, hexBytes("4121")), wire.TLV(0x83, hexBytes("2FE2")), wire.TLV(0x88, []byte{0x10})), wire.TLV(0x83, hexBytes(iccid))),
		wire.TLV(0xA5, fcp(wire.TLV(0x82, hexBytes("42210010")), wire.TLV(0x83, hexBytes("2F00")), wire.TLV(0x80, []byte{0x20})), wire.TLV(0x83, hexBytes("610E4F0C"))))
	usim := wire.TLV(0xB3, element(2), template,
		wire.TLV(0xA2, fcp(wire.TLV(0x82, hexBytes("7821")), wire.TLV(0x83, hexBytes("7FD0")), wire.TLV(0x84, hexBytes("A0000000871002FF49FF0589")))),
		wire.TLV(0xA3, fcp(wire.TLV(0x82, hexBytes("4121")), wire.TLV(0x83, hexBytes("6F07"))), wire.TLV(0x83, hexBytes(imsi))))
	b := append(append(header, mf...), usim...)
	for _, m := range more {
		b = append(b, m...)
	}
	return append(b, wire.TLV(0xAA, element(99))...)
}

func swap(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		out[i] = c<<4 | c>>4
	}
	return out
}

// segments binds the package and cuts it as SGP.22 section 2.5.5 says.
func (d *dp) segments() [][]byte {
	d.t.Helper()
	otSK, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		d.t.Fatal(err)
	}
	d.otSK = otSK
	id := d.id
	if d.boundID != nil {
		id = d.boundID
	}
	parts := [][]byte{wire.Integer(0x82, d.operation), wire.TLV(0x80, id), d.crt.Bytes(), wire.TLV(0x5F49, otSK.PublicKey().Bytes())}
	signature := d.sign(d.keys.PB, bytes.Join(parts, nil), wire.TLV(0x5F49, d.otPK))
	isc := wire.TLV(0xBF23, append(parts, signature)...)
	good := bsp.CRT{KeyType: 0x88, KeyLength: 0x10, HostID: d.crt.HostID}
	keys, err := bsp.Agree(otSK, d.otPK, good, d.card.EID().Bytes())
	if err != nil {
		d.t.Fatal(err)
	}
	s := bsp.New(keys)
	return cut(isc, d.protect(s))
}

// protect makes the sequences A0 to A3 as lists of TLVs.
func (d *dp) protect(s *bsp.Session) map[wire.Tag][][]byte {
	d.t.Helper()
	a0, err := s.SealAll(0x87, wire.TLV(0xBF24, d.dpData))
	if err != nil {
		d.t.Fatal(err)
	}
	a1, err := s.AuthenticateAll(0x88, d.metadata)
	if err != nil {
		d.t.Fatal(err)
	}
	sequences := map[wire.Tag][][]byte{0xA0: a0, 0xA1: a1}
	if d.replace {
		k := bsp.Keys{MCV: [16]byte{1}, ENC: [16]byte{2}, MAC: [16]byte{3}}
		if sequences[0xA2], err = s.SealAll(0x87, bsp.ReplaceRequest(k)); err != nil {
			d.t.Fatal(err)
		}
		s.Replace(k)
	}
	if sequences[0xA3], err = s.SealAll(0x86, d.profile); err != nil {
		d.t.Fatal(err)
	}
	return sequences
}

func cut(isc []byte, sequences map[wire.Tag][][]byte) [][]byte {
	total := len(isc)
	var out [][]byte
	for tag := wire.Tag(0xA0); tag <= 0xA3; tag++ {
		list, ok := sequences[tag]
		if !ok {
			continue
		}
		whole := wire.TLV(tag, list...)
		total += len(whole)
		header := whole[:len(whole)-len(bytes.Join(list, nil))]
		if tag == 0xA0 || tag == 0xA2 {
			out = append(out, append(bytes.Clone(header), list[0]...))
			list = list[1:]
		} else {
			out = append(out, header)
		}
		out = append(out, list...)
	}
	first := append(wire.AppendLength(wire.Tag(0xBF36).Append(nil), total), isc...)
	return append([][]byte{first}, out...)
}

// outcome is what an installation result says.
type outcome struct {
	ok              bool
	command, reason int64
	seq             int64
	raw             []byte
}

// readResult checks an installation result's signature and reads it.
func (d *dp) readResult(b []byte) outcome {
	d.t.Helper()
	n, err := wire.ParseTag(b, 0xBF37)
	if err != nil {
		d.t.Fatalf("%X: %v", b, err)
	}
	data, err := n.Need(0xBF27)
	if err != nil {
		d.t.Fatal(err)
	}
	signature, err := n.Need(0x5F37)
	if err != nil || !testpki.Verify(d.chain.CardKey, signature.Value, data.Raw) {
		d.t.Fatalf("euiccSignPIR: %v", err)
	}
	if id, _ := data.Find(0x80); !bytes.Equal(id.Value, d.id) {
		d.t.Fatalf("transaction id %X, want %X", id.Value, d.id)
	}
	if oid, _ := data.Find(0x06); !bytes.Equal(oid.Value, []byte{0x88, 0x37, 0x0A}) {
		d.t.Fatalf("smdpOid %X", oid.Value)
	}
	o := outcome{raw: b}
	about, err := data.Need(0xBF2F)
	if err != nil {
		d.t.Fatal(err)
	}
	o.seq = d.errorCode(about, 0x80)
	if where, _ := about.Find(0x0C); string(where.Value) != address {
		d.t.Fatalf("notification for %q", where.Value)
	}
	if success, ok := data.Find(0xA2, 0xA0); ok {
		aid, err := success.Need(0x4F)
		if err != nil || !bytes.HasPrefix(aid.Value, hexBytes("A0000005591010FFFFFFFF8900")) {
			d.t.Fatalf("ISD-P %X, %v", aid.Value, err)
		}
		o.ok = true
		return o
	}
	e, err := data.Need(0xA2, 0xA1)
	if err != nil {
		d.t.Fatal(err)
	}
	o.command, o.reason = d.errorCode(e, 0x80), d.errorCode(e, 0x81)
	return o
}

// load sends segments until the card answers with a result.
func (d *dp) load(segments [][]byte) outcome {
	d.t.Helper()
	for i, s := range segments {
		b, sw := try(d.t, d.card, s)
		if !sw.OK() {
			d.t.Fatalf("segment %d: %v", i, sw)
		}
		if len(b) > 0 {
			return d.readResult(b)
		}
	}
	d.t.Fatal("no installation result")
	return outcome{}
}
