package euiccsim_test

import (
	"fmt"
	"strings"
	"testing"

	"linefit/modem/euiccsim"
)

// An application identifier that is cut finds the eUICC's own applications in
// turn; the parts of a shorter RID and of another one find nothing.
func TestSelectByPartOfAnIdentifier(t *testing.T) {
	const isdr, ecasd = "A0000005591010FFFFFFFF8900000100", "A0000005591010FFFFFFFF8900000200"
	for _, step := range []struct{ before, p2, aid, is string }{
		{"", "00", "A000000559", isdr},
		{ecasd, "00", "A0000005591010", isdr},
		{"", "02", "A0000005591010", isdr},
		{isdr, "02", "A0000005591010", ecasd},
		{ecasd, "02", "A0000005591010", ""},
		{"", "03", "A0000005591010", ecasd},
		{ecasd, "03", "A0000005591010", isdr},
		{isdr, "03", "A0000005591010", ""},
		{"", "01", "A0000005591010FFFFFFFF89", ecasd},
		{"", "00", "A0000005591010FFFFFFFF89000001", isdr},
		{"", "00", "A0000005591010FFFFFFFF89000002", ecasd},
		{isdr, "02", "A0000005591010FFFFFFFF8900000100", isdr},
		{"", "00", "A0000005", ""},
		{"", "00", "A0000005591010FFFFFFFF89000003", ""},
		{"", "00", "A0000005591010FFFFFFFF890000010000", ""},
	} {
		c := newCard(t, func(o *euiccsim.Options) { o.Direct = true })
		if step.before != "" {
			exchange(t, c, "00A4040010"+step.before+"00")
		}
		got := exchange(t, c, fmt.Sprintf("00A404%s%02X%s00", step.p2, len(step.aid)/2, step.aid))
		if step.is == "" && got != "6A82" || step.is != "" && !strings.Contains(got, "8410"+step.is) {
			t.Errorf("%+v: %s", step, got)
		}
	}
}

func TestReadersWithT1GetDataAtOnce(t *testing.T) {
	c := newCard(t, func(o *euiccsim.Options) { o.Direct = true })
	exchange(t, c, "00A4040010A0000005591010FFFFFFFF890000010000")
	if got := exchange(t, c, "80E2910006BF3E035C015A00"); got != "BF3E125A10890490321234512345123456789012359000" {
		t.Error(got)
	}
	if got := exchange(t, c, "80E2910006BF3E035C015A"); got != "6115" {
		t.Error(got)
	}
	// What does not fit in the Le waits.
	if got := exchange(t, c, "80E2910006BF3E035C015A08"); got != "BF3E125A10890490610D" {
		t.Error(got)
	}
	if got := exchange(t, c, "00C000000D"); got != "321234512345123456789012359000" {
		t.Error(got)
	}
}

func TestTerminalCapabilityOpensTheISDR(t *testing.T) {
	c := newCard(t, func(o *euiccsim.Options) { o.NeedCapability = true; o.StrictGetResponse = true })
	exchange(t, c, "00A4040010A0000005591010FFFFFFFF890000010000")
	for _, x := range []struct{ command, response string }{
		{"80E2910003BF2000", "6985"},
		{"80AA00000AA9088100820101830107", "9000"},
		{"80E2910003BF2000", "6138"},
		{"80C0000038", "9000"},
		{"80E2910006BF3E035C015A", "6115"},
		{"00C0000016", "6C15"},
		{"00C0000015", "BF3E125A10890490321234512345123456789012359000"},
		{"80AA00000AA9088100820101830100", "9000"},
		{"80AA000003A90881", "6A80"},
	} {
		if got := exchange(t, c, x.command); got != x.response {
			t.Fatalf("%s: %s, want %s", x.command, got, x.response)
		}
	}
}
