package mestest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"linefit/station/mes"
)

// document is the OpenAPI document, as far as exchanges are held to it.
type document struct {
	operations map[string]*operation // "POST /v1/events"
	paths      []string
}

type operation struct {
	Parameters  []parameter
	RequestBody *content
	Responses   map[string]response
}

type parameter struct {
	Name, In string
	Required bool
}

type response struct {
	Headers map[string]struct{ Required bool }
	content
}

// content is the schemas by media type.
type content struct {
	Content map[string]*jsonschema.Schema
}

const place = "mes-openapi.json"

// loaded reads the document, with every object closed.
var loaded = sync.OnceValues(func() (*document, error) {
	text, err := mes.MESDocument()
	if err != nil {
		return nil, err
	}
	text = bytes.ReplaceAll(text, []byte(`"additionalProperties": true`), []byte(`"additionalProperties": false`))
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("mestest: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(place, whole); err != nil {
		return nil, fmt.Errorf("mestest: %w", err)
	}
	var raw struct {
		Paths map[string]map[string]struct {
			Parameters  []parameter
			RequestBody *struct{ Content map[string]json.RawMessage }
			Responses   map[string]struct {
				Headers map[string]struct{ Required bool }
				Content map[string]json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("mestest: %w", err)
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1", " ", "%20", ";", "%3B", "+", "%2B", "=", "%3D")
	compile := func(c map[string]json.RawMessage, at ...string) (content, error) {
		out := content{Content: map[string]*jsonschema.Schema{}}
		for media := range c {
			pointer := "#"
			for _, part := range append(append([]string{}, at...), "content", media, "schema") {
				pointer += "/" + escape.Replace(part)
			}
			s, err := compiler.Compile(place + pointer)
			if err != nil {
				return out, fmt.Errorf("mestest: %w", err)
			}
			out.Content[media] = s
		}
		return out, nil
	}
	d := &document{operations: map[string]*operation{}}
	for path, methods := range raw.Paths {
		d.paths = append(d.paths, path)
		for method, o := range methods {
			op := &operation{Parameters: o.Parameters, Responses: map[string]response{}}
			if o.RequestBody != nil {
				c, err := compile(o.RequestBody.Content, "paths", path, method, "requestBody")
				if err != nil {
					return nil, err
				}
				op.RequestBody = &c
			}
			for status, r := range o.Responses {
				c, err := compile(r.Content, "paths", path, method, "responses", status)
				if err != nil {
					return nil, err
				}
				op.Responses[status] = response{Headers: r.Headers, content: c}
			}
			d.operations[strings.ToUpper(method)+" "+path] = op
		}
	}
	return d, nil
})

// find is the operation of a request, and its path: that of the MES may stand
// behind another one.
func (d *document) find(r *http.Request) (*operation, string) {
	for _, path := range d.paths {
		if strings.HasSuffix(r.URL.Path, path) {
			return d.operations[r.Method+" "+path], path
		}
	}
	return nil, r.URL.Path
}
