package bsp

import (
	"crypto/cipher"
	"errors"
	"testing"
)

// A peer that knows the keys can send bad padding; no public function makes it.
func TestBadPaddingUnderAGoodMAC(t *testing.T) {
	var k Keys
	for _, plain := range [][]byte{make([]byte, 16), make([]byte, 32), []byte("0123456789abcdef"), append([]byte{0x80}, make([]byte, 31)...)} {
		s := New(k)
		data := append([]byte{}, plain...)
		cipher.NewCBCEncrypter(s.enc, s.vector()).CryptBlocks(data, data)
		if _, err := New(k).Open(s.authenticate(0x86, data)); !errors.Is(err, ErrPadding) {
			t.Errorf("%x: %v", plain, err)
		}
	}
	s := New(k)
	if _, err := New(k).Open(s.authenticate(0x86, make([]byte, 15))); !errors.Is(err, ErrStructure) {
		t.Errorf("half a block: %v", err)
	}
}
