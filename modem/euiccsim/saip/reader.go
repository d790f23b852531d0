package saip

import (
	"errors"
	"fmt"
	"math"

	"linefit/modem/wire"
)

// Status of a profile element's processing (PEStatus in the profile package
// definitions).
type Status int

// Statuses that this reader gives.
const (
	StatusOK                 Status = 0
	StatusNotSupported       Status = 1
	StatusMemory             Status = 2
	StatusBadValues          Status = 3
	StatusNotEnoughMemory    Status = 4
	StatusFormat             Status = 5
	StatusTemplate           Status = 9
	StatusFeature            Status = 10
	StatusUnsupportedVersion Status = 31
)

// Error is a profile element that could not be processed.
type Error struct {
	Status Status
	ID     int // identification of the element, -1 when it has none yet
	Tag    wire.Tag
	Offset int // of the element in the package
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("profile element %v, identification %d, at byte %d: status %d: %v", e.Tag, e.ID, e.Offset, e.Status, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Response is the EUICCResponse for the error: one PEStatus, installation aborted.
func (e *Error) Response() []byte {
	status := [][]byte{wire.Integer(0x80, int64(e.Status))}
	if e.ID >= 0 {
		status = append(status, wire.Integer(0x81, int64(e.ID)))
	}
	return wire.TLV(0x30, wire.TLV(0xA0, wire.TLV(0x30, status...)), wire.TLV(0x81))
}

// ResponseOK is the EUICCResponse of a profile that was installed.
func ResponseOK() []byte {
	return wire.TLV(0x30, wire.TLV(0xA0, wire.TLV(0x30, wire.Integer(0x80, int64(StatusOK)))))
}

var (
	errTooLong    = errors.New("the package is longer than the memory")
	errOrder      = errors.New("an element is out of its order")
	errIncomplete = errors.New("the package ends early")
	errAfterEnd   = errors.New("bytes follow the end element")
	errDouble     = errors.New("an identification is used twice")
	errSchema     = errors.New("the element does not follow its definition")
)

// MaxFiles bounds the sum of the file sizes that a package declares, in bytes.
const MaxFiles = 4 << 20

// Reader reads one package. Owner: one goroutine.
type Reader struct {
	limit int    // most bytes of a package
	all   []byte // everything so far; elements are parsed out of it
	done  int    // bytes of whole elements
	p     *Package
	seen  map[int]bool
	err   error
	build builder
}

// NewReader starts a package of at most limit bytes. A longer one ends with
// StatusNotEnoughMemory.
func NewReader(limit int) *Reader {
	r := &Reader{limit: limit, p: &Package{}, seen: map[int]bool{}}
	r.build.init()
	return r
}

// Len is the number of bytes taken.
func (r *Reader) Len() int { return len(r.all) }

// Write takes the next piece. The first error ends the reader for good.
func (r *Reader) Write(b []byte) error {
	if r.err != nil {
		return r.err
	}
	if len(b) > r.limit-len(r.all) {
		return r.fail(StatusNotEnoughMemory, -1, 0, errTooLong)
	}
	r.all = append(r.all, b...)
	for r.done < len(r.all) {
		whole, err := r.next()
		if err != nil || !whole {
			return err
		}
	}
	return nil
}

// Close ends the package and gives what it holds.
func (r *Reader) Close() (*Package, error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.done != len(r.all) || !r.p.ended {
		return nil, r.fail(StatusFormat, -1, 0, errIncomplete)
	}
	r.p.Raw = r.all
	r.p.root = r.build.finish()
	return r.p, nil
}

// Parse reads a whole package.
func Parse(b []byte) (*Package, error) {
	r := NewReader(math.MaxInt32)
	if err := r.Write(b); err != nil {
		return nil, err
	}
	return r.Close()
}

func (r *Reader) fail(s Status, id int, tag wire.Tag, err error) error {
	r.err = &Error{Status: s, ID: id, Tag: tag, Offset: r.done, Err: err}
	return r.err
}

// next works on the next element, if it is whole.
func (r *Reader) next() (whole bool, err error) {
	rest := r.all[r.done:]
	tag, length, header, err := wire.ReadHeader(rest)
	if errors.Is(err, wire.ErrTruncated) {
		return false, nil
	}
	if err != nil {
		return false, r.fail(StatusFormat, -1, tag, err)
	}
	if r.p.ended {
		return false, r.fail(StatusFormat, -1, tag, errAfterEnd)
	}
	if length > r.limit-r.done-header {
		return false, r.fail(StatusNotEnoughMemory, -1, tag, errTooLong)
	}
	if length > len(rest)-header {
		return false, nil
	}
	n, _, err := wire.Next(rest)
	if err == nil {
		err = n.Check()
	}
	if err != nil {
		return false, r.fail(StatusFormat, -1, tag, err)
	}
	if err := r.element(n); err != nil {
		return false, err
	}
	r.done += len(n.Raw)
	return true, nil
}

// element checks one element and takes it over.
func (r *Reader) element(n wire.Node) error {
	first := len(r.p.Elements) == 0
	if first != (n.Tag == tagHeader) {
		return r.fail(StatusFormat, -1, n.Tag, errOrder)
	}
	if first {
		if err := r.p.Header.read(n); err != nil {
			return r.wrap(err, n.Tag, -1)
		}
		r.p.Elements = append(r.p.Elements, Element{Tag: n.Tag, ID: -1, Raw: n.Raw})
		return nil
	}
	e, err := readElement(n)
	if err != nil {
		return r.wrap(err, n.Tag, -1)
	}
	if r.seen[e.ID] {
		return r.fail(StatusBadValues, e.ID, n.Tag, errDouble)
	}
	r.seen[e.ID] = true
	if !known(n.Tag) {
		if e.Mandated {
			return r.fail(StatusNotSupported, e.ID, n.Tag, errSchema)
		}
	} else if err := r.build.element(n, r.p); err != nil {
		return r.wrap(err, n.Tag, e.ID)
	}
	r.p.Elements = append(r.p.Elements, e)
	r.p.ended = n.Tag == tagEnd
	return nil
}

// statusError carries a status up to [Reader.wrap].
type statusError struct {
	status Status
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }

func (e *statusError) Unwrap() error { return e.err }

func (r *Reader) wrap(err error, tag wire.Tag, id int) error {
	var s *statusError
	if errors.As(err, &s) {
		return r.fail(s.status, id, tag, s.err)
	}
	return r.fail(StatusFormat, id, tag, err)
}
