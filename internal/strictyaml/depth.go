package strictyaml

import "bytes"

// tooDeep is the first line of a YAML file that nests deeper than any that a
// person writes, 0 where there is none: the parser takes minutes and gigabytes for
// some hundred kilobytes of brackets or dashes. Brackets in texts are counted too;
// those close again.
func tooDeep(data []byte) int {
	line, open := 1, 0
	for len(data) > 0 {
		text, rest, _ := bytes.Cut(data, []byte("\n"))
		for _, c := range text {
			switch c {
			case '[', '{':
				open++
			case ']', '}':
				open = max(open-1, 0)
			}
			if open > maxDepth {
				return line
			}
		}
		if lead := text[:len(text)-len(bytes.TrimLeft(text, "-?: \t"))]; bytes.Count(lead, []byte("- "))+bytes.Count(lead, []byte("? ")) > maxDepth {
			return line
		}
		data, line = rest, line+1
	}
	return 0
}
