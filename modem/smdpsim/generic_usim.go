package smdpsim

import (
	"linefit/modem/wire"
)

// usim is PE-USIM (SAIP section 8.3.6): the files that every USIM has.
func (b *builder) usim() []byte {
	const arr = 0x6F06
	accessClass := byte(1) << ((b.g.IMSI.Reveal()[14] - '0') % 8)
	class := []byte{0x00, accessClass}
	if b.g.IMSI.Reveal()[14] >= '8' {
		class = []byte{accessClass, 0x00}
	}
	spn := records(17, append([]byte{0x00}, "linefit test"...))
	return join(template(templateUSIM),
		df(2, wire.TLV(0x83, []byte{0x7F, 0xD0}), wire.TLV(0x84, aidUSIM), access(0x2F06, 1), wire.TLV(0xC6, []byte{0x81, 0x01, 0x0A, 0x0B})),
		efs(
			ef{index: 3, fid: 0x6F07, desc: transparent, arr: arr, rule: 2, content: b.imsi()},
			ef{index: 4, fid: arr, desc: linear(arrRecord), arr: arr, rule: 1, size: 4 * arrRecord, content: rules()},
			ef{index: 5, fid: 0x6F08, desc: transparent, arr: arr, rule: 3, content: records(33, []byte{0x07})},
			ef{index: 6, fid: 0x6F09, desc: transparent, arr: arr, rule: 3, content: records(33, []byte{0x07})},
			ef{index: 7, fid: 0x6F31, desc: transparent, arr: arr, rule: 2, content: []byte{0x05}},
			// SMS, SMS parameters, service provider name, PLMN selectors, MSISDN,
			// security context, EPS mobility management
			ef{index: 8, fid: 0x6F38, desc: transparent, arr: arr, rule: 2, size: 17, content: services(17, 10, 12, 19, 20, 21, 33, 42, 43, 71, 85)},
			ef{index: 10, fid: 0x6F3C, desc: linear(176), arr: arr, rule: 3, size: 10 * 176, content: records(176, []byte{0x00})},
			ef{index: 11, fid: 0x6F42, desc: linear(40), arr: arr, rule: 3, size: 40, content: blank(40)},
			ef{index: 12, fid: 0x6F43, desc: transparent, arr: arr, rule: 3, content: []byte{0xFF, 0xFF}},
			ef{index: 13, fid: 0x6F46, desc: transparent, arr: arr, rule: 1, content: spn},
			ef{index: 14, fid: 0x6F56, desc: transparent, arr: arr, rule: 3, content: []byte{0x00}},
			ef{index: 15, fid: 0x6F5B, desc: transparent, arr: arr, rule: 3, content: []byte{0xF0, 0x00, 0x00, 0xF0, 0x00, 0x00}},
			ef{index: 16, fid: 0x6F5C, desc: transparent, arr: arr, rule: 2, content: []byte{0xFF, 0xFF, 0xFF}},
			ef{index: 17, fid: 0x6F73, desc: transparent, arr: arr, rule: 3, content: join(blank(7), b.plmn(), []byte{0xFF, 0xFE, 0xFF, 0x01})},
			ef{index: 18, fid: 0x6F78, desc: transparent, arr: arr, rule: 2, content: class},
			ef{index: 19, fid: 0x6F7B, desc: transparent, arr: arr, rule: 3, content: blank(12)},
			ef{index: 20, fid: 0x6F7E, desc: transparent, arr: arr, rule: 3, content: join(blank(4), b.plmn(), []byte{0xFF, 0xFE, 0xFF, 0x01})},
			ef{index: 21, fid: 0x6FAD, desc: transparent, arr: arr, rule: 1, size: 4, content: []byte{0x00, 0x00, 0x00, 0x02}},
			ef{index: 22, fid: 0x6FB7, desc: linear(14), arr: arr, rule: 1, size: 14, content: records(14, append([]byte{0x11, 0xF2, 0xFF}, "Emergency"...))},
			ef{index: 24, fid: 0x6FE3, desc: transparent, arr: arr, rule: 3, content: join(blank(12), b.plmn(), []byte{0xFF, 0xFE, 0x01})},
			ef{index: 25, fid: 0x6FE4, desc: linear(54), arr: arr, rule: 3, size: 54, content: blank(54)},
		))
}

// optUSIM is PE-OPT-USIM (SAIP section 8.3.7): files that this USIM has too.
func (b *builder) optUSIM() []byte {
	const arr = 0x6F06
	selector := func(n int) []byte {
		out := join(b.plmn(), []byte{0x40, 0x00}) // E-UTRAN
		for len(out) < 5*n {
			out = append(out, 0xFF, 0xFF, 0xFF, 0x00, 0x00)
		}
		return out
	}
	return join(template(templateOptUSIM), efs(
		ef{index: 2, fid: 0x6F05, desc: transparent, arr: arr, rule: 3, size: 6, content: []byte("enzhde")},
		ef{index: 3, fid: 0x6F37, desc: transparent, arr: arr, rule: 3, content: []byte{0x00, 0x00, 0x00}},
		ef{index: 5, fid: 0x6F3E, desc: transparent, arr: arr, rule: 2, size: 2, content: []byte{0xFF, 0xFF}},
		ef{index: 7, fid: 0x6F40, desc: linear(32), arr: arr, rule: 3, size: 64, content: blank(64)},
		ef{index: 15, fid: 0x6F60, desc: transparent, arr: arr, rule: 3, size: 50, content: selector(10)},
		ef{index: 16, fid: 0x6F61, desc: transparent, arr: arr, rule: 2, size: 250, content: selector(50)},
		ef{index: 17, fid: 0x6F62, desc: transparent, arr: arr, rule: 2, size: 50, content: selector(10)},
		ef{index: 38, fid: 0x6FC5, desc: linear(24), arr: arr, rule: 1, size: 24, content: records(24, append([]byte{0x43, 0x08, 0x80}, "linefit"...))},
	))
}
