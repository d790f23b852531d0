package mes_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"linefit/station/mes"
)

var update = flag.Bool("update", false, "write docs/mes-openapi.json")

// The document that people read is the one that stations serve.
func TestMESDocumentIsTheOneInDocs(t *testing.T) {
	doc, err := mes.MESDocument()
	if err != nil {
		t.Fatal(err)
	}
	const file = "../../docs/mes-openapi.json"
	if *update {
		if err := os.WriteFile(file, doc, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(have, doc) {
		t.Errorf("docs/mes-openapi.json is another document (%v): go test ./station/mes -run MESDocument -update", err)
	}
	served := ask(serve(t, openLog(t, nil), newFakeStation()).Remote(), "GET", "/openapi-mes.json", "")
	if served.Code != 200 || !bytes.Equal(served.Body.Bytes(), doc) {
		t.Errorf("served: %d, %d bytes", served.Code, served.Body.Len())
	}
}
