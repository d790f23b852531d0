package stock

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"linefit/modem/ident"
	"linefit/station"
)

// A share is a part of a list of codes for one station alone, so that the same
// list on two stations cannot burn a code. It is a signed note (C2SP
// signed-note, as golang.org/x/mod/sumdb/note makes it), a line "---", and the
// list as JSON:
//
//	linefit share/1
//	station bench-7
//	part 2 of 4
//	sha256 <of the list, hexadecimal>
//
//	— planning <signature>
//	---
//	{"profiles":[...

const (
	shareMagic = "linefit share/1"
	shareCut   = "\n---\n"
)

// Share says whose part of which list a file is.
type Share struct {
	Station string
	Part    int
	Of      int
	Signer  string // name of the key
}

func (s Share) String() string { return fmt.Sprintf("%d/%d by %s", s.Part, s.Of, s.Signer) }

// Errors of a share.
var (
	ErrShare        = errors.New("no valid share")
	ErrOtherStation = errors.New("the share is another station's")
	ErrNoShare      = errors.New("the list is no share: this station takes only its own part of a split list")
)

// Split makes one share for each station, in turn from the list's lines, so
// that they are disjoint and together the whole list. The error of a list with
// mistakes is strictyaml.Problems. Nothing is split that could not be imported.
func Split(name string, data []byte, batch station.StockBatch, stations []string, signer note.Signer) (map[string][]byte, error) {
	if len(stations) == 0 {
		return nil, errors.New("split: no station is named")
	}
	for i, s := range stations {
		if s == "" || strings.ContainsAny(s, " \n") || slices.Contains(stations[:i], s) {
			return nil, fmt.Errorf("split: station %q is empty, has a space, or is named twice", s)
		}
	}
	sheet := readSheet(name, data, codeColumns)
	list, batch := sheet.check(batch, time.Now())
	if err := sheet.err(); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(list, func(p profile) bool { return p.station != "" }) {
		return nil, errors.New("split: the list says for which stations its lines are: import it as it is")
	}
	parts := make([][]profile, len(stations))
	for i, p := range list {
		parts[i%len(stations)] = append(parts[i%len(stations)], p)
	}
	out := make(map[string][]byte, len(stations))
	for i, s := range stations {
		share, err := sealShare(Share{Station: s, Part: i + 1, Of: len(stations)}, batch, parts[i], signer)
		if err != nil {
			return nil, err
		}
		out[s] = share
	}
	return out, nil
}

func sealShare(s Share, batch station.StockBatch, part []profile, signer note.Signer) ([]byte, error) {
	list, err := writeCodes(batch, part)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(list)
	text := fmt.Sprintf("%s\nstation %s\npart %d of %d\nsha256 %s\n", shareMagic, s.Station, s.Part, s.Of, hex.EncodeToString(sum[:]))
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return nil, fmt.Errorf("split: %w", err)
	}
	return append(append(bytes.TrimSuffix(signed, []byte("\n")), shareCut...), list...), nil
}

// sharedCode is a line of a list that was checked, in the form of Import.
type sharedCode struct {
	Batch        string      `json:"batch"`
	Code         string      `json:"activation_code"`
	Confirmation string      `json:"confirmation_code,omitempty"`
	ICCID        ident.ICCID `json:"iccid,omitempty"`
	EID          ident.EID   `json:"eid,omitempty"`
	Operator     string      `json:"operator,omitempty"`
	Region       string      `json:"region,omitempty"`
	Customer     string      `json:"customer,omitempty"`
	SKU          string      `json:"sku,omitempty"`
	Cap          int         `json:"cap,omitempty"`
	Expires      string      `json:"expires,omitempty"`
}

// sharedTerms are a batch's terms in the form of Import.
type sharedTerms struct {
	Name string `json:"name"`
	station.StockBatch
	// Neither is a member of a list's terms.
	Batch string `json:"batch,omitempty"`
	Share string `json:"share,omitempty"`
}

// writeCodes writes profiles as JSON that Import reads, one in a line.
func writeCodes(batch station.StockBatch, list []profile) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteString("{")
	if batch.Batch != "" {
		b.WriteString("\"batch\":")
		if err := enc.Encode(sharedTerms{Name: batch.Batch, StockBatch: batch}); err != nil {
			return nil, fmt.Errorf("split: %w", err)
		}
		b.WriteString(",")
	}
	b.WriteString("\"profiles\":[\n")
	for i, p := range list {
		if i > 0 {
			b.WriteString(",")
		}
		f := p.fact
		err := enc.Encode(sharedCode{
			Batch: f.Batch, Code: p.code.Text.RevealText(), Confirmation: p.code.Confirmation.RevealText(), ICCID: f.ICCID, EID: f.EID,
			Operator: f.Operator, Region: f.Region, Customer: f.Customer, SKU: f.SKU, Cap: f.Cap, Expires: f.Expires,
		})
		if err != nil {
			return nil, fmt.Errorf("split: %w", err)
		}
	}
	b.WriteString("]}\n")
	return b.Bytes(), nil
}

// IsShare reports whether a file claims to be a share.
func IsShare(data []byte) bool { return bytes.HasPrefix(data, []byte(shareMagic+"\n")) }

// ShareRule says which shares a station takes.
type ShareRule struct {
	Station string
	Keys    []note.Verifier
	// Required refuses lists that are no share.
	Required bool
}

// open returns the list of a file and the share that it is, nil where it is none.
func (r ShareRule) open(data []byte) ([]byte, *Share, error) {
	if !IsShare(data) {
		if r.Required {
			return nil, nil, ErrNoShare
		}
		return data, nil, nil
	}
	share, list, err := OpenShare(data, r.Station, r.Keys...)
	if err != nil {
		return nil, nil, err
	}
	// Empty lines in place of the head, so that mistakes are shown where they stand.
	before := bytes.Count(data[:len(data)-len(list)], []byte("\n"))
	return append(bytes.Repeat([]byte("\n"), before), list...), &share, nil
}

// OpenShare checks a share's signature and list, and that it is this station's.
// It returns the list.
func OpenShare(data []byte, station string, keys ...note.Verifier) (Share, []byte, error) {
	head, list, ok := bytes.Cut(data, []byte(shareCut))
	if !IsShare(data) || !ok {
		return Share{}, nil, fmt.Errorf("%w: it has no head", ErrShare)
	}
	n, err := note.Open(append(slices.Clone(head), '\n'), note.VerifierList(keys...))
	if err != nil {
		return Share{}, nil, fmt.Errorf("%w: signature: %w", ErrShare, err)
	}
	s := Share{Signer: n.Sigs[0].Name}
	var sum string
	if _, err := fmt.Sscanf(n.Text, shareMagic+"\nstation %s\npart %d of %d\nsha256 %s\n", &s.Station, &s.Part, &s.Of, &sum); err != nil {
		return s, nil, fmt.Errorf("%w: head: %w", ErrShare, err)
	}
	got := sha256.Sum256(list)
	if hex.EncodeToString(got[:]) != sum {
		return s, nil, fmt.Errorf("%w: the list is not the one that was signed", ErrShare)
	}
	if s.Station != station {
		return s, nil, fmt.Errorf("%w: it is for %q, this is %q", ErrOtherStation, s.Station, station)
	}
	return s, list, nil
}
