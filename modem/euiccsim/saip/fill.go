package saip

import (
	"encoding/binary"
	"fmt"
	"slices"

	"linefit/modem/wire"
)

// writer fills one file. Offsets are relative to where the content before
// ended (fillFileOffset skips).
type writer struct {
	b   *builder
	f   *File
	pos int
	// fixed is set when the descriptor gave the size: content beyond is refused.
	fixed bool
	// template has the file's attributes where the package gives none, if known.
	template *attributes
	element  wire.Tag // the profile element that the file is in
}

// byTemplate makes a file that the package does not describe.
func (w *writer) byTemplate() error {
	if w.template == nil || w.template.size == 0 {
		return nil
	}
	w.shape()
	return w.templateSize()
}

// access takes the access rules: a record of the directory's EF_ARR, or of the
// one that is named.
func (w *writer) access(rules []byte) {
	if len(rules) == 1 {
		file := fidUSIMRules
		if w.element == tagMF || w.element == tagIoT && w.f.ID>>8 != 0x6F {
			file = fidRules
		}
		rules = []byte{byte(file >> 8), byte(file), rules[0]}
	}
	if len(rules) >= 3 {
		w.f.Rules = rules
	}
}

// shape takes the structure from the template.
func (w *writer) shape() {
	w.f.Kind, w.f.Record = w.template.kind, w.template.record
	switch record := []byte{byte(w.f.Record >> 8), byte(w.f.Record)}; w.f.Kind {
	case LinearFixed:
		w.f.descriptor = append([]byte{0x42, 0x21}, record...)
	case Cyclic:
		w.f.descriptor = append([]byte{0x46, 0x21}, record...)
	default:
		w.f.descriptor = []byte{0x41, 0x21}
	}
}

// templateSize takes size and content from the template.
func (w *writer) templateSize() error {
	if w.template == nil || w.template.size == 0 || w.f.Kind != w.template.kind || w.f.Record != w.template.record {
		return nil
	}
	content, err := w.b.allocate(w.template.size)
	if err != nil {
		return err
	}
	w.initial(content)
	w.f.Content = content
	return nil
}

// initial writes the template's content, anew in each record.
func (w *writer) initial(content []byte) {
	if w.template == nil || len(w.template.head) == 0 {
		return
	}
	each := len(content)
	if w.f.Record > 0 {
		each = w.f.Record
	}
	for i := range content {
		content[i] = w.template.head[min(i%each, len(w.template.head)-1)]
	}
}

// create reads an Fcp (ETSI TS 102 222 section 6.3.2.2.2 as the profile package
// definitions restrict it).
func (w *writer) create(n wire.Node) error {
	f := w.f
	if d, ok := n.Find(0x82); ok {
		if err := f.describe(d.Value); err != nil {
			return err
		}
	}
	if id, ok := n.Find(0x83); ok {
		if len(id.Value) != 2 {
			return &statusError{StatusBadValues, fmt.Errorf("file identifier of %d bytes", len(id.Value))}
		}
		f.ID = binary.BigEndian.Uint16(id.Value)
	}
	if aid, ok := n.Find(0x84); ok {
		if len(aid.Value) < 5 || len(aid.Value) > 16 {
			return &statusError{StatusBadValues, fmt.Errorf("application identifier of %d bytes", len(aid.Value))}
		}
		f.AID, f.Kind = aid.Value, Directory
	}
	if link, ok := n.Find(0xC7); ok {
		f.linked = trimMF(link.Value)
	}
	if f.descriptor == nil && w.template != nil && w.template.size > 0 {
		w.shape()
	}
	if rules, ok := n.Find(0x8B); ok {
		w.access(rules.Value)
	}
	if f.descriptor == nil { // a template's: directories have no size
		_, hasSize := n.Find(0x80)
		_, hasPIN := n.Find(0xC6)
		f.Kind, f.descriptor = Transparent, []byte{0x41, 0x21}
		if f.AID != nil || hasPIN && !hasSize {
			f.Kind, f.descriptor = Directory, []byte{0x78, 0x21}
		}
	}
	w.short(n)
	return w.size(n)
}

// describe reads a file descriptor (ETSI TS 102 221 section 11.1.1.4.3).
func (f *File) describe(d []byte) error {
	if len(d) < 2 {
		return &statusError{StatusBadValues, fmt.Errorf("file descriptor of %d bytes", len(d))}
	}
	f.descriptor = d
	switch {
	case d[0]&0x38 == 0x38 && d[0]&0x07 == 0:
		f.Kind = Directory
	case d[0]&0x3F == 0x39:
		f.Kind = BERTLV
	case d[0]&0x07 == 1:
		f.Kind = Transparent
	case d[0]&0x07 == 2:
		f.Kind = LinearFixed
	case d[0]&0x07 == 6:
		f.Kind = Cyclic
	default:
		return &statusError{StatusBadValues, fmt.Errorf("file descriptor %X", d)}
	}
	if f.Kind != LinearFixed && f.Kind != Cyclic {
		return nil
	}
	if len(d) != 4 {
		return &statusError{StatusBadValues, fmt.Errorf("file descriptor of %d bytes for records", len(d))}
	}
	f.Record = int(binary.BigEndian.Uint16(d[2:]))
	if f.Record == 0 || f.Record > 255 {
		return &statusError{StatusBadValues, fmt.Errorf("records of %d bytes", f.Record)}
	}
	return nil
}

// short is the short file identifier: given, forbidden by an empty tag 88, the
// template's, or the low five bits of the identifier.
func (w *writer) short(n wire.Node) {
	f := w.f
	if f.Kind == Directory {
		return
	}
	s, ok := n.Find(0x88)
	switch {
	case !ok && w.template != nil && w.template.short != 0:
		f.Short = w.template.short
	case !ok:
		f.Short = byte(f.ID & 0x1F)
	case len(s.Value) == 1:
		f.Short = s.Value[0] >> 3
	default:
		f.Short = 0
	}
}

// size reads efFileSize and makes the initial content from the patterns.
func (w *writer) size(n wire.Node) error {
	s, ok := n.Find(0x80)
	switch {
	case w.f.Kind == Directory:
		return nil
	case !ok:
		return w.templateSize()
	}
	v, err := s.Uint()
	if err != nil {
		return err
	}
	if v > uint64(MaxFiles) {
		return &statusError{StatusNotEnoughMemory, errFiles}
	}
	size := int(v)
	if w.f.Record != 0 && size%w.f.Record != 0 {
		return &statusError{StatusBadValues, fmt.Errorf("%w: %d bytes of records of %d", errFileSize, size, w.f.Record)}
	}
	if w.f.Kind == BERTLV {
		return nil
	}
	content, err := w.b.allocate(size)
	if err != nil {
		return err
	}
	w.initial(content)
	pattern(content, n)
	w.f.Content, w.fixed = content, true
	return nil
}

// allocate counts file contents against the memory.
func (b *builder) allocate(n int) ([]byte, error) {
	if b.total += n; b.total > MaxFiles {
		return nil, &statusError{StatusNotEnoughMemory, errFiles}
	}
	content := make([]byte, n)
	for i := range content {
		content[i] = 0xFF
	}
	return content, nil
}

// pattern applies fillPattern (its last byte goes on to the end) or
// repeatPattern of the proprietary information (ETSI TS 102 222 section 6.3.2.2.2).
func pattern(content []byte, n wire.Node) {
	if fill, ok := n.Find(0xA5, 0xC1); ok && len(fill.Value) > 0 {
		for i := range content {
			content[i] = fill.Value[min(i, len(fill.Value)-1)]
		}
	} else if repeat, ok := n.Find(0xA5, 0xC2); ok && len(repeat.Value) > 0 {
		for i := range content {
			content[i] = repeat.Value[i%len(repeat.Value)]
		}
	}
}

func (w *writer) skip(n wire.Node) error {
	v, err := n.Int()
	if err != nil {
		return err
	}
	if w.f == nil || v < 0 || v > 65535 {
		return &statusError{StatusBadValues, fmt.Errorf("%w: offset %d", errFileSize, v)}
	}
	w.pos += int(v)
	return nil
}

func (w *writer) fill(value []byte) error {
	switch {
	case w.f == nil || w.f.Kind == Directory:
		return &statusError{StatusBadValues, errFileSize}
	case w.f.Kind == BERTLV:
		return nil // data objects, not bytes at an offset
	}
	end := w.pos + len(value)
	if end > len(w.f.Content) {
		if w.fixed {
			return &statusError{StatusBadValues, fmt.Errorf("%w: %d bytes into %d", errFileSize, end, len(w.f.Content))}
		}
		more, err := w.b.allocate(end - len(w.f.Content))
		if err != nil {
			return err
		}
		w.f.Content = append(slices.Clip(w.f.Content), more...)
	}
	copy(w.f.Content[w.pos:], value)
	w.pos = end
	return nil
}
