package people

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"linefit/station"
	"linefit/station/stock"
)

// Limits.
const (
	maxIdentifier = 64 // characters
	maxLinked     = 8  // identifiers of a person
	maxPeople     = 10_000
	saltSize      = 32 // bytes
)

const (
	prefix     = "op-"
	pseudonymN = 12 // characters behind the prefix: 60 bits
	format     = 1
)

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// person is one sealed item.
type person struct {
	Format int       `json:"format"`
	IDs    []string  `json:"ids"` // folded; the first one makes the pseudonym
	Salt   []byte    `json:"salt"`
	Since  time.Time `json:"since"`

	handles []string      // in the vault: the item, and older forms of it that are still there
	actor   station.Actor // derived
}

func newPerson(id string, at time.Time) *person {
	p := &person{Format: format, IDs: []string{id}, Salt: make([]byte, saltSize), Since: at.UTC().Truncate(24 * time.Hour)}
	_, _ = rand.Read(p.Salt) // never fails (crypto/rand)
	p.actor = p.pseudonym()
	return p
}

func (p *person) pseudonym() station.Actor {
	m := hmac.New(sha256.New, p.Salt)
	m.Write([]byte(p.IDs[0]))
	return station.Actor(prefix + letters.EncodeToString(m.Sum(nil))[:pseudonymN])
}

func (p *person) seal() (stock.Secret, error) {
	b, err := json.Marshal(p)
	return stock.NewSecret(b), err
}

// open reads a sealed item. Its errors repeat nothing of it.
func open(handle string, s stock.Secret) (*person, error) {
	dec := json.NewDecoder(bytes.NewReader(s.Reveal()))
	dec.DisallowUnknownFields()
	p := &person{handles: []string{handle}}
	if err := dec.Decode(p); err != nil || p.Format != format || len(p.IDs) == 0 || len(p.Salt) != saltSize {
		return nil, fmt.Errorf("people: item %s is of no form that this version knows", handle)
	}
	p.actor = p.pseudonym()
	return p, nil
}

// Fold gives what was entered the form in which it is compared. The error is a
// *station.Refusal that repeats nothing of it.
func Fold(entered string) (string, error) {
	if !utf8.ValidString(entered) || len(entered) > 4*maxIdentifier {
		return "", station.Refuse(station.ScanInvalid, "a name or badge has 1 to %d characters", maxIdentifier)
	}
	id := strings.Join(strings.Fields(strings.ToLower(norm.NFKC.String(entered))), " ")
	if n := utf8.RuneCountInString(id); n == 0 || n > maxIdentifier || strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", station.Refuse(station.ScanInvalid, "a name or badge has 1 to %d characters that can be shown", maxIdentifier)
	}
	return id, nil
}

// isPseudonym reports whether a folded identifier has the form of a pseudonym.
func isPseudonym(id string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	return ok && len(rest) == pseudonymN && !strings.ContainsFunc(rest, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '2' || r > '7') })
}
