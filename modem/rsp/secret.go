package rsp

import "fmt"

// redacted stands where a secret would be printed.
const redacted = "[redacted]"

// Secret is a string that shows itself only through [Secret.Reveal]: not in fmt
// with any verb, not in JSON, not in text. A matching id, a confirmation code.
type Secret string

// Reveal is the secret in clear.
func (s Secret) Reveal() string { return string(s) }

// String redacts.
func (s Secret) String() string { return redacted }

// Format redacts under every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText redacts, and with it MarshalJSON of encoding/json.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText takes the secret in clear, as a configuration gives it.
func (s *Secret) UnmarshalText(b []byte) error {
	*s = Secret(b)
	return nil
}
