package apdu

import (
	"encoding/hex"
	"slices"
	"strings"

	"linefit/modem/wire"
)

// hidden are paths below a message's outer tag whose values are left out. A
// message without an entry in its table is left out whole.
type hidden [][]wire.Tag

// requests are the ES10 commands that may be shown (SGP.22 sections 5.7.2 to
// 5.7.22, SGP.32 section 5.9).
var requests = map[wire.Tag]hidden{
	0xBF20: {}, 0xBF22: {}, 0xBF28: {}, 0xBF29: {}, 0xBF2B: {}, 0xBF2D: {}, 0xBF2E: {}, 0xBF30: {}, 0xBF31: {},
	0xBF32: {}, 0xBF33: {}, 0xBF34: {}, 0xBF3C: {}, 0xBF3E: {}, 0xBF3F: {}, 0xBF41: {}, 0xBF43: {},
	0xBF55: {}, 0xBF56: {}, 0xBF58: {}, 0xBF59: {}, 0xBF5A: {}, 0xBF5B: {}, 0xBF5C: {}, 0xBF5D: {}, 0xBF5E: {},
	0xBF5F: {}, 0xBF64: {}, 0xBF65: {},
	0xBF38: {{0xA0, 0x80}},       // ctxParams1.matchingId
	0xBF21: {{0x04}},             // hashCc
	0xBF57: {{0xA0, 0x30, 0x84}}, // associationToken
	0xBF23: {},
}

// responses are the ES10 answers that may be shown.
var responses = map[wire.Tag]hidden{
	0xBF20: {}, 0xBF22: {}, 0xBF28: {}, 0xBF29: {}, 0xBF2D: {}, 0xBF2E: {}, 0xBF30: {}, 0xBF31: {},
	0xBF32: {}, 0xBF33: {}, 0xBF34: {}, 0xBF3C: {}, 0xBF3E: {}, 0xBF3F: {}, 0xBF41: {}, 0xBF43: {},
	0xBF56: {}, 0xBF58: {}, 0xBF59: {}, 0xBF5A: {}, 0xBF5B: {}, 0xBF5C: {}, 0xBF5D: {}, 0xBF5E: {}, 0xBF5F: {},
	0xBF64: {}, 0xBF65: {},
	0xBF38: {{0xA0, 0x30, 0xA0, 0x80}}, // euiccSigned1.ctxParams1.matchingId
	0xBF21: {{0xA0, 0x30, 0x04}},       // euiccSigned2.hashCc
	0xBF55: {{0xA0, 0x30, 0x84}},       // associationToken
	0xBF57: {{0xA0, 0x84}},
	// A notification with its signature could be sent by anybody.
	0xBF37: {{0x5F37}},
	0xBF2B: {{0xA0, 0xBF37, 0x5F37}, {0xA0, 0x30, 0x5F37}},
}

// redactRequest shows a message. Of a bound profile package's first segment it
// shows the header and the initialise secure channel request.
func redactRequest(b []byte) string {
	tag, _, n, err := wire.ReadHeader(b)
	if err != nil {
		return bytesLeftOut(len(b))
	}
	if tag == 0xBF36 {
		return upper(b[:n]) + redact(b[n:], requests)
	}
	return redact(b, requests)
}

func redactResponse(b []byte) string { return redact(b, responses) }

func redact(b []byte, table map[wire.Tag]hidden) string {
	n, err := wire.Parse(b)
	if err != nil {
		return bytesLeftOut(len(b))
	}
	paths, known := table[n.Tag]
	if !known || n.Check() != nil {
		return bytesLeftOut(len(b))
	}
	var s strings.Builder
	show(&s, n, paths)
	return s.String()
}

// show writes n and leaves out the values at the ends of paths.
func show(s *strings.Builder, n wire.Node, paths hidden) {
	if len(paths) == 0 {
		s.WriteString(upper(n.Raw))
		return
	}
	s.WriteString(upper(n.Raw[:n.Header()]))
	if slices.ContainsFunc(paths, func(p []wire.Tag) bool { return len(p) == 0 }) {
		s.WriteString(bytesLeftOut(len(n.Value)))
		return
	}
	children, err := n.Children()
	if err != nil || !n.Tag.Constructed() {
		s.WriteString(bytesLeftOut(len(n.Value)))
		return
	}
	for _, child := range children {
		var below hidden
		for _, p := range paths {
			if p[0] == child.Tag {
				below = append(below, p[1:])
			}
		}
		show(s, child, below)
	}
}

func upper(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }
