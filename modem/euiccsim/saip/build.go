package saip

import (
	"encoding/binary"
	"errors"
	"fmt"

	"linefit/modem/wire"
)

var (
	errNoDirectory = errors.New("a file outside of every directory")
	errFileSize    = errors.New("content does not fit the file")
	errFiles       = errors.New("the files are larger than the memory")
)

// builder makes the file system while elements arrive.
type builder struct {
	root   *File
	adfs   map[wire.Tag]*File // newest application directory by the element that made it
	fileOf map[wire.Tag]map[wire.Tag]uint16
	about  map[wire.Tag]map[uint16]attributes
	total  int // bytes of all contents
}

func (b *builder) init() {
	b.root = &File{ID: fidMF, Kind: Directory, descriptor: []byte{0x78, 0x21}}
	b.adfs = map[wire.Tag]*File{}
	b.fileOf, b.about = templateFiles(), templateAttributes()
}

// finish resolves links and gives the master file.
func (b *builder) finish() *File {
	b.link(b.root, 0)
	return b.root
}

func (b *builder) link(f *File, depth int) {
	if depth > wire.MaxDepth {
		return
	}
	if f.linked != nil {
		if target := b.root.Path(f.linked); target != nil && target != f && target.linked == nil {
			f.Content, f.Record, f.Kind, f.descriptor = target.Content, target.Record, target.Kind, target.descriptor
		}
	}
	for _, c := range f.Children {
		b.link(c, depth+1)
	}
}

// element checks one element and takes its files over.
func (b *builder) element(n wire.Node, p *Package) error {
	switch {
	case n.Tag == tagGFM:
		return b.management(n)
	case n.Tag == tagAKA:
		return readKey(n, p)
	case n.Tag == tagPIN, n.Tag == tagPUK:
		return checkCodes(n)
	case fileElement(n.Tag):
		return b.template(n)
	}
	return nil
}

// template makes the files of one template element. Its first directory is
// where the element's files go; further directories lie below that one.
func (b *builder) template(n wire.Node) error {
	list, err := n.Children()
	if err != nil {
		return err
	}
	if len(list) < 2 || list[1].Tag != 0x81 {
		return errSchema
	}
	if oid, err := list[1].OID(); err != nil || len(oid) <= len(templateArc) || oid[:len(templateArc)] != templateArc {
		return &statusError{StatusTemplate, errSchema}
	}
	top := b.parent(n.Tag)
	current := top
	var own *File // the element's first directory
	for _, entry := range list[2:] {
		f, err := b.file(n.Tag, entry, b.fileOf[n.Tag][entry.Tag])
		if err != nil {
			return err
		}
		switch {
		case f == nil:
		case n.Tag == tagMF && entry.Tag == 0xA2:
			b.root.descriptor, b.root.Rules = f.descriptor, f.Rules
			current, own = b.root, b.root
		case f.Kind == Directory && own == nil:
			current, own = f, f
			b.adopt(n.Tag, top, f)
		case f.Kind == Directory:
			current = f
			add(own, f)
		case current == nil:
			return &statusError{StatusBadValues, errNoDirectory}
		default:
			add(current, f)
		}
	}
	return nil
}

// parent is where an element's files or directories are created.
func (b *builder) parent(tag wire.Tag) *File {
	switch tag {
	case tagOptUSIM, tagPhone, tagGSM, tag5GS, tagSAIP, tagSNPN, tag5GProse, tagEAP:
		return b.adfs[tagUSIM]
	case tagOptIoT:
		return b.adfs[tagIoT]
	case tagOptISIM:
		return b.adfs[tagISIM]
	case tagOptCSIM:
		return b.adfs[tagCSIM]
	}
	return b.root
}

// adopt puts an element's first directory into the tree.
func (b *builder) adopt(tag wire.Tag, parent, f *File) {
	if f.AID != nil {
		b.adfs[tag] = f
		parent = b.root
	}
	if parent == nil {
		parent = b.root
	}
	add(parent, f)
}

func add(parent, f *File) {
	f.Parent = parent
	for i, c := range parent.Children {
		if c.ID == f.ID && c.AID == nil && f.AID == nil {
			parent.Children[i] = f // the later definition is the valid one
			return
		}
	}
	parent.Children = append(parent.Children, f)
}

// file reads one File: descriptor, offsets and contents. It is nil when the
// file is not to be created, or is a template's that is not known here.
func (b *builder) file(element wire.Tag, n wire.Node, id uint16) (*File, error) {
	if !n.Tag.Constructed() {
		return nil, errSchema
	}
	list, err := n.Children()
	if err != nil {
		return nil, err
	}
	f := &File{ID: id}
	w := writer{b: b, f: f, element: element}
	if a, ok := b.about[element][id]; ok {
		w.template = &a
		f.Short = a.short
		if a.rule != 0 {
			w.access([]byte{a.rule})
		}
	}
	for i, e := range list {
		if i == 0 && e.Tag != 0x80 && e.Tag != 0xA1 {
			if err := w.byTemplate(); err != nil {
				return nil, err
			}
		}
		switch e.Tag {
		case 0x80:
			return nil, nil
		case 0xA1:
			err = w.create(e)
		case 0x82:
			err = w.skip(e)
		case 0x83:
			err = w.fill(e.Value)
		default:
			err = errSchema
		}
		if err != nil {
			return nil, err
		}
	}
	if len(list) == 0 {
		if err := w.byTemplate(); err != nil {
			return nil, err
		}
	}
	if f.descriptor == nil && f.ID != 0 && len(f.Content) > 0 {
		f.Kind, f.descriptor = Transparent, []byte{0x41, 0x21}
	}
	if f.descriptor == nil || f.ID == 0 && f.AID == nil {
		return nil, nil
	}
	return f, nil
}

// management is PE-GenericFileManagement: paths, creations and contents.
func (b *builder) management(n wire.Node) error {
	commands, err := n.Need(0xA1)
	if err != nil {
		return err
	}
	lists, err := commands.Children()
	if err != nil {
		return err
	}
	for _, l := range lists {
		if l.Tag != 0x30 {
			return errSchema
		}
		steps, err := l.Children()
		if err != nil {
			return err
		}
		if err := b.manage(steps); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) manage(steps []wire.Node) error {
	current, w := b.root, writer{b: b}
	for _, s := range steps {
		var err error
		switch s.Tag {
		case 0x80:
			if current = b.root.Path(trimMF(s.Value)); current == nil || current.Kind != Directory {
				return &statusError{StatusBadValues, errNoDirectory}
			}
		case 0x62:
			w = writer{b: b, f: &File{}}
			if err = w.create(s); err == nil {
				add(current, w.f)
			}
		case 0x02:
			err = w.skip(s)
		case 0x81:
			err = w.fill(s.Value)
		default:
			err = errSchema
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// trimMF drops the master file from the start of a path.
func trimMF(path []byte) []byte {
	if len(path) >= 2 && binary.BigEndian.Uint16(path) == fidMF {
		return path[2:]
	}
	return path
}

// readKey is PE-AKAParameter: an algorithm with its key, or a mapping.
func readKey(n wire.Node, p *Package) error {
	configuration, err := n.Need(0xA1)
	if err != nil {
		return err
	}
	parameter, ok := configuration.Find(0xA1)
	if !ok {
		if _, ok := configuration.Find(0xA0); !ok {
			return errSchema
		}
		p.Keys = append(p.Keys, Key{})
		return nil
	}
	algorithm, err := small(parameter, 0x80)
	if err != nil {
		return err
	}
	key, err := parameter.Need(0x82)
	if err != nil {
		return err
	}
	if algorithm < 1 || algorithm > 3 || len(key.Value) != 16 && (len(key.Value) != 32 || algorithm != 2) {
		return &statusError{StatusBadValues, fmt.Errorf("algorithm %d with a key of %d bytes", algorithm, len(key.Value))}
	}
	p.Keys = append(p.Keys, Key{Algorithm: algorithm, Key: key.Value})
	return nil
}

// checkCodes is PE-PINCodes and PE-PUKCodes: each value has eight bytes.
func checkCodes(n wire.Node) error {
	codes, err := n.Need(0xA1)
	if err != nil {
		return err
	}
	if n.Tag == tagPIN {
		if _, shared := codes.Find(0x81); shared {
			return nil // taken from another directory
		}
		if codes, err = codes.Need(0xA0); err != nil {
			return err
		}
	}
	list, err := codes.Children()
	if err != nil {
		return err
	}
	for _, c := range list {
		value, err := c.Need(0x81)
		if err != nil {
			return err
		}
		if len(value.Value) != 8 {
			return &statusError{StatusBadValues, fmt.Errorf("a code of %d bytes", len(value.Value))}
		}
	}
	return nil
}
