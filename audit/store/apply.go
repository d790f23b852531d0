package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"linefit/audit"
)

// apply derives from batches in order. Afterwards meta is the last one's. What a
// projection cannot take is left out of that projection only, and noted in meta.
func (d *deriver) apply(items []item) error {
	if len(items) == 0 {
		return nil
	}
	s := d.begin()
	defer s.drop()
	refused := d.meta.Refused
	for _, it := range items {
		for _, e := range it.entries {
			var cannot []*audit.RefusedError
			if e.Seq > d.meta.Applied {
				var err error
				if cannot, err = d.project(s, e); err != nil {
					return err
				}
			} else {
				s.endEntry()
			}
			refused = noteRefused(refused, it, e, cannot)
		}
	}
	return d.write(s, items, refused)
}

// noteRefused adds to findings what projections cannot take of an entry.
func noteRefused(findings []audit.Finding, it item, e audit.Entry, refused []*audit.RefusedError) []audit.Finding {
	for _, r := range refused {
		if len(findings) > maxAlarm {
			break // one more than an alarm holds: it says that there are more
		}
		findings = append(findings, audit.Finding{
			Code: audit.FindDerived, File: segmentDir + "/" + segmentName(it.at.shard, it.at.segment), Offset: it.at.offset, Seq: e.Seq,
			Detail: fmt.Sprintf("projection %s cannot take entry %d (%s): %v", r.Projection, e.Seq, e.Type, r.Err),
		})
	}
	return findings
}

// write puts what was staged for the items' entries into Badger: in one
// transaction, or, where that is too much, entry by entry, each with its own
// number.
func (d *deriver) write(s *stage, items []item, refused []audit.Finding) error {
	err := d.commit(items, refused, s.writeAll)
	if !errors.Is(err, badger.ErrTxnTooBig) {
		return err
	}
	i := 0
	for _, it := range items {
		for _, e := range it.entries {
			part := d.meta
			part.Applied = max(e.Seq, part.Applied)
			err := d.commit([]item{{after: part}}, refused, func(txn *badger.Txn) error { return s.writeEntry(txn, i) })
			if err != nil {
				return fmt.Errorf("entry %d alone: %w", e.Seq, err)
			}
			i++
		}
	}
	return d.commit(items, refused, func(*badger.Txn) error { return nil })
}

func (d *deriver) commit(items []item, refused []audit.Finding, writes func(*badger.Txn) error) error {
	txn := d.db.NewTransaction(true)
	defer txn.Discard()
	if err := writes(txn); err != nil {
		return err
	}
	for _, it := range items {
		if err := putBatch(txn, it); err != nil {
			return err
		}
	}
	after := items[len(items)-1].after
	after.Format, after.Projections, after.Refused = metaFormat, d.meta.Projections, refused
	value, err := json.Marshal(after)
	if err != nil {
		return err
	}
	if err := txn.Set([]byte{keyMeta}, value); err != nil {
		return err
	}
	if err := txn.Commit(); err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	d.meta = after
	return nil
}

// project stages everything that one entry changes, and returns the projections
// that cannot take it: of these nothing is staged. The error is Badger's.
func (d *deriver) project(s *stage, e audit.Entry) (refused []*audit.RefusedError, err error) {
	slot := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, e.SlotSeq), e.Seq)
	s.put("", slotKey(e.Slot), write{value: slot})
	if e.Unit != "" {
		s.put("", unitKey(e.Unit, e.Seq), write{value: binary.BigEndian.AppendUint64(nil, e.UnitSeq)})
	}
	for _, p := range d.projections {
		before := len(s.ops)
		err := applyTo(p, s.namespace(p.Name()), e)
		if s.err != nil {
			return nil, fmt.Errorf("projection %s, entry %d: %w", p.Name(), e.Seq, s.err)
		}
		if err == nil && s.tooMuch(before) {
			err = errors.New("it derives more from it than one transaction holds")
		}
		if err != nil {
			s.undo(before, len(s.ends))
			refused = append(refused, &audit.RefusedError{Projection: p.Name(), Type: e.Type, Slot: e.Slot, Err: err})
		}
	}
	s.endEntry()
	return refused, nil
}

// applyTo calls a projection. One that panics cannot take the entry either: it
// would end the station at every start.
func applyTo(p audit.Projection, txn audit.Txn, e audit.Entry) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it panics: %v", r)
		}
	}()
	return p.Apply(txn, e)
}

// putBatch records where a whole batch stands, and its tiles.
func putBatch(txn *badger.Txn, it item) error {
	if it.at == (place{}) {
		return nil
	}
	v := binary.BigEndian.AppendUint32(nil, it.at.shard)
	v = binary.BigEndian.AppendUint64(v, it.at.segment)
	v = binary.BigEndian.AppendUint64(v, uint64(it.at.offset))
	v = binary.BigEndian.AppendUint32(v, uint32(len(it.entries)))
	if err := txn.Set(batchKey(it.entries[0].Seq), v); err != nil {
		return err
	}
	for _, t := range it.tiles {
		if err := txn.Set(tileKey(it.at.shard, t.level, t.index), t.data); err != nil {
			return err
		}
	}
	return nil
}
