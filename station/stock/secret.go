package stock

import "fmt"

// redacted is all that a Secret shows of itself.
const redacted = "[secret]"

// Secret holds bytes that must not leave the process but on purpose: it shows
// itself as "[secret]" to fmt (every verb, also inside other structs), to
// encoding/json and to encoding.TextMarshaler, so to every logger. The zero
// value is empty. It cannot be compared with ==.
type Secret struct {
	// reveal is a function so that nothing that walks values by reflection
	// reaches the bytes.
	reveal func() []byte
}

// NewSecret makes a secret of a copy of b.
func NewSecret(b []byte) Secret {
	if len(b) == 0 {
		return Secret{}
	}
	own := append([]byte(nil), b...)
	return Secret{reveal: func() []byte { return own }}
}

// Reveal is the secret in clear, a copy. Empty secrets give nil.
func (s Secret) Reveal() []byte {
	if s.reveal == nil {
		return nil
	}
	return append([]byte(nil), s.reveal()...)
}

// RevealText is Reveal as a string.
func (s Secret) RevealText() string { return string(s.Reveal()) }

// Empty reports whether there is nothing to hide.
func (s Secret) Empty() bool { return s.reveal == nil }

// Len is the number of bytes.
func (s Secret) Len() int {
	if s.reveal == nil {
		return 0
	}
	return len(s.reveal())
}

// String redacts.
func (s Secret) String() string {
	if s.Empty() {
		return ""
	}
	return redacted
}

// Format redacts for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText redacts; encoding/json uses it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
