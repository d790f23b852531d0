package audit

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
)

// CSVColumns are the columns of [CSVWriter], in order.
var csvColumns = []string{
	"seq", "type", "slot", "slot_seq", "unit", "unit_seq", "run", "actor",
	"boot", "utc", "mono", "clock", "sim", "data",
}

// A CSVWriter writes entries as RFC 4180 CSV with a header line. It is for
// spreadsheets and no evidence: text that a spreadsheet would take for a
// formula gets a leading apostrophe.
type CSVWriter struct {
	w      *csv.Writer
	headed bool
}

// NewCSVWriter returns a writer to w.
func NewCSVWriter(w io.Writer) *CSVWriter {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	return &CSVWriter{w: c}
}

// Write writes one entry.
func (c *CSVWriter) Write(e Entry) error {
	if !c.headed {
		c.headed = true
		if err := c.w.Write(csvColumns); err != nil {
			return err
		}
	}
	unitSeq := ""
	if e.Unit != "" {
		unitSeq = strconv.FormatUint(e.UnitSeq, 10)
	}
	return c.w.Write([]string{
		strconv.FormatUint(e.Seq, 10), e.Type, strconv.Itoa(e.Slot), strconv.FormatUint(e.SlotSeq, 10),
		plain(e.Unit), unitSeq, plain(e.Run), plain(e.Actor),
		e.Boot, e.UTC.Format(utcLayout), strconv.FormatInt(e.Mono, 10), e.Clock, strconv.FormatBool(e.Sim), string(e.Data),
	})
}

// Flush writes what is buffered, at least the header line.
func (c *CSVWriter) Flush() error {
	if !c.headed {
		c.headed = true
		if err := c.w.Write(csvColumns); err != nil {
			return err
		}
	}
	c.w.Flush()
	return c.w.Error()
}

func plain(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
