package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/damonto/euicc-go/bertlv"
	"pgregory.net/rapid"

	"linefit/modem/wire"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in   string
		err  error
		at   int
		tag  wire.Tag
		size int
	}{
		{in: "5A0189", tag: 0x5A, size: 1},
		{in: "BF2D00", tag: 0xBF2D},
		{in: "BF814801AA", tag: 0xBF8148, size: 1},
		{in: "04820001AA", tag: 0x04, size: 1}, // long form of a short length, seen from servers
		{in: "", err: wire.ErrTruncated},
		{in: "BF", err: wire.ErrTruncated},
		{in: "5A", err: wire.ErrTruncated},
		{in: "5A02AA", err: wire.ErrTruncated},
		{in: "5A8000", err: wire.ErrLength},
		{in: "5A84FFFFFFFF", err: wire.ErrLength},
		{in: "5A847FFFFFFF", err: wire.ErrTruncated},
		{in: "5A850000000001AA", err: wire.ErrLength},
		{in: "BF8181818100", err: wire.ErrTag},
		{in: "5A01AAFF", err: wire.ErrTrailing, at: 3},
	} {
		n, err := wire.Parse(unhex(t, c.in))
		if !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.in, err, c.err)
			continue
		}
		var s *wire.SyntaxError
		if errors.As(err, &s) && s.Offset != c.at {
			t.Errorf("%s: error at %d, want %d", c.in, s.Offset, c.at)
		}
		if err == nil && (n.Tag != c.tag || len(n.Value) != c.size) {
			t.Errorf("%s: %v of %d bytes", c.in, n.Tag, len(n.Value))
		}
	}
}

func TestFindKeepsBytesAsReceived(t *testing.T) {
	inner := unhex(t, "5A820001AA") // not minimal: must survive
	n, err := wire.Parse(wire.TLV(0xBF2D, wire.TLV(0xA0, wire.TLV(0xE3, wire.TLV(0x4F, []byte{1}), inner))))
	if err != nil {
		t.Fatal(err)
	}
	got, ok := n.Find(0xA0, 0xE3, 0x5A)
	if !ok || !bytes.Equal(got.Raw, inner) {
		t.Fatalf("found %x, %v", got.Raw, ok)
	}
	if _, err := n.Need(0xA0, 0xE4); !errors.Is(err, wire.ErrMissing) {
		t.Errorf("missing element: %v", err)
	}
}

func TestCheckBoundsDepth(t *testing.T) {
	b := []byte{}
	for range 10_000 {
		b = wire.TLV(0x30, b)
	}
	n, err := wire.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Check(); !errors.Is(err, wire.ErrDepth) {
		t.Errorf("Check = %v", err)
	}
}

func TestTLVRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tag := wire.Tag(rapid.SampledFrom([]uint32{0x5A, 0x30, 0xA0, 0xBF2D, 0x9F70, 0x5F37, 0x7F21, 0xBF8148}).Draw(t, "tag"))
		value := rapid.SliceOfN(rapid.Byte(), 0, 70_000).Draw(t, "value")
		tail := rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "tail")
		n, rest, err := wire.Next(append(wire.TLV(tag, value), tail...))
		if err != nil || n.Tag != tag || !bytes.Equal(n.Value, value) || !bytes.Equal(rest, tail) {
			t.Fatalf("%v %v", n.Tag, err)
		}
	})
}

func TestIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Int64().Draw(t, "v")
		n, err := wire.Parse(wire.Integer(0x02, v))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := n.Int(); err != nil || got != v {
			t.Fatalf("%d became %d, %v", v, got, err)
		}
	})
	if got := wire.Integer(0x80, 128); !bytes.Equal(got, []byte{0x80, 2, 0, 0x80}) {
		t.Errorf("128 is %x", got)
	}
}

func TestBitString(t *testing.T) {
	for _, c := range []struct {
		bits []int
		want string
	}{{nil, "8501" + "00"}, {[]int{0}, "85020780"}, {[]int{1, 2}, "85020560"}, {[]int{8}, "8503070080"}} {
		got := wire.BitString(0x85, c.bits...)
		if hex.EncodeToString(got) != c.want {
			t.Errorf("%v is %x, want %s", c.bits, got, c.want)
		}
		n, _ := wire.Parse(got)
		if back, err := n.Bits(); err != nil || !slices.Equal(back, c.bits) {
			t.Errorf("%v came back as %v, %v", c.bits, back, err)
		}
	}
	for _, bad := range []string{"8500", "850108", "850101", "85020880"} {
		n, _ := wire.Parse(unhex(t, bad))
		if _, err := n.Bits(); !errors.Is(err, wire.ErrOutOfRange) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestOID(t *testing.T) {
	for _, dotted := range []string{"2.999.10", "1.2.840.10045.4.3.2", "0.9.2342", "2.23.146.1.2.1.4"} {
		b, err := wire.OID(0x06, dotted)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := wire.Parse(b)
		if got, err := n.OID(); err != nil || got != dotted {
			t.Errorf("%s became %s, %v", dotted, got, err)
		}
	}
	for _, bad := range []string{"", "1", "3.1", "1.40", "1.2.x"} {
		if _, err := wire.OID(0x06, bad); !errors.Is(err, wire.ErrOutOfRange) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCommandCases(t *testing.T) {
	for _, c := range []struct {
		in   string
		want wire.Command
	}{
		{"00A40400", wire.Command{INS: 0xA4, P1: 4}},
		{"81C0000000", wire.Command{CLA: 0x81, INS: 0xC0, Ne: 256}},
		{"80E2910003BF2000", wire.Command{CLA: 0x80, INS: 0xE2, P1: 0x91, Data: []byte{0xBF, 0x20, 0}}},
		{"80E2910003BF200000", wire.Command{CLA: 0x80, INS: 0xE2, P1: 0x91, Data: []byte{0xBF, 0x20, 0}, Ne: 256}},
	} {
		got, err := wire.ParseCommand(unhex(t, c.in))
		if err != nil || got.CLA != c.want.CLA || got.INS != c.want.INS || got.P1 != c.want.P1 || got.Ne != c.want.Ne || !bytes.Equal(got.Data, c.want.Data) {
			t.Errorf("%s: %+v, %v", c.in, got, err)
		}
	}
	for _, bad := range []string{"", "00A404", "00A4040002AA", "00A4040001AABBCC", "00A4040000BB"} {
		if _, err := wire.ParseCommand(unhex(t, bad)); !errors.Is(err, wire.ErrAPDU) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestCommandRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := wire.Command{CLA: 0x80, INS: 0xE2, Data: rapid.SliceOfN(rapid.Byte(), 1, 255).Draw(t, "data"), Ne: rapid.IntRange(0, 256).Draw(t, "ne")}
		b, err := c.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := wire.ParseCommand(b)
		if err != nil || got.Ne != c.Ne || !bytes.Equal(got.Data, c.Data) {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

func TestClassChannel(t *testing.T) {
	for channel := range 20 {
		for _, cla := range []byte{0x00, 0x80} {
			got, err := wire.ClassChannel(cla, channel)
			if err != nil || wire.ChannelOf(got) != channel {
				t.Errorf("class %02X on channel %d is %02X, %v", cla, channel, got, err)
			}
		}
	}
	if got, _ := wire.ClassChannel(0x80, 4); got != 0xC0 {
		t.Errorf("channel 4 is %02X", got)
	}
	if _, err := wire.ClassChannel(0, 20); !errors.Is(err, wire.ErrOutOfRange) {
		t.Errorf("channel 20: %v", err)
	}
}

// FuzzParse holds the reader against an independent one and against its own writer.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"BF2D03A00100", "5A820001AA", "30803000", "BF814801AA", "A0A0A0"} {
		b, _ := hex.DecodeString(s)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := wire.Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(n.Raw, b) {
			t.Fatalf("Raw is not the input")
		}
		again, err := wire.Parse(wire.TLV(n.Tag, n.Value))
		if err != nil || !bytes.Equal(again.Value, n.Value) {
			t.Fatalf("does not come back: %v", err)
		}
		if n.Check() != nil || len(b) > 4096 {
			return
		}
		var other bertlv.TLV
		if err := other.UnmarshalBinary(b); err != nil {
			return // the other reader refuses some legal forms
		}
		if !n.Tag.Constructed() && !bytes.Equal(other.Value, n.Value) {
			t.Fatalf("values differ: %x, %x", other.Value, n.Value)
		}
		if n.Tag.Constructed() {
			children, _ := n.Children()
			if len(children) != len(other.Children) {
				t.Fatalf("%d children, the other reader has %d", len(children), len(other.Children))
			}
		}
	})
}

func FuzzParseCommand(f *testing.F) {
	f.Add([]byte{0x80, 0xE2, 0x91, 0, 3, 0xBF, 0x20, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := wire.ParseCommand(b)
		if err != nil {
			return
		}
		again, err := c.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 4 && !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}
