package apdu

import (
	"fmt"
	"time"
)

// Kind is how APDUs reach the card.
type Kind int

// The kinds of route. Direct is a raw [Transmitter] given to [OpenDirect].
const (
	CGLA Kind = iota + 1
	CSIM
	Direct
)

// String is the kind as configuration writes it.
func (k Kind) String() string {
	switch k {
	case CGLA:
		return "cgla"
	case CSIM:
		return "csim"
	case Direct:
		return "direct"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// MarshalText writes [Kind.String].
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads "cgla", "csim" or "direct".
func (k *Kind) UnmarshalText(b []byte) error {
	for _, known := range []Kind{CGLA, CSIM, Direct} {
		if string(b) == known.String() {
			*k = known
			return nil
		}
	}
	return fmt.Errorf("APDU route %q: one of cgla, csim, direct", b)
}

// Route says how one module wants its APDUs. The zero value of every field but
// Kind suits a module that follows 3GPP TS 27.007; the rest is quirk data.
type Route struct {
	Kind Kind

	// BlockSize is the most data bytes in one STORE DATA, 1 to 255; 255 when 0.
	BlockSize int

	// TryBlock is a larger size that the module may take, 0 for none. Whoever
	// sends long messages tries it with one that changes nothing.
	TryBlock int

	// PatchCLA puts the session's number into the class byte on CGLA. A module
	// that follows TS 27.007 section 8.43 does that itself.
	PatchCLA bool

	// Unquoted sends the hexadecimal string without quotation marks.
	Unquoted bool

	// GetResponseCLA is the class byte of GET RESPONSE without channel bits: 00
	// (ISO/IEC 7816-4) or 80. The other one is tried when a card does not
	// answer to it.
	GetResponseCLA byte

	// OmitLe leaves out the Le byte of commands that expect an answer, so that
	// the card answers 61xx first.
	OmitLe bool

	// TerminalCapability sends TERMINAL CAPABILITY (ETSI TS 102 221 section
	// 11.1.19) before the application is selected over CSIM or directly. It is
	// sent in any case when the first selection fails.
	TerminalCapability bool

	// MaxChannels is the highest logical channel that is closed when an open
	// fails, 1 to 19; 4 when 0.
	MaxChannels int

	Deadlines Deadlines
}

// Deadlines bound what may take long. Zero fields have the defaults named.
type Deadlines struct {
	Open     time.Duration // CCHO, MANAGE CHANNEL, SELECT: 30 s
	Transmit time.Duration // one APDU: 240 s, since the last block of an installation may take that long
	Close    time.Duration // the whole closing: 30 s
	Grace    time.Duration // how long an APDU in flight outlives its context: 2 s
}

func (r Route) withDefaults() Route {
	or(&r.BlockSize, 255)
	or(&r.MaxChannels, 4)
	or(&r.Deadlines.Open, 30*time.Second)
	or(&r.Deadlines.Transmit, 240*time.Second)
	or(&r.Deadlines.Close, 30*time.Second)
	or(&r.Deadlines.Grace, 2*time.Second)
	return r
}

func or[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Check reports the first value that is out of range.
func (r Route) Check() error {
	switch d := r.Deadlines; {
	case r.Kind != CGLA && r.Kind != CSIM && r.Kind != Direct:
		return fmt.Errorf("APDU route: kind %v is not one of cgla, csim, direct", r.Kind)
	case r.BlockSize < 0 || r.BlockSize > 255:
		return fmt.Errorf("APDU route %v: block size %d is not 1 to 255", r.Kind, r.BlockSize)
	case r.TryBlock < 0 || r.TryBlock > 255:
		return fmt.Errorf("APDU route %v: block size to try %d is not 0 to 255", r.Kind, r.TryBlock)
	case r.GetResponseCLA != 0x00 && r.GetResponseCLA != 0x80:
		return fmt.Errorf("APDU route %v: GET RESPONSE class %02X is not 00 or 80", r.Kind, r.GetResponseCLA)
	case r.MaxChannels < 0 || r.MaxChannels > 19:
		return fmt.Errorf("APDU route %v: %d channels are not 1 to 19", r.Kind, r.MaxChannels)
	case d.Open < 0 || d.Transmit < 0 || d.Close < 0 || d.Grace < 0:
		return fmt.Errorf("APDU route %v: a deadline is negative", r.Kind)
	}
	return nil
}
