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

// A Consistency shows that a log only grew between two signed heads.
type Consistency struct {
	Old, New Checkpoint
	Path     tlog.TreeProof
}

// PlainNote returns a signed note that was given as such or as base64.
func PlainNote(data []byte) []byte {
	if raw, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(data))); err == nil {
		return raw
	}
	return data
}

// Check verifies the path between the two heads. The signatures are verified by
// whoever opened the checkpoints.
func (c Consistency) Check() error {
	fail := func(format string, args ...any) error {
		return &FindingError{Finding{Code: FindFork, Detail: fmt.Sprintf(format, args...)}}
	}
	switch {
	case c.Old.Origin != c.New.Origin:
		return fail("log %q does not follow from log %q", c.New.Origin, c.Old.Origin)
	case c.Old.Size > c.New.Size:
		return fail("size %d is before size %d", c.New.Size, c.Old.Size)
	case c.Old.Size == c.New.Size && c.Old.Root != c.New.Root:
		return fail("two roots at size %d: %s and %s", c.New.Size, c.Old.Root, c.New.Root)
	case c.Old.Size == c.New.Size, c.Old.Size == 0:
		if len(c.Path) != 0 {
			return fail("a proof that needs no hashes has %d", len(c.Path))
		}
		return nil
	}
	if err := tlog.CheckTree(c.Path, int64(c.New.Size), c.New.Root, int64(c.Old.Size), c.Old.Root); err != nil {
		return fail("the log of %d entries with root %s is no beginning of the one of %d with root %s", c.Old.Size, c.Old.Root, c.New.Size, c.New.Root)
	}
	return nil
}

// Marshal encodes the proof as a C2SP tlog-witness request: a line "old" with
// the old size, the hashes, an empty line, the new checkpoint. The old
// checkpoint is what the verifier has.
func (c Consistency) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", c.Old.Size)
	for _, h := range c.Path {
		fmt.Fprintf(&b, "%s\n", h)
	}
	b.WriteByte('\n')
	b.Write(c.New.Note)
	return b.Bytes()
}

// ParseConsistency reads what Marshal wrote and verifies it for someone who
// kept the old checkpoint: v signed both heads, and the one grew to the other.
func ParseConsistency(data, old []byte, v note.Verifier) (Consistency, error) {
	bad := func(what string) (Consistency, error) {
		return Consistency{}, errors.New("audit: consistency proof: " + what)
	}
	if len(data) > maxCheckpoint+64*64 {
		return bad("too long")
	}
	head, signed, ok := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	size, is := strings.CutPrefix(lines[0], "old ")
	n, err := strconv.ParseInt(size, 10, 64)
	if !ok || !is || err != nil || n < 0 || strconv.FormatInt(n, 10) != size {
		return bad("no line with the old size")
	}
	var c Consistency
	for _, line := range lines[1:] {
		h, err := parseHash(line)
		if err != nil || len(c.Path) == 64 {
			return bad("malformed path")
		}
		c.Path = append(c.Path, h)
	}
	if c.Old, err = OpenCheckpoint(PlainNote(old), v); err != nil {
		return Consistency{}, err
	}
	if c.New, err = OpenCheckpoint(signed, v); err != nil {
		return Consistency{}, err
	}
	if uint64(n) != c.Old.Size {
		return bad(fmt.Sprintf("it is for size %d, the kept checkpoint has %d", n, c.Old.Size))
	}
	return c, c.Check()
}
