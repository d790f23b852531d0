package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// draw is a number in [0,1) that follows from its arguments alone.
func draw(seed uint64, parts ...any) float64 {
	return float64(hash(seed, parts...)>>11) / (1 << 53)
}

func hash(seed uint64, parts ...any) uint64 {
	h := sha256.New()
	fmt.Fprintf(h, "%d", seed)
	for _, p := range parts {
		fmt.Fprintf(h, "\x00%v", p)
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}
