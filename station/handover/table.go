package handover

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"linefit/station"
	"linefit/station/eim"
)

// Open opens a secret of the vault: an association by its handle, or the eUICC's
// signed answer to a carried package.
type Open interface {
	Association(handle string) (eim.Association, error)
	Result(handle string) (base64 string, err error)
}

// row is what a column is made of.
type row struct {
	*Record
	eim  station.EIMRecord
	open Open
}

// column is a field that an operator may ask for.
type column struct {
	name   string
	doc    string
	secret bool
	value  func(row) (string, error)
}

func plain(name, doc string, value func(row) string) column {
	return column{name: name, doc: doc, value: func(r row) (string, error) { return value(r), nil }}
}

// columns are all fields, in the order of their listing.
var columns = []column{
	plain("eid", "EID, 32 digits", func(r row) string { return string(r.Onboarding.EID) }),
	plain("imei", "IMEI of the module", func(r row) string { return string(r.Onboarding.IMEI) }),
	plain("iccid", "ICCID of the enabled profile", func(r row) string { return r.enabled() }),
	plain("iccids", "ICCIDs of all profiles, separated by spaces", func(r row) string { return r.iccids("") }),
	plain("eim_id", "eimId", func(r row) string { return r.eim.ID }),
	plain("eim_fqdn", "eimFqdn", func(r row) string { return r.eim.FQDN }),
	{"association_token", "associationToken, decimal; empty where the eUICC gave none", true, row.token},
	plain("counter", "counterValue with which the eIM begins", func(r row) string { return strconv.FormatInt(r.eim.Counter, 10) }),
	plain("protocols", "eimSupportedProtocol, bit numbers separated by spaces", func(r row) string { return strings.Trim(fmt.Sprint(r.eim.Protocol), "[]") }),
	plain("euicc_certificate", "CERT.EUICC, DER in base64", func(r row) string { return r.Onboarding.EUICC }),
	plain("eum_certificate", "CERT.EUM, DER in base64", func(r row) string { return r.Onboarding.EUM }),
	plain("ipa", "where the IPA is: device, euicc or module", func(r row) string { return r.Onboarding.IPA }),
	plain("connectivity", "HTTP parameters of the enabled profile, hexadecimal", func(r row) string { return r.Onboarding.Connectivity }),
	plain("fallback_iccid", "ICCID of the fallback profile", func(r row) string { return r.iccids("fallback") }),
	plain("fallback_allowed", "ICCIDs of profiles that may become it", func(r row) string { return r.iccids("fallback_allowed") }),
	plain("emergency_iccid", "ICCID of the emergency profile", func(r row) string { return r.iccids("emergency") }),
	plain("rollback", "yes where a carried package has armed ProfileRollback", func(r row) string { return r.Onboarding.Rollback }),
	{"package_result", "the eUICC's signed answer to a carried package, base64", true, row.result},
	plain("serial", "serial of the unit", func(r row) string { return string(r.Unit) }),
	plain("module_maker", "maker of the module", func(r row) string { return r.Module.Maker }),
	plain("module_model", "model of the module", func(r row) string { return r.Module.Model }),
	plain("module_firmware", "firmware of the module", func(r row) string { return r.Module.Firmware }),
	plain("work_order", "work order", func(r row) string { return r.Started.WorkOrder }),
	plain("sku", "SKU", func(r row) string { return r.Started.SKU }),
	plain("customer", "customer", func(r row) string { return r.Started.Customer }),
	plain("station", "station that made the unit", func(r row) string { return r.Station }),
	plain("time", "start of the run, UTC, RFC 3339", func(r row) string { return r.At.Format(time.RFC3339) }),
	plain("run", "run", func(r row) string { return string(r.Run) }),
}

func (r row) enabled() string {
	for _, p := range r.Onboarding.Profiles {
		if p.State == "enabled" {
			return string(p.ICCID)
		}
	}
	return ""
}

// iccids are those of the profiles with an attribute, "": all.
func (r row) iccids(attribute string) string {
	var out []string
	for _, p := range r.Onboarding.Profiles {
		if attribute == "" || slices.Contains(p.Attributes, attribute) {
			out = append(out, string(p.ICCID))
		}
	}
	return strings.Join(out, " ")
}

func (r row) token() (string, error) {
	if r.eim.Token == "" {
		return "", nil
	}
	a, err := r.open.Association(r.eim.Token)
	switch {
	case err != nil:
		return "", fmt.Errorf("unit %s, association token of eIM %s: %w", r.Unit, r.eim.ID, err)
	case a.EID != r.Onboarding.EID || a.EIM != r.eim.ID || a.Token == eim.NoToken:
		return "", fmt.Errorf("unit %s: the association in the vault is not that of eIM %s", r.Unit, r.eim.ID)
	}
	return strconv.FormatInt(a.Token, 10), nil
}

func (r row) result() (string, error) {
	if r.Onboarding.Package == "" {
		return "", nil
	}
	text, err := r.open.Result(r.Onboarding.Package)
	if err != nil {
		return "", fmt.Errorf("unit %s, answer to the carried package: %w", r.Unit, err)
	}
	return text, nil
}

// Fields lists what an operator may ask for, with what it is.
func Fields() (names, docs []string) {
	for _, c := range columns {
		names, docs = append(names, c.name), append(docs, c.doc)
	}
	return names, docs
}

// DefaultColumns are those of a list for which nothing is said.
var DefaultColumns = []string{
	"eid", "imei", "iccids", "eim_id", "eim_fqdn", "association_token", "counter", "euicc_certificate", "eum_certificate", "ipa", "serial",
}

// Column is a column of a list: a field under the operator's own heading.
type Column struct {
	Heading string
	column  column
}

// ParseColumns reads columns: a field, or HEADING=field. The error names every
// mistake.
func ParseColumns(texts []string) (out []Column, err error) {
	var errs []error
	seen := map[string]bool{}
	for _, text := range texts {
		heading, name, named := strings.Cut(text, "=")
		if !named {
			name = text
		}
		heading, name = strings.TrimSpace(heading), strings.TrimSpace(name)
		i := slices.IndexFunc(columns, func(c column) bool { return c.name == name })
		switch {
		case i < 0:
			names, _ := Fields()
			errs = append(errs, fmt.Errorf("column %q: field %q is not known; known are %s", text, name, strings.Join(names, ", ")))
			continue
		case heading == "":
			errs = append(errs, fmt.Errorf("column %q has no heading", text))
		case seen[heading]:
			errs = append(errs, fmt.Errorf("heading %q is there twice", heading))
		}
		seen[heading] = true
		out = append(out, Column{Heading: heading, column: columns[i]})
	}
	if len(texts) == 0 {
		errs = append(errs, errors.New("no column"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

// Table is a list for an eIM's operator. It may hold secrets.
type Table struct {
	headings []string
	rows     [][]string
	Units    int
	Secrets  int // fields that came from the vault
	LeftOut  []LeftOut
}

// Table makes the list of one eIM. No error leaves a part of it.
func (c *Collector) Table(id string, list []Column, open Open) (t Table, err error) {
	for _, col := range list {
		t.headings = append(t.headings, col.Heading)
	}
	var errs []error
	for _, r := range c.records() {
		if why := r.why(); why != "" {
			if r.concerns() {
				t.LeftOut = append(t.LeftOut, LeftOut{r.Unit, why})
			}
			continue
		}
		i := slices.IndexFunc(r.Onboarding.EIMs, func(e station.EIMRecord) bool { return e.ID == id })
		if i < 0 {
			continue // another eIM's
		}
		var fields []string
		for _, col := range list {
			v, err := col.column.value(row{r, r.Onboarding.EIMs[i], open})
			errs = append(errs, err)
			if col.column.secret && v != "" {
				t.Secrets++
			}
			fields = append(fields, v)
		}
		t.rows = append(t.rows, fields)
		t.Units++
	}
	if err := errors.Join(errs...); err != nil {
		return Table{}, err
	}
	slices.SortFunc(t.LeftOut, func(x, y LeftOut) int { return cmp.Compare(x.Unit, y.Unit) })
	return t, nil
}

// WriteCSV writes the list with a head line (RFC 4180).
func (t Table) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	if err := c.Write(t.headings); err != nil {
		return err
	}
	if err := c.WriteAll(t.rows); err != nil {
		return err
	}
	c.Flush()
	return c.Error()
}

// WriteJSON writes the list as an array of objects of texts.
func (t Table) WriteJSON(w io.Writer) error {
	out := []map[string]string{}
	for _, r := range t.rows {
		o := map[string]string{}
		for i, h := range t.headings {
			o[h] = r[i]
		}
		out = append(out, o)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(out)
}
