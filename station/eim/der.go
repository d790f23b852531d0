package eim

import (
	"fmt"

	"linefit/internal/strictyaml"
	"linefit/modem/wire"
)

// Tags of EimConfigurationData.
const (
	tagID       wire.Tag = 0x80
	tagFQDN     wire.Tag = 0x81
	tagIDType   wire.Tag = 0x82
	tagCounter  wire.Tag = 0x83
	tagToken    wire.Tag = 0x84
	tagKey      wire.Tag = 0xA5
	tagTLS      wire.Tag = 0xA6
	tagProtocol wire.Tag = 0x87
	tagCI       wire.Tag = 0x88
	tagIndirect wire.Tag = 0x89
)

// names are the elements' names, in the order in which they must stand.
var names = []struct {
	tag  wire.Tag
	name string
}{
	{tagID, "eimId"}, {tagFQDN, "eimFqdn"}, {tagIDType, "eimIdType"}, {tagCounter, "counterValue"}, {tagToken, "associationToken"},
	{tagKey, "eimPublicKeyData"}, {tagTLS, "trustedPublicKeyDataTls"}, {tagProtocol, "eimSupportedProtocol"}, {tagCI, "euiccCiPKId"},
	{tagIndirect, "indirectProfileDownload"},
}

func nameOf(tag wire.Tag) string {
	for _, n := range names {
		if n.tag == tag {
			return n.name
		}
	}
	return tag.String()
}

// problem is a mistake in a file without lines.
func problem(file string, offset int, path, format string, args ...any) strictyaml.Problem {
	return strictyaml.Problem{File: file, Line: 1, Column: offset + 1, Path: path, Text: fmt.Sprintf(format, args...)}
}

// parseDER reads the forms of DER.
func parseDER(file string, data []byte) ([]Configuration, strictyaml.Problems) {
	entries, err := entriesOf(data)
	if err != nil {
		return nil, one(file, "this is neither JSON nor eIM configuration data in DER: %v", err)
	}
	if len(entries) == 0 || len(entries) > MaxEIMs {
		return nil, one(file, "%d eIMs, 1 to %d are possible", len(entries), MaxEIMs)
	}
	var list []Configuration
	var found strictyaml.Problems
	for _, e := range entries {
		c, bad := readDER(e.Node)
		for _, b := range bad {
			found = append(found, problem(file, e.offset+b.offset, b.field, "%s", b.text))
		}
		list = append(list, c)
	}
	return list, found
}

// entry is one EimConfigurationData and where it begins.
type entry struct {
	wire.Node
	offset int
}

// entriesOf unpacks whatever stands around the configurations.
func entriesOf(data []byte) ([]entry, error) {
	nodes, err := wire.ParseAll(data)
	if err != nil {
		return nil, err
	}
	offset := 0
	for len(nodes) == 1 && wraps(nodes[0]) {
		offset += nodes[0].Header()
		if nodes, err = nodes[0].Children(); err != nil {
			return nil, err
		}
	}
	var entries []entry
	for _, n := range nodes {
		if n.Tag != 0x30 {
			return nil, fmt.Errorf("tag %v at byte %d, not 30", n.Tag, offset+1)
		}
		if err := n.Check(); err != nil {
			return nil, err
		}
		entries = append(entries, entry{n, offset})
		offset += len(n.Raw)
	}
	return entries, nil
}

// wraps reports whether a node is a list or a message around configurations.
func wraps(n wire.Node) bool {
	switch n.Tag {
	case 0xBF57, 0xBF55, 0xA0:
		return true
	case 0x30:
		first, _, err := wire.Next(n.Value)
		return err == nil && first.Tag == 0x30
	}
	return false
}

// mistake is one in an EimConfigurationData, by element.
type mistake struct {
	offset int // bytes from its begin
	field  string
	text   string
}

// readDER reads one EimConfigurationData and finds all its mistakes.
func readDER(n wire.Node) (Configuration, []mistake) {
	c := Configuration{Raw: n.Raw, Counter: -1}
	parts, err := n.Children()
	if err != nil {
		return c, []mistake{{0, "", err.Error()}}
	}
	r := reader{c: &c, at: n.Header()}
	last := -1
	for _, p := range parts {
		order := position(p.Tag)
		switch {
		case order < 0:
			r.bad(nameOf(p.Tag), "the element %v is not known", p.Tag)
		case order == last:
			r.bad(nameOf(p.Tag), "stands twice")
		case order < last:
			r.bad(nameOf(p.Tag), "stands behind %s", names[last].name)
		default:
			last = order
			r.element(p)
		}
		r.at += len(p.Raw)
	}
	r.at = 0
	r.whole(parts)
	return c, r.found
}

func position(tag wire.Tag) int {
	for i, n := range names {
		if n.tag == tag {
			return i
		}
	}
	return -1
}

// Known is what an eUICC shows of an eIM (an element of
// GetEimConfigurationDataResponse): Key is empty where it shows none.
func Known(raw []byte) (id string, key []byte) {
	n, err := wire.ParseTag(raw, 0x30)
	if err != nil {
		return "", nil
	}
	if v, ok := n.Find(tagID); ok {
		id = string(v.Value)
	}
	if v, ok := n.Find(tagKey); ok {
		key, _ = publicKey(v) // of a curve that this package does not know: as if it were not shown
	}
	return id, key
}
