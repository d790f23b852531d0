package stock

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"linefit/modem/ident"
	"linefit/station"
)

// Members of a batch's terms, see station.StockBatch.
var (
	termOrder = []string{
		"name", "owner", "customer", "sku", "work_order", "provider", "purchase", "contract", "contact",
		"countries", "billing", "ship_state", "notifications", "cap", "station",
	}
	termList  = strings.Join(termOrder, ", ")
	termNames = func() map[string]bool {
		m := map[string]bool{}
		for _, n := range termOrder {
			m[n] = true
		}
		return m
	}()
)

// profile is a row that was read: what goes into the ledger and what goes into
// the vault.
type profile struct {
	row  row
	fact station.StockImported // without its handle
	code Activation
	// station is the one for which the list says the line is.
	station string
}

// maxCap bounds the downloads of one profile that an operator may allow.
const maxCap = 1000

// check reads all rows and notes every mistake that the file alone shows.
func (s *sheet) check(defaults station.StockBatch, at time.Time) ([]profile, station.StockBatch) {
	for _, what := range TermMistakes(defaults) {
		s.problem(1, 1, "terms that come with the file: %s", what)
	}
	batch := s.batchTerms(defaults)
	if stated(batch) && batch.Batch == "" {
		s.problem(1, 1, "terms of a batch are stated, and no name of the batch")
	}
	list := make([]profile, 0, len(s.rows))
	of := ""
	if s.terms != nil {
		of = s.name(*s.terms, "station")
	}
	for _, r := range s.rows {
		p := s.profile(r, batch, at)
		p.station = either(s.name(r, "station"), of)
		list = append(list, p)
	}
	s.doubles(list)
	return list, batch
}

// batchTerms are the terms that the file states over those of the caller.
func (s *sheet) batchTerms(b station.StockBatch) station.StockBatch {
	if s.terms == nil {
		return b
	}
	r := *s.terms
	for name, to := range map[string]*string{
		"name": &b.Batch, "owner": &b.Owner, "customer": &b.Customer, "sku": &b.SKU, "work_order": &b.WorkOrder,
		"provider": &b.Provider, "purchase": &b.Purchase, "contract": &b.Contract, "contact": &b.Contact,
		"billing": &b.Billing, "ship_state": &b.ShipState, "notifications": &b.Notifications,
	} {
		if _, ok := r.fields[name]; ok {
			*to = s.name(r, name)
		}
	}
	for name, allowed := range termWords {
		if text := r.text(name); text != "" && !slices.Contains(allowed, text) {
			s.at(r, name, "%s is none of %s", quote(text), strings.Join(allowed, ", "))
		}
	}
	if r.text("countries") != "" {
		b.Countries = nil
	}
	for _, c := range strings.Fields(r.text("countries")) {
		if !country(c) {
			s.at(r, "countries", "%s is no country code of ISO 3166-1 (two capital letters)", quote(c))
		}
		b.Countries = append(b.Countries, c)
	}
	if _, ok := r.fields["cap"]; ok {
		b.Cap = s.cap(r)
	}
	return b
}

func (s *sheet) profile(r row, batch station.StockBatch, at time.Time) profile {
	p := profile{row: r}
	p.fact = station.StockImported{
		Batch:    either(s.name(r, "batch"), batch.Batch),
		Operator: s.name(r, "operator"),
		Region:   s.name(r, "region"),
		Customer: either(s.name(r, "customer"), batch.Customer),
		SKU:      either(s.name(r, "sku"), batch.SKU),
		Cap:      batch.Cap,
	}
	for name, pair := range map[string][2]string{"customer": {r.text("customer"), batch.Customer}, "sku": {r.text("sku"), batch.SKU}} {
		if pair[0] != "" && pair[1] != "" && pair[0] != pair[1] && p.fact.Batch == batch.Batch {
			s.at(r, name, "%s, and batch %s is for %s", quote(pair[0]), batch.Batch, quote(pair[1]))
		}
	}
	if p.fact.Batch == "" {
		s.at(r, "batch", "missing: a column batch is needed, or a batch for the whole file")
	}
	if r.text("cap") != "" {
		p.fact.Cap = s.cap(r)
	}
	p.fact.ICCID = s.iccid(r)
	p.fact.EID = s.eid(r)
	if text := r.text("expires"); text != "" {
		p.fact.Expires = s.expires(r, text, at)
	}
	p.code = s.activation(r, p.fact.EID)
	p.fact.SMDP = p.code.SMDP
	return p
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (s *sheet) name(r row, column string) string {
	text := r.text(column)
	if what := badText(text); what != "" {
		s.at(r, column, "%s", what)
		return ""
	}
	return text
}

func (s *sheet) cap(r row) int {
	n, err := strconv.Atoi(r.text("cap"))
	if err != nil || n < 1 || n > maxCap {
		s.at(r, "cap", "%s is no number from 1 to %d", short(r.text("cap")), maxCap)
		return 0
	}
	return n
}

func (s *sheet) iccid(r row) ident.ICCID {
	text := r.text("iccid")
	if text == "" {
		return ""
	}
	iccid, err := ident.ParseICCID(text)
	if err != nil {
		s.noNumber(r, "iccid", "no ICCID: 18 to 20 digits", err)
	}
	return iccid
}

func (s *sheet) eid(r row) ident.EID {
	text := r.text("eid")
	if text == "" {
		return ""
	}
	eid, err := ident.ParseEID(text)
	if err != nil {
		s.noNumber(r, "eid", "no EID: 32 digits", err)
	}
	return eid
}

// noNumber notes that a cell has no identifier. The error shows the text; what is
// no number at all may be a code, and is not shown.
func (s *sheet) noNumber(r row, column, what string, err error) {
	text := r.text(column)
	if !numeric(text) {
		s.at(r, column, "%s", what)
		return
	}
	s.at(r, column, "%v%s", err, rounded(text))
}

// place is a row's place, file:line.
func (s *sheet) place(r row) string { return fmt.Sprintf("%s:%d", s.file, r.line) }

// rounded explains what spreadsheets do to long numbers.
func rounded(text string) string {
	if strings.ContainsAny(text, "Ee+,") || strings.HasSuffix(text, "00000") {
		return " (a spreadsheet has rounded it: format the column as text)"
	}
	return ""
}

func (s *sheet) expires(r row, text string, at time.Time) string {
	if _, err := time.Parse(time.DateOnly, text); err != nil {
		s.at(r, "expires", "%s is no date of the form YYYY-MM-DD", day(text))
		return ""
	}
	if expired(text, at) {
		s.at(r, "expires", "expired on %s", text)
	}
	return text
}

// activation reads the code of a row. What is said about it shows the host at
// most.
func (s *sheet) activation(r row, eid ident.EID) Activation {
	var a Activation
	var err error
	column := "activation_code"
	_, whole := r.fields["activation_code"]
	_, host := r.fields["smdp"]
	_, token := r.fields["matching_id"]
	switch {
	case whole:
		a, err = ParseActivationCode(r.text("activation_code"))
		if err == nil && host && !strings.EqualFold(r.text("smdp"), a.SMDP) {
			s.at(r, "smdp", "%s is not the host of the activation code, %s", quote(r.text("smdp")), a.SMDP)
		}
		if err == nil && token && r.text("matching_id") != a.MatchingID.RevealText() {
			s.at(r, "matching_id", "is not that of the activation code")
		}
	case host:
		column = "smdp"
		a, err = ActivationFrom(r.text("smdp"), r.text("matching_id"))
	default:
		s.at(r, column, "missing: an activation code is needed, or smdp and matching_id")
		return a
	}
	if err != nil {
		s.at(r, column, "%v", err)
		return a
	}
	if a.MatchingID.Empty() && eid == "" {
		s.at(r, column, "has no matching id, so the profile must be bound to an EID")
	}
	s.confirmation(r, &a)
	return a
}

func (s *sheet) confirmation(r row, a *Activation) {
	text := r.text("confirmation_code")
	switch {
	case text == "" && a.NeedsConfirmation:
		s.at(r, "confirmation_code", "missing: the activation code asks for one")
	case len(text) > maxCode:
		s.at(r, "confirmation_code", "%d characters, more than %d", len(text), maxCode)
	}
	a.Confirmation = NewSecret([]byte(text))
	a.NeedsConfirmation = a.NeedsConfirmation || text != ""
}

// doubles finds profiles that are in the file twice.
func (s *sheet) doubles(list []profile) {
	iccids, codes := map[ident.ICCID]int{}, map[string]int{}
	for _, p := range list {
		if p.fact.ICCID != "" {
			if line, ok := iccids[p.fact.ICCID]; ok {
				s.at(p.row, "iccid", "%s is there already in line %d", p.fact.ICCID, line)
			} else {
				iccids[p.fact.ICCID] = p.row.line
			}
		}
		if p.code.Text.Empty() {
			continue
		}
		key := codeKey(p.code, p.fact.EID)
		if line, ok := codes[key]; ok {
			s.at(p.row, "activation_code", "the same code is there already in line %d", line)
		} else {
			codes[key] = p.row.line
		}
	}
}

// warnings are what may be right all the same.
func warnings(file string, list []profile) []string {
	var out []string
	for _, p := range list {
		if p.fact.ICCID != "" && !p.fact.ICCID.LuhnValid() {
			out = append(out, fmt.Sprintf("%s:%d: iccid: the check digit of %s does not match; some operators do that", file, p.row.line, p.fact.ICCID))
		}
	}
	return out
}
