package saip

import (
	"bytes"
	"fmt"
	"slices"

	"linefit/modem/ident"
	"linefit/modem/wire"
)

// Tags of profile elements (the alternatives of ProfileElement, numbered from 0).
const (
	tagHeader   wire.Tag = 0xA0
	tagGFM      wire.Tag = 0xA1
	tagPIN      wire.Tag = 0xA2
	tagPUK      wire.Tag = 0xA3
	tagAKA      wire.Tag = 0xA4
	tagEnd      wire.Tag = 0xAA
	tagMF       wire.Tag = 0xB0
	tagCD       wire.Tag = 0xB1
	tagTelecom  wire.Tag = 0xB2
	tagUSIM     wire.Tag = 0xB3
	tagOptUSIM  wire.Tag = 0xB4
	tagISIM     wire.Tag = 0xB5
	tagOptISIM  wire.Tag = 0xB6
	tagPhone    wire.Tag = 0xB7
	tagGSM      wire.Tag = 0xB8
	tagCSIM     wire.Tag = 0xB9
	tagOptCSIM  wire.Tag = 0xBA
	tagEAP      wire.Tag = 0xBB
	tag5GS      wire.Tag = 0xBC
	tagSAIP     wire.Tag = 0xBD
	tagSNPN     wire.Tag = 0xBE
	tag5GProse  wire.Tag = 0xBF1F
	tagIoT      wire.Tag = 0xBF20
	tagOptIoT   wire.Tag = 0xBF21
	firstRFU    wire.Tag = 0xAB
	lastRFU     wire.Tag = 0xAF
	templateArc          = "2.23.143.1.2."
)

// known reports whether the element is one of the published ones.
func known(t wire.Tag) bool {
	switch {
	case t >= tagHeader && t < firstRFU, t >= tagMF && t <= tagSNPN:
		return true
	}
	return t == tag5GProse || t == tagIoT || t == tagOptIoT
}

// fileElement reports whether the element is made of files of a template.
func fileElement(t wire.Tag) bool { return t >= tagMF && (t < 0xBF || t > 0xFF) }

// Element is one profile element.
type Element struct {
	Tag      wire.Tag
	ID       int // identification, -1 for the header
	Mandated bool
	Raw      []byte
}

// Header is the ProfileHeader.
type Header struct {
	Major, Minor int
	Type         string
	ICCID        []byte // 10 bytes, nibble-swapped as in EF_ICCID
	Services     []int  // eUICC-Mandatory-services, by their number in ServicesList
	Templates    []string
	Connectivity []byte // connectivityParameters, nil when there are none
}

// Package is a whole profile package.
type Package struct {
	Header   Header
	Elements []Element
	Raw      []byte
	Keys     []Key // of network access applications
	root     *File
	ended    bool
}

// Key is what one AKA parameter element says about its algorithm.
type Key struct {
	Algorithm int // 1 Milenage, 2 TUAK, 3 USIM test algorithm; 0: shared by mapping
	Key       []byte
}

// String redacts.
func (k Key) String() string { return fmt.Sprintf("saip.Key(algorithm %d, redacted)", k.Algorithm) }

// GoString redacts.
func (k Key) GoString() string { return k.String() }

// supportedServices are the services of ServicesList that an eUICC of this
// making has: all but contactless (0), MULTOS (12), the SUCI calculator API (24)
// and what came after it.
var supportedServices = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}

func (h *Header) read(n wire.Node) error {
	major, err1 := small(n, 0x80)
	minor, err2 := small(n, 0x81)
	id, err3 := n.Need(0x83)
	services, err4 := n.Need(0xA5)
	templates, err5 := n.Need(0xA6)
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return err
		}
	}
	if major != 2 && major != 3 {
		return &statusError{StatusUnsupportedVersion, fmt.Errorf("profile package version %d.%d", major, minor)}
	}
	h.Major, h.Minor = major, minor
	if t, ok := n.Find(0x82); ok {
		h.Type = string(t.Value)
	}
	if c, ok := n.Find(0x87); ok {
		h.Connectivity = c.Value
	}
	if len(id.Value) != 10 {
		return &statusError{StatusBadValues, fmt.Errorf("ICCID of %d bytes", len(id.Value))}
	}
	h.ICCID = swapNibbles(id.Value)
	if _, err := ident.ICCIDFromBytes(h.ICCID); err != nil {
		return &statusError{StatusBadValues, err}
	}
	return h.requirements(services, templates)
}

func (h *Header) requirements(services, templates wire.Node) error {
	list, err := services.Children()
	if err != nil {
		return err
	}
	for _, s := range list {
		number := int(s.Tag &^ 0x80)
		if s.Tag > 0xFF {
			number = int(s.Tag & 0x7F)
		}
		h.Services = append(h.Services, number)
		if !slices.Contains(supportedServices, number) {
			return &statusError{StatusFeature, fmt.Errorf("service %d", number)}
		}
	}
	oids, err := templates.Children()
	if err != nil {
		return err
	}
	for _, o := range oids {
		oid, err := o.OID()
		if err != nil {
			return err
		}
		h.Templates = append(h.Templates, oid)
		if len(oid) <= len(templateArc) || oid[:len(templateArc)] != templateArc {
			return &statusError{StatusTemplate, fmt.Errorf("template %s", oid)}
		}
	}
	return nil
}

// readElement reads the PEHeader with which every element but the first begins.
func readElement(n wire.Node) (Element, error) {
	e := Element{Tag: n.Tag, Raw: n.Raw}
	head, _, err := wire.Next(n.Value)
	if err != nil {
		return e, err
	}
	if head.Tag != 0xA0 {
		return e, errSchema
	}
	_, e.Mandated = head.Find(0x80)
	e.ID, err = small(head, 0x81)
	return e, err
}

// small reads a number of 0 to 32767.
func small(n wire.Node, tag wire.Tag) (int, error) {
	v, err := n.Need(tag)
	if err != nil {
		return 0, err
	}
	i, err := v.Int()
	if err != nil {
		return 0, err
	}
	if i < 0 || i > 32767 {
		return 0, fmt.Errorf("%v: %w", tag, wire.ErrOutOfRange)
	}
	return int(i), nil
}

func swapNibbles(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = c<<4 | c>>4
	}
	return out
}

// Root is the master file, nil when the package creates none.
func (p *Package) Root() *File { return p.root }

// ICCIDFile is the content of EF_ICCID, nil when there is none.
func (p *Package) ICCIDFile() []byte {
	if f := p.root.Child(fidICCID); f != nil {
		return f.Content
	}
	return nil
}

// IMSI is the subscriber identity in the first USIM's EF_IMSI, "" when there is
// none or it cannot be read (3GPP TS 31.102 section 4.2.2).
func (p *Package) IMSI() ident.IMSI {
	for _, adf := range p.root.Applications() {
		f := adf.Child(fidIMSI)
		if f == nil || len(f.Content) != 9 {
			continue
		}
		n := int(f.Content[0])
		if n < 1 || n > 8 {
			continue
		}
		digits := fmt.Sprintf("%x", swapNibbles(f.Content[1:1+n]))[1:]
		imsi, err := ident.ParseIMSI(string(bytes.TrimRight([]byte(digits), "f")))
		if err == nil {
			return imsi
		}
	}
	return ""
}

// GID is the content of EF_GID1 or EF_GID2 of the first USIM that has it.
func (p *Package) GID(level int) []byte {
	for _, adf := range p.root.Applications() {
		if f := adf.Child(fidGID1 + uint16(level-1)); f != nil {
			return f.Content
		}
	}
	return nil
}
