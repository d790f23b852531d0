package recipe

import (
	"encoding/json"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"linefit/internal/strictyaml"
	"linefit/station"
)

type object = map[string]any

// Schema is the JSON Schema of a recipe file, made from the table of step
// kinds, so that it can't lag behind it.
func Schema() []byte {
	var kinds []any
	var variants []any
	for _, k := range station.Kinds() {
		kinds = append(kinds, k.Name)
		variants = append(variants, object{
			"if":   object{"properties": object{"kind": object{"const": k.Name}}},
			"then": object{"properties": object{"with": paramSchema(k)}},
		})
	}
	generations := object{"type": "array", "minItems": 1, "uniqueItems": true, "items": object{"enum": []any{sgp22, sgp32, sgp02, sgp41}},
		"description": "Generations of eUICCs; sgp41 are those of SGP.22 with in-factory one-time keys, where they go through the recipe beside others."}
	duration := object{"type": "string", "description": "a time such as 300ms, 20s or 1m30s", "pattern": `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`}
	step := object{
		"type": "object", "additionalProperties": false, "required": []any{"id", "kind", "timeout"},
		"properties": object{
			"id":           object{"type": "string", "description": "small letters, digits, dash and underscore, 32 at most, a letter first", "pattern": "^[a-z][a-z0-9_-]{0,31}$"},
			"kind":         object{"enum": kinds},
			"with":         object{"type": "object"},
			"limits":       object{"type": "array", "items": limitSchema()},
			"timeout":      duration,
			"attempts":     object{"type": "integer", "minimum": 1, "maximum": 20},
			"retry_from":   object{"type": "string"},
			"retry_on":     object{"type": "array", "items": object{"enum": []any{"fail", "error", "timeout"}}},
			"irreversible": object{"type": "boolean"},
			"always":       object{"type": "boolean"},
			"optional":     object{"type": "boolean"},
			"final":        object{"type": "boolean", "description": "Marks factory.close, the step that ends in-factory provisioning."},
			"only":         generations,
		},
		"allOf": variants,
	}
	b, err := json.MarshalIndent(object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "linefit recipe",
		"type": "object", "additionalProperties": false, "required": []any{"recipe", "version", "accepts", "restart", "steps"},
		"properties": object{
			"recipe":  object{"type": "string", "description": "small letters, digits, dash and underscore, 64 at most, a letter first", "pattern": "^[a-z][a-z0-9_-]{0,63}$"},
			"version": object{"type": "integer", "minimum": 1, "maximum": 1000000},
			"title":   object{"type": "string", "maxLength": 120},
			"accepts": generations,
			"restart": object{"type": "string"},
			"rework":  object{"type": "boolean", "description": "The recipe prepares a unit for its next run: one that passes goes to retest and never out."},
			"consent": object{"type": "object", "additionalProperties": false, "required": []any{"contract"},
				"properties": object{"contract": object{"type": "string", "minLength": 1, "maxLength": 120}}},
			"factory": object{"enum": []any{station.FactoryOpen, station.FactoryClosing},
				"description": "In-factory provisioning (SGP.41): open leaves one-time keys for a later recipe, closing ends with their deletion."},
			"steps": object{"type": "array", "minItems": 1, "maxItems": 100, "items": step},
		},
	}, "", "  ")
	if err != nil { // plain data always marshals
		panic(err)
	}
	return b
}

func limitSchema() object {
	texts := object{"type": "array", "minItems": 1, "items": object{"type": "string"}}
	return object{
		"type": "object", "additionalProperties": false, "required": []any{"measure"},
		"properties": object{
			"measure": object{"type": "string"}, "min": object{"type": "integer"}, "max": object{"type": "integer"},
			"in": texts, "prefix": texts,
		},
	}
}

func paramSchema(k station.Kind) object {
	properties, required := object{}, []any{}
	for _, p := range k.Params {
		var s object
		switch p.Type {
		case station.ParamInt:
			s = object{"type": "integer"}
		case station.ParamFlag:
			s = object{"type": "boolean"}
		case station.ParamList:
			item := object{"type": []any{"string", "integer"}} // digits need no quotes
			if len(p.Values) > 0 {
				item = object{"enum": allowed(p.Values)}
			}
			s = object{"type": "array", "uniqueItems": true, "items": item}
		case station.ParamFiles:
			s = object{"type": "array", "minItems": 1, "maxItems": 8, "uniqueItems": true, "items": object{"type": "string", "minLength": 1}}
		case station.ParamDuration:
			s = object{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`}
		default:
			s = object{"type": []any{"string", "boolean"}}
			if len(p.Values) > 0 {
				s["enum"] = allowed(p.Values)
			}
		}
		s["description"] = p.Doc
		properties[p.Name] = s
		if p.Required {
			required = append(required, p.Name)
		}
	}
	return object{"type": "object", "additionalProperties": false, "properties": properties, "required": required, "description": k.Doc}
}

// allowed are a parameter's values; YAML reads on and off as booleans.
func allowed(values []string) []any {
	var out []any
	for _, v := range values {
		out = append(out, v)
		switch v {
		case "on":
			out = append(out, true)
		case "off":
			out = append(out, false)
		}
	}
	return out
}

var compiled = sync.OnceValue(func() *jsonschema.Schema { return strictyaml.Compile("recipe.json", string(Schema())) })
