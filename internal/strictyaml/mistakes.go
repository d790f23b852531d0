package strictyaml

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// At reports whether a mistake of shape is at one of these places. A caller that
// judges by what stands there would find mistakes that are none.
func (p Problems) At(places *regexp.Regexp) bool {
	return slices.ContainsFunc(p, func(one Problem) bool { return places.MatchString(one.Path) })
}

// Beside are the problems that were found in a document with mistakes of shape
// beside them: not at, in or around what has one.
func (p Problems) Beside(found Problems) Problems {
	within := func(path, of string) bool {
		return path == of || strings.HasPrefix(path, of+".") || strings.HasPrefix(path, of+"[")
	}
	return slices.DeleteFunc(found, func(f Problem) bool {
		return slices.ContainsFunc(p, func(s Problem) bool { return within(f.Path, s.Path) || f.Path != "" && within(s.Path, f.Path) })
	})
}

// collector turns a schema's errors into problems, each with what would be
// right where the schema describes it.
type collector struct {
	doc   *Doc
	right map[string]string // by the location of the schema
	found Problems
}

func (c *collector) collect(e *jsonschema.ValidationError) {
	right := c.right[e.SchemaURL]
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			c.add(append(append([]string{}, e.InstanceLocation...), name), "this key is not known here")
		}
		return
	case *kind.OneOf, *kind.AnyOf:
		if deeper := deeper(e); len(deeper) > 0 { // one of the forms was meant, and it has mistakes inside
			for _, cause := range deeper {
				c.collect(cause)
			}
			return
		}
		if right != "" {
			c.add(e.InstanceLocation, "wanted: "+right)
			return
		}
	case *kind.Pattern:
		if right != "" {
			c.add(e.InstanceLocation, fmt.Sprintf("%q is not right; wanted: %s", k.Got, right))
			return
		}
	}
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			c.collect(cause)
		}
		return
	}
	text := e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	if _, missing := e.ErrorKind.(*kind.Required); right != "" && !missing {
		text += "; wanted: " + right
	}
	c.add(e.InstanceLocation, text)
}

func (c *collector) add(path []string, text string) {
	c.found = append(c.found, c.doc.Problem(path, "%s", text))
}

// deeper are the causes at places inside of the one that an error is about.
func deeper(e *jsonschema.ValidationError) (found []*jsonschema.ValidationError) {
	var walk func(*jsonschema.ValidationError)
	walk = func(c *jsonschema.ValidationError) {
		if len(c.Causes) == 0 && (len(c.InstanceLocation) > len(e.InstanceLocation) || isUnknownKey(c)) {
			found = append(found, c)
		}
		for _, cause := range c.Causes {
			walk(cause)
		}
	}
	for _, cause := range e.Causes {
		walk(cause)
	}
	return found
}

func isUnknownKey(e *jsonschema.ValidationError) bool {
	_, unknown := e.ErrorKind.(*kind.AdditionalProperties)
	return unknown
}

// descriptions are what a schema says of its parts, by their locations.
func descriptions(root *jsonschema.Schema) map[string]string {
	found := map[string]string{}
	seen := map[*jsonschema.Schema]bool{}
	var walk func(s *jsonschema.Schema)
	walk = func(s *jsonschema.Schema) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		if s.Description != "" {
			found[s.Location] = s.Description
		}
		for _, p := range s.Properties {
			walk(p)
		}
		for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
			for _, one := range list {
				walk(one)
			}
		}
		more, _ := s.AdditionalProperties.(*jsonschema.Schema)
		for _, one := range []*jsonschema.Schema{s.Ref, s.Items2020, s.Not, s.If, s.Then, s.Else, s.PropertyNames, more} {
			walk(one)
		}
	}
	walk(root)
	return found
}
