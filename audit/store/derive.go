package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"linefit/audit"
)

// First bytes of the keys in Badger.
const (
	keyMeta       = 'm' // meta, JSON
	keyBatch      = 'b' // + first seq: where a batch stands
	keyTile       = 't' // + shard + level + index: hashes
	keySlot       = 's' // + slot: last slot_seq, seq of that entry
	keyUnit       = 'u' // + serial + 0 + seq: unit_seq
	keyProjection = 'p' // + length of name + name + 0 + the projection's key
)

// meta says what the derived state is derived from. It changes in the same
// transaction as everything derived.
type meta struct {
	Format      int        `json:"format"`      // 1
	Origin      string     `json:"origin"`      // of the shard at the position
	Projections []string   `json:"projections"` // names
	Applied     uint64     `json:"applied"`     // last entry applied
	Head        audit.Head `json:"head"`        // after the last whole batch
	Last        uint64     `json:"last"`        // last entry of the last whole batch
	Shard       uint32     `json:"shard"`       // position behind the last whole batch
	Base        uint64     `json:"base"`        // first entry of the shard
	Segment     uint64     `json:"segment"`
	Offset      int64      `json:"offset"`
	Ready       uint32     `json:"ready"`  // newest shard whose snapshot is whole
	Closed      bool       `json:"closed"` // the last entry closes the shard
	// Refused is what projections could not take of entries that are in the log.
	Refused []audit.Finding `json:"refused,omitempty"`
}

const metaFormat = 1

// place says where a batch stands.
type place struct {
	shard   uint32
	segment uint64 // its first seq
	offset  int64
}

// An item is one batch to be applied.
type item struct {
	entries []audit.Entry
	at      place
	tiles   []tile
	after   meta
}

// deriver owns Badger: everything in it is derived from the segments.
type deriver struct {
	db          *badger.DB
	projections []audit.Projection
	meta        meta
	units       map[string]uint64 // newest unit_seq, a cache
	slots       map[int]uint64    // newest slot_seq of every slot
}

// maxUnitCache bounds the cache of unit counters.
const maxUnitCache = 4096

func badgerOptions(dir string) badger.Options {
	return badger.DefaultOptions(dir).
		WithSyncWrites(false). // derived: brought up from the segments at open
		WithLogger(nil).
		WithMetricsEnabled(false).
		WithMemTableSize(16 << 20).
		WithNumMemtables(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(6).
		WithNumCompactors(2).
		WithNumGoroutines(1).
		WithValueLogFileSize(1 << 20). // nothing is ever large enough for it
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithDetectConflicts(false). // one writer
		WithChecksumVerificationMode(options.OnTableRead)
}

// openBadger opens the derived state. A panic in this goroutine is an error;
// one elsewhere, or a fatal error, is caught by the latch at the next start.
func openBadger(dir string) (db *badger.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("badger: %v", r)
		}
	}()
	return badger.Open(badgerOptions(dir))
}

// newDeriver reads meta and counters. A meta that does not fit is an error.
func newDeriver(db *badger.DB, projections []audit.Projection) (*deriver, error) {
	d := &deriver{db: db, projections: projections, slots: map[int]uint64{}, units: map[string]uint64{}}
	names := make([]string, len(projections))
	for i, p := range projections {
		names[i] = p.Name()
	}
	err := db.View(func(txn *badger.Txn) error {
		m, ok, err := readMeta(txn)
		if err != nil {
			return err
		}
		d.meta = m
		if !ok {
			d.meta = meta{Format: metaFormat, Projections: names}
			return nil
		}
		if m.Format != metaFormat || fmt.Sprint(m.Projections) != fmt.Sprint(names) {
			return fmt.Errorf("derived by format %d with projections %v, wanted %d with %v", m.Format, m.Projections, metaFormat, names)
		}
		if err := contiguous(txn, m); err != nil {
			return err
		}
		return scanPrefix(txn, []byte{keySlot}, func(k, v []byte) error {
			if binary.BigEndian.Uint64(v[8:]) >= m.Base {
				d.slots[int(binary.BigEndian.Uint32(k[1:]))] = binary.BigEndian.Uint64(v)
			}
			return nil
		})
	})
	return d, err
}

func readMeta(txn *badger.Txn) (meta, bool, error) {
	var m meta
	item, err := txn.Get([]byte{keyMeta})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return meta{}, false, nil
	}
	if err == nil {
		err = item.Value(func(v []byte) error { return json.Unmarshal(v, &m) })
	}
	return m, err == nil, err
}

// contiguous checks that no batch is missing from the index. Each batch's
// transaction wrote one record there, so a file that Badger lost shows.
func contiguous(txn *badger.Txn, m meta) error {
	next, shard := uint64(0), uint32(0)
	err := scanPrefix(txn, []byte{keyBatch}, func(k, v []byte) error {
		first, count := binary.BigEndian.Uint64(k[1:]), binary.BigEndian.Uint32(v[20:])
		if s := binary.BigEndian.Uint32(v); s != shard {
			shard, next = s, first // a new shard may skip what is lost
		}
		if first != next {
			return fmt.Errorf("batches between entries %d and %d are missing", next, first)
		}
		next = first + uint64(count)
		return nil
	})
	if err == nil && m.Last != 0 && next != m.Last+1 {
		err = fmt.Errorf("batches up to entry %d are there, %d were applied", next-1, m.Last)
	}
	return err
}

// unitSeq returns the newest counter of a unit in the shard that begins with
// entry base, 0 if it is new there.
func (d *deriver) unitSeq(unit string, base uint64) (uint64, error) {
	if n, ok := d.units[unit]; ok {
		return n, nil
	}
	var n uint64
	err := d.db.View(func(txn *badger.Txn) error {
		opts := badger.DefaultIteratorOptions
		opts.Reverse, opts.PrefetchValues, opts.Prefix = true, false, unitPrefix(unit)
		it := txn.NewIterator(opts)
		defer it.Close()
		if it.Seek(unitKey(unit, math.MaxUint64)); it.Valid() {
			k := it.Item().Key()
			if binary.BigEndian.Uint64(k[len(k)-8:]) >= base {
				return it.Item().Value(func(v []byte) error {
					n = binary.BigEndian.Uint64(v)
					return nil
				})
			}
		}
		return nil
	})
	return n, err
}

// trimUnits drops the cache when it has grown; called between batches, when
// all of it is in Badger.
func (d *deriver) trimUnits() {
	if len(d.units) > maxUnitCache {
		clear(d.units)
	}
}

// forget removes the places of batches from entry seq on: they are lost.
func (d *deriver) forget(seq uint64) error {
	txn := d.db.NewTransaction(true)
	defer txn.Discard()
	var lost [][]byte
	err := scanFrom(txn, []byte{keyBatch}, batchKey(seq), func(k, _ []byte) error {
		lost = append(lost, bytes.Clone(k))
		return nil
	})
	for _, k := range lost {
		if err == nil {
			err = txn.Delete(k)
		}
		if errors.Is(err, badger.ErrTxnTooBig) {
			if err = txn.Commit(); err == nil {
				txn = d.db.NewTransaction(true)
				err = txn.Delete(k)
			}
		}
	}
	if err != nil {
		return err
	}
	return txn.Commit()
}

func batchKey(seq uint64) []byte { return binary.BigEndian.AppendUint64([]byte{keyBatch}, seq) }
func slotKey(slot int) []byte {
	return binary.BigEndian.AppendUint32([]byte{keySlot}, uint32(slot))
}

func unitPrefix(unit string) []byte { return append(append([]byte{keyUnit}, unit...), 0) }
func unitKey(unit string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(unitPrefix(unit), seq)
}
