package ifpp

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"linefit/audit"
	"linefit/internal/strictyaml"
	"linefit/modem/euicc"
)

// ReadReport reads a loading report. The error is strictyaml.Problems.
func ReadReport(name string, data []byte) (*Report, error) {
	r := &Report{}
	if err := strictyaml.DecodeJSON(name, data, maxFile, reportSchema(), "packages", r); err != nil {
		return nil, err
	}
	return r, nil
}

// ErrUnsealed is the error of a report without a station's seal.
var ErrUnsealed = errors.New("the report has no seal: nothing shows that it is as its station wrote it")

// CheckSeal says whether the report is as its station wrote it: rows without a
// result of an eUICC included. vkey is the verification key of the station's log;
// "": a change shows, but not one by somebody who made another seal. Errors are
// [ErrUnsealed] or wrap [audit.ErrSeal].
func (r *Report) CheckSeal(vkey string) error {
	if len(r.Seal) == 0 {
		return ErrUnsealed
	}
	sum, err := r.sum()
	if err != nil {
		return err
	}
	return audit.OpenSeal(r.Seal, sealed, sum, vkey)
}

// Check holds a report against the eUICC maker's data: every result is signed by
// the eUICC that the row names, for the session and profile of the row, and says
// what the row says; and the counts are those of the rows. The error is
// strictyaml.Problems, with all mistakes.
func (r *Report) Check(name string, d *Data) error {
	var found strictyaml.Problems
	add := func(path, format string, args ...any) {
		found = append(found, strictyaml.Problem{File: name, Line: 1, Column: 1, Path: path, Text: fmt.Sprintf(format, args...)})
	}
	sessions := map[string]int{}
	for i, row := range r.Packages {
		path := fmt.Sprintf("packages[%d]", i)
		if first, double := sessions[row.Transaction]; double {
			add(path+".transaction_id", "is that of packages[%d] too", first)
		}
		sessions[row.Transaction] = i
		if err := row.check(d); err != nil {
			add(path, "%v", err)
		}
	}
	counts := r.Counts
	r.count()
	if counts != r.Counts {
		add("counts", "%+v, the rows are %+v", counts, r.Counts)
	}
	return found.Err()
}

func (r Row) check(d *Data) error {
	proven := r.Status == Installed || r.Status == Failed
	switch {
	case proven != (len(r.Result) > 0):
		return fmt.Errorf("%w: status %s, %d bytes of a result", ErrResult, r.Status, len(r.Result))
	case !proven:
		return nil
	}
	e, known := d.Find(r.EID)
	if !known {
		return fmt.Errorf("EID %s: the eUICC maker's data have no such eUICC", r.EID)
	}
	cert, err := euicc.ParseCertificate(e.Certificate)
	if err != nil {
		return err
	}
	p, err := euicc.ParseInstallationResult(r.Result)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrResult, err)
	}
	if err := p.Verify(cert); err != nil {
		return fmt.Errorf("%w: %w", ErrResult, err)
	}
	switch session := hex.EncodeToString(p.TransactionID); {
	case !strings.EqualFold(session, r.Transaction):
		return fmt.Errorf("%w: it is of session %s", ErrResult, session)
	case p.Notification.ICCID != "" && p.Notification.ICCID != r.ICCID:
		return fmt.Errorf("%w: it is of profile %s", ErrResult, p.Notification.ICCID)
	case p.OK() != (r.Status == Installed):
		return fmt.Errorf("%w: it does not say %s", ErrResult, r.Status)
	}
	return nil
}
