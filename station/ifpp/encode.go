package ifpp

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
)

const sealed = "loading report"

// Encode writes the report as a file, one row after the other, with its seal where
// it has one.
func (r *Report) Encode(w io.Writer) error {
	if err := r.encodeBody(w); err != nil {
		return err
	}
	return encodeEnd(w, r.Seal)
}

// EncodeSealed writes the report as a file that cannot be changed unseen. seal
// signs the SHA-256 of the report without its seal ([audit.Seal]). After an error w
// has the beginning of a report, which is no JSON document.
func (r *Report) EncodeSealed(w io.Writer, seal func(what string, sum [sha256.Size]byte) ([]byte, error)) error {
	sum := sha256.New()
	if err := r.encodeBody(io.MultiWriter(w, sum)); err != nil {
		return err
	}
	if err := encodeEnd(sum, nil); err != nil {
		return err
	}
	note, err := seal(sealed, [sha256.Size]byte(sum.Sum(nil)))
	if err != nil {
		return fmt.Errorf("%s: %w", sealed, err)
	}
	return encodeEnd(w, note)
}

// sum is what the seal signs: that of the report without it.
func (r *Report) sum() (out [sha256.Size]byte, err error) {
	sum := sha256.New()
	if err := r.encodeBody(sum); err != nil {
		return out, err
	}
	err = encodeEnd(sum, nil)
	return [sha256.Size]byte(sum.Sum(nil)), err
}

// encodeBody writes everything but the seal and the end. The text is that of an
// encoding/json.Encoder with an indent of one blank.
func (r *Report) encodeBody(w io.Writer) error {
	head, err := indented("", r.ReportHead)
	if err != nil {
		return err
	}
	if _, err := w.Write(bytes.TrimSuffix(head, []byte("\n}"))); err != nil {
		return err
	}
	err = encodeList(w, "packages", len(r.Packages), func(i int) (any, error) { return r.opened(r.Packages[i]) })
	if err != nil {
		return err
	}
	return encodeList(w, "euiccs", len(r.EUICCs), func(i int) (any, error) { return r.EUICCs[i], nil })
}

// opened is a row with its signed result.
func (r *Report) opened(row Row) (Row, error) {
	if row.handle == "" {
		return row, nil
	}
	raw, err := r.result(row.handle)
	if err == nil && raw == nil {
		err = fmt.Errorf("%w: it is gone", ErrResult)
	}
	if err != nil {
		return row, fmt.Errorf("the result of package %s: %w", row.ICCID, err)
	}
	row.Result = raw
	return row, nil
}

func encodeList(w io.Writer, name string, n int, element func(int) (any, error)) error {
	if _, err := fmt.Fprintf(w, ",\n %q: [", name); err != nil {
		return err
	}
	for i := range n {
		e, err := element(i)
		if err != nil {
			return err
		}
		text, err := indented("  ", e)
		if err != nil {
			return err
		}
		before := ",\n  "
		if i == 0 {
			before = "\n  "
		}
		if _, err := w.Write(append([]byte(before), text...)); err != nil {
			return err
		}
	}
	end := "\n ]"
	if n == 0 {
		end = "]"
	}
	_, err := io.WriteString(w, end)
	return err
}

func encodeEnd(w io.Writer, seal []byte) error {
	if len(seal) > 0 {
		text, err := json.Marshal(seal)
		if err != nil {
			return fmt.Errorf("%s: %w", sealed, err)
		}
		if _, err := fmt.Fprintf(w, ",\n \"seal\": %s", text); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "\n}\n")
	return err
}

// indented is a value as text; lines after the first begin with prefix.
func indented(prefix string, v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent(prefix, " ")
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("%s: %w", sealed, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// ReadReportHead reads what stands before a report's rows, and no more.
func ReadReportHead(r io.Reader) (ReportHead, error) {
	fail := func(err error) (ReportHead, error) { return ReportHead{}, fmt.Errorf("%s: its head: %w", sealed, err) }
	d := json.NewDecoder(r)
	if _, err := d.Token(); err != nil {
		return fail(err)
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return fail(err)
		}
		text, ok := name.(string)
		if !ok || text == "packages" {
			break
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return fail(err)
		}
		members[text] = value
	}
	var head ReportHead
	text, err := json.Marshal(members)
	if err == nil {
		err = json.Unmarshal(text, &head)
	}
	if err == nil && head.Format != ReportFormat {
		err = fmt.Errorf("format %q is not %s", head.Format, ReportFormat)
	}
	if err != nil {
		return fail(err)
	}
	return head, nil
}
