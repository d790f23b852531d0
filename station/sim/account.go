package sim

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
)

// Account is the world's own count, read from the cards and the SM-DP+ and not
// from the station's word.
type Account struct {
	// Cards has the profiles on each eUICC, enabled or not.
	Cards map[ident.EID][]euiccsim.ProfileState
	// EIMs has the eIMs with which each eUICC is associated; none: no entry.
	EIMs map[ident.EID][]string
	// Orders has the SM-DP+'s orders by ICCID.
	Orders map[ident.ICCID]smdpsim.OrderInfo
	// Registrations counts attempts of all modules to register on a network.
	Registrations int64
	Chars, APDUs  int64
	MESEvents     int
	// Charged and Windows make the wire efficiency.
	Charged, Windows time.Duration
}

// Account reads cards, SM-DP+ and fixtures.
func (w *World) Account() (Account, error) {
	a := Account{Cards: map[ident.EID][]euiccsim.ProfileState{}, EIMs: map[ident.EID][]string{}, Orders: map[ident.ICCID]smdpsim.OrderInfo{}, MESEvents: w.mes.Events()}
	for _, u := range w.ledger.units() {
		st, err := euiccsim.ReadState(euiccsim.FileImage(w.cardFile(u.EID)))
		if errors.Is(err, fs.ErrNotExist) {
			continue // never powered
		}
		if err != nil {
			return a, fmt.Errorf("card of %s: %w", u.Serial, err)
		}
		a.Cards[u.EID] = st.Profiles
		if len(st.EIMs) > 0 {
			a.EIMs[u.EID] = st.EIMs
		}
	}
	for _, o := range w.smdp.Orders() {
		a.Orders[o.ICCID] = o
	}
	var sums Sums
	for _, u := range w.ledger.units() {
		sums = sums.plus(u.Saw)
	}
	for _, j := range w.jigs {
		if u := j.present(); u != nil {
			sums = sums.plus(u.sums())
		}
		charged, windows := j.meter.sums()
		a.Charged += charged
		a.Windows += windows
	}
	a.Chars, a.APDUs, a.Registrations = sums.Chars, sums.APDUs, sums.Attempts
	return a, nil
}
