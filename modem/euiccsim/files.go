package euiccsim

import (
	"bytes"
	"encoding/binary"

	"linefit/modem/euiccsim/saip"
	"linefit/modem/wire"
)

// Status words of the file system (ETSI TS 102 221 section 10.2.1).
const (
	swNoCurrentEF      wire.SW = 0x6986
	swWrongStructure   wire.SW = 0x6981
	swRecordNotFound   wire.SW = 0x6A83
	swWrongOffset      wire.SW = 0x6B00
	swPINInvalidated   wire.SW = 0x6984
	fidCurrentADF      uint16  = 0x7FFF
	fidMasterFile      uint16  = 0x3F00
	maxReadBinaryBytes         = 256
)

// fileSystem is the enabled profile's, as far as a module reads it, or the
// default one.
type fileSystem struct{ root *saip.File }

// cursor is the selection on one logical channel.
type cursor struct {
	dir    *saip.File // nil: the master file
	adf    *saip.File // last selected application
	file   *saip.File // current elementary file
	record int        // record pointer, 0: none
}

// openFileSystem builds the file system of a profile; the default one without.
func openFileSystem(p *profile) *fileSystem {
	if p == nil {
		return defaultFileSystem()
	}
	pkg, err := saip.Parse(p.Package)
	if err != nil {
		return defaultFileSystem() // it was parsed before it was stored
	}
	return &fileSystem{root: pkg.Root()}
}

// defaultFileSystem is what an eUICC without an enabled profile shows (SGP.22
// section 3.4.3): the MF and EF_UMPC, no EF_DIR, no EF_ICCID. EF_UMPC says 60 mA
// and no operator defined time-out (ETSI TS 102 221 section 13.6).
func defaultFileSystem() *fileSystem {
	return &fileSystem{root: saip.NewDirectory(fidMasterFile, saip.NewTransparent(0x2F08, 0x08, []byte{0x3C, 0xFF, 0x00, 0x00, 0x00}))}
}

func (fs *fileSystem) dir(at cursor) *saip.File {
	if at.dir == nil {
		return fs.root
	}
	return at.dir
}

// selectInProfile is SELECT in the file system (ETSI TS 102 221 section 11.1.1).
func (c *Card) selectInProfile(ch *channel, cmd wire.Command) ([]byte, wire.SW) {
	at := cursor{}
	if ch.app == appFiles {
		at = ch.at
	}
	f, sw := c.card.fs.find(at, cmd)
	if sw != wire.SWOK {
		return nil, sw
	}
	if f.Kind == saip.Directory {
		at.dir, at.file = f, nil
		if f.AID != nil {
			at.adf = f
		}
	} else {
		at.dir, at.file = f.Parent, f
	}
	at.record = 0
	*ch = channel{app: appFiles, at: at}
	return c.selected(ch, cmd, controlParameters(f))
}

// find looks up what SELECT names by P1.
func (fs *fileSystem) find(at cursor, cmd wire.Command) (*saip.File, wire.SW) {
	var f *saip.File
	switch dir := fs.dir(at); cmd.P1 {
	case 0x00:
		if len(cmd.Data) == 0 {
			return fs.root, wire.SWOK
		}
		if len(cmd.Data) != 2 {
			return nil, wire.SWWrongLength
		}
		f = fs.byID(at, binary.BigEndian.Uint16(cmd.Data))
	case 0x03:
		f = dir.Parent
	case 0x04:
		for _, adf := range fs.root.Applications() {
			if len(cmd.Data) >= 5 && bytes.HasPrefix(adf.AID, cmd.Data) {
				f = adf
				break
			}
		}
	case 0x08:
		f = fs.byPath(at, fs.root, cmd.Data)
	case 0x09:
		f = fs.byPath(at, dir, cmd.Data)
	default:
		return nil, wire.SWWrongP1P2
	}
	if f == nil {
		return nil, wire.SWFileNotFound
	}
	return f, wire.SWOK
}

// byID follows the search order of ETSI TS 102 221 section 8.4.2: the master
// file, the current application, below the current directory, beside it.
func (fs *fileSystem) byID(at cursor, id uint16) *saip.File {
	dir := fs.dir(at)
	switch {
	case id == fidMasterFile:
		return fs.root
	case id == fidCurrentADF:
		return at.adf
	case id == dir.ID && dir.AID == nil:
		return dir
	}
	for d := dir; d != nil; d = d.Parent {
		if f := d.Child(id); f != nil && f.AID == nil && (d == dir || f.Kind == saip.Directory) {
			return f
		}
		if d != dir {
			break
		}
	}
	return nil
}

func (fs *fileSystem) byPath(at cursor, from *saip.File, path []byte) *saip.File {
	if len(path) < 2 || len(path)%2 != 0 {
		return nil
	}
	if from == fs.root && binary.BigEndian.Uint16(path) == fidCurrentADF {
		from, path = at.adf, path[2:]
	}
	return from.Path(path)
}

// controlParameters is the FCP template of a file (ETSI TS 102 221 section 11.1.1.3).
func controlParameters(f *saip.File) []byte {
	descriptor := bytes.Clone(f.Descriptor())
	if f.Record > 0 {
		descriptor = append(descriptor[:2], byte(f.Record>>8), byte(f.Record), byte(f.Records()))
	}
	parts := [][]byte{wire.TLV(0x82, descriptor)}
	var rules []byte
	if f.Rules != nil {
		rules = wire.TLV(0x8B, f.Rules)
	}
	if f.AID != nil {
		parts = append(parts, wire.TLV(0x84, f.AID))
	} else {
		parts = append(parts, wire.TLV(0x83, []byte{byte(f.ID >> 8), byte(f.ID)}))
	}
	if f.Kind == saip.Directory {
		if f.ID == fidMasterFile {
			// UICC characteristics; supported system commands: TERMINAL CAPABILITY, which
			// an eUICC wants before the ISD-R is selected (SGP.22 section 3.4.2).
			parts = append(parts, wire.TLV(0xA5, wire.TLV(0x80, []byte{0x71}), wire.TLV(0x87, []byte{0x01})))
		}
		parts = append(parts, wire.TLV(0x8A, []byte{0x05}), rules, wire.TLV(0xC6, wire.TLV(0x90, []byte{0x00}), wire.TLV(0x83, []byte{0x01})))
		return wire.TLV(0x62, parts...)
	}
	parts = append(parts, wire.TLV(0x8A, []byte{0x05}), rules, wire.TLV(0x80, []byte{byte(len(f.Content) >> 8), byte(len(f.Content))}))
	if f.Short != 0 {
		parts = append(parts, wire.TLV(0x88, []byte{f.Short << 3}))
	}
	return wire.TLV(0x62, parts...)
}

// status is STATUS (ETSI TS 102 221 section 11.1.2).
func (c *Card) status(ch *channel, cmd wire.Command) ([]byte, wire.SW) {
	if cmd.P1 > 2 {
		return nil, wire.SWWrongP1P2
	}
	if cmd.P2 == 0x0C {
		return nil, c.ok()
	}
	var data []byte
	switch {
	case ch.app == appISDR && cmd.P2 == 0x00:
		data = c.isdrTemplate()
	case ch.app == appISDR && cmd.P2 == 0x01:
		data = wire.TLV(0x84, wire.AIDISDR)
	case ch.app != appFiles:
		return nil, wire.SWConditionsNotSatisfied
	case cmd.P2 == 0x00:
		data = controlParameters(c.card.fs.dir(ch.at))
	case cmd.P2 == 0x01 && ch.at.adf != nil:
		data = wire.TLV(0x84, ch.at.adf.AID)
	default: // also the name of an application where none is active
		return nil, wire.SWWrongP1P2
	}
	return c.give(cmd, data)
}

// current finds the elementary file of a read: by short identifier, which also
// selects it, or the current one.
func (c *Card) current(ch *channel, short byte, record bool) (*saip.File, wire.SW) {
	if ch.app != appFiles {
		return nil, wire.SWConditionsNotSatisfied
	}
	f := ch.at.file
	if short != 0 {
		if f = c.card.fs.dir(ch.at).ShortChild(short); f == nil {
			return nil, wire.SWFileNotFound
		}
		ch.at.file, ch.at.record = f, 0
	}
	switch {
	case f == nil:
		return nil, swNoCurrentEF
	case record != (f.Kind == saip.LinearFixed || f.Kind == saip.Cyclic), f.Kind == saip.BERTLV:
		return nil, swWrongStructure
	}
	return f, wire.SWOK
}

func (c *Card) readBinary(ch *channel, cmd wire.Command) ([]byte, wire.SW) {
	var short byte
	offset := int(cmd.P1)<<8 | int(cmd.P2)
	if cmd.P1&0x80 != 0 {
		short, offset = cmd.P1&0x1F, int(cmd.P2)
	}
	f, sw := c.current(ch, short, false)
	if sw != wire.SWOK {
		return nil, sw
	}
	if offset >= len(f.Content) {
		return nil, swWrongOffset
	}
	data := f.Content[offset:]
	if cmd.Ne > len(data) && cmd.Ne != maxReadBinaryBytes {
		return nil, 0x6C00 | wire.SW(byte(len(data)))
	}
	return data[:min(len(data), cmd.Ne)], c.ok()
}

func (c *Card) readRecord(ch *channel, cmd wire.Command) ([]byte, wire.SW) {
	f, sw := c.current(ch, cmd.P2>>3, true)
	if sw != wire.SWOK {
		return nil, sw
	}
	number := int(cmd.P1)
	switch cmd.P2 & 0x07 {
	case 0x02:
		number = ch.at.record + 1
	case 0x03:
		if number = ch.at.record - 1; ch.at.record == 0 {
			number = f.Records()
		}
	case 0x04:
		if number == 0 {
			number = ch.at.record
		}
	default:
		return nil, wire.SWWrongP1P2
	}
	if number < 1 || number > f.Records() {
		return nil, swRecordNotFound
	}
	if cmd.P2&0x07 != 0x04 {
		ch.at.record = number
	}
	return c.give(cmd, f.Content[(number-1)*f.Record:number*f.Record])
}

// verifyPIN is VERIFY PIN and UNBLOCK PIN (ETSI TS 102 221 sections 11.1.9 and
// 11.1.13) of PINs that are disabled: the profiles of a factory line ask for none.
// Without data it tells the tries that are left; there is no PIN without a profile.
func (c *Card) verifyPIN(ch *channel, cmd wire.Command) ([]byte, wire.SW) {
	pin := cmd.P2 == 0x01 || cmd.P2 == 0x81 || cmd.INS == insUnblock && cmd.P2 == 0x00
	switch {
	case cmd.P1 != 0:
		return nil, wire.SWWrongP1P2
	case ch.app != appFiles:
		return nil, wire.SWConditionsNotSatisfied
	case c.nv.enabled() == nil || !pin:
		return nil, wire.SWDataNotFound
	case len(cmd.Data) == 0 && cmd.INS == insUnblock:
		return nil, 0x63CA
	case len(cmd.Data) == 0:
		return nil, 0x63C3
	}
	return nil, swPINInvalidated
}
