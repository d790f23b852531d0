package audit

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"
)

// Limits of an entry and its fields, in bytes.
const (
	// MaxEntry bounds an entry's encoding; C2SP tlog-tiles bounds it at 65,535.
	MaxEntry  = 60 * 1024
	maxType   = 64
	maxName   = 128
	maxSlot   = 9999
	maxNested = 16
)

// Entry types that the log itself writes, all on slot 0.
const (
	// TypeClockStep says that UTC moved by more than a second against
	// monotonic time: {"step_ms":±n,"expected_utc":"...","source":"..."}.
	TypeClockStep = "clock.step/1"
	// TypeScrubbed says what a scrub of all segments found, a [Scrubbed].
	TypeScrubbed = "log.scrubbed/1"
	// TypeTailDropped says that bytes which were never acknowledged were
	// removed from the end of a segment when the store was opened.
	TypeTailDropped = "log.tail_dropped/1"
)

// States of the system clock.
const (
	ClockSynced   = "synced"
	ClockUnsynced = "unsynced"
	ClockUnknown  = "unknown"
)

const utcLayout = "2006-01-02T15:04:05.000000000Z"

// A Draft is what a writer wants recorded. The store completes it to an Entry.
type Draft struct {
	Type  string          // fact type with version, "run.started/1"
	Slot  int             // 1 to 9999; 0 is the station itself
	Actor string          // pseudonym, or "station"; empty means "station"
	Unit  string          // serial, or ""
	Run   string          // run id, or ""
	Data  json.RawMessage // the fact: a JSON object of integers, strings, booleans, and nested objects and arrays; see [Marshal]
}

// An Entry is one recorded fact. The package documentation defines its bytes.
type Entry struct {
	Seq     uint64          `json:"seq"`
	Type    string          `json:"type"`
	Slot    int             `json:"slot"`
	SlotSeq uint64          `json:"slot_seq"`
	Unit    string          `json:"unit,omitempty"`
	UnitSeq uint64          `json:"unit_seq,omitempty"`
	Run     string          `json:"run,omitempty"`
	Actor   string          `json:"actor"`
	Boot    string          `json:"boot"`
	UTC     time.Time       `json:"utc"`
	Mono    int64           `json:"mono"`
	Clock   string          `json:"clock"`
	Sim     bool            `json:"sim,omitempty"`
	Data    json.RawMessage `json:"data"`
}

// A DraftError says why a draft cannot become an entry. Nothing was recorded.
type DraftError struct {
	Type  string // the draft's type, shortened
	Field string // "type", "slot", "actor", "unit", "run", "data" or "size"
	What  string
}

func (e *DraftError) Error() string {
	return fmt.Sprintf("audit: draft %q: %s: %s", e.Type, e.Field, e.What)
}

// Normalize checks a draft and returns it as it will be encoded: actor filled
// in, data in canonical form. Every error is a *DraftError.
func (d Draft) Normalize() (Draft, error) {
	fail := func(field, what string) (Draft, error) {
		t := d.Type
		if len(t) > maxType {
			t = t[:maxType]
		}
		return Draft{}, &DraftError{Type: t, Field: field, What: what}
	}
	if what := checkType(d.Type); what != "" {
		return fail("type", what)
	}
	if d.Slot < 0 || d.Slot > maxSlot {
		return fail("slot", fmt.Sprintf("%d is not between 0 and %d", d.Slot, maxSlot))
	}
	if d.Actor == "" {
		d.Actor = "station"
	}
	for _, f := range [...]struct{ name, value string }{{"actor", d.Actor}, {"unit", d.Unit}, {"run", d.Run}} {
		if what := checkName(f.value); what != "" {
			return fail(f.name, what)
		}
	}
	if len(d.Data) == 0 {
		d.Data = json.RawMessage("{}")
	}
	data, err := Canonical(d.Data)
	if err != nil {
		return fail("data", err.Error())
	}
	if data[0] != '{' {
		return fail("data", "not an object")
	}
	d.Data = data
	// The envelope's integers and its time have a bounded length.
	if size := len(data) + len(d.Type) + 2*(len(d.Actor)+len(d.Unit)+len(d.Run)) + envelopeMax; size > MaxEntry {
		return fail("size", fmt.Sprintf("about %d bytes, more than %d", size, MaxEntry))
	}
	return d, nil
}

// envelopeMax bounds the bytes of an envelope without its free strings.
const envelopeMax = 340

// checkType accepts lower-case words joined by dots, a slash and a version.
func checkType(t string) string {
	if len(t) == 0 || len(t) > maxType {
		return fmt.Sprintf("length %d is not between 1 and %d", len(t), maxType)
	}
	const form = `not of the form "word.word/1"`
	slash := -1
	prev := byte('.')
	for i := range len(t) {
		c := t[i]
		switch {
		case slash >= 0:
			if c < '0' || c > '9' || i == slash+1 && c == '0' {
				return form
			}
		case c == '/':
			if prev == '.' {
				return form
			}
			slash = i
		case c == '.':
			if prev == '.' {
				return form
			}
		case c >= 'a' && c <= 'z', prev != '.' && (c == '_' || c >= '0' && c <= '9'):
		default:
			return form
		}
		prev = c
	}
	if slash < 0 || slash == len(t)-1 {
		return form
	}
	return ""
}

// checkName accepts printable UTF-8 without control characters.
func checkName(s string) string {
	if len(s) > maxName {
		return fmt.Sprintf("%d bytes, more than %d", len(s), maxName)
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			return "not UTF-8"
		}
		if r < 0x20 || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return "control character"
		}
		i += n
	}
	return ""
}

// AppendEntry appends the entry's only encoding to dst. The entry's strings
// and data must have passed [Draft.Normalize] or [Decode].
func AppendEntry(dst []byte, e Entry) []byte {
	dst = append(dst, `{"seq":`...)
	dst = strconv.AppendUint(dst, e.Seq, 10)
	dst = append(dst, `,"type":`...)
	dst = appendString(dst, e.Type)
	dst = append(dst, `,"slot":`...)
	dst = strconv.AppendInt(dst, int64(e.Slot), 10)
	dst = append(dst, `,"slot_seq":`...)
	dst = strconv.AppendUint(dst, e.SlotSeq, 10)
	if e.Unit != "" {
		dst = append(dst, `,"unit":`...)
		dst = appendString(dst, e.Unit)
		dst = append(dst, `,"unit_seq":`...)
		dst = strconv.AppendUint(dst, e.UnitSeq, 10)
	}
	if e.Run != "" {
		dst = append(dst, `,"run":`...)
		dst = appendString(dst, e.Run)
	}
	dst = append(dst, `,"actor":`...)
	dst = appendString(dst, e.Actor)
	dst = append(dst, `,"boot":`...)
	dst = appendString(dst, e.Boot)
	dst = append(dst, `,"utc":"`...)
	dst = e.UTC.UTC().AppendFormat(dst, utcLayout)
	dst = append(dst, `","mono":`...)
	dst = strconv.AppendInt(dst, e.Mono, 10)
	dst = append(dst, `,"clock":`...)
	dst = appendString(dst, e.Clock)
	if e.Sim {
		dst = append(dst, `,"sim":true`...)
	}
	dst = append(dst, `,"data":`...)
	dst = append(dst, e.Data...)
	return append(dst, '}')
}

// LeafHash is the RFC 6962 leaf hash of an entry's bytes.
func LeafHash(entry []byte) tlog.Hash { return tlog.RecordHash(entry) }
