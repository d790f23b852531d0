package bsp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// cmac is AES-CMAC (NIST SP 800-38B, RFC 4493).
type cmac struct {
	block  cipher.Block
	k1, k2 [aes.BlockSize]byte
}

func newCMAC(b cipher.Block) cmac {
	c := cmac{block: b}
	var l [aes.BlockSize]byte
	b.Encrypt(l[:], l[:])
	c.k1 = double(l)
	c.k2 = double(c.k1)
	return c
}

// double multiplies by x in GF(2^128).
func double(in [aes.BlockSize]byte) (out [aes.BlockSize]byte) {
	carry := byte(0)
	for i := aes.BlockSize - 1; i >= 0; i-- {
		out[i] = in[i]<<1 | carry
		carry = in[i] >> 7
	}
	out[aes.BlockSize-1] ^= carry * 0x87
	return out
}

// sum is the CMAC of head, which is one whole block, followed by tail.
func (c cmac) sum(head, tail []byte) (x [aes.BlockSize]byte) {
	copy(x[:], head)
	if len(tail) == 0 {
		subtle.XORBytes(x[:], x[:], c.k1[:])
		c.block.Encrypt(x[:], x[:])
		return x
	}
	for c.block.Encrypt(x[:], x[:]); len(tail) > aes.BlockSize; tail = tail[aes.BlockSize:] {
		subtle.XORBytes(x[:], x[:], tail[:aes.BlockSize])
		c.block.Encrypt(x[:], x[:])
	}
	last, key := tail, c.k1
	if len(tail) < aes.BlockSize {
		last, key = pad(tail), c.k2
	}
	subtle.XORBytes(x[:], x[:], last)
	subtle.XORBytes(x[:], x[:], key[:])
	c.block.Encrypt(x[:], x[:])
	return x
}
