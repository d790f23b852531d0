package stock

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"linefit/station"
)

// What of a list may be shown. Columns that are swapped, a line that has slipped
// and a file without a head put codes where names are expected, and names stand
// in messages, in the log and on screens.

// codeShaped reports whether a text looks like an activation code, whole or cut.
func codeShaped(text string) bool {
	return strings.Contains(text, "$") || len(text) >= 4 && strings.EqualFold(text[:4], "LPA:")
}

// tokenShaped reports whether a text looks like a matching id (SGP.22 section
// 4.1: capital letters, digits and "-") rather than the name of a column.
func tokenShaped(text string) bool {
	return len(text) >= 8 && strings.ContainsAny(text, "0123456789") && strings.ToUpper(text) == text
}

// heading shows the name of a column or member that is not known, where it is
// one.
func heading(text string) string {
	if codeShaped(text) || tokenShaped(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "that stands here"
	}
	return quote(text)
}

// numeric reports whether a text is anything like a number or a day, also as a
// spreadsheet leaves it: what else stands in its place may be a code.
func numeric(text string) bool { return strings.Trim(text, "0123456789+-.,:/ eE") == "" }

// day shows a text that should be a day, where it is anything like one.
func day(text string) string {
	if numeric(text) && strings.ContainsAny(text, "-./ ") {
		return quote(text)
	}
	return "what stands there"
}

// short shows a text that should be a small number, where it is short enough to be
// no code.
func short(text string) string {
	if len(text) > 3 {
		return "what stands there"
	}
	return quote(text)
}

// rowSecrets are a row's own, the matching id in capital letters.
type rowSecrets struct{ matching, confirmation string }

func (r row) secrets() rowSecrets {
	out := rowSecrets{matching: strings.ToUpper(r.text("matching_id")), confirmation: r.text("confirmation_code")}
	if parts := strings.Split(r.text("activation_code"), "$"); len(parts) > 2 {
		out.matching = strings.ToUpper(parts[2])
	}
	return out
}

// in reports whether a text shows one of them. Confirmation codes are short
// numbers, which names may contain by chance.
func (s rowSecrets) in(text string) bool {
	text = strings.ToUpper(text)
	switch {
	case len(s.matching) >= 8 && strings.Contains(text, s.matching), len(s.matching) >= 4 && text == s.matching:
		return true
	}
	return len(s.confirmation) >= 6 && text == strings.ToUpper(s.confirmation)
}

// secretColumns are those whose texts are never shown.
var secretColumns = []string{"activation_code", "matching_id", "confirmation_code"}

// hide takes codes out of the columns in which they must not stand, and notes
// each.
func (s *sheet) hide() {
	tokens := map[string]bool{}
	for _, r := range s.rows {
		if m := r.secrets().matching; len(m) >= 8 {
			tokens[m] = true
		}
	}
	for _, r := range s.rows {
		own := r.secrets()
		for column, f := range r.fields {
			if slices.Contains(secretColumns, column) {
				continue
			}
			switch {
			case codeShaped(f.text):
				s.at(r, column, "what stands there looks like an activation code")
			case own.in(f.text), tokens[strings.ToUpper(f.text)]:
				s.at(r, column, "what stands there shows the code of a profile: it would be in the log")
			default:
				continue
			}
			delete(r.fields, column)
		}
	}
	if s.terms == nil {
		return
	}
	for column, f := range s.terms.fields {
		if codeShaped(f.text) || tokens[strings.ToUpper(f.text)] {
			s.at(*s.terms, column, "what stands there shows the code of a profile: it would be in the log")
			delete(s.terms.fields, column)
		}
	}
}

// Words that terms of a batch may have.
var termWords = map[string][]string{
	"billing":       {"release", "download", "notification", "attach", "data"},
	"ship_state":    {"enabled", "disabled"},
	"notifications": {NotificationsSend, NotificationsHold},
}

// TermMistakes are what is wrong with the terms of a batch that come from
// elsewhere than from a list: a command line, a request, an MES. Each names its
// member. They become keys and entries of the log, and stay there.
func TermMistakes(b station.StockBatch) (out []string) {
	add := func(name, format string, args ...any) {
		out = append(out, name+": "+fmt.Sprintf(format, args...))
	}
	for _, t := range []struct{ name, text string }{
		{"name", b.Batch}, {"owner", b.Owner}, {"customer", b.Customer}, {"sku", b.SKU}, {"work_order", b.WorkOrder}, {"provider", b.Provider},
		{"purchase", b.Purchase}, {"contract", b.Contract}, {"contact", b.Contact}, {"billing", b.Billing}, {"ship_state", b.ShipState},
		{"notifications", b.Notifications}, {"share", b.Share},
	} {
		words := termWords[t.name]
		switch what := badText(t.text); {
		case what != "":
			add(t.name, "%s", what)
		case codeShaped(t.text):
			add(t.name, "what stands there looks like an activation code")
		case t.text != "" && words != nil && !slices.Contains(words, t.text):
			add(t.name, "%s is none of %s", quote(t.text), strings.Join(words, ", "))
		case t.text != strings.TrimSpace(t.text):
			add(t.name, "begins or ends with a blank")
		}
	}
	for _, c := range b.Countries {
		if !country(c) {
			add("countries", "%s is no country code of ISO 3166-1 (two capital letters)", quote(c))
		}
	}
	if b.Cap < 0 || b.Cap > maxCap {
		add("cap", "%d is no number from 1 to %d", b.Cap, maxCap)
	}
	return out
}

func country(c string) bool {
	return len(c) == 2 && strings.Trim(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
