package strictyaml

import (
	"bytes"
	"strings"
)

// Spreadsheet is a CSV file as a spreadsheet has written it, without its byte
// order mark and the line "sep=;" that may name the separator, and with line
// feeds where an old one ends its lines with CR alone; and the separator, which is
// a semicolon in some countries. Line numbers stay what they are.
func Spreadsheet(data []byte) (csv []byte, separator rune) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(data, '\n') < 0 {
		data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	}
	head, rest, more := bytes.Cut(data, []byte("\n"))
	head = bytes.TrimSuffix(head, []byte("\r"))
	if sep, ok := bytes.CutPrefix(head, []byte("sep=")); ok && more && len(sep) == 1 && strings.ContainsAny(string(sep), ",;\t") {
		return append([]byte("\n"), rest...), rune(sep[0])
	}
	best, most := ',', bytes.Count(head, []byte(","))
	for _, c := range []rune{';', '\t'} {
		if n := bytes.Count(head, []byte(string(c))); n > most {
			best, most = c, n
		}
	}
	return data, best
}
