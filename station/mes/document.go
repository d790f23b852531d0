package mes

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// MESDocument is the OpenAPI 3.1 document of what an MES offers to the station:
// the other side of the station's own one. It is made of the types with which
// the station speaks, is served at /openapi-mes.json, and is docs/mes-openapi.json
// for those who build the MES.
var MESDocument = sync.OnceValues(func() ([]byte, error) {
	d := &mesDocument{schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)}
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "linefit MES", Version: "1",
			Description: "What an MES offers to linefit stations; docs/mes.md says what each answer does. The paths follow the url of the station file. " +
				"Requests have a bearer token where one is configured. Whatever is not described here is no decision: a unit is kept out, an event is sent again.",
		},
		Security: []map[string][]string{{"bearer": {}}, {}},
		Paths: map[string]*huma.PathItem{
			"/v1/units/validate": {Post: d.validate()},
			"/v1/stock/claims":   {Post: d.claims()},
			"/v1/events":         {Post: d.events(), Options: d.handshake()},
			"/v1/checkpoints":    {Get: d.checkpoints()},
		},
		Components: &huma.Components{
			Schemas:         d.schemas,
			SecuritySchemes: map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer"}},
		},
	}
	for _, s := range d.schemas.Map() { // either side may come to say more
		if s.Type == huma.TypeObject {
			s.AdditionalProperties = true
		}
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("mes: document: %w", err)
	}
	return append(text, '\n'), nil
})

// serveMESDocument serves the document.
func (s *Server) serveMESDocument(w http.ResponseWriter, _ *http.Request) {
	doc, err := MESDocument()
	if err != nil {
		writeProblem(w, &Problem{Status: http.StatusInternalServerError, Detail: err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/openapi+json")
	_, _ = w.Write(doc)
}

// mesDocument makes the document's parts.
type mesDocument struct{ schemas huma.Registry }

// schemaOf describes what is said in terms of the type with which the station does
// or reads it.
func schemaOf[T any](d *mesDocument) *huma.Schema {
	return d.schemas.Schema(typeOf[T](), true, typeOf[T]().Name())
}

func header(name, about string, required bool, s *huma.Schema) *huma.Param {
	return &huma.Param{Name: name, In: "header", Description: about, Required: required, Schema: s}
}

func words(about string, of ...string) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString, Description: about}
	for _, w := range of {
		s.Enum = append(s.Enum, w)
	}
	return s
}

var (
	anyText = &huma.Schema{Type: huma.TypeString}
	origin  = header("Linefit-Origin", "Name of the station's log, the same in all of its shards", true, anyText)
	key     = header("Idempotency-Key", "The same with every attempt", true, &huma.Schema{Type: huma.TypeString, MaxLength: new(255)})
)

func content(media string, s *huma.Schema) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{media: {Schema: s}}
}

// noes are answers without a decision, or with a no, in problem details or in
// any other form.
func noes(about map[int]string) map[string]*huma.Response {
	out := map[string]*huma.Response{"default": {Description: "docs/mes.md says what every status means"}}
	for status, what := range about {
		out[strconv.Itoa(status)] = &huma.Response{Description: what}
	}
	return out
}

func (d *mesDocument) validate() *huma.Operation {
	answer := schemaOf[Route](d)
	s := d.schemas.SchemaFromRef(answer.Ref)
	s.Properties["answer"] = words("Only confirmed starts the run", AnswerConfirmed, AnswerRejectedHold, AnswerRejectedPass, AnswerError)
	profile := d.schemas.SchemaFromRef(schemaOf[RouteProfile](d).Ref)
	profile.Required = []string{"ref", "activation_code"}
	responses := noes(map[int]string{
		400: "Rejected: reason, detail or title of a JSON body is shown", 404: "Rejected: the unit is not known",
		409: "Rejected: the unit is not due here", 429: "No decision", 503: "No decision",
	})
	responses["200"] = &huma.Response{Description: "The decision", Content: content("application/json", answer)}
	return &huma.Operation{
		OperationID: "validate-unit", Summary: "May this unit be worked on here?",
		Description: "Asked before the clamp closes. Whatever is no clear yes within route_timeout keeps the unit out.",
		Parameters:  []*huma.Param{origin, key},
		RequestBody: &huma.RequestBody{Required: true, Content: content("application/json", schemaOf[RouteRequest](d))},
		Responses:   responses,
	}
}

func (d *mesDocument) claims() *huma.Operation {
	answer := schemaOf[answerBody](d)
	s := d.schemas.SchemaFromRef(answer.Ref)
	s.Properties["answer"] = words("An empty body of an event's answer is confirmed; of a claim it is no decision", AnswerConfirmed, AnswerRejectedHold, AnswerRejectedPass, AnswerError, AnswerDeferred)
	responses := noes(map[int]string{
		404: "This MES keeps no claims", 405: "This MES keeps no claims", 501: "This MES keeps no claims",
		409: "Refused: another station has any of it", 429: "No decision", 503: "No decision",
	})
	responses["200"] = &huma.Response{Description: "confirmed gives all of it to this station for good", Content: content("application/json", answer)}
	return &huma.Operation{
		OperationID: "claim-list", Summary: "A list of codes for one station alone",
		Parameters:  []*huma.Param{origin, key},
		RequestBody: &huma.RequestBody{Required: true, Content: content("application/json", schemaOf[claimRequest](d))},
		Responses:   responses,
	}
}

func (d *mesDocument) checkpoints() *huma.Operation {
	responses := noes(map[int]string{404: "It keeps none", 204: "It keeps none"})
	responses["200"] = &huma.Response{Description: "The signed note (C2SP tlog-checkpoint)", Content: content("text/plain", anyText)}
	return &huma.Operation{
		OperationID: "newest-checkpoint", Summary: "The newest checkpoint of a station's log that the MES keeps",
		Parameters: []*huma.Param{origin, {Name: "origin", In: "query", Required: true, Description: "Name of the log", Schema: anyText}},
		Responses:  responses,
	}
}

func (d *mesDocument) handshake() *huma.Operation {
	leave := noes(map[int]string{403: "No leave", 404: "This MES does not know the handshake", 405: "This MES does not know the handshake", 429: "No decision", 503: "No decision"})
	leave["200"] = &huma.Response{Description: "Leave to send events", Headers: map[string]*huma.Param{
		"WebHook-Allowed-Origin": {Description: "The origin that asked, or *", Required: true, Schema: anyText},
		"WebHook-Allowed-Rate":   {Description: "Events a minute, or *", Schema: &huma.Schema{Type: huma.TypeString, Pattern: `^([1-9][0-9]*|\*)$`}},
	}}
	return &huma.Operation{
		OperationID: "allow-events", Summary: "May this station send events? (CloudEvents webhooks 1.0, section 4)",
		Description: "Asked where the station file has webhook_origin, before the first event.",
		Parameters: []*huma.Param{
			origin, header("WebHook-Request-Origin", "The station in terms of DNS", true, anyText),
			header("WebHook-Request-Rate", "Events a minute that the station asks for", false, &huma.Schema{Type: huma.TypeString, Pattern: "^[1-9][0-9]*$"}),
		},
		Responses: leave,
	}
}

func (d *mesDocument) events() *huma.Operation {
	kinds := map[Kind]*huma.Schema{
		UnitsTested: schemaOf[Result](d), UnitsRepaired: schemaOf[TicketEvent](d), UnitsDisqualified: schemaOf[TicketEvent](d),
		ProfileSettled: schemaOf[ProfileEvent](d), StockAlarm: schemaOf[StockEvent](d), StockLow: schemaOf[StockEvent](d), LotHalted: schemaOf[LotEvent](d),
	}
	var event huma.Schema
	event.Discriminator = &huma.Discriminator{PropertyName: "type", Mapping: map[string]string{}}
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		name := string(k) + "Event"
		d.schemas.Map()[name] = cloudEventSchema(k, kinds[k])
		ref := "#/components/schemas/" + name
		event.OneOf = append(event.OneOf, &huma.Schema{Ref: ref})
		event.Discriminator.Mapping[k.Type()] = ref
	}
	responses := noes(map[int]string{
		202: "Taken, no answer yet", 204: "Taken and confirmed", 400: "Refused for good: parked until a person sends it again",
		401: "The station's token is wrong: everything waits", 403: "The station's token is wrong: everything waits",
		409: "The first attempt is still worked on: sent again later", 410: "No more events to this address", 429: "Sent again after Retry-After",
		500: "Sent again later", 503: "Sent again after Retry-After",
	})
	responses["200"] = &huma.Response{Description: "Taken; an empty body is confirmed", Content: content("application/json", schemaOf[answerBody](d))}
	return &huma.Operation{
		OperationID: "take-event", Summary: "What happened: CloudEvents 1.0, at least once, in order for each unit",
		Parameters: []*huma.Param{
			origin, header("Idempotency-Key", "The event's id", true, anyText),
			header("Linefit-Checkpoint", "Base64 of the newest signed checkpoint of the station's log", false, anyText),
			header("webhook-id", "The event's id (Standard Webhooks), with a webhook secret", false, anyText),
			header("webhook-timestamp", "Unix seconds of this attempt", false, anyText),
			header("webhook-signature", "v1, and the HMAC-SHA256 in base64", false, anyText),
		},
		RequestBody: &huma.RequestBody{Required: true, Content: content("application/cloudevents+json; charset=utf-8", &event)},
		Responses:   responses,
	}
}

// cloudEventSchema is the envelope of one kind (CloudEvents 1.0, JSON format).
func cloudEventSchema(k Kind, data *huma.Schema) *huma.Schema {
	text := func(about string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: about} }
	at := text("When it happened")
	at.Format = "date-time"
	sequence := text("Number of the entry in the station's log")
	sequence.Pattern = "^[0-9]{20}$"
	s := &huma.Schema{
		Type:     huma.TypeObject,
		Required: []string{"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "sequence", "data"},
		Properties: map[string]*huma.Schema{
			"specversion": words("", "1.0"), "id": text("The run, ticket or entry, and the kind"), "source": text("ISA-95 path of the station"),
			"type": words("", k.Type()), "subject": text("The unit, or the station"), "time": at, "datacontenttype": words("", "application/json"),
			"sequence": sequence, "data": data,
		},
	}
	s.PrecomputeMessages()
	return s
}
