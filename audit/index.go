package audit

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// An Index is a projection that finds entries by what they state: each entry
// stands under the terms that Terms gives for it, for instance "slot=7" or
// "firmware=EG25GGBR07A08M2G". It answers from derived state what a scan of
// the log answers from evidence; the two can be compared.
type Index struct {
	// ID is the projection's name with its version; change it with Terms.
	ID string
	// Terms returns an entry's terms, each at most 256 bytes without a zero
	// byte. It must depend on the entry only.
	Terms func(e Entry) []string
}

const maxTerm = 256

// Carried reports that an index is not state with which a shard begins: it
// speaks of entries, and goes with them.
func (Index) Carried() bool { return false }

// Name implements [Projection].
func (x Index) Name() string { return x.ID }

// Apply implements [Projection].
func (x Index) Apply(txn Txn, e Entry) error {
	for _, term := range x.Terms(e) {
		if len(term) == 0 || len(term) > maxTerm || bytes.IndexByte([]byte(term), 0) >= 0 {
			return fmt.Errorf("audit: index %s: term of %d bytes", x.ID, len(term))
		}
		if err := txn.Set(termKey(term, e.Seq), nil); err != nil {
			return err
		}
	}
	return nil
}

// Find calls fn with the numbers of the entries under a term, from first to
// last, both included, in order. An error from fn ends it and is returned,
// except ErrStop.
func (x Index) Find(v View, term string, first, last uint64, fn func(seq uint64) error) error {
	r, err := v.Projection(x.ID)
	if err != nil {
		return err
	}
	low, high := termKey(term, first), termKey(term, last)
	each := func(key, _ []byte) error {
		switch {
		case bytes.Compare(key, low) < 0:
			return nil
		case bytes.Compare(key, high) > 0:
			return ErrStop
		}
		return fn(binary.BigEndian.Uint64(key[len(key)-8:]))
	}
	if from, ok := r.(interface {
		IterateFrom(prefix, from []byte, fn func(key, value []byte) error) error
	}); ok {
		return from.IterateFrom(low[:len(low)-8], low, each)
	}
	return r.Iterate(low[:len(low)-8], each)
}

func termKey(term string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(term), 0), seq)
}
