package euicc_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/wire"
)

// vector returns the path of independent test material, or skips.
func vector(tb testing.TB, name ...string) string {
	tb.Helper()
	root := os.Getenv("LINEFIT_VECTORS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "vectors")
	}
	path := filepath.Join(append([]string{root}, name...)...)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("independent vectors are not here: set LINEFIT_VECTORS (%v)", err)
	}
	return path
}

func read(tb testing.TB, name ...string) []byte {
	tb.Helper()
	b, err := os.ReadFile(vector(tb, name...))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// scripted is a card that answers STORE DATA chains: one answer (data and
// status word) for each finished chain, and records what came.
type scripted struct {
	answers  []string
	requests [][]byte
	blocks   [][]byte
	chain    []byte
}

func (s *scripted) Transmit(_ context.Context, command []byte) ([]byte, error) {
	s.blocks = append(s.blocks, bytes.Clone(command))
	c, err := wire.ParseCommand(command)
	if err != nil {
		return nil, err
	}
	s.chain = append(s.chain, c.Data...)
	if c.P1&0x80 == 0 {
		return []byte{0x90, 0}, nil
	}
	s.requests, s.chain = append(s.requests, s.chain), nil
	if len(s.answers) == 0 {
		return []byte{0x6F, 0}, nil
	}
	answer := s.answers[0]
	s.answers = s.answers[1:]
	return hex.DecodeString(answer)
}

func card(answers ...string) (*euicc.Card, *scripted) {
	s := &scripted{answers: answers}
	return euicc.New(s, euicc.Options{}), s
}

// replay plays a recorded session back: commands must come as recorded. The
// recordings are of the basic channel; opening and closing are answered here.
type replay struct {
	tb    testing.TB
	lines []string
}

func newReplay(tb testing.TB, name string) *replay {
	f, err := os.Open(vector(tb, "cards", name))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	r := &replay{tb: tb}
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if line := scanner.Text(); strings.HasPrefix(line, "> ") || strings.HasPrefix(line, "< ") {
			r.lines = append(r.lines, line)
		}
	}
	return r
}

func (r *replay) Transmit(_ context.Context, command []byte) ([]byte, error) {
	switch {
	case command[1] == wire.InsManageChannel && command[2] == 0:
		return []byte{1, 0x90, 0}, nil
	case command[1] == wire.InsManageChannel, command[1] == wire.InsTerminalCapability, command[1] == wire.InsSelect:
		return []byte{0x90, 0}, nil
	}
	command = bytes.Clone(command)
	command[0] &^= 0x03
	for len(r.lines) > 0 && strings.HasPrefix(r.lines[0], "> 00A404") || len(r.lines) > 0 && strings.HasPrefix(r.lines[0], "> 00C0000021") {
		r.lines = r.lines[2:]
	}
	if len(r.lines) < 2 {
		return nil, errors.New("the recording is over")
	}
	want := strings.TrimPrefix(r.lines[0], "> ")
	if got := strings.ToUpper(hex.EncodeToString(command)); got != want {
		return nil, fmt.Errorf("command %s, recorded was %s", got, want)
	}
	answer := strings.TrimPrefix(r.lines[1], "< ")
	r.lines = r.lines[2:]
	return hex.DecodeString(answer)
}

func replayed(t *testing.T, name string) (*euicc.Card, *replay) {
	t.Helper()
	r := newReplay(t, name)
	ch, err := apdu.OpenDirect(t.Context(), r, wire.AIDISDR, apdu.Options{}, apdu.Route{})
	if err != nil {
		t.Fatal(err)
	}
	return euicc.OnChannel(ch), r
}

func TestRecordedInfo(t *testing.T) {
	c, r := replayed(t, "omnikey-info.log")
	for len(r.lines) > 0 && !strings.HasPrefix(r.lines[0], "> 80E2910003BF22") {
		r.lines = r.lines[2:]
	}
	info, err := c.Info2(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.SVN != "2.3.0" && info.SVN != "2.2.2" && info.SVN == "" || info.FreeNonVolatile <= 0 || len(info.Signing) == 0 || info.Generation() != euicc.SGP22 {
		t.Errorf("%+v", info)
	}
	eid, err := c.EID(t.Context())
	if err != nil || hex.EncodeToString(eid) != "89049032123451234512345678901235" {
		t.Errorf("EID %x, %v", eid, err)
	}
	t.Logf("SVN %s, firmware %s, free %d, SAS %s, CI %v", info.SVN, info.Firmware, info.FreeNonVolatile, info.SASAccreditation, info.Verification)
}

func TestRecordedNotifications(t *testing.T) {
	c, _ := replayed(t, "omnikey-notifications.log")
	list, err := c.Notifications(t.Context())
	if err != nil || len(list) != 5 {
		t.Fatalf("%d, %v", len(list), err)
	}
	for i, n := range list {
		address := "smdp-address-placeholder.invalid"
		if i > 2 {
			address = "127.0.0.1"
		}
		if n.Sequence != int64(24+i) || n.Event != euicc.EventInstall || n.Address != address || n.ICCID == "" {
			t.Errorf("%d: %+v", i, n)
		}
	}
}

func TestRecordedProfiles(t *testing.T) {
	c, _ := replayed(t, "omnikey-profiles.log")
	data, err := c.Do(t.Context(), "GetProfilesInfo", []byte{0xBF, 0x2D, 0})
	if err != nil || hex.EncodeToString(data) != "bf2d02a000" {
		t.Errorf("%x, %v", data, err)
	}
	empty, _ := card(hex.EncodeToString(data) + "9000")
	if profiles, err := empty.Profiles(t.Context()); err != nil || len(profiles) != 0 {
		t.Errorf("%v, %v", profiles, err)
	}
}

func TestRecordedEnable(t *testing.T) {
	h := euicc.Handle{ICCID: unhex(t, "98001032547698103214")}
	c, _ := replayed(t, "omnikey-enable.log")
	if err := c.Enable(t.Context(), h, false); err != nil {
		t.Error(err)
	}
	c, _ = replayed(t, "omnikey-enable.log")
	if err := c.Enable(t.Context(), h, true); err == nil {
		t.Error("another command than the recorded one was taken")
	}
}

func TestRecordedLoad(t *testing.T) {
	raw := unhex(t, "BF361B BF2303 010203 A004 8702AABB A104 8802CCDD A307 86021122 860133")
	if _, err := euicc.ParseBoundPackage(raw); !errors.Is(err, wire.ErrMissing) {
		t.Errorf("the recording's request has no transaction id: %v", err)
	}
	// The shape with a transaction id: seven chains of one block, each with P2 00.
	raw = wire.TLV(0xBF36, wire.TLV(0xBF23, wire.TLV(0x80, []byte{7})), wire.TLV(0xA0, wire.TLV(0x87, []byte{0xAA})), wire.TLV(0xA1, wire.TLV(0x88, []byte{0xCC})), wire.TLV(0xA3, wire.TLV(0x86, []byte{0x11}), wire.TLV(0x86, []byte{0x33})))
	p, err := euicc.ParseBoundPackage(raw)
	if err != nil {
		t.Fatal(err)
	}
	pir := wire.TLV(0xBF37, wire.TLV(0xBF27, wire.TLV(0x80, []byte{7}), wire.TLV(0xBF2F, wire.Integer(0x80, 3), wire.BitString(0x81, 0), wire.TLV(0x0C, []byte("dp"))), wire.TLV(0xA2, wire.TLV(0xA0, wire.TLV(0x4F, []byte{1, 2, 3, 4, 5})))), wire.TLV(0x5F37, make([]byte, 64)))
	c, s := card("9000", "9000", "9000", "9000", "9000", "9000", hex.EncodeToString(pir)+"9000")
	result, err := c.Load(t.Context(), p, nil)
	if err != nil || !result.OK() || result.Notification.Sequence != 3 || !bytes.Equal(result.Raw, pir) {
		t.Fatalf("%+v, %v", result, err)
	}
	for i, b := range s.blocks {
		if b[2] != 0x91 || b[3] != 0 {
			t.Errorf("block %d: P1 %02X P2 %02X", i, b[2], b[3])
		}
	}
}

// The segments of two operators' packages, byte for byte.
func TestSegmentation(t *testing.T) {
	for _, n := range []string{"1", "2"} {
		encoded := read(t, "bpp", "bpp@"+n+".txt")
		raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.Join(strings.Fields(string(encoded)), ""), "="))
		if err != nil {
			t.Fatal(err)
		}
		p, err := euicc.ParseBoundPackage(raw)
		if err != nil {
			t.Fatal(err)
		}
		var want [][]byte
		for line := range strings.Lines(string(read(t, "bpp", "sbpp@"+n+".txt"))) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				want = append(want, unhex(t, line))
			}
		}
		if len(want) != len(p.Segments()) {
			t.Fatalf("bpp@%s: %d segments, want %d", n, len(p.Segments()), len(want))
		}
		for i, s := range p.Segments() {
			if !bytes.Equal(s, want[i]) {
				t.Errorf("bpp@%s segment %d differs:\n%x\n%x", n, i, s, want[i])
			}
		}
		m, ok := p.Metadata()
		if !ok || m.RawICCID == nil {
			t.Errorf("bpp@%s: metadata %v %+v", n, ok, m)
		}
		t.Logf("bpp@%s: %d bytes, %d segments, %d APDUs at 255, %d at 120; %s %q", n, p.Size(), len(want), p.APDUs(255), p.APDUs(120), m.ICCID, m.Name)
	}
}

func TestBlocks(t *testing.T) {
	message := wire.TLV(0xBF38, bytes.Repeat([]byte{0x55}, 600))
	for _, c := range []struct {
		size, blocks int
		noLe         bool
	}{{255, 3, false}, {120, 6, false}, {1, len(message), true}, {255, 3, true}} {
		if c.blocks > 256 {
			continue
		}
		s := &scripted{answers: []string{"9000"}}
		if _, err := euicc.New(s, euicc.Options{BlockSize: c.size, OmitLe: c.noLe}).Do(t.Context(), "test", message); err != nil {
			t.Fatal(err)
		}
		if len(s.blocks) != c.blocks || !bytes.Equal(s.requests[0], message) {
			t.Errorf("size %d: %d blocks", c.size, len(s.blocks))
		}
		for i, b := range s.blocks {
			last := i == c.blocks-1
			if b[3] != byte(i) || (b[2] == 0x91) != last {
				t.Errorf("size %d block %d: %x", c.size, i, b[:5])
			}
			if withLe := len(b) == 6+int(b[4]); withLe != (last && !c.noLe) {
				t.Errorf("size %d block %d: Le %v", c.size, i, withLe)
			}
		}
	}
	s := &scripted{}
	if _, err := euicc.New(s, euicc.Options{BlockSize: 1}).Do(t.Context(), "test", message); !errors.Is(err, euicc.ErrTooLarge) || len(s.blocks) != 0 {
		t.Errorf("too many blocks: %v, %d sent", err, len(s.blocks))
	}
}

// A recording in which another request was recorded answers none of ours; its
// answer is a list all the same, with an ICCID that is none.
func TestRecordedBadRequest(t *testing.T) {
	c, _ := replayed(t, "synthetic-profiles-bad-request.log")
	if data, err := c.Do(t.Context(), "GetProfilesInfo", []byte{0xBF, 0x2D, 0}); err == nil {
		t.Errorf("answered by %x", data)
	}
	c, _ = replayed(t, "synthetic-profiles-bad-request.log")
	data, err := c.Do(t.Context(), "unknown", []byte{0xBF, 0x2E, 0})
	if err != nil {
		t.Fatal(err)
	}
	list, _ := card(hex.EncodeToString(data) + "9000")
	profiles, err := list.Profiles(t.Context())
	if err != nil || len(profiles) != 2 || profiles[0].Nickname != "My SIM" || profiles[0].State != euicc.Enabled || profiles[1].State != euicc.Disabled {
		t.Errorf("%+v, %v", profiles, err)
	}
	wrong, _ := card(hex.EncodeToString(data) + "9000")
	if _, err := wrong.Challenge(t.Context()); err == nil {
		t.Error("a list of profiles is a challenge")
	}
}

// The session's EUICCInfo1 names no issuers at all.
func TestRecordedInfo1(t *testing.T) {
	raw := read(t, "session", "euicc-info1.der")
	c, _ := card(hex.EncodeToString(raw) + "9000")
	info, err := c.Info1(t.Context())
	if err != nil || !bytes.Equal(info.Raw, raw) || info.SVN != "2.0.0" || len(info.Verification) != 0 || len(info.Signing) != 0 {
		t.Errorf("%+v, %v", info, err)
	}
}

// Seven segments as another implementation recorded them: each is a chain of its
// own whose blocks count from 00.
func TestRecordedSegments(t *testing.T) {
	c, r := replayed(t, "synthetic-load-bpp.log")
	segments := []string{"BF361BBF2303010203", "A0048702AABB", "A104", "8802CCDD", "A307", "86021122", "860133"}
	for i, s := range segments {
		data, err := c.Do(t.Context(), "LoadBoundProfilePackage", unhex(t, s))
		if last := i == len(segments)-1; err != nil || last != (len(data) > 0) {
			t.Fatalf("segment %d: %x, %v", i, data, err)
		}
	}
	if len(r.lines) != 0 {
		t.Errorf("%d recorded lines are left", len(r.lines))
	}
}
