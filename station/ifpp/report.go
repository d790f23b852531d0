package ifpp

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"linefit/audit"
	"linefit/modem/euicc"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/stock"
)

// Status is what became of a package.
type Status string

// Statuses of packages.
const (
	Installed Status = "installed"
	Failed    Status = "failed"
	NoResult  Status = "no_result"
	Unused    Status = "unused"
)

// CardStatus is how far an eUICC is.
type CardStatus string

// Statuses of eUICCs; report.schema.json says what they mean.
const (
	Closed   CardStatus = "closed"
	Open     CardStatus = "open"
	NoAnswer CardStatus = "no_answer"
	NotSeen  CardStatus = "not_seen"
	Scrapped CardStatus = "scrapped"
)

// Report is the Profile Loading Report.
type Report struct {
	ReportHead
	Packages []Row  `json:"packages"`
	EUICCs   []Card `json:"euiccs"`
	// Seal is the station's signature over all that stands before it, as a signed
	// note ([audit.Seal]).
	Seal []byte `json:"seal,omitempty"`

	result func(handle string) ([]byte, error) // of a report that was made here
}

// ReportHead is what stands before a report's rows.
type ReportHead struct {
	Format    string  `json:"format"`
	Created   string  `json:"created"`
	Station   string  `json:"station"`
	Simulated bool    `json:"simulated,omitempty"`
	Batch     string  `json:"batch,omitempty"`
	Log       LogHead `json:"log"`
	Counts    Counts  `json:"counts"`
}

// LogHead is the log that a report was made from.
type LogHead struct {
	Entries    uint64 `json:"entries"`
	Checkpoint []byte `json:"checkpoint,omitempty"`
}

// Counts are the rows of a report.
type Counts struct {
	Packages  int `json:"packages"`
	Installed int `json:"installed"`
	Failed    int `json:"failed"`
	NoResult  int `json:"no_result"`
	Unused    int `json:"unused"`
	EUICCs    int `json:"euiccs"`
	Closed    int `json:"closed"`
	Open      int `json:"open"`
	NoAnswer  int `json:"no_answer"`
	NotSeen   int `json:"not_seen"`
	Scrapped  int `json:"scrapped"`
	// Silent are the eUICCs of units that were run and never answered, scrapped
	// ones included.
	Silent int `json:"never_answered"`
}

// Row is one package.
type Row struct {
	Batch       string         `json:"batch"`
	SMDP        string         `json:"smdp_address"`
	EID         ident.EID      `json:"eid"`
	ICCID       ident.ICCID    `json:"iccid"`
	Transaction string         `json:"transaction_id"`
	KeyNumber   int            `json:"key_number"`
	Status      Status         `json:"status"`
	Why         string         `json:"why,omitempty"`
	State       string         `json:"state,omitempty"`
	Result      []byte         `json:"result,omitempty"`
	Error       string         `json:"error,omitempty"`
	Unit        station.Serial `json:"unit,omitempty"`
	At          string         `json:"at,omitempty"`
	Entry       uint64         `json:"entry,omitempty"`

	// handle is the package's, where its result is opened when the row is written:
	// the results of all packages are never in memory at once.
	handle string
}

// Card is one eUICC.
type Card struct {
	EID     ident.EID  `json:"eid"`
	Status  CardStatus `json:"status"`
	MayShip bool       `json:"may_ship"`
	// Answered says that the eUICC said its EID to this station at least once.
	Answered bool             `json:"answered"`
	Units    []station.Serial `json:"units,omitempty"`
}

// Source is what a report is made from.
type Source struct {
	// Result opens the signed result of a package by the package's handle; nil
	// without an error where there is none.
	Result func(handle string) ([]byte, error)
	// Checkpoint is the log's newest signed checkpoint.
	Checkpoint []byte
	// Batch is the only batch to report; empty: all.
	Batch string
}

// MakeReport makes the loading report from the log and the results that the
// vault has. It reads the whole log once. Signed results are not in it: they are
// opened again when the report is written, which may be after the view has ended.
func MakeReport(v audit.View, src Source) (*Report, error) {
	h := newHistory()
	for e, err := range v.Entries(1, v.Last()) {
		if err != nil {
			return nil, fmt.Errorf("loading report: %w", err)
		}
		if err := h.add(e); err != nil {
			return nil, fmt.Errorf("loading report: entry %d: %w", e.Seq, err)
		}
	}
	r := &Report{ReportHead: ReportHead{
		Format: ReportFormat, Created: h.utc, Station: h.station, Simulated: h.simulated, Batch: src.Batch,
		Log: LogHead{Entries: v.Last(), Checkpoint: src.Checkpoint},
	}, result: src.Result}
	open := map[ident.EID]bool{} // has a package whose result is open
	err := stock.List(v, stock.Filter{Batch: src.Batch}, func(i station.StockItem) error {
		if i.Kind != station.KindPreparedPackage {
			return nil
		}
		row, err := h.row(i, src.Result)
		if err != nil {
			return err
		}
		r.Packages = append(r.Packages, row)
		open[i.Bound] = open[i.Bound] || i.State == station.StockReserved || i.Left() == station.StateUnknown
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("loading report: %w", err)
	}
	for eid, more := range open {
		card := h.card(eid)
		card.MayShip = card.Status == Closed && !more
		r.EUICCs = append(r.EUICCs, card)
	}
	slices.SortFunc(r.EUICCs, func(a, b Card) int { return strings.Compare(string(a.EID), string(b.EID)) })
	r.count()
	return r, nil
}

// row says what became of one package.
func (h *history) row(i station.StockItem, result func(string) ([]byte, error)) (Row, error) {
	row := Row{Batch: i.Batch, SMDP: i.SMDP, EID: i.Bound, ICCID: i.ICCID, Transaction: i.Session, KeyNumber: i.KeyNumber}
	if l := h.loads[i.Handle]; l != nil {
		row.Unit, row.At, row.Entry = l.unit, l.at, l.seq
	}
	raw, err := result(i.Handle)
	if err != nil {
		return row, fmt.Errorf("the result of package %s: %w", i.ICCID, err)
	}
	switch {
	case raw != nil:
		err := row.signed(raw)
		row.Result, row.handle = nil, i.Handle
		return row, err
	case i.Downloads > 0:
		row.Status, row.State = NoResult, station.StateAbsent
		switch {
		case i.State == station.StockInstalled:
			row.State = station.StateInstalled
		case i.State == station.StockReserved || i.Left() == station.StateUnknown:
			row.State = station.StateUnknown
		}
	default:
		row.Status, row.Why = Unused, h.why(i)
	}
	return row, nil
}

// ErrResult is the error of a result that is not the package's.
var ErrResult = errors.New("the signed result does not fit its package")

// signed takes the eUICC's own word.
func (r *Row) signed(raw []byte) error {
	p, err := euicc.ParseInstallationResult(raw)
	if err != nil {
		return fmt.Errorf("%w: package %s: %w", ErrResult, r.ICCID, err)
	}
	if session := hex.EncodeToString(p.TransactionID); !strings.EqualFold(session, r.Transaction) {
		return fmt.Errorf("%w: package %s: it is of session %s", ErrResult, r.ICCID, session)
	}
	r.Result, r.Status = raw, Installed
	if p.Failure != nil {
		r.Status, r.Error = Failed, p.Failure.Error()
	}
	return nil
}

// Reasons for which a package is unused.
const (
	whyWaiting  = "waiting"
	whyNotSeen  = "not_seen"
	whyNoAnswer = "no_answer"
	whyScrapped = "scrapped"
	whyClosed   = "closed"
)

// why says why a package is unused: whether it may still be loaded.
func (h *history) why(i station.StockItem) string {
	switch h.card(i.Bound).Status {
	case Scrapped:
		return whyScrapped
	case NoAnswer:
		return whyNoAnswer
	case Closed:
		return whyClosed
	case NotSeen:
		return whyNotSeen
	}
	if i.State == station.StockSpent { // the eUICC had no such key
		return whyClosed
	}
	return whyWaiting
}

func (r *Report) count() {
	c := Counts{Packages: len(r.Packages), EUICCs: len(r.EUICCs)}
	for _, row := range r.Packages {
		*map[Status]*int{Installed: &c.Installed, Failed: &c.Failed, NoResult: &c.NoResult, Unused: &c.Unused}[row.Status]++
	}
	for _, card := range r.EUICCs {
		*map[CardStatus]*int{Closed: &c.Closed, Open: &c.Open, NoAnswer: &c.NoAnswer, NotSeen: &c.NotSeen, Scrapped: &c.Scrapped}[card.Status]++
		if !card.Answered && card.Status != NotSeen {
			c.Silent++
		}
	}
	r.Counts = c
}

// Results opens signed results where the loading step keeps them: sealed in the
// vault, each under its package's handle.
func Results(v *stock.Vault) func(handle string) ([]byte, error) {
	return func(handle string) ([]byte, error) {
		s, err := v.Get(stock.KindResult, handle)
		if errors.Is(err, stock.ErrNoItem) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return s.Reveal(), nil
	}
}
