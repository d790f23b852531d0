package euicc_test

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/wire"
)

func TestResultCodes(t *testing.T) {
	h := euicc.Handle{ICCID: make([]byte, 10)}
	for _, c := range []struct {
		answer string
		run    func(*euicc.Card) error
		want   error
	}{
		{"BF3103800100", func(c *euicc.Card) error { return c.Enable(t.Context(), h, true) }, nil},
		{"BF3103800105", func(c *euicc.Card) error { return c.Enable(t.Context(), h, true) }, euicc.ErrCatBusy},
		{"BF3103800102", func(c *euicc.Card) error { return c.Enable(t.Context(), h, true) }, euicc.ErrNotDisabled},
		{"BF3203800102", func(c *euicc.Card) error { return c.Disable(t.Context(), h, true) }, euicc.ErrNotEnabled},
		{"BF3303800101", func(c *euicc.Card) error { return c.Delete(t.Context(), h) }, euicc.ErrNotFound},
		{"BF3303800103", func(c *euicc.Card) error { return c.Delete(t.Context(), h) }, euicc.ErrPolicy},
		{"BF3003800101", func(c *euicc.Card) error { return c.RemoveNotification(t.Context(), 7) }, euicc.ErrNothingToDelete},
		{"BF3403800101", func(c *euicc.Card) error { return c.MemoryReset(t.Context(), 0) }, euicc.ErrNothingToDelete},
		{"BF5703810102", func(c *euicc.Card) error { _, err := c.AddInitialEIM(t.Context(), []byte{0x30, 0}); return err }, euicc.ErrEIMExists},
		{"BF410381017F", func(c *euicc.Card) error { _, err := c.CancelSession(t.Context(), []byte{1}, 1); return err }, &euicc.FunctionError{Function: "CancelSession", Code: 127, Name: "undefinedError"}},
	} {
		crd, _ := card(c.answer + "9110")
		err := c.run(crd)
		if f, ok := c.want.(*euicc.FunctionError); ok {
			var got *euicc.FunctionError
			if !errors.As(err, &got) || *got != *f {
				t.Errorf("%s: %v", c.answer, err)
			}
			continue
		}
		if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", c.answer, err, c.want)
		}
		if err != nil && euicc.Unknown(err) {
			t.Errorf("%s: a clear refusal is called unknown", c.answer)
		}
	}
}

// An answer to a change that cannot be read leaves its outcome open.
func TestUnreadableAnswerIsUnknown(t *testing.T) {
	for _, answer := range []string{"", "BF31", "BF3203800100", "BF310380", "BF3100", "BF310380010000", "BF310B8009000000000000000001"} {
		c, _ := card(answer + "9000")
		err := c.Enable(t.Context(), euicc.Handle{AID: []byte{1, 2, 3, 4, 5}}, false)
		var bad *euicc.ResponseError
		if !errors.As(err, &bad) || !euicc.Unknown(err) {
			t.Errorf("%q: %v", answer, err)
		}
	}
	c, _ := card("6985")
	var status *euicc.StatusError
	if err := c.Enable(t.Context(), euicc.Handle{AID: []byte{1}}, false); !errors.As(err, &status) || status.SW != 0x6985 || euicc.Unknown(err) {
		t.Errorf("%v", err)
	}
}

func TestRequests(t *testing.T) {
	h := euicc.Handle{ICCID: unhex(t, "98001032547698103214")}
	for _, c := range []struct {
		run  func(*euicc.Card) error
		want string
	}{
		{func(c *euicc.Card) error { return c.Enable(t.Context(), h, true) }, "BF3111A00C5A0A980010325476981032148101FF"},
		{func(c *euicc.Card) error { return c.Disable(t.Context(), euicc.Handle{AID: []byte{0xA0, 1}}, false) }, "BF3209A0044F02A001810100"},
		{func(c *euicc.Card) error { return c.Delete(t.Context(), h) }, "BF330C5A0A98001032547698103214"},
		{func(c *euicc.Card) error { return c.MemoryReset(t.Context(), 0, 2) }, "BF340482020" + "5A0"},
		{func(c *euicc.Card) error { return c.SetNickname(t.Context(), h.ICCID, "line") }, "BF29125A0A9800103254769810321490046C696E65"},
		{func(c *euicc.Card) error { return c.RemoveNotification(t.Context(), 300) }, "BF30048002012C"},
		{func(c *euicc.Card) error { _, err := c.Retrieve(t.Context(), 27); return err }, "BF2B05A00380011B"},
		{func(c *euicc.Card) error { _, err := c.Retrieve(t.Context(), -1); return err }, "BF2B00"},
		{func(c *euicc.Card) error {
			_, err := c.CancelSession(t.Context(), []byte{1, 2}, euicc.CancelPostponed)
			return err
		}, "BF41078002010281" + "0101"},
		{func(c *euicc.Card) error { return c.SetDefaultDPAddress(t.Context(), "a.b") }, "BF3F058003612E62"},
		{func(c *euicc.Card) error { return c.ConfigureImmediateEnable(t.Context(), true, "2.999.10", "a.b") }, "BF590C80008103" + "88370A8203612E62"},
		{func(c *euicc.Card) error { return c.ImmediateEnable(t.Context(), true) }, "BF5A038001FF"},
		{func(c *euicc.Card) error { return c.IoTMemoryReset(t.Context(), 5, 6) }, "BF64048202" + "0106"},
		{func(c *euicc.Card) error { _, err := c.ProfilesBrief(t.Context()); return err }, "BF2D065C045A9F7095"},
	} {
		crd, s := card("6F00")
		_ = c.run(crd)
		if got := strings.ToUpper(hex.EncodeToString(s.requests[0])); got != c.want {
			t.Errorf("sent %s, want %s", got, c.want)
		}
	}
}

func TestProfiles(t *testing.T) {
	// The synthetic list of the card recordings; its first ICCID is none.
	const list = "BF2D65A063E34F5A0A8944058925001234567F4F10A00000055910100000000000000000019F70010190064D792053494D910A546573742054656C636F9214546573742054656C636F20506F73747061696400950102E3105A0A8944058925009876543F9F700100"
	c, _ := card(list + "9000")
	profiles, err := c.Profiles(t.Context())
	if err != nil || len(profiles) != 2 {
		t.Fatalf("%d, %v", len(profiles), err)
	}
	p := profiles[0]
	if p.State != euicc.Enabled || p.ICCID != "" || len(p.RawICCID) != 10 || p.Nickname != "My SIM" || p.Provider != "Test Telco" || p.Class != euicc.Operational || len(p.AID) != 16 {
		t.Errorf("%+v", p)
	}
	if profiles[1].State != euicc.Disabled {
		t.Errorf("%+v", profiles[1])
	}
	c, s := card("BF2D0381010"+"1"+"9000", "BF2D02A0009000")
	if profiles, err := c.Profiles(t.Context()); err != nil || len(profiles) != 0 || len(s.requests) != 2 {
		t.Errorf("an eUICC that takes no tag list: %v, %v", profiles, err)
	}
}

func TestIdentify(t *testing.T) {
	eid := "89049032123451234512345678901235"
	opener := func(answers map[byte]string, refuse map[byte]bool) euicc.Opener {
		return func(_ context.Context, aid []byte) (euicc.Channel, error) {
			if refuse[aid[14]] {
				return nil, apdu.ErrNoApplication
			}
			return closing{&scripted{answers: strings.Split(answers[aid[14]], ",")}, answers[aid[14]]}, nil
		}
	}
	info22 := "BF22" + "05" + "8203020300" + "9000"
	info32 := "BF22" + "0E" + "8203020300" + "B407A0050403010200" + "9000"
	eidAnswer := "BF3E125A10" + eid + "9000"
	for _, c := range []struct {
		open euicc.Opener
		want euicc.Generation
	}{
		{opener(map[byte]string{1: info22 + "," + eidAnswer}, nil), euicc.SGP22},
		{opener(map[byte]string{1: info32 + "," + eidAnswer}, nil), euicc.SGP32},
		{opener(map[byte]string{1: "6985", 2: "5A10" + eid + "9000"}, nil), euicc.SGP02},
		{opener(map[byte]string{2: "5A10" + eid + "9000"}, map[byte]bool{1: true}), euicc.SGP02},
	} {
		id, err := euicc.Identify(t.Context(), c.open, euicc.Options{})
		if err != nil || id.Generation != c.want || hex.EncodeToString(id.EID) != eid {
			t.Errorf("%s: %+v, %v", c.want, id, err)
		}
	}
	_, err := euicc.Identify(t.Context(), opener(nil, map[byte]bool{1: true, 2: true}), euicc.Options{})
	if !errors.Is(err, euicc.ErrNotEUICC) {
		t.Errorf("no eUICC: %v", err)
	}
	for _, sw := range []string{"6F00", "6581", "9300", "6A84"} { // an ISD-R that cannot now is no M2M eUICC's
		var refused *euicc.StatusError
		id, err := euicc.Identify(t.Context(), opener(map[byte]string{1: sw, 2: "5A10" + eid + "9000"}, nil), euicc.Options{})
		if !errors.As(err, &refused) {
			t.Errorf("%s: %+v, %v", sw, id, err)
		}
	}
}

// A consumer eUICC that refuses every function is not taken for an M2M one.
func TestIdentifyShut(t *testing.T) {
	const eid = "89049032123451234512345678901235"
	for name, c := range map[string]struct {
		isdr string // answers: to EUICCInfo2, to SELECT
		shut bool
	}{
		"consumer":         {"6985,6F198410A0000005591010FFFFFFFF8900000100E00582030203009000", true},
		"no version":       {"6985,6F128410A0000005591010FFFFFFFF89000001009000", false},
		"empty version":    {"6985,6F148410A0000005591010FFFFFFFF8900000100E0009000", false},
		"no template":      {"6985,9000", false},
		"torn template":    {"6985,6F1A84109000", false},
		"SELECT is kept":   {"6985,6E00", false},
		"not now":          {"6F00,6F198410A0000005591010FFFFFFFF8900000100E00582030203009000", false},
		"unknown function": {"6A88,6F198410A0000005591010FFFFFFFF8900000100E00582030302009000", true},
	} {
		open := func(_ context.Context, aid []byte) (euicc.Channel, error) {
			if aid[14] == 1 {
				return closing{scripted: &scripted{answers: strings.Split(c.isdr, ",")}}, nil
			}
			return closing{&scripted{}, "5A10" + eid + "9000"}, nil
		}
		id, err := euicc.Identify(t.Context(), open, euicc.Options{})
		switch {
		case c.shut != errors.Is(err, euicc.ErrShut):
			t.Errorf("%s: %+v, %v", name, id, err)
		case !c.shut && name != "not now" && (err != nil || id.Generation != euicc.SGP02):
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
}

// closing is a scripted channel that also answers GET DATA.
type closing struct {
	*scripted
	first string
}

func (c closing) Close(context.Context) error { return nil }

func (c closing) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if command[1] == wire.InsGetData {
		return hex.DecodeString(c.first)
	}
	if command[1] == wire.InsSelect { // its P1 says nothing of blocks
		command = append([]byte{command[0], command[1], 0x91}, command[3:]...)
	}
	return c.scripted.Transmit(ctx, command)
}

// TestRollbackResult: the result has a universal tag by the rules of ASN.1, and a
// context tag where somebody reads these otherwise.
func TestRollbackResult(t *testing.T) {
	for answer, want := range map[string]string{
		"BF5803020100": "", "BF5803800100": "", "BF5803020101": "rollbackNotAllowed", "BF5803800101": "rollbackNotAllowed", "BF5803020105": "catBusy",
		"BF5806020100800101": "twice", "BF5806020100020101": "twice", "BF5800": "missing", "BF5803810100": "missing",
	} {
		c, _ := card(answer + "9000")
		err := c.ProfileRollback(t.Context(), true)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", answer, err, want)
		}
	}
}
