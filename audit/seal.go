package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A seal is the word of a log's key for a file that was made from the log: a
// signed note (C2SP signed-note) of three lines,
//
//	linefit <what>
//	<origin>
//	<SHA-256 of the file's canonical bytes, base64>
//
// Its first line is no origin (there is a space in it), so that it is never taken
// for a checkpoint.

// ErrSeal is the error of a seal that does not hold.
var ErrSeal = errors.New("seal does not hold")

// Seal signs what a file says: sum is the SHA-256 of its text.
func Seal(what string, sum [sha256.Size]byte, s note.Signer) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: sealText(what, s.Name(), sum)}, s)
	if err != nil {
		return nil, fmt.Errorf("audit: seal: %w", err)
	}
	return signed, nil
}

func sealText(what, origin string, sum [sha256.Size]byte) string {
	return fmt.Sprintf("linefit %s\n%s\n%s\n", what, origin, base64.StdEncoding.EncodeToString(sum[:]))
}

// OpenSeal says what is wrong with a file's seal. Without a verifier key ("") the
// signature stays unchecked: that shows a change of the file, and not one by
// somebody who made another seal. Errors wrap [ErrSeal], but for a key that is
// none.
func OpenSeal(seal []byte, what string, sum [sha256.Size]byte, vkey string) error {
	if len(seal) > maxCheckpoint {
		return fmt.Errorf("%w: it is too long", ErrSeal)
	}
	text, _, ok := bytes.Cut(seal, []byte("\n\n"))
	lines := strings.Split(string(text), "\n")
	if !ok || len(lines) != 3 || lines[0] != "linefit "+what {
		return fmt.Errorf("%w: it is none of a %s", ErrSeal, what)
	}
	if string(text)+"\n" != sealText(what, lines[1], sum) {
		return fmt.Errorf("%w: the file was changed after log %q sealed it", ErrSeal, lines[1])
	}
	if vkey == "" {
		return nil
	}
	v, err := ParseVKey(vkey)
	if err != nil {
		return err
	}
	if lines[1] != v.Name() {
		return fmt.Errorf("%w: it is of log %q, the key of %q", ErrSeal, lines[1], v.Name())
	}
	if _, err := note.Open(seal, note.VerifierList(v)); err != nil {
		return fmt.Errorf("%w: no good signature by key %s+%08x", ErrSeal, v.Name(), v.KeyHash())
	}
	return nil
}
