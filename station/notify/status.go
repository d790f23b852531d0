package notify

import (
	"cmp"
	"slices"

	"linefit/audit"
	"linefit/station"
)

// Status says what waits for whom, and why: the recipients with the most tries
// first. It holds mu only for as long as it copies.
func (o *Outbox) Status() station.Notifications {
	var s station.Notifications
	by := map[string]*station.Recipient{}
	o.mu.Lock()
	for l, q := range o.lanes {
		if len(q.items) == 0 {
			continue
		}
		if q.held {
			s.Held += len(q.items)
			continue
		}
		r := by[l.address]
		if r == nil {
			r = &station.Recipient{Address: l.address}
			by[l.address] = r
		}
		s.Pending += len(q.items)
		r.Pending += len(q.items)
		r.EUICCs++
		if first := q.items[0].since; first != "" && (r.Since == "" || first < r.Since) {
			r.Since = first
		}
		if q.err != nil && q.failures >= r.Tries {
			r.Tries, r.Error = q.failures, station.NewReason(station.SMDPUnreachable, "%v", q.err).Detail
		}
	}
	o.mu.Unlock()
	for _, r := range by {
		s.Recipients = append(s.Recipients, *r)
	}
	slices.SortFunc(s.Recipients, func(a, b station.Recipient) int {
		return cmp.Or(cmp.Compare(b.Tries, a.Tries), cmp.Compare(a.Address, b.Address))
	})
	if len(s.Recipients) > maxRecipients {
		s.Recipients = s.Recipients[:maxRecipients]
	}
	// A log that cannot be read right now has its own place on the screen.
	_ = o.opt.Views(func(v audit.View) error {
		p, err := v.Projection(projectionName)
		if err != nil {
			return err
		}
		n, err := readCounts(p)
		s.Missed = n.Missed
		return err
	})
	return s
}

// maxRecipients bounds what a view of the station carries.
const maxRecipients = 8
