package ifpp_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"linefit/station/ifpp"
)

// A report is written row by row, in the very bytes that encoding/json makes of it
// as a whole: seals of reports that were written before hold.
func TestReportIsWrittenRowByRow(t *testing.T) {
	head := ifpp.ReportHead{Format: ifpp.ReportFormat, Station: "st <1> & \"2\"", Counts: ifpp.Counts{Packages: 2}}
	row := ifpp.Row{Batch: "B", EID: "89049032000000000000000100000179", Status: ifpp.Installed, Result: []byte{1, 2, 3}}
	card := ifpp.Card{EID: row.EID, Status: ifpp.Closed}
	for name, r := range map[string]*ifpp.Report{
		"empty": {ReportHead: head, Packages: []ifpp.Row{}, EUICCs: []ifpp.Card{}},
		"one":   {ReportHead: head, Packages: []ifpp.Row{row}, EUICCs: []ifpp.Card{card}, Seal: []byte("seal")},
		"two":   {ReportHead: head, Packages: []ifpp.Row{row, {Status: ifpp.Unused}}, EUICCs: []ifpp.Card{card, {Answered: true}}, Seal: []byte("s")},
	} {
		var got, want bytes.Buffer
		if err := r.Encode(&got); err != nil {
			t.Fatal(err)
		}
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		if err := enc.Encode(r); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Errorf("%s:\n%s\nnot\n%s", name, &got, &want)
		}
		read, err := ifpp.ReadReportHead(bytes.NewReader(got.Bytes()))
		if err != nil || read.Station != head.Station || read.Counts != head.Counts {
			t.Errorf("%s: its head is %+v, %v", name, read, err)
		}
		bare := *r
		bare.Seal = nil
		want.Reset()
		if err := bare.Encode(&want); err != nil {
			t.Fatal(err)
		}
		got.Reset()
		err = r.EncodeSealed(&got, func(_ string, sum [sha256.Size]byte) ([]byte, error) {
			if sum != sha256.Sum256(want.Bytes()) {
				t.Errorf("%s: the seal is not of the report", name)
			}
			return []byte("a seal"), nil
		})
		if sealed, readErr := ifpp.ReadReportHead(&got); err != nil || readErr != nil || sealed.Format != ifpp.ReportFormat {
			t.Errorf("%s: %v, %v", name, err, readErr)
		}
	}
}

func TestReportThatCannotBeWritten(t *testing.T) {
	r := &ifpp.Report{Packages: []ifpp.Row{{Status: ifpp.Unused}}}
	full := errors.New("full")
	for at := range 4 {
		if err := r.Encode(&fullAfter{n: at, err: full}); !errors.Is(err, full) {
			t.Errorf("after %d writes: %v", at, err)
		}
	}
	var b bytes.Buffer
	if err := r.EncodeSealed(&b, func(string, [sha256.Size]byte) ([]byte, error) { return nil, full }); !errors.Is(err, full) || json.Valid(b.Bytes()) {
		t.Errorf("%v: %s", err, &b)
	}
}

type fullAfter struct {
	n   int
	err error
}

func (w *fullAfter) Write(b []byte) (int, error) {
	if w.n--; w.n < 0 {
		return 0, w.err
	}
	return len(b), nil
}

var _ io.Writer = (*fullAfter)(nil)

func TestNoReportHead(t *testing.T) {
	for _, text := range []string{"", "[]", "{", "{}", `{"format":"x"}`, `{"format":1}`, `{"format":`, `"x"`} {
		if _, err := ifpp.ReadReportHead(strings.NewReader(text)); err == nil {
			t.Errorf("%s is taken for one", text)
		}
	}
}
