package stock

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"linefit/internal/strictyaml"
	"linefit/modem/ident"
)

// ServerState is what an SM-DP+'s list says of an order, in four words.
type ServerState string

// Server states.
const (
	ServerUnused     ServerState = "unused"     // nobody asked for it
	ServerDownloaded ServerState = "downloaded" // handed out, no installation result yet
	ServerInstalled  ServerState = "installed"
	ServerClosed     ServerState = "closed" // error, expired, unavailable, deleted
)

// serverWords are the words that lists use (SGP.22 section 3.1.6 and what
// providers make of it).
var serverWords = map[string]ServerState{
	"available": ServerUnused, "allocated": ServerUnused, "linked": ServerUnused, "confirmed": ServerUnused,
	"released": ServerUnused, "unused": ServerUnused, "new": ServerUnused,
	"downloaded": ServerDownloaded, "downloading": ServerDownloaded,
	"installed": ServerInstalled, "enabled": ServerInstalled, "disabled": ServerInstalled, "active": ServerInstalled,
	"error": ServerClosed, "failed": ServerClosed, "expired": ServerClosed, "unavailable": ServerClosed,
	"deleted": ServerClosed, "cancelled": ServerClosed, "canceled": ServerClosed,
}

var serverColumns = columns{
	"iccid": nil,
	"state": {"status", "order_state", "profile_state"},
	"eid":   nil,
	"imsi":  nil,
}

// triedWords say of a closed order that an eUICC had asked for it.
var triedWords = []string{"error", "failed"}

// ServerRow is one order in an SM-DP+'s list.
type ServerRow struct {
	At    string // file:line
	ICCID ident.ICCID
	State ServerState
	Tried bool // an eUICC has asked for it: downloaded, installed, or failed
	EID   ident.EID
	IMSI  ident.IMSI
}

// ListName names a list for the log: its file's last part and the first 16
// hexadecimal digits of its SHA-256.
func ListName(name string, data []byte) string {
	sum := sha256.Sum256(data)
	return fmt.Sprintf("%s (sha256 %x)", text40(name[strings.LastIndexAny(name, `/\\`)+1:]), sum[:8])
}

func text40(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s), "?")
}

// File is a list as its owner exports it.
type File struct {
	Name string
	Data []byte
}

// ReadLists reads the lists of a reconciliation, nil where there is none. The error
// is strictyaml.Problems, with the mistakes of both.
func ReadLists(server, units *File) (l Lists, err error) {
	var wrong strictyaml.Problems
	var other error
	gather := func(err error) {
		var found strictyaml.Problems
		if !errors.As(err, &found) {
			other = errors.Join(other, err)
		}
		wrong = append(wrong, found...)
	}
	if server != nil {
		l.Server, err = ReadServerList(server.Name, server.Data)
		l.Names = append(l.Names, ListName(server.Name, server.Data))
		gather(err)
	}
	if units != nil {
		l.Units, err = ReadUnitList(units.Name, units.Data)
		l.Names = append(l.Names, ListName(units.Name, units.Data))
		gather(err)
	}
	return l, errors.Join(wrong.Err(), other)
}

// ReadServerList reads the list that an SM-DP+'s operator exports: CSV or JSON
// with iccid, state and, where known, eid and imsi. The error is strictyaml.Problems.
func ReadServerList(name string, data []byte) ([]ServerRow, error) {
	s := readSheet(name, data, serverColumns)
	rows := make([]ServerRow, 0, len(s.rows))
	for _, r := range s.rows {
		out := ServerRow{At: s.place(r), ICCID: s.iccid(r), EID: s.eid(r), IMSI: s.imsi(r)}
		word := strings.ToLower(r.text("state"))
		out.State = serverWords[word]
		out.Tried = out.State == ServerDownloaded || out.State == ServerInstalled || slices.Contains(triedWords, word)
		if r.text("iccid") == "" {
			s.at(r, "iccid", "missing")
		}
		if out.State == "" {
			s.at(r, "state", "%s is no state of an order", quote(r.text("state")))
		}
		rows = append(rows, out)
	}
	return rows, s.err()
}

var unitColumns = columns{
	"serial": {"sn", "serial_number", "unit"},
	"imei":   nil,
	"eid":    nil,
	"iccid":  nil,
	"imsi":   nil,
}

// UnitRow is one unit in the MES's list.
type UnitRow struct {
	At     string // file:line
	Serial string
	IMEI   ident.IMEI
	EID    ident.EID
	ICCID  ident.ICCID
	IMSI   ident.IMSI
}

// ReadUnitList reads the MES's list of the units that it takes for done: CSV or
// JSON with serial and any of imei, eid, iccid, imsi. The error is
// strictyaml.Problems.
func ReadUnitList(name string, data []byte) ([]UnitRow, error) {
	s := readSheet(name, data, unitColumns)
	rows := make([]UnitRow, 0, len(s.rows))
	for _, r := range s.rows {
		out := UnitRow{At: s.place(r), Serial: s.name(r, "serial"), EID: s.eid(r), ICCID: s.iccid(r), IMSI: s.imsi(r)}
		if out.Serial == "" {
			s.at(r, "serial", "missing")
		}
		if text := r.text("imei"); text != "" {
			imei, err := ident.ParseIMEI(text)
			if err != nil {
				s.noNumber(r, "imei", "no IMEI: 15 digits", err)
			}
			out.IMEI = imei
		}
		rows = append(rows, out)
	}
	return rows, s.err()
}

// imsi reads a cell. It is personal data: a mistake is told without the text.
func (s *sheet) imsi(r row) ident.IMSI {
	text := r.text("imsi")
	if text == "" {
		return ""
	}
	imsi, err := ident.ParseIMSI(text)
	if err != nil {
		s.at(r, "imsi", "no IMSI: 6 to 15 digits%s", rounded(text))
	}
	return imsi
}

var eidColumns = columns{"eid": nil, "serial": {"sn", "serial_number", "unit"}, "imei": nil}

// ReadEIDList reads a list of eUICCs: CSV or JSON with eid. The error is
// strictyaml.Problems.
func ReadEIDList(name string, data []byte) ([]ident.EID, error) {
	s := readSheet(name, data, eidColumns)
	list, seen := make([]ident.EID, 0, len(s.rows)), map[ident.EID]int{}
	for _, r := range s.rows {
		eid := s.eid(r)
		switch line, double := seen[eid]; {
		case r.text("eid") == "":
			s.at(r, "eid", "missing")
		case double:
			s.at(r, "eid", "%s is there already in line %d", eid, line)
		}
		seen[eid] = r.line
		list = append(list, eid)
	}
	return list, s.err()
}
