package audit

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Head is the size and root hash of a log's Merkle tree.
type Head struct {
	Size uint64    `json:"size"`
	Root tlog.Hash `json:"root"`
}

// A Checkpoint is a signed head as in C2SP tlog-checkpoint.
type Checkpoint struct {
	Origin string
	Head
	Note []byte // the signed note as it stands
}

// Kinds of [CheckpointError].
var (
	ErrCheckpointForm   = errors.New("malformed checkpoint")
	ErrCheckpointOrigin = errors.New("checkpoint of another log")
	ErrCheckpointKey    = errors.New("checkpoint not signed by the given key")
	ErrCheckpointSig    = errors.New("signature of the checkpoint does not verify")
)

// A CheckpointError wraps one of the kinds above; use errors.Is.
type CheckpointError struct {
	Kind   error
	Detail string
}

func (e *CheckpointError) Error() string { return "audit: " + e.Kind.Error() + ": " + e.Detail }
func (e *CheckpointError) Unwrap() error { return e.Kind }

// maxCheckpoint bounds a note with its cosignatures.
const maxCheckpoint = 64 << 10

// SignCheckpoint returns the signed note for a head. The origin is the
// signer's name.
func SignCheckpoint(h Head, s note.Signer) ([]byte, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n", s.Name(), h.Size, h.Root)
	signed, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil {
		return nil, fmt.Errorf("audit: sign checkpoint: %w", err)
	}
	return signed, nil
}

// ParseCheckpoint reads a checkpoint without looking at its signatures. The
// text must be in canonical form and have no extension lines.
func ParseCheckpoint(signed []byte) (Checkpoint, error) {
	bad := func(what string) (Checkpoint, error) {
		return Checkpoint{}, &CheckpointError{Kind: ErrCheckpointForm, Detail: what}
	}
	if len(signed) > maxCheckpoint {
		return bad("too long")
	}
	text, sigs, ok := bytes.Cut(signed, []byte("\n\n"))
	if !ok || len(sigs) == 0 || sigs[len(sigs)-1] != '\n' {
		return bad("no signature block")
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) != 3 || lines[0] == "" {
		return bad("its text is not origin, size and root hash")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return bad("size is not a decimal number")
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return bad("root hash is not base64 of 32 bytes")
	}
	for _, line := range strings.Split(strings.TrimSuffix(string(sigs), "\n"), "\n") {
		rest, ok := strings.CutPrefix(line, "— ")
		name, sig, ok2 := strings.Cut(rest, " ")
		raw, err := base64.StdEncoding.Strict().DecodeString(sig)
		if !ok || !ok2 || name == "" || err != nil || len(raw) < 5 {
			return bad("malformed signature line")
		}
	}
	c := Checkpoint{Origin: lines[0], Head: Head{Size: uint64(size)}, Note: bytes.Clone(signed)}
	copy(c.Root[:], root)
	return c, nil
}

// OpenCheckpoint reads a checkpoint and verifies that v signed it for the log
// of v's name. Every error is a *CheckpointError.
func OpenCheckpoint(signed []byte, v note.Verifier) (Checkpoint, error) {
	c, err := ParseCheckpoint(signed)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != v.Name() {
		return Checkpoint{}, &CheckpointError{Kind: ErrCheckpointOrigin, Detail: fmt.Sprintf("its origin is %q, this log's is %q", c.Origin, v.Name())}
	}
	_, err = note.Open(signed, note.VerifierList(v))
	var unknown *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case err == nil:
		return c, nil
	case errors.As(err, &unknown):
		return Checkpoint{}, &CheckpointError{Kind: ErrCheckpointKey, Detail: fmt.Sprintf("no signature by key %s+%08x", v.Name(), v.KeyHash())}
	case errors.As(err, &invalid):
		return Checkpoint{}, &CheckpointError{Kind: ErrCheckpointSig, Detail: fmt.Sprintf("key %s+%08x", v.Name(), v.KeyHash())}
	}
	return Checkpoint{}, &CheckpointError{Kind: ErrCheckpointForm, Detail: err.Error()}
}
