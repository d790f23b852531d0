package saip

import (
	"maps"

	"linefit/modem/wire"
)

// templateFiles gives the identifiers of template files that a package may
// create without a descriptor: those that a module asks for (annex A of the
// profile package specification). A file that is not here is created only with
// a descriptor that names it.
func templateFiles() map[wire.Tag]map[wire.Tag]uint16 {
	usim := map[wire.Tag]uint16{
		0xA3: 0x6F07, 0xA4: 0x6F06, 0xA5: 0x6F08, 0xA6: 0x6F09, 0xA7: 0x6F31, 0xA8: 0x6F38, 0xA9: 0x6F3B,
		0xAA: 0x6F3C, 0xAB: 0x6F42, 0xAC: 0x6F43, 0xAD: 0x6F46, 0xAE: 0x6F56, 0xAF: 0x6F5B, 0xB0: 0x6F5C,
		0xB1: 0x6F73, 0xB2: 0x6F78, 0xB3: 0x6F7B, 0xB4: 0x6F7E, 0xB5: 0x6FAD, 0xB6: 0x6FB7, 0xB7: 0x6FC4,
		0xB8: 0x6FE3, 0xB9: 0x6FE4,
	}
	return map[wire.Tag]map[wire.Tag]uint16{
		tagMF:      {0xA2: fidMF, 0xA3: 0x2F05, 0xA4: fidICCID, 0xA5: 0x2F00, 0xA6: 0x2F06, 0xA7: 0x2F08},
		tagUSIM:    usim,
		tagOptUSIM: {0xA2: 0x6F05, 0xA3: 0x6F37, 0xA4: 0x6F39, 0xA5: fidGID1, 0xA6: fidGID1 + 1, 0xA7: 0x6F40},
		tagISIM:    {0xA3: 0x6F02, 0xA4: 0x6F04, 0xA5: 0x6F03, 0xA6: 0x6F07, 0xA7: 0x6FAD, 0xA8: 0x6F06},
		tagIoT: {
			0xA2: fidMF, 0xA3: 0x2F05, 0xA4: fidICCID, 0xA5: 0x2F00, 0xA6: 0x2F06, 0xA7: 0x2F08,
			0xA9: fidIMSI, 0xAA: 0x6F06, 0xAB: 0x6F08, 0xAC: 0x6F09, 0xAD: 0x6F31, 0xAE: 0x6F38,
			0xAF: 0x6F5B, 0xB0: 0x6F5C, 0xB1: 0x6F73, 0xB2: 0x6F78, 0xB3: 0x6F7B, 0xB4: 0x6F7E,
			0xB5: 0x6FAD, 0xB6: 0x6FB7, 0xB7: 0x6FC4,
		},
	}
}

// attributes are what a template says of a file where a package does not (annex
// A of the profile package specification).
type attributes struct {
	kind   Kind
	record int    // bytes of a record, for record structures
	size   int    // bytes of the whole file; 0: the package says it
	head   []byte // initial content; the last byte goes on to the end. nil: FF
	short  byte   // short file identifier; 0: as without a template
	rule   byte   // record of EF_ARR with the access rules; 0: the package says it
}

// as adds the access rules' record and, if there is one, the short file identifier.
func (a attributes) as(rule byte, short ...byte) attributes {
	a.rule = rule
	if len(short) > 0 {
		a.short = short[0]
	}
	return a
}

// transparent, linear and cyclic are attributes of the three structures.
func transparent(size int, head ...byte) attributes {
	return attributes{kind: Transparent, size: size, head: head}
}

func linear(records, record int, head ...byte) attributes {
	return attributes{kind: LinearFixed, record: record, size: records * record, head: head}
}

func cyclic(records, record int, head ...byte) attributes {
	return attributes{kind: Cyclic, record: record, size: records * record, head: head}
}

// masterAttributes are those of files below the MF.
func masterAttributes() map[uint16]attributes {
	return map[uint16]attributes{
		fidMF:    attributes{kind: Directory}.as(14),
		0x2F00:   linear(0, 0).as(10, 0x1E),
		0x2F05:   transparent(2).as(1, 0x05),
		0x2F06:   linear(0, 0).as(10),
		0x2F08:   transparent(5).as(10, 0x08),
		fidICCID: transparent(10).as(11),
	}
}

// usimAttributes are those of files of the USIM.
func usimAttributes() map[uint16]attributes {
	return map[uint16]attributes{
		fidIMSI: transparent(9).as(2, 0x07),
		0x6F05:  transparent(6).as(1, 0x02),
		0x6F08:  transparent(33, 0x07, 0xFF).as(5, 0x08),
		0x6F09:  transparent(33, 0x07, 0xFF).as(5, 0x09),
		0x6F31:  transparent(1, 0x0A).as(2, 0x12),
		0x6F37:  transparent(3, 0).as(5),
		0x6F38:  transparent(14, 0).as(2, 0x04),
		0x6F39:  cyclic(1, 3, 0).as(7),
		0x6F3B:  linear(20, 26).as(8),
		0x6F3C:  linear(10, 176, 0x00, 0xFF).as(5),
		fidGID1: transparent(8).as(2), fidGID1 + 1: transparent(8).as(2),
		0x6F06: linear(0, 0).as(10, 0x17),
		0x6F40: linear(1, 24).as(2),
		0x6F42: linear(1, 38).as(5),
		0x6F43: transparent(2).as(5),
		0x6F46: transparent(17).as(10),
		0x6F56: transparent(1, 0).as(8, 0x05),
		0x6F5B: transparent(6, 0xF0, 0, 0, 0xF0, 0, 0).as(5, 0x0F),
		0x6F5C: transparent(3).as(2, 0x10),
		0x6F73: transparent(14, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0xFF, 0x01).as(5, 0x0C),
		0x6F78: transparent(2).as(2, 0x06),
		0x6F7B: transparent(12).as(5, 0x0D),
		0x6F7E: transparent(11, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0xFF, 0x01).as(5, 0x0B),
		0x6FAD: transparent(4, 0, 0, 0, 2).as(10, 0x03),
		0x6FB7: linear(1, 4).as(10, 0x01),
		0x6FC4: transparent(128).as(5),
		0x6FE3: transparent(18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 1).as(5, 0x1E),
		0x6FE4: linear(1, 80).as(5, 0x18),
	}
}

// isimAttributes are those of files of the ISIM.
func isimAttributes() map[uint16]attributes {
	return map[uint16]attributes{
		0x6F02: transparent(0).as(2, 0x02),
		0x6F03: transparent(0).as(2, 0x05),
		0x6F04: linear(0, 0).as(2, 0x04),
		0x6F06: linear(0, 0).as(10, 0x06),
		0x6F07: transparent(14, 0).as(2, 0x07),
		0x6FAD: transparent(3, 0).as(10, 0x03),
	}
}

// templateAttributes finds a template file's attributes by its element and
// identifier.
func templateAttributes() map[wire.Tag]map[uint16]attributes {
	mf, usim := masterAttributes(), usimAttributes()
	iot := masterAttributes()
	maps.Copy(iot, usim)
	return map[wire.Tag]map[uint16]attributes{tagMF: mf, tagUSIM: usim, tagOptUSIM: usim, tagISIM: isimAttributes(), tagIoT: iot}
}
