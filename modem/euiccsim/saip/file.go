package saip

import (
	"encoding/binary"
)

// File identifiers that are asked for by name (ETSI TS 102 221, 3GPP TS 31.102).
const (
	fidMF    uint16 = 0x3F00
	fidICCID uint16 = 0x2FE2
	fidIMSI  uint16 = 0x6F07
	fidGID1  uint16 = 0x6F3E
	// EF_ARR below the MF and below an application.
	fidRules     uint16 = 0x2F06
	fidUSIMRules uint16 = 0x6F06
)

// Kind is the structure of a file (ETSI TS 102 221 section 11.1.1.4.3).
type Kind int

// Kinds.
const (
	Directory Kind = iota // MF, DF or ADF
	Transparent
	LinearFixed
	Cyclic
	BERTLV
)

// File is one file of a profile's file system.
type File struct {
	ID       uint16 // temporary for an ADF
	Kind     Kind
	AID      []byte // ADF only
	Short    byte   // short file identifier, 0: none
	Record   int    // record length, for record structures
	Content  []byte
	Parent   *File
	Children []*File
	// Rules names the access rules: EF_ARR's identifier and a record (ETSI TS 102
	// 221 section 11.1.1.4.7.3); nil where the package names none.
	Rules []byte

	descriptor []byte // value of tag 82 as created
	linked     []byte // path of the file that this one is a link to
}

// NewDirectory is a directory that holds these files.
func NewDirectory(id uint16, files ...*File) *File {
	d := &File{ID: id, Kind: Directory, Children: files, descriptor: []byte{0x78, 0x21}}
	for _, f := range files {
		f.Parent = d
	}
	return d
}

// NewTransparent is a transparent file with this content.
func NewTransparent(id uint16, short byte, content []byte) *File {
	return &File{ID: id, Kind: Transparent, Short: short, Content: content, descriptor: []byte{0x41, 0x21}}
}

// Child is the file with an identifier directly below f, nil when there is
// none or f is nil.
func (f *File) Child(id uint16) *File {
	if f == nil {
		return nil
	}
	for _, c := range f.Children {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// ShortChild is the elementary file with a short identifier directly below f.
func (f *File) ShortChild(short byte) *File {
	if f == nil || short == 0 {
		return nil
	}
	for _, c := range f.Children {
		if c.Short == short && c.Kind != Directory {
			return c
		}
	}
	return nil
}

// Applications lists the ADFs below f.
func (f *File) Applications() []*File {
	if f == nil {
		return nil
	}
	var list []*File
	for _, c := range f.Children {
		if c.AID != nil {
			list = append(list, c)
		}
	}
	return list
}

// Path follows file identifiers from f downwards, two bytes each.
func (f *File) Path(path []byte) *File {
	if len(path)%2 != 0 {
		return nil
	}
	for ; f != nil && len(path) > 0; path = path[2:] {
		f = f.Child(binary.BigEndian.Uint16(path))
	}
	return f
}

// Descriptor is the file descriptor as tag 82 of a file control parameters
// template holds it.
func (f *File) Descriptor() []byte { return f.descriptor }

// Records is the number of whole records.
func (f *File) Records() int {
	if f.Record == 0 {
		return 0
	}
	return len(f.Content) / f.Record
}
