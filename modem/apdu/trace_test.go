package apdu_test

import (
	"bytes"
	"strings"
	"testing"

	"linefit/modem/apdu"
	"linefit/modem/wire"
)

// canary is what must never be in a trace.
const canary = "SECRET-MATCHING-ID"

func traced(t *testing.T, card func([]byte) []byte, commands ...[]byte) string {
	t.Helper()
	var log strings.Builder
	m := &fakeModule{card: card}
	c, err := apdu.Open(t.Context(), m, wire.AIDISDR, apdu.Options{Trace: func(e apdu.Event) { log.WriteString(e.String()) }}, apdu.Route{Kind: apdu.CGLA})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		if _, err := c.Transmit(t.Context(), command); err != nil {
			t.Fatal(err)
		}
	}
	return log.String()
}

// storeData splits a message into blocks of the given size.
func storeData(message []byte, size int) [][]byte {
	var blocks [][]byte
	for i := 0; len(message) > 0; i++ {
		n, p1 := min(size, len(message)), byte(0x11)
		if n == len(message) {
			p1 = 0x91
		}
		blocks = append(blocks, append([]byte{0x80, 0xE2, p1, byte(i), byte(n)}, message[:n]...))
		message = message[n:]
	}
	return blocks
}

func TestTraceShowsWhatIsPublic(t *testing.T) {
	got := traced(t, func([]byte) []byte { return unhex(t, eidAnswer+"9000") }, getEID)
	want := "> 80E2910006BF3E035C015A\n< " + eidAnswer + "9000\n"
	if got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

func TestTraceHidesSecrets(t *testing.T) {
	secret := []byte(canary)
	hexSecret := strings.ToUpper(strings.Join(strings.Fields(hexOf(secret)), ""))
	authenticate := wire.TLV(0xBF38, wire.TLV(0x30, bytes.Repeat([]byte{0x11}, 90)[:0]), wire.TLV(0x5F37, bytes.Repeat([]byte{0x22}, 64)),
		wire.TLV(0xA0, wire.TLV(0x80, secret), wire.TLV(0xA1, wire.TLV(0x80, []byte{1, 2, 3, 4}))))
	prepare := wire.TLV(0xBF21, wire.TLV(0x30, wire.TLV(0x80, []byte{1})), wire.TLV(0x04, secret))
	segment := wire.TLV(0x86, secret, secret)
	unknown := wire.TLV(0xBF7F, secret)
	response := wire.TLV(0xBF38, wire.TLV(0xA0, wire.TLV(0x30, wire.TLV(0xA0, wire.TLV(0x80, secret)))))
	for name, message := range map[string][]byte{
		"authenticate server": authenticate, "prepare download": prepare, "segment": segment, "unknown": unknown,
		"no TLV": append([]byte{0xBF}, secret...), "truncated": wire.TLV(0xBF2D, secret)[:12],
		"matching id in a primitive": wire.TLV(0xBF38, wire.TLV(0xA0, secret)),
	} {
		for _, size := range []int{255, 20, 7} {
			got := traced(t, func([]byte) []byte { return append(append([]byte(nil), response...), 0x90, 0) }, storeData(message, size)...)
			if strings.Contains(got, hexSecret) || strings.Contains(got, hexSecret[2:len(hexSecret)-2]) {
				t.Errorf("%s in blocks of %d:\n%s", name, size, got)
			}
			for i := 0; i+8 <= len(hexSecret); i += 2 {
				if strings.Contains(got, hexSecret[i:i+8]) {
					t.Errorf("%s in blocks of %d shows %s:\n%s", name, size, hexSecret[i:i+8], got)
					break
				}
			}
		}
	}
	got := traced(t, func([]byte) []byte { return append(append([]byte(nil), response...), 0x90, 0) }, storeData(authenticate, 255)...)
	if !strings.Contains(got, "A1068004"+"01020304") || !strings.Contains(got, "5F3740"+strings.Repeat("22", 64)) {
		t.Errorf("public fields are missing:\n%s", got)
	}
}

func hexOf(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		s.WriteString(string("0123456789ABCDEF"[c>>4]) + string("0123456789ABCDEF"[c&15]))
	}
	return s.String()
}

func TestTraceOfABoundPackage(t *testing.T) {
	bf23 := wire.TLV(0xBF23, wire.TLV(0x82, []byte{1}))
	first := append([]byte{0xBF, 0x36, 0x82, 0x30, 0x00}, bf23...)
	got := traced(t, func([]byte) []byte { return []byte{0x90, 0} }, storeData(first, 255)[0], storeData(append([]byte{0xA0, 0x20}, wire.TLV(0x87, []byte(canary))...), 255)[0])
	if !strings.Contains(got, "BF36823000BF2303820101") || strings.Contains(got, hexOf([]byte(canary[:4]))) {
		t.Errorf("%s", got)
	}
}

// FuzzTrace: whatever goes over a channel, tracing neither panics nor shows the
// value of a field that is hidden.
func FuzzTrace(f *testing.F) {
	f.Add(wire.TLV(0xBF38, wire.TLV(0xA0, wire.TLV(0x80, []byte("x")))), 20)
	f.Add([]byte{0xBF, 0x36, 0x82, 0xFF}, 255)
	f.Fuzz(func(t *testing.T, message []byte, size int) {
		if size < 1 || size > 255 || len(message) == 0 || len(message) > 4096 || len(message) > 255*size {
			return
		}
		traced(t, func(b []byte) []byte {
			return append(append([]byte(nil), message[:min(len(message), 256)]...), 0x90, 0)
		}, storeData(message, size)...)
	})
}

// A notification is shown without its signature: with it anybody could send it.
func TestTraceHidesSignaturesOfNotifications(t *testing.T) {
	signature := bytes.Repeat([]byte{0xC3}, 64)
	result := wire.TLV(0xBF37, wire.TLV(0xBF27, wire.TLV(0x80, []byte{7})), wire.TLV(0x5F37, signature))
	other := wire.TLV(0x30, wire.TLV(0xBF2F, wire.TLV(0x80, []byte{9})), wire.TLV(0x5F37, signature), wire.TLV(0x30, []byte{0x02, 1, 5}))
	for name, answer := range map[string][]byte{"result": result, "list": wire.TLV(0xBF2B, wire.TLV(0xA0, result, other))} {
		got := traced(t, func([]byte) []byte { return append(append([]byte(nil), answer...), 0x90, 0) }, storeData([]byte{0xBF, 0x2B, 0}, 255)...)
		if strings.Contains(got, "C3C3") || !strings.Contains(got, "BF27") {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}
