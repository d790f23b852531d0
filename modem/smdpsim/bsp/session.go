package bsp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"linefit/modem/wire"
)

// Sizes of segments, in bytes (SGP.22 section 2.5.3).
const (
	MACSize = 8
	// MaxSegment is the longest segment that may be sent, with tag, length and MAC.
	MaxSegment = 1020
	// MaxSeal is the most plain data that fit into an encrypted segment: 1008
	// bytes of cipher text less at least one byte of padding.
	MaxSeal = 1007
	// MaxAuthenticate is the most data that fit into a segment with MAC only.
	MaxAuthenticate = MaxSegment - 4 - MACSize
	// MaxAccepted is the longest segment that is still opened. Known SM-DP+
	// exceed MaxSegment by up to two cipher blocks; memory stays bounded.
	MaxAccepted = 1100
)

// Errors of a session. ErrMAC is a security error, ErrStructure a structure
// error in the sense of SGP.22 section 5.7.6 (scp03tSecurityError,
// scp03tStructureError).
var (
	ErrMAC       = errors.New("MAC does not match")
	ErrPadding   = errors.New("padding is not 80 00 ...")
	ErrStructure = errors.New("not a protected segment")
	ErrTooLong   = errors.New("too long for one segment")
	ErrBroken    = errors.New("session was ended by an earlier error")
)

// Session is one direction of a protected channel. Owner: one goroutine. The
// zero value is unusable; make one with [New].
type Session struct {
	enc    cipher.Block
	mac    cmac
	chain  [aes.BlockSize]byte // MAC chaining value: the CMAC of the segment before
	number uint64              // of the next segment, from 1
	broken bool
}

// New starts a session.
func New(k Keys) *Session {
	s := &Session{}
	s.Replace(k)
	return s
}

// Replace goes on under other keys, as after ReplaceSessionKeys: chain and
// numbers start again.
func (s *Session) Replace(k Keys) {
	s.enc, s.mac, s.chain, s.number = block(k.ENC), newCMAC(block(k.MAC)), k.MCV, 1
}

// String redacts.
func (s *Session) String() string { return "bsp.Session(redacted)" }

// GoString redacts.
func (s *Session) GoString() string { return s.String() }

func block(key [KeySize]byte) cipher.Block {
	b, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // a 16-byte key is always accepted
	}
	return b
}

// Seal encrypts and authenticates at most [MaxSeal] bytes as one segment.
func (s *Session) Seal(tag byte, plain []byte) ([]byte, error) {
	if len(plain) > MaxSeal {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLong, len(plain))
	}
	data := pad(plain)
	cipher.NewCBCEncrypter(s.enc, s.vector()).CryptBlocks(data, data)
	return s.authenticate(tag, data), nil
}

// Authenticate authenticates at most [MaxAuthenticate] bytes as one segment,
// in clear.
func (s *Session) Authenticate(tag byte, data []byte) ([]byte, error) {
	if len(data) > MaxAuthenticate {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLong, len(data))
	}
	return s.authenticate(tag, data), nil
}

// SealAll cuts plain into segments of the full size and seals each. Data of
// length 0 make no segment.
func (s *Session) SealAll(tag byte, plain []byte) ([][]byte, error) {
	return all(plain, MaxSeal, func(b []byte) ([]byte, error) { return s.Seal(tag, b) })
}

// AuthenticateAll cuts data into segments and authenticates each.
func (s *Session) AuthenticateAll(tag byte, data []byte) ([][]byte, error) {
	return all(data, MaxAuthenticate, func(b []byte) ([]byte, error) { return s.Authenticate(tag, b) })
}

func all(data []byte, size int, one func([]byte) ([]byte, error)) ([][]byte, error) {
	var out [][]byte
	for len(data) > 0 {
		n := min(size, len(data))
		segment, err := one(data[:n])
		if err != nil {
			return nil, err
		}
		out, data = append(out, segment), data[n:]
	}
	return out, nil
}

func (s *Session) authenticate(tag byte, data []byte) []byte {
	segment := make([]byte, 0, len(data)+MACSize+4)
	segment = wire.AppendLength(append(segment, tag), len(data)+MACSize)
	segment = append(segment, data...)
	s.chain = s.mac.sum(s.chain[:], segment)
	s.number++
	return append(segment, s.chain[:MACSize]...)
}

// Open checks one encrypted segment and returns what it held. Errors:
// [ErrStructure], [ErrMAC], [ErrPadding], and [ErrBroken] ever after.
func (s *Session) Open(segment []byte) (plain []byte, err error) {
	number := s.vector()
	data, err := s.Verify(segment)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return nil, s.end(fmt.Errorf("%w: %d encrypted bytes", ErrStructure, len(data)))
	}
	plain = make([]byte, len(data))
	cipher.NewCBCDecrypter(s.enc, number).CryptBlocks(plain, data)
	plain, ok := unpad(plain)
	if !ok {
		return nil, s.end(ErrPadding)
	}
	return plain, nil
}

// Verify checks one segment with MAC only and returns its data, which alias
// the input. Errors: [ErrStructure], [ErrMAC], and [ErrBroken] ever after.
func (s *Session) Verify(segment []byte) (data []byte, err error) {
	if s.broken {
		return nil, ErrBroken
	}
	if len(segment) > MaxAccepted {
		return nil, s.end(fmt.Errorf("%w: %d bytes", ErrStructure, len(segment)))
	}
	n, err := wire.Parse(segment)
	if err != nil {
		return nil, s.end(fmt.Errorf("%w: %w", ErrStructure, err))
	}
	if n.Tag > 0xFF || len(n.Value) < MACSize {
		return nil, s.end(fmt.Errorf("%w: tag %v with %d bytes", ErrStructure, n.Tag, len(n.Value)))
	}
	body := segment[:len(segment)-MACSize]
	sum := s.mac.sum(s.chain[:], body)
	if subtle.ConstantTimeCompare(sum[:MACSize], segment[len(body):]) != 1 {
		return nil, s.end(ErrMAC)
	}
	s.chain = sum
	s.number++
	return n.Value[:len(n.Value)-MACSize], nil
}

func (s *Session) end(err error) error {
	s.broken = true
	return err
}

// vector is the initial vector of the next segment: its number, encrypted.
func (s *Session) vector() []byte {
	iv := make([]byte, aes.BlockSize)
	binary.BigEndian.PutUint64(iv[8:], s.number)
	s.enc.Encrypt(iv, iv)
	return iv
}

// pad is padding method 2 of ISO/IEC 9797-1, as ISO/IEC 7816-4 uses it.
func pad(plain []byte) []byte {
	data := make([]byte, (len(plain)/aes.BlockSize+1)*aes.BlockSize)
	data[copy(data, plain)] = 0x80
	return data
}

func unpad(data []byte) ([]byte, bool) {
	// Padding never exceeds one block: a longer run of zeros is no padding.
	for i := len(data) - 1; i >= len(data)-aes.BlockSize; i-- {
		switch data[i] {
		case 0x80:
			return data[:i], true
		case 0x00:
		default:
			return nil, false
		}
	}
	return nil, false
}
