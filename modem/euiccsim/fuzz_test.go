package euiccsim_test

import (
	"testing"

	"linefit/modem/euiccsim"
	"linefit/modem/smdpsim/bsp"
	"linefit/modem/wire"
)

// FuzzTransmit sends any sequence of APDUs: each is a length byte and as many
// bytes. A powered card always answers, and never holds more than its limits.
func FuzzTransmit(f *testing.F) {
	join := func(apdus ...string) []byte {
		var b []byte
		for _, a := range apdus {
			x := hexBytes(a)
			b = append(append(b, byte(len(x))), x...)
		}
		return b
	}
	f.Add(byte(0), join("00A4040010A0000005591010FFFFFFFF890000010000", "80E2910003BF2E0000", "00C0000013", "80E2910003BF2D0000"))
	f.Add(byte(1), join("0070000001", "01A4040010A0000005591010FFFFFFFF8900000100", "81E2110003BF3803", "81E2910100", "0070800100"))
	f.Add(byte(2), join("00A40004023F00", "00A40004022FE2", "00B0000000", "00B2010400", "80F2000000", "801200000B", "80140000048301000A"))
	f.Add(byte(3), join("00A4040C10A0000005591010FFFFFFFF8900000100", "80E2910009BF361BBF2303010203", "80E2910006A0048702AABB", "80E2910004BF340100"))
	f.Add(byte(4), join("00A4040C10A0000005591010FFFFFFFF8900000100", "80E291000CBF3003800101BF3103A00101", "80E2910004BF3E0100", "80E2910003BF5500"))
	f.Add(byte(12), join("00A4040C10A0000005591010FFFFFFFF8900000100", "80E2910006BF5D03800100", "80E2910006BF6404820207FF", "80E2910003BF5F00"))
	f.Fuzz(func(t *testing.T, options byte, b []byte) {
		c := newCard(t, func(o *euiccsim.Options) {
			o.Direct, o.StrictGetResponse = options&1 != 0, options&2 != 0
			if options&4 != 0 {
				o.Generation, o.ES10cOnIoT = euiccsim.SGP32, true
			}
		})
		if options&8 != 0 {
			install(t, c, iccidA)
			change(t, c, 0xBF31, byICCID(iccidA), 0)
		}
		for len(b) > 0 {
			n := min(int(b[0]), len(b)-1)
			r, _ := c.Transmit(b[1 : 1+n])
			if len(r) < 2 || len(r) > 258 {
				t.Fatalf("%X got %d bytes", b[1:1+n], len(r))
			}
			b = b[1+n:]
		}
		if s := c.State(); len(s.Notifications) > 32 || len(s.DefaultDP) > 255 {
			t.Fatalf("%+v", s)
		}
	})
}

// FuzzPackage seals any contents under the right keys: what comes behind the
// MAC is as hostile as a server can make it.
func FuzzPackage(f *testing.F) {
	f.Add(hexBytes("BF2400"), metadata(iccidA), upp(iccidA, imsiA))
	f.Add(hexBytes("BF2400"), metadata(iccidA, wire.TLV(0xB7, wire.TLV(0x80, hexBytes("00F110"))), wire.BitString(0x99, 1)), upp(iccidA, imsiA, aka(1, make([]byte, 16))))
	f.Add([]byte{}, []byte{0xBF, 0x25, 0x80}, []byte{0xA0})
	keys := bsp.Keys{MAC: [16]byte{1}}
	f.Fuzz(func(t *testing.T, isdp, meta, profile []byte) {
		if len(isdp) == 0 || len(meta) == 0 || len(profile) == 0 || len(isdp)+len(meta)+len(profile) > 1<<16 {
			return
		}
		c := newCard(t, nil)
		exchange(t, c, "00A4040C10A0000005591010FFFFFFFF8900000100")
		s := bsp.New(keys)
		a0, err0 := s.SealAll(0x87, isdp)
		a1, err1 := s.AuthenticateAll(0x88, meta)
		a3, err2 := s.SealAll(0x86, profile)
		if err0 != nil || err1 != nil || err2 != nil {
			t.Fatal(err0, err1, err2)
		}
		segments := cut([]byte{}, map[wire.Tag][][]byte{0xA0: a0, 0xA1: a1, 0xA3: a3})[1:]
		left := 0
		for _, s := range segments {
			left += len(s)
		}
		euiccsim.ContinueLoad(c, keys, []byte{1}, left)
		var result []byte
		for _, x := range segments {
			b, sw := segment(t, c, x)
			if !sw.OK() {
				t.Fatalf("%v", sw)
			}
			if result = b; len(b) > 0 {
				break
			}
		}
		n, err := wire.ParseTag(result, 0xBF37)
		if err != nil {
			t.Fatalf("no result: %v", err)
		}
		if _, ok := n.Find(0xBF27, 0xA2, 0xA0); ok != (len(c.State().Profiles) == 1) {
			t.Fatal("the result and the memory disagree")
		}
	})
}

func BenchmarkDownload(b *testing.B) {
	c := newCard(b, nil)
	for b.Loop() {
		d := newDP(b, c)
		if o := d.download(); !o.ok {
			b.Fatalf("%+v", o)
		}
		change(b, c, 0xBF33, byICCID(iccidA), 0)
		call(b, c, wire.TLV(0xBF30, wire.Integer(0x80, c.State().NextSeq-1)))
	}
}
