package bsp_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"linefit/modem/smdpsim/bsp"
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

// vector reads a file of the independent test vectors that lie beside the
// project, or skips.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	dir := os.Getenv("LINEFIT_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "vectors")
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("independent test vectors are not here: %v", err)
	}
	return b
}

func keys(t testing.TB, mcv, enc, mac string) (k bsp.Keys) {
	t.Helper()
	copy(k.MCV[:], unhex(t, mcv))
	copy(k.ENC[:], unhex(t, enc))
	copy(k.MAC[:], unhex(t, mac))
	return k
}

// The first answer is published with pySim, the second one was recorded from
// another vendor's SM-DP+.
func crt(host []byte) bsp.CRT { return bsp.CRT{KeyType: 0x88, KeyLength: 0x10, HostID: host} }

// Recorded from another vendor's SM-DP+: ConfigureISDP, StoreMetadata,
// ReplaceSessionKeys in one session.
// A whole session that an independent SM-DP+ library made: the same one-time
// key gives the same package, byte for byte, save the signature.
func random(t testing.TB) (k bsp.Keys) {
	t.Helper()
	for _, b := range [][]byte{k.MCV[:], k.ENC[:], k.MAC[:]} {
		if _, err := rand.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func TestRoundTripAndSizes(t *testing.T) {
	k := random(t)
	rapid.Check(t, func(t *rapid.T) {
		send, receive := bsp.New(k), bsp.New(k)
		for range rapid.IntRange(1, 4).Draw(t, "messages") {
			data := rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(t, "data")
			sealed := rapid.Bool().Draw(t, "sealed")
			size, open := bsp.MaxAuthenticate, receive.Verify
			protect, tag := send.AuthenticateAll, byte(0x88)
			if sealed {
				size, open = bsp.MaxSeal, receive.Open
				protect, tag = send.SealAll, 0x86
			}
			segments, err := protect(tag, data)
			if err != nil {
				t.Fatal(err)
			}
			if want := (len(data) + size - 1) / size; len(segments) != want {
				t.Fatalf("%d segments for %d bytes, want %d", len(segments), len(data), want)
			}
			var got []byte
			for i, segment := range segments {
				if len(segment) > bsp.MaxSegment {
					t.Fatalf("segment of %d bytes", len(segment))
				}
				if i < len(segments)-1 && len(segment) != bsp.MaxSegment {
					t.Fatalf("segment %d of %d has %d bytes", i, len(segments), len(segment))
				}
				plain, err := open(segment)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, plain...)
			}
			if !bytes.Equal(got, data) {
				t.Fatal("other data came out")
			}
		}
	})
	s := bsp.New(k)
	if _, err := s.Seal(0x86, make([]byte, bsp.MaxSeal+1)); !errors.Is(err, bsp.ErrTooLong) {
		t.Errorf("Seal of too much: %v", err)
	}
	if _, err := s.Authenticate(0x88, make([]byte, bsp.MaxAuthenticate+1)); !errors.Is(err, bsp.ErrTooLong) {
		t.Errorf("Authenticate of too much: %v", err)
	}
}

func TestAnyFlippedBitBreaksTheSession(t *testing.T) {
	k := random(t)
	rapid.Check(t, func(t *rapid.T) {
		send, receive := bsp.New(k), bsp.New(k)
		a, _ := send.Seal(0x86, rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "a"))
		b, _ := send.Seal(0x86, []byte("behind"))
		bit := rapid.IntRange(0, len(a)*8-1).Draw(t, "bit")
		bad := bytes.Clone(a)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := receive.Open(bad); !errors.Is(err, bsp.ErrMAC) && !errors.Is(err, bsp.ErrStructure) {
			t.Fatalf("bit %d: %v", bit, err)
		}
		for _, segment := range [][]byte{a, b} {
			if _, err := receive.Open(segment); !errors.Is(err, bsp.ErrBroken) {
				t.Fatalf("after the error: %v", err)
			}
		}
	})
}

func TestOrderRepetitionAndReplacement(t *testing.T) {
	k, ppk := random(t), random(t)
	send := bsp.New(k)
	a, _ := send.Seal(0x86, []byte("first"))
	b, _ := send.Seal(0x86, []byte("second"))
	if _, err := bsp.New(k).Open(b); !errors.Is(err, bsp.ErrMAC) {
		t.Errorf("second before first: %v", err)
	}
	r := bsp.New(k)
	if _, err := r.Open(a); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(a); !errors.Is(err, bsp.ErrMAC) {
		t.Errorf("first twice: %v", err)
	}

	send, r = bsp.New(k), bsp.New(k)
	a, _ = send.Seal(0x87, bsp.ReplaceRequest(ppk))
	send.Replace(ppk)
	b, _ = send.Seal(0x86, []byte("profile"))
	plain, err := r.Open(a)
	if err != nil {
		t.Fatal(err)
	}
	got, err := bsp.ParseReplaceRequest(plain)
	if err != nil || got != ppk {
		t.Fatalf("replacement: %v", err)
	}
	r.Replace(got)
	if plain, err = r.Open(b); err != nil || string(plain) != "profile" {
		t.Errorf("after replacement: %q, %v", plain, err)
	}
	// Segments under profile protection keys depend on nothing of the session.
	fresh, _ := bsp.New(ppk).Seal(0x86, []byte("profile"))
	if !bytes.Equal(fresh, b) {
		t.Error("profile segments depend on the session")
	}
}

func TestRefusals(t *testing.T) {
	own, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, eid := own.PublicKey().Bytes(), make([]byte, 16)
	off := bytes.Clone(point)
	off[64] ^= 1
	for name, c := range map[string]struct {
		peer []byte
		crt  bsp.CRT
		err  error
	}{
		"good":             {point, crt([]byte{1}), nil},
		"key type":         {point, bsp.CRT{KeyType: 0x80, KeyLength: 0x10, HostID: []byte{1}}, bsp.ErrCRT},
		"key length":       {point, bsp.CRT{KeyType: 0x88, KeyLength: 0x20, HostID: []byte{1}}, bsp.ErrCRT},
		"no host":          {point, crt(nil), bsp.ErrCRT},
		"long host":        {point, crt(make([]byte, 17)), bsp.ErrCRT},
		"not on the curve": {off, crt([]byte{1}), bsp.ErrKey},
		"compressed":       {append([]byte{2}, point[1:33]...), crt([]byte{1}), bsp.ErrKey},
		"empty":            {nil, crt([]byte{1}), bsp.ErrKey},
	} {
		if _, err := bsp.Agree(own, c.peer, c.crt, eid); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	x, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bsp.Agree(x, point, crt([]byte{1}), eid); !errors.Is(err, bsp.ErrKey) {
		t.Errorf("own key of another curve: %v", err)
	}
	for _, b := range []string{"", "BF2600", "BF26068001008100", "BF2603800100", "BF260B80010081020000820200"} {
		if _, err := bsp.ParseReplaceRequest(unhex(t, b)); err == nil {
			t.Errorf("%s was taken for keys", b)
		}
	}
	for _, b := range []string{"", "A600", "A603800188", "A606800188810110", "A60A80020088810110840101"} {
		n, err := wire.Parse(unhex(t, b))
		if err != nil {
			continue
		}
		if _, err := bsp.ParseCRT(n); err == nil {
			t.Errorf("%s was taken for a control reference template", b)
		}
	}
}

func TestKeysAndSessionsRedactThemselves(t *testing.T) {
	k := keys(t, "406d507b448a699e7a36a38494debbde", "472f5bfadd97f21d34f3ce9b51b92751", "9ec07f5b36a13e12a991d66e294e6242")
	for _, v := range []any{k, &k, bsp.New(k)} {
		if j, err := json.Marshal(k); err != nil || string(j) != `"bsp.Keys(redacted)"` {
			t.Errorf("JSON shows %s, %v", j, err)
		}
		for _, f := range []string{"%v", "%+v", "%#v", "%s"} {
			out := fmt.Sprintf(f, v)
			if out != "bsp.Keys(redacted)" && out != "bsp.Session(redacted)" {
				t.Errorf("%s of %T shows %s", f, v, out)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := keys(f, "406d507b448a699e7a36a38494debbde", "472f5bfadd97f21d34f3ce9b51b92751", "9ec07f5b36a13e12a991d66e294e6242")
	good, _ := bsp.New(k).Seal(0x86, []byte("profile"))
	f.Add(good)
	f.Add([]byte{0x86, 0x82})
	f.Add([]byte{0x86, 0x08, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte{0x86, 0x84, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		plain, err := bsp.New(k).Open(b)
		if err == nil && !bytes.Equal(b, good) {
			t.Errorf("%x was opened: %x", b, plain)
		}
		_, _ = bsp.ParseReplaceRequest(b)
	})
}

func BenchmarkSeal(b *testing.B) {
	s, plain := bsp.New(random(b)), make([]byte, bsp.MaxSeal)
	b.SetBytes(bsp.MaxSeal)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Seal(0x86, plain); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	k := random(b)
	segment, _ := bsp.New(k).Seal(0x86, make([]byte, bsp.MaxSeal))
	b.SetBytes(bsp.MaxSeal)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bsp.New(k).Open(segment); err != nil {
			b.Fatal(err)
		}
	}
}
