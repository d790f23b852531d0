package smdpsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"linefit/modem/ident"
	"linefit/modem/wire"
)

// ReportFormat is that of loading reports.
const ReportFormat = "linefit-loading-report/1"

// loadingReport is what the SM-DPf reads of a Profile Loading Report (SGP.41,
// steps 13 to 15).
type loadingReport struct {
	Format   string      `json:"format"`
	Packages []reportRow `json:"packages"`
}

type reportRow struct {
	EID         ident.EID   `json:"eid"`
	ICCID       ident.ICCID `json:"iccid"`
	Transaction string      `json:"transaction_id"`
	Status      string      `json:"status"`
	Why         string      `json:"why"`
	State       string      `json:"state"`
	Result      []byte      `json:"result"`
}

// ReportOutcome is what the SM-DPf makes of a loading report.
type ReportOutcome struct {
	Rows      int           `json:"rows"`
	Installed int           `json:"installed"` // with a result whose signature is good
	Failed    int           `json:"failed"`    // the same
	NoResult  int           `json:"no_result"`
	Returned  int           `json:"returned"` // never used and never will be: withdrawn
	Waiting   int           `json:"waiting"`  // may still be used
	Refused   []string      `json:"refused,omitempty"`
	Missing   []ident.ICCID `json:"missing,omitempty"` // delivered in the same batches, and not in the report
}

// ErrReport is the error of a file that is no loading report.
var ErrReport = errors.New("loading report")

// TakeReport takes a loading report in. Every result counts only with the good
// signature of the eUICC that its package was bound to; what a row says beside
// has to agree with it. Rows that are refused change nothing. Errors wrap
// [ErrReport] or [ErrStore].
func (s *Server) TakeReport(data []byte) (ReportOutcome, error) {
	var r loadingReport
	if err := json.Unmarshal(data, &r); err != nil {
		return ReportOutcome{}, fmt.Errorf("%w: %w", ErrReport, err)
	}
	if r.Format != ReportFormat {
		return ReportOutcome{}, fmt.Errorf("%w: format %q, not %q", ErrReport, r.Format, ReportFormat)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := ReportOutcome{Rows: len(r.Packages)}
	reported := map[string]bool{}
	for i, row := range r.Packages {
		id, err := s.takeRow(row, &out)
		if errors.Is(err, ErrStore) {
			return out, err
		}
		if err != nil {
			out.Refused = append(out.Refused, fmt.Sprintf("packages[%d], ICCID %s: %v", i, row.ICCID, err))
		}
		reported[id] = true
	}
	out.Missing = s.missing(reported)
	return out, nil
}

// takeRow takes one row; it returns the order that it is about.
func (s *Server) takeRow(row reportRow, out *ReportOutcome) (string, error) {
	sess, ok := s.store.sessions[strings.ToUpper(row.Transaction)]
	if !ok {
		return "", errors.New("no package has this transaction id")
	}
	r := s.store.orders[sess.Order]
	if r == nil || !r.Prepared || sess.EID != row.EID || r.ICCID != row.ICCID {
		return sess.Order, errors.New("the package is for another eUICC or profile")
	}
	switch row.Status {
	case "installed", "failed":
		if err := s.takeResult(row); err != nil {
			return r.ID, err
		}
		if row.Status == "installed" {
			out.Installed++
			return r.ID, nil
		}
		out.Failed++
		return r.ID, s.finish(r.ID, StateError, "the eUICC did not install the package")
	case "no_result":
		out.NoResult++
		if row.State != "absent" {
			return r.ID, nil // it may be installed
		}
		return r.ID, s.finish(r.ID, StateError, "no result; the one-time key is used up")
	case "unused":
		if row.Why == "waiting" || row.Why == "not_seen" {
			out.Waiting++
			return r.ID, nil
		}
		out.Returned++
		return r.ID, s.finish(r.ID, StateUnavailable, "returned unused: "+row.Why)
	}
	return r.ID, fmt.Errorf("status %q", row.Status)
}

// takeResult takes the eUICC's signed result as a notification would bring it.
func (s *Server) takeResult(row reportRow) error {
	n, err := wire.ParseTag(row.Result, 0xBF37)
	if err == nil {
		err = n.Check()
	}
	if err != nil {
		return fmt.Errorf("result: %w", err)
	}
	if id, ok := n.Find(0xBF27, 0x80); !ok || !strings.EqualFold(fmt.Sprintf("%x", id.Value), row.Transaction) {
		return errors.New("the result is of another package")
	}
	if _, installed := n.Find(0xBF27, 0xA2, 0xA0); installed != (row.Status == "installed") {
		return fmt.Errorf("the result does not say %s", row.Status)
	}
	return s.installationResult(&call{point: HandleNotification, at: time.Now()}, n)
}

// finish ends an order that a package was prepared for.
func (s *Server) finish(id string, state State, cause string) error {
	r := s.store.orders[id]
	if r.State != StateDownloaded {
		return nil
	}
	r = r.clone()
	r.State, r.Cause = state, cause
	return s.store.commit(change{orders: []*record{r}})
}

// missing are the packages of the reported ones' batches that no row is about.
func (s *Server) missing(reported map[string]bool) []ident.ICCID {
	batch := func(id string) string { return id[:max(strings.LastIndexByte(id, '-'), 0)] }
	batches := map[string]bool{}
	for id := range reported {
		batches[batch(id)] = true
	}
	delete(batches, "")
	var out []ident.ICCID
	for id, r := range s.store.orders {
		if r.Prepared && batches[batch(id)] && !reported[id] {
			out = append(out, r.ICCID)
		}
	}
	slices.Sort(out)
	return out
}
