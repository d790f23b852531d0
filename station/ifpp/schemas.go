package ifpp

import (
	_ "embed"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"linefit/internal/strictyaml"
	"linefit/station/stock"
)

// Formats of the files, by their member format.
const (
	DataFormat    = "linefit-euicc-data/1"
	RequestFormat = "linefit-binding-request/1"
	BatchFormat   = "linefit-batch/1"
	ReportFormat  = "linefit-loading-report/1"
)

//go:embed euicc-data.schema.json
var dataSchemaText string

//go:embed request.schema.json
var requestSchemaText string

//go:embed report.schema.json
var reportSchemaText string

// Schemas are the JSON Schemas (draft 2020-12) of all formats, by short name.
func Schemas() map[string]string {
	return map[string]string{"data": dataSchemaText, "request": requestSchemaText, "batch": stock.BatchSchema, "report": reportSchemaText}
}

var (
	dataSchema = sync.OnceValue(func() *jsonschema.Schema {
		return strictyaml.Compile("euicc-data.schema.json", dataSchemaText)
	})
	reportSchema = sync.OnceValue(func() *jsonschema.Schema {
		return strictyaml.Compile("report.schema.json", reportSchemaText)
	})
)

// maxFile bounds a file, in bytes.
const maxFile = 512 << 20
