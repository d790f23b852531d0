package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// canary is a secret that can be told from every other byte string.
type canary struct {
	name   string
	secret []byte
}

// spelling is one way to write a secret down.
type spelling struct {
	text []byte
	fold bool // upper and lower case are the same
}

// spellings are those that are searched for: as it is, hexadecimal, base64 at
// every alignment in both alphabets, digits packed two to a byte in both orders
// and at both alignments, and those packed forms in hexadecimal and base64.
func (c canary) spellings() []spelling {
	out := encoded(c.secret)
	for _, packed := range packedDigits(c.secret) {
		out = append(out, encoded(packed)...)
	}
	return out
}

func encoded(b []byte) []spelling {
	out := []spelling{{bytes.ToLower(b), true}, {[]byte(hex.EncodeToString(b)), true}}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			// What stands beside the secret changes the characters at its edges.
			s := enc.EncodeToString(append(make([]byte, shift), b...))
			from, to := (shift*8+5)/6, (shift+len(b))*8/6
			if s = s[from:to]; len(s) >= 8 {
				out = append(out, spelling{[]byte(s), false})
			}
		}
	}
	return out
}

// packedDigits are the ways of a number in a file of a card (3GPP TS 31.102).
func packedDigits(b []byte) [][]byte {
	if bytes.ContainsFunc(b, func(r rune) bool { return r < '0' || r > '9' }) || len(b) < 10 {
		return nil
	}
	var out [][]byte
	for skip := range 2 {
		digits := b[skip : skip+(len(b)-skip)/2*2]
		plain, swapped := make([]byte, 0, len(digits)/2), make([]byte, 0, len(digits)/2)
		for pair := range slices.Chunk(digits, 2) {
			plain = append(plain, (pair[0]-'0')<<4|(pair[1]-'0'))
			swapped = append(swapped, (pair[1]-'0')<<4|(pair[0]-'0'))
		}
		out = append(out, plain, swapped)
	}
	return out
}

// sight is something that a secret must not be seen in.
type sight struct {
	name string
	data []byte
}

// find names every canary that is seen somewhere.
func find(canaries []canary, sights []sight) (found []string) {
	for _, s := range sights {
		lower := bytes.ToLower(s.data)
		for _, c := range canaries {
			for _, p := range c.spellings() {
				hay := s.data
				if p.fold {
					hay = lower
				}
				if bytes.Contains(hay, p.text) {
					found = append(found, fmt.Sprintf("%s in %s", c.name, s.name))
					break
				}
			}
		}
	}
	return found
}

// folder are the files under a folder, each with its name.
func folder(t *testing.T, name, dir string) (out []sight) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		out = append(out, sight{name + ":" + rel, append([]byte(rel+"\n"), data...)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestFind is the control: a secret that was planted is found in every spelling,
// inside other text, and nothing is found where none is.
func TestFind(t *testing.T) {
	canaries := []canary{{"text", []byte("CANARY-MATCH-Q7X2")}, {"number", []byte("001019876543210")}, {"bytes", []byte{0xfe, 0x01, 0x99, 0x7b, 0xc3, 0x5a, 0x00, 0x8e, 0x42, 0x10}}}
	std, url := base64.StdEncoding.EncodeToString, base64.URLEncoding.EncodeToString
	imsiFile := []byte{0x08, 0x09, 0x10, 0x10, 0x89, 0x67, 0x45, 0x23, 0x01} // EF.IMSI of 001019876543210
	for name, leak := range map[string][]byte{
		"text": []byte(`{"why":"canary-match-q7x2 x"}`), "text upper": []byte("LPA:1$h$CANARY-MATCH-Q7X2"),
		"text hex": []byte("3043414e4152592d4d415443482d513758323f"), "text HEX": []byte("43414E4152592D4D415443482D51375832"),
		"text base64 0": []byte(std([]byte("CANARY-MATCH-Q7X2"))), "text base64 1": []byte(std([]byte("$CANARY-MATCH-Q7X2$1"))),
		"text base64 2": []byte(url([]byte("1$CANARY-MATCH-Q7X2!"))),
		"number":        []byte("imsi=001019876543210"), "number packed": append([]byte("x"), imsiFile...),
		"number packed hex": []byte(strings.ToUpper(hex.EncodeToString(imsiFile))), "number packed base64": []byte(std(imsiFile)),
		"bytes": append([]byte("..."), canaries[2].secret...), "bytes base64": []byte(std(append([]byte{7, 8, 9, 1}, append(canaries[2].secret, 0xff)...))),
		"bytes base64url": []byte(url(append([]byte{7}, canaries[2].secret...))),
	} {
		want, _, _ := strings.Cut(name, " ")
		if got := find(canaries, []sight{{"here", leak}}); len(got) != 1 || got[0] != want+" in here" {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := find(canaries, []sight{{"here", bytes.Repeat([]byte("CANARY-MATCH-Q7X canary 001018876543219 "), 100)}}); len(got) != 0 {
		t.Error(got)
	}
}
