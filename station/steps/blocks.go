package steps

import (
	"sync"

	"linefit/modem"
	"linefit/modem/rsp"
)

// blockSizes is what downloads have shown about the size of blocks that modules
// take, for as long as the station runs: the units of a lot are of a kind, so
// what is tried on the first of them need not be tried on the others. It is safe
// for use by all slots.
type blockSizes struct {
	mu    sync.Mutex
	sizes map[modem.Identity]int // by maker, model and firmware
}

func kindOf(id modem.Identity) modem.Identity {
	id.IMEI = ""
	return id
}

// of is the size that modules of this kind take, 0 where nothing is known.
func (b *blockSizes) of(id modem.Identity) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sizes[kindOf(id)]
}

// learn takes in what a download has shown. A size that was refused once is not
// tried again.
func (b *blockSizes) learn(id modem.Identity, r *rsp.Result, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	kind := kindOf(id)
	if b.sizes == nil {
		b.sizes = map[modem.Identity]int{}
	}
	switch known := b.sizes[kind]; {
	case r.ShortBlocks:
		b.sizes[kind] = rsp.ShortBlock
	case err == nil && known == 0:
		b.sizes[kind] = r.BlockSize
	}
}
