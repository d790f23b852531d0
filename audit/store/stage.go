package store

import (
	"bytes"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// A stage holds what entries change in Badger before it is there: projections
// see it as if it were, it can be taken back, and nobody else sees it. So a
// projection is asked before an entry becomes evidence.
type stage struct {
	db    *badger.DB
	txn   *badger.Txn // what Badger has; reads only
	parts map[string]map[string]write
	ops   []op
	ends  []int // behind the operations of each entry
	err   error // Badger could not be read: no projection's fault
}

// A write is a key's pending value.
type write struct {
	value []byte
	gone  bool
}

// An op is one write in order, with what it replaced.
type op struct {
	part, key string
	write     write
	had       bool
	before    write
}

// cost is what Badger counts for an operation, at most.
func (o *op) cost() int64 { return int64(len(o.key)+len(o.write.value)) + 32 }

func (d *deriver) begin() *stage {
	return &stage{db: d.db, txn: d.db.NewTransaction(false), parts: map[string]map[string]write{}}
}

// drop ends the stage; nothing of it stays.
func (s *stage) drop() { s.txn.Discard() }

func (s *stage) put(part string, key []byte, w write) {
	m := s.parts[part]
	if m == nil {
		m = map[string]write{}
		s.parts[part] = m
	}
	o := op{part: part, key: string(key), write: w}
	o.before, o.had = m[o.key]
	m[o.key] = w
	s.ops = append(s.ops, o)
}

// endEntry says that what was put belongs to one entry more.
func (s *stage) endEntry() { s.ends = append(s.ends, len(s.ops)) }

// undo takes back all but the first operations and entries.
func (s *stage) undo(ops, entries int) {
	for _, o := range slices.Backward(s.ops[ops:]) {
		if o.had {
			s.parts[o.part][o.key] = o.before
		} else {
			delete(s.parts[o.part], o.key)
		}
	}
	s.ops, s.ends = s.ops[:ops], s.ends[:entries]
}

// tooMuch says whether the operations from one on are more than half of what a
// transaction of Badger takes.
func (s *stage) tooMuch(from int) bool {
	size := int64(0)
	for i := range s.ops[from:] {
		size += s.ops[from+i].cost()
	}
	return int64(len(s.ops)-from) > s.db.MaxBatchCount()/2 || size > s.db.MaxBatchSize()/2
}

// writeAll puts the newest value of every key into a transaction.
func (s *stage) writeAll(txn *badger.Txn) error {
	for _, m := range s.parts {
		for key, w := range m {
			if err := w.to(txn, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeEntry puts what one entry changes into a transaction.
func (s *stage) writeEntry(txn *badger.Txn, i int) error {
	from := 0
	if i > 0 {
		from = s.ends[i-1]
	}
	for _, o := range s.ops[from:s.ends[i]] {
		if err := o.write.to(txn, o.key); err != nil {
			return err
		}
	}
	return nil
}

func (w write) to(txn *badger.Txn, key string) error {
	if w.gone {
		return txn.Delete([]byte(key))
	}
	return txn.Set([]byte(key), w.value)
}

// A stagedPart is one projection's part of a stage.
type stagedPart struct {
	*stage
	prefix string
}

func (p stagedPart) get(key []byte) ([]byte, bool, error) {
	if w, ok := p.parts[p.prefix][string(key)]; ok {
		return bytes.Clone(w.value), !w.gone, nil
	}
	v, ok, err := inBadger{p.txn}.get(key)
	if err != nil {
		p.stage.err = err
	}
	return v, ok, err
}

func (p stagedPart) chunk(prefix, from []byte, n int) ([]pair, error) {
	pending := p.pending(prefix, from)
	var out []pair
	take := func(k []byte, v []byte) bool {
		out = append(out, pair{bytes.Clone(k), append([]byte{}, v...)})
		return len(out) < n
	}
	err := scanFrom(p.txn, prefix, from, func(k, v []byte) error {
		for len(pending) > 0 {
			order := bytes.Compare([]byte(pending[0]), k)
			if order > 0 {
				break
			}
			key, w := pending[0], p.parts[p.prefix][pending[0]]
			pending = pending[1:]
			if !w.gone && !take([]byte(key), w.value) {
				return errEnough
			}
			if order == 0 {
				return nil
			}
		}
		if !take(k, v) {
			return errEnough
		}
		return nil
	})
	if err == errEnough {
		return out, nil
	}
	if err != nil {
		p.stage.err = err
		return nil, err
	}
	for _, key := range pending {
		if w := p.parts[p.prefix][key]; !w.gone && !take([]byte(key), w.value) {
			break
		}
	}
	return out, nil
}

// pending are the keys with that prefix that were put, from one on, in order.
func (p stagedPart) pending(prefix, from []byte) []string {
	var keys []string
	for key := range p.parts[p.prefix] {
		if key >= string(from) && len(key) >= len(prefix) && key[:len(prefix)] == string(prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (p stagedPart) set(key, value []byte) error {
	p.put(p.prefix, key, write{value: value})
	return nil
}

func (p stagedPart) del(key []byte) error {
	p.put(p.prefix, key, write{gone: true})
	return nil
}
