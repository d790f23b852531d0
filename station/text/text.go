// Package text has every text that an operator reads, in catalogues with
// stable ids: English and Simplified Chinese. Screens, the command line and the
// API take their words from here and from nowhere else.
//
// # Catalogues
//
// A catalogue is one flat JSON object, id to text, embedded in the program
// (en.json, zh.json). It is strict: every id stands once, every catalogue has
// the same ids, and a text has the same placeholders in every language; the
// tests hold this, so that a new [station.Code], step kind or fact without its
// text does not get in.
//
// A text has placeholders in braces and optional parts in square brackets; an
// optional part is left out where one of its placeholders is empty:
//
//	"fact.unit.left/1": "Unit has left[, bin {bin}]"
//
//	text.For(text.English).T("fact.unit.left/1", "bin", "A")   // Unit has left, bin A
//	text.For(text.English).T("fact.unit.left/1", "bin", "")    // Unit has left
//
// # Ids
//
//	reason.<code>  advice.<code>   what happened, and what the operator does now
//	todo.<disposition>             what the operator does with a decided unit
//	class.* outcome.* verdict.* disposition.* result.* slot.* cell.* waiting.* ticket.* stock.* state.*
//	health.* health_advice.* mes.* answer.* operation.*
//	kind.<step kind>  effect.<effect>  command.<command>  fact.<fact type>
//	scan.*         replies of the station to a scan ([station.Reply].Text)
//	ui.* help.* sheet.*            the screen's own
//	why.* report.*                 a unit's story and the station's report (report.<language>.json)
package text

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"linefit/station"
)

//go:embed *.json
var files embed.FS

// parts are the files of a catalogue: the operator's screen, and reports.
var parts = []string{"%s.json", "report.%s.json"}

// Lang is a language by its ISO 639-1 code.
type Lang string

// Languages.
const (
	English Lang = "en"
	Chinese Lang = "zh" // simplified
)

// Langs lists the languages.
func Langs() []Lang { return []Lang{English, Chinese} }

// ParseLang finds the language of a code, a tag or a locale: "zh", "zh-CN",
// "zh_CN.UTF-8", "EN". It is false where there is no catalogue for it.
func ParseLang(s string) (Lang, bool) {
	s = strings.ToLower(s)
	for _, l := range Langs() {
		rest, found := strings.CutPrefix(s, string(l))
		if found && (rest == "" || strings.ContainsAny(rest[:1], "-_.@")) {
			return l, true
		}
	}
	return English, false
}

// Catalogue is the texts in one language. It is immutable.
type Catalogue struct {
	lang  Lang
	texts map[string]string
}

var catalogues = sync.OnceValue(func() map[Lang]*Catalogue {
	all := map[Lang]*Catalogue{}
	for _, l := range Langs() {
		texts := map[string]string{}
		for _, part := range parts {
			if err := load(fmt.Sprintf(part, l), texts); err != nil { // embedded: the tests have read it
				panic(err)
			}
		}
		all[l] = &Catalogue{lang: l, texts: texts}
	}
	return all
})

// For is the catalogue of a language, English where there is none.
func For(l Lang) *Catalogue {
	if c, ok := catalogues()[l]; ok {
		return c
	}
	return catalogues()[English]
}

// load reads a catalogue; an id that stands twice is an error, which
// encoding/json alone would not see.
func load(name string, into map[string]string) error {
	data, err := files.ReadFile(name)
	if err != nil {
		return err
	}
	texts, err := parse(name, data)
	if err != nil {
		return err
	}
	for id, s := range texts {
		if _, twice := into[id]; twice {
			return fmt.Errorf("text: %s: %q stands in another file too", name, id)
		}
		into[id] = s
	}
	return nil
}

func parse(name string, data []byte) (map[string]string, error) {
	dec := json.NewDecoder(strings.NewReader(string(data)))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("text: %s is no JSON object", name)
	}
	texts := map[string]string{}
	for dec.More() {
		id, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("text: %s: %w", name, err)
		}
		value, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("text: %s: %w", name, err)
		}
		s, ok := value.(string)
		if !ok || s == "" {
			return nil, fmt.Errorf("text: %s: %q is no text", name, id)
		}
		if _, twice := texts[id.(string)]; twice {
			return nil, fmt.Errorf("text: %s: %q stands twice", name, id)
		}
		texts[id.(string)] = s
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("text: %s: %w", name, err)
	}
	return texts, nil
}

// Lang is the catalogue's language.
func (c *Catalogue) Lang() Lang { return c.lang }

// Has reports whether there is a text of that id.
func (c *Catalogue) Has(id string) bool {
	_, ok := c.texts[id]
	return ok
}

// T is the text of an id with its placeholders filled from args, names and
// values in turn: T("scan.started", "slot", 3). An id without text is shown as
// it is, so that a station newer than the screen still says something.
func (c *Catalogue) T(id string, args ...any) string {
	s, ok := c.texts[id]
	if !ok {
		return id
	}
	return expand(s, func(name string) string {
		for i := 0; i+1 < len(args); i += 2 {
			if args[i] == name {
				return fmt.Sprint(args[i+1])
			}
		}
		return "{" + name + "}" // seen at once, and by the tests
	})
}

// Word is the text of "<group>.<value>", or the value itself where there is
// none; an empty value stays empty.
func (c *Catalogue) Word(group, value string) string {
	if s, ok := c.texts[group+"."+value]; ok && value != "" {
		return s
	}
	return value
}

// Reason is the short title of a reason's code.
func (c *Catalogue) Reason(code station.Code) string { return c.Word("reason", string(code)) }

// Advice is what the operator does now; for a code without a text it is the
// advice of its class.
func (c *Catalogue) Advice(code station.Code) string {
	if s, ok := c.texts["advice."+string(code)]; ok {
		return s
	}
	return c.Word("class_advice", string(code.Class()))
}

// expand fills placeholders and drops optional parts with an empty one.
func expand(s string, value func(name string) string) string {
	var b strings.Builder
	for s != "" {
		i := strings.IndexAny(s, "[{")
		if i < 0 {
			break
		}
		b.WriteString(s[:i])
		closing := byte('}')
		if s[i] == '[' {
			closing = ']'
		}
		end := strings.IndexByte(s[i:], closing)
		if end < 0 { // the tests keep catalogues free of this
			s = s[i:]
			break
		}
		inside := s[i+1 : i+end]
		if closing == '}' {
			b.WriteString(value(inside))
		} else {
			b.WriteString(optional(inside, value))
		}
		s = s[i+end+1:]
	}
	b.WriteString(s)
	return b.String()
}

func optional(s string, value func(name string) string) string {
	empty := false
	out := expand(s, func(name string) string {
		v := value(name)
		empty = empty || v == ""
		return v
	})
	if empty {
		return ""
	}
	return out
}
