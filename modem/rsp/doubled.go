package rsp

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// errDoubled: what one reader of JSON takes from the first of two members with
// the same name, another takes from the last (RFC 8259 section 4).
var errDoubled = errors.New("a member is there twice")

// doubled finds an object of a JSON text in which a name is there twice, letters
// of either case being the same. The text was read as JSON before.
func doubled(text []byte) error {
	type level struct {
		names map[string]bool // nil in an array
		value bool            // a member's value comes next
	}
	var stack []level
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil {
			return nil // the end
		}
		top := len(stack) - 1
		name, isText := token.(string)
		if top >= 0 && stack[top].names != nil && !stack[top].value && isText {
			folded := strings.ToLower(name)
			if stack[top].names[folded] {
				return errDoubled
			}
			stack[top].names[folded], stack[top].value = true, true
			continue
		}
		if top >= 0 {
			stack[top].value = false
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{names: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, level{})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:top]
		}
	}
}
