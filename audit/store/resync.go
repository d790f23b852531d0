package store

import (
	"errors"
	"io"

	"linefit/audit"
)

// resync moves the scanner behind the next valid commit frame after off and
// returns what that says; false means that there is none.
func (s *scanner) resync(off int64) (audit.Head, bool) {
	for s.off = off; s.off < s.size; {
		chunk := make([]byte, min(s.size-s.off, 4*maxBatch))
		n, err := s.r.ReadAt(chunk, s.off)
		if err != nil && err != io.EOF {
			return audit.Head{}, false
		}
		i := findFrame(chunk[:n])
		if i < 0 {
			if s.off += int64(n); s.off < s.size {
				s.off -= maxFrame + frameHeader // a frame may begin in this chunk
			}
			continue
		}
		s.off += int64(i)
		kind, payload, err := s.frame()
		if err == nil && kind == kindCommit && len(payload) == commitSize {
			s.off += commitFrame
			return parseCommit(payload), true
		}
	}
	return audit.Head{}, false
}

// findingsOf takes apart what a checker joined.
func findingsOf(err error) []audit.Finding {
	if err == nil {
		return nil
	}
	var f *audit.FindingError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []audit.Finding
		for _, e := range joined.Unwrap() {
			out = append(out, findingsOf(e)...)
		}
		return out
	}
	if errors.As(err, &f) {
		return []audit.Finding{f.Finding}
	}
	return []audit.Finding{{Code: audit.FindEntry, Detail: err.Error()}}
}
