package stock

import (
	"encoding/json"
	"errors"
	"fmt"

	"linefit/audit"
)

// What any eUICC may get stands in one list per class, linked in import order:
// the first of a list is found and taken away in a few reads and writes however
// many were there before it. (An index that is scanned would do the same work
// slower and slower: deleted keys stay in a log-structured store for a while.)

// class is what items have in common that are offered alike. It is written as
// a JSON array, so that no text in it can be taken for another one's.
type class struct{ Customer, SKU, Operator, Region, Batch, Expires string }

func (c class) key() string {
	b, err := json.Marshal([6]string{c.Customer, c.SKU, c.Operator, c.Region, c.Batch, c.Expires})
	if err != nil { // strings always marshal
		panic(err)
	}
	return string(b)
}

func parseClass(key []byte) (class, error) {
	var f [6]string
	if err := json.Unmarshal(key, &f); err != nil {
		return class{}, fmt.Errorf("stock: class %q: %w", key, err)
	}
	return class{f[0], f[1], f[2], f[3], f[4], f[5]}, nil
}

func (r record) class() class {
	return class{r.Customer, r.SKU, r.Operator, r.Region, r.Batch, r.Expires}
}

// list is a class's list: first and last are orders, 0 where it is empty.
type list struct {
	Left  int    `json:"left"`
	First uint64 `json:"first,omitempty"`
	Last  uint64 `json:"last,omitempty"`
}

// node is one item in its list.
type node struct {
	Handle string `json:"handle"`
	Prev   uint64 `json:"prev,omitempty"`
	Next   uint64 `json:"next,omitempty"`
}

// lister changes the list of one class.
type lister struct {
	txn   audit.Txn
	class string
	list
	err error
}

func (l *lister) node(o uint64) node {
	var n node
	if l.err != nil {
		return n
	}
	n, l.err = getNode(l.txn, l.class, o)
	return n
}

func (l *lister) set(o uint64, n node) {
	if l.err == nil {
		l.err = audit.SetJSON(l.txn, nodeKey(l.class, o), n)
	}
}

// link joins two neighbours; 0 is the list's end on that side.
func (l *lister) link(prev, next uint64) {
	if prev == 0 {
		l.First = next
	} else {
		n := l.node(prev)
		n.Next = next
		l.set(prev, n)
	}
	if next == 0 {
		l.Last = prev
	} else {
		n := l.node(next)
		n.Prev = prev
		l.set(next, n)
	}
}

func nodeKey(class string, o uint64) string { return "a/" + class + "\x00" + order(o) }

func getNode(r audit.Reader, class string, o uint64) (node, error) {
	var n node
	ok, err := audit.GetJSON(r, nodeKey(class, o), &n)
	if err == nil && !ok {
		err = fmt.Errorf("stock: entry %d of list %s is not there", o, class)
	}
	return n, err
}

// offer puts an item into its class's list or takes it out.
func offer(txn audit.Txn, r record, in bool) error {
	l := lister{txn: txn, class: r.class().key()}
	if _, err := audit.GetJSON(txn, "h/"+l.class, &l.list); err != nil {
		return err
	}
	if in {
		l.insert(r)
	} else {
		l.remove(r)
	}
	switch {
	case l.err != nil:
		return l.err
	case l.Left == 0:
		return errors.Join(txn.Delete([]byte("h/"+l.class)), txn.Delete([]byte("k/"+l.class)))
	case l.Left == 1 && in:
		if err := txn.Set([]byte("k/"+l.class), nil); err != nil {
			return err
		}
	}
	return audit.SetJSON(txn, "h/"+l.class, l.list)
}

// insert keeps import order. A new item comes last; one that is put back was
// taken from the front not long ago, so its place is found soon.
func (l *lister) insert(r record) {
	prev, next := l.Last, uint64(0)
	if l.Last > r.Order {
		prev, next = 0, l.First
		for next < r.Order && l.err == nil {
			prev, next = next, l.node(next).Next
		}
	}
	l.Left++
	l.set(r.Order, node{Handle: r.Handle})
	l.link(prev, r.Order)
	l.link(r.Order, next)
}

func (l *lister) remove(r record) {
	n := l.node(r.Order)
	l.Left--
	l.link(n.Prev, n.Next)
	if l.err == nil {
		l.err = l.txn.Delete([]byte(nodeKey(l.class, r.Order)))
	}
}

// eachClass calls fn for every class of which something is left.
func eachClass(r audit.Reader, fn func(c class, l list) error) error {
	return r.Iterate([]byte("k/"), func(key, _ []byte) error {
		c, err := parseClass(key[2:])
		if err != nil {
			return err
		}
		var l list
		if _, err := audit.GetJSON(r, "h/"+string(key[2:]), &l); err != nil {
			return err
		}
		return fn(c, l)
	})
}

// eachOffered calls fn for the items of a list in import order, until it
// returns audit.ErrStop.
func eachOffered(r audit.Reader, c class, l list, fn func(record) error) error {
	for o := l.First; o != 0; {
		n, err := getNode(r, c.key(), o)
		if err != nil {
			return err
		}
		rec, ok, err := getRecord(r, n.Handle)
		if err == nil && !ok {
			err = fmt.Errorf("stock: list %s names %s, which is not there", c.key(), n.Handle)
		}
		if err == nil {
			err = fn(rec)
		}
		if errors.Is(err, audit.ErrStop) {
			return nil
		}
		if err != nil {
			return err
		}
		o = n.Next
	}
	return nil
}
