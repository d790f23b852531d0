package euicc_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"linefit/modem/euicc"
	"linefit/modem/ident"
	"linefit/modem/wire"
)

// functions are all functions of a card whose answers are read: ES10a, ES10b,
// ES10c, ES10f and those of SGP.32.
func functions(ctx context.Context) map[string]func(*euicc.Card) error {
	id := euicc.ByICCID(ident.ICCID("8988000000000000025"))
	pkg, err := euicc.ParseBoundPackage(wire.TLV(0xBF36,
		wire.TLV(0xBF23, wire.TLV(0x82, []byte{1}), wire.TLV(0x80, []byte{7}), wire.TLV(0xA6, []byte{0x80, 1, 0x88}), wire.TLV(0x5F49, make([]byte, 65)), wire.TLV(0x5F37, make([]byte, 64))),
		wire.TLV(0xA0, wire.TLV(0x87, []byte{1})), wire.TLV(0xA1, wire.TLV(0x88, []byte{1})), wire.TLV(0xA3, wire.TLV(0x86, []byte{1}))))
	if err != nil {
		panic(err) // the bytes above are constant
	}
	return map[string]func(*euicc.Card) error{
		"EID":                 func(c *euicc.Card) error { _, err := c.EID(ctx); return err },
		"Info1":               func(c *euicc.Card) error { _, err := c.Info1(ctx); return err },
		"Info2":               func(c *euicc.Card) error { _, err := c.Info2(ctx); return err },
		"Addresses":           func(c *euicc.Card) error { _, err := c.Addresses(ctx); return err },
		"SetDefaultDPAddress": func(c *euicc.Card) error { return c.SetDefaultDPAddress(ctx, "dp.example") },
		"RAT":                 func(c *euicc.Card) error { _, err := c.RAT(ctx); return err },
		"Challenge":           func(c *euicc.Card) error { _, err := c.Challenge(ctx); return err },
		"Profiles":            func(c *euicc.Card) error { _, err := c.Profiles(ctx); return err },
		"ProfilesBrief":       func(c *euicc.Card) error { _, err := c.ProfilesBrief(ctx); return err },
		"IoTProfiles":         func(c *euicc.Card) error { _, err := c.IoTProfiles(ctx); return err },
		"Enable":              func(c *euicc.Card) error { return c.Enable(ctx, id, true) },
		"Disable":             func(c *euicc.Card) error { return c.Disable(ctx, id, true) },
		"Delete":              func(c *euicc.Card) error { return c.Delete(ctx, id) },
		"SetNickname":         func(c *euicc.Card) error { return c.SetNickname(ctx, make([]byte, 10), "x") },
		"MemoryReset":         func(c *euicc.Card) error { return c.MemoryReset(ctx, euicc.ResetOperational) },
		"Notifications":       func(c *euicc.Card) error { _, err := c.Notifications(ctx); return err },
		"Retrieve":            func(c *euicc.Card) error { _, err := c.Retrieve(ctx, 1); return err },
		"RemoveNotification":  func(c *euicc.Card) error { return c.RemoveNotification(ctx, 1) },
		"CancelSession":       func(c *euicc.Card) error { _, err := c.CancelSession(ctx, []byte{1}, 1); return err },
		"Load":                func(c *euicc.Card) error { _, err := c.Load(ctx, pkg, nil); return err },
		"OneTimeKeys":         func(c *euicc.Card) error { _, err := c.OneTimeKeys(ctx, euicc.LinefitFactory); return err },
		"DeleteOneTimeKeys":   func(c *euicc.Card) error { return c.DeleteOneTimeKeys(ctx, euicc.LinefitFactory) },
		"EIMs":                func(c *euicc.Card) error { _, err := c.EIMs(ctx); return err },
		"AddInitialEIM":       func(c *euicc.Card) error { _, err := c.AddInitialEIM(ctx, []byte{0x30, 0}); return err },
		"Certificates":        func(c *euicc.Card) error { _, _, err := c.Certificates(ctx); return err },
		"ImmediateEnable":     func(c *euicc.Card) error { return c.ImmediateEnable(ctx, true) },
		"ProfileRollback":     func(c *euicc.Card) error { return c.ProfileRollback(ctx, true) },
		"EnableEmergency":     func(c *euicc.Card) error { return c.EnableEmergency(ctx, true) },
		"DisableEmergency":    func(c *euicc.Card) error { return c.DisableEmergency(ctx, true) },
		"ExecuteFallback":     func(c *euicc.Card) error { return c.ExecuteFallback(ctx, true) },
		"ReturnFromFallback":  func(c *euicc.Card) error { return c.ReturnFromFallback(ctx, true) },
		"Connectivity":        func(c *euicc.Card) error { _, err := c.ConnectivityParameters(ctx); return err },
		"IoTMemoryReset":      func(c *euicc.Card) error { return c.IoTMemoryReset(ctx, 1) },
		"IoTDefaultDPAddress": func(c *euicc.Card) error { return c.IoTSetDefaultDPAddress(ctx, "dp.example") },
		"EIMPackageResults":   func(c *euicc.Card) error { _, err := c.EIMPackageResults(ctx); return err },
		"LoadEIMPackage": func(c *euicc.Card) error {
			_, err := c.LoadEIMPackage(ctx, euicc.EIMPackage{Raw: []byte{0xBF, 0x51, 0}})
			return err
		},
		"ConfigureImmediate": func(c *euicc.Card) error { return c.ConfigureImmediateEnable(ctx, true, "", "dp.example") },
		"PrepareDownload":    func(c *euicc.Card) error { _, err := c.PrepareDownload(ctx, euicc.DownloadOffer{}, nil); return err },
		"AuthenticateServer": func(c *euicc.Card) error {
			_, err := c.AuthenticateServer(ctx, euicc.ServerAuthentication{}, nil)
			return err
		},
		"PrepareFactoryLoad": func(c *euicc.Card) error {
			return c.PrepareFactoryLoad(ctx, euicc.LinefitFactory, []byte{1}, make([]byte, 65), "dp.example", []byte{0x30, 0})
		},
	}
}

// hostile is a card that answers every finished chain with what answer makes of
// the tag of its request.
type hostile struct {
	answer func(tag wire.Tag) []byte
	chain  []byte
}

func (h *hostile) Transmit(_ context.Context, command []byte) ([]byte, error) {
	c, err := wire.ParseCommand(command)
	if err != nil {
		return nil, err
	}
	h.chain = append(h.chain, c.Data...)
	if c.P1&0x80 == 0 {
		return []byte{0x90, 0}, nil
	}
	tag, _, _, err := wire.ReadHeader(h.chain)
	if tag == 0xBF36 || tag == 0xA0 || tag == 0xA1 || tag == 0xA3 || tag == 0x86 || tag == 0x88 {
		tag = 0xBF37 // the result of a load
	}
	h.chain = nil
	if err != nil {
		return []byte{0x6A, 0x80}, nil
	}
	return append(h.answer(tag), 0x90, 0x00), nil
}

// deep is a tree as deep as its bytes allow.
func deep(levels int) []byte {
	b := []byte{0x80, 0}
	for range levels {
		b = wire.TLV(0xA0, b)
	}
	return b
}

// TestHostileAnswers: whatever a card answers to a function, the station gets a
// typed error (or a value, where the answer is one), within the memory of some
// copies of the answer.
func TestHostileAnswers(t *testing.T) {
	deeper, deepest := deep(wire.MaxDepth+20), deep(10_000)
	header := func(tag wire.Tag, length ...byte) []byte { return append(tag.Append(nil), length...) }
	answers := map[string]struct {
		of func(wire.Tag) []byte
		ok bool // some function may take it for an answer
	}{
		"nothing":              {of: func(wire.Tag) []byte { return nil }},
		"tag only":             {of: func(tag wire.Tag) []byte { return header(tag) }},
		"2 GiB announced":      {of: func(tag wire.Tag) []byte { return header(tag, 0x84, 0x7F, 0xFF, 0xFF, 0xFF, 0x80, 0x01, 0x00) }},
		"4 GiB announced":      {of: func(tag wire.Tag) []byte { return header(tag, 0x84, 0xFF, 0xFF, 0xFF, 0xFF) }},
		"length of 8 bytes":    {of: func(tag wire.Tag) []byte { return header(tag, 0x88, 1, 1, 1, 1, 1, 1, 1, 1) }},
		"length of 127 bytes":  {of: func(tag wire.Tag) []byte { return append(header(tag, 0xFF), make([]byte, 127)...) }},
		"indefinite length":    {of: func(tag wire.Tag) []byte { return header(tag, 0x80, 0x80, 0x01, 0x00, 0x00, 0x00) }},
		"inner length too big": {of: func(tag wire.Tag) []byte { return wire.TLV(tag, []byte{0xA0, 0x83, 0xFF, 0xFF, 0xFF}) }},
		"20 levels too deep":   {of: func(tag wire.Tag) []byte { return wire.TLV(tag, deeper) }},
		"10000 levels":         {of: func(tag wire.Tag) []byte { return wire.TLV(tag, deepest) }},
		"another tag":          {of: func(wire.Tag) []byte { return wire.TLV(0xBF7E, wire.Integer(0x80, 0)) }},
		"endless tag":          {of: func(wire.Tag) []byte { return append(bytes.Repeat([]byte{0xFF}, 300), 0, 0) }},
		"something behind":     {of: func(tag wire.Tag) []byte { return append(wire.TLV(tag, wire.Integer(0x80, 0)), 0x80, 0x00) }},
		"cut off":              {of: func(tag wire.Tag) []byte { b := wire.TLV(tag, wire.Integer(0x80, 0)); return b[:len(b)-1] }},
		"60 KB of zeros":       {of: func(tag wire.Tag) []byte { return wire.TLV(tag, make([]byte, 60_000)) }, ok: true},
		"empty lists":          {of: func(tag wire.Tag) []byte { return wire.TLV(tag, bytes.Repeat([]byte{0xA0, 0}, 20_000)) }, ok: true},
		"result twice":         {of: func(tag wire.Tag) []byte { return wire.TLV(tag, wire.Integer(0x80, 0), wire.Integer(0x80, 1)) }, ok: true},
		"result of 60 KB":      {of: func(tag wire.Tag) []byte { return wire.TLV(tag, wire.TLV(0x80, make([]byte, 60_000))) }, ok: true},
		"EID twice": {of: func(tag wire.Tag) []byte {
			return wire.TLV(tag, wire.TLV(0x5A, make([]byte, 16)), wire.TLV(0x5A, make([]byte, 16)))
		}, ok: true},
	}
	for name, answer := range answers {
		for function, run := range functions(t.Context()) {
			size := 0
			c := euicc.New(&hostile{answer: func(tag wire.Tag) []byte {
				b := answer.of(tag)
				size = max(size, len(b))
				return b
			}}, euicc.Options{})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := run(c)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20+200*uint64(size) {
				t.Errorf("%s, %s: %d bytes for an answer of %d", function, name, used, size)
			}
			if err == nil && !answer.ok {
				t.Errorf("%s takes it: %s", function, name)
			}
			if err != nil && !typed(err) {
				t.Errorf("%s, %s: untyped error %v", function, name, err)
			}
		}
	}
}

// typed reports whether a caller can tell what an error is.
func typed(err error) bool {
	var (
		response *euicc.ResponseError
		status   *euicc.StatusError
		function *euicc.FunctionError
		load     *euicc.LoadError
	)
	return errors.As(err, &response) || errors.As(err, &status) || errors.As(err, &function) || errors.As(err, &load)
}

// TestResultTwice: a card that says success and failure in one answer has said
// nothing.
func TestResultTwice(t *testing.T) {
	simple := []string{"SetDefaultDPAddress", "Enable", "Disable", "Delete", "SetNickname", "MemoryReset", "RemoveNotification", "DeleteOneTimeKeys",
		"ConfigureImmediate", "ImmediateEnable", "ProfileRollback", "EnableEmergency", "DisableEmergency", "ExecuteFallback", "ReturnFromFallback",
		"IoTMemoryReset", "IoTDefaultDPAddress", "PrepareFactoryLoad"}
	all := functions(t.Context())
	for _, name := range simple {
		for _, codes := range [][2]int64{{0, 1}, {1, 0}, {0, 0}} {
			c := euicc.New(&hostile{answer: func(tag wire.Tag) []byte {
				var b []byte
				for _, inner := range []wire.Tag{0x80, 0x81, 0x82} {
					b = append(b, append(wire.Integer(inner, codes[0]), wire.Integer(inner, codes[1])...)...)
				}
				return wire.TLV(tag, b)
			}}, euicc.Options{})
			if err := all[name](c); err == nil || !typed(err) {
				t.Errorf("%s, %v: %v", name, codes, err)
			}
		}
	}
}

// FuzzAnswers: no answer of a card to any function makes the station panic, and
// every error is typed.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{"", "800100", "A000", "810105", "5A1089049032123451234512345678901235", "A0028400", "3000", "A0063004800101" + "00", "8001008001FF"} {
		b, err := hex.DecodeString(s)
		if err == nil {
			f.Add(b, true)
			f.Add(b, false)
		}
	}
	f.Fuzz(func(t *testing.T, value []byte, framed bool) {
		for name, run := range functions(t.Context()) {
			c := euicc.New(&hostile{answer: func(tag wire.Tag) []byte {
				if framed {
					return wire.TLV(tag, value)
				}
				return value
			}}, euicc.Options{})
			if err := run(c); err != nil && !typed(err) {
				t.Fatalf("%s: untyped error %v", name, fmt.Sprint(err))
			}
		}
		_, _ = euicc.ParseEIMPackage(value)
	})
}
