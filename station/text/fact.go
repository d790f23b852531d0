package text

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"linefit/station"
)

// words says which fields of facts hold words of the vocabulary, and in which
// group their texts stand.
var words = map[string]string{
	"outcome": "outcome", "verdict": "verdict", "disposition": "disposition", "wanted": "disposition",
	"kind": "kind", "effect": "effect", "cause": "reason", "to": "slot", "answer": "answer", "mes": "mes",
	"route": "answer", "state": "state", "operation": "operation",
}

// Fact is one line about a fact, for a person who reads a unit's log. A fact
// of a type without a text is shown by its type.
func (c *Catalogue) Fact(f station.Fact) string {
	_, data, err := station.Encode(f)
	if err != nil {
		return f.FactType()
	}
	return c.Entry(f.FactType(), data)
}

// Entry is [Catalogue.Fact] for the type and data of an entry of the log.
func (c *Catalogue) Entry(factType string, data json.RawMessage) string {
	s, ok := c.texts["fact."+factType]
	var fields map[string]any
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	if !ok || dec.Decode(&fields) != nil {
		return factType
	}
	return expand(s, func(name string) string { return c.field(name, fields[name]) })
}

// field is a fact's field as a person reads it.
func (c *Catalogue) field(name string, v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		if name == "simulated" && v != "" {
			return c.T("ui.simulated")
		}
		if group, ok := words[name]; ok {
			v = c.Word(group, v)
		}
		return Printable(v)
	case map[string]any:
		if step, _ := v["step"].(string); step != "" {
			return Printable(step)
		}
		return c.reason(v)
	case []any:
		parts := make([]string, 0, len(v))
		for _, one := range v {
			parts = append(parts, c.field("", one))
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v)
}

// reason is a reason with its detail for engineers.
func (c *Catalogue) reason(v map[string]any) string {
	code, _ := v["code"].(string)
	if code == "" {
		return ""
	}
	title := c.Reason(station.Code(code))
	if detail, _ := v["detail"].(string); detail != "" {
		return title + " (" + Printable(detail) + ")"
	}
	return title
}

// Printable replaces what a terminal might take for a command: texts of
// devices, servers and scanners end up on screens.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}
