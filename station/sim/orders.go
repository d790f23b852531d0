package sim

import (
	"fmt"

	"linefit/modem/ident"
	"linefit/modem/smdpsim"
)

// orderOnline orders what the units will download, and some to spare.
func (w *World) orderOnline() error {
	downloads := 0
	for _, u := range w.ledger.units() {
		if !u.Prepared {
			downloads++
		}
	}
	if downloads == 0 {
		return nil
	}
	orders := w.smdp.Orders()
	have := 0
	for _, o := range orders {
		if !o.Prepared {
			have++
		}
	}
	for n := len(orders); have < downloads+w.opt.Spare; n, have = n+1, have+1 {
		if err := w.order(n); err != nil {
			return err
		}
	}
	return nil
}

// order orders the n-th profile.
func (w *World) order(n int) error {
	o, err := w.newOrder(n)
	if err != nil {
		return err
	}
	if w.opt.Hooks.Order != nil {
		w.opt.Hooks.Order(n, &o)
	}
	_, err = w.smdp.AddOrder(o)
	return err
}

// newOrder is the n-th order, from 0.
func (w *World) newOrder(n int) (smdpsim.Order, error) {
	body := fmt.Sprintf("8988%07d%08d", w.opt.Seed%10_000_000, n+1)
	iccid, err := iccidWithCheck(body)
	if err != nil {
		return smdpsim.Order{}, err
	}
	imsi, err := ident.ParseIMSI(fmt.Sprintf("00101%010d", n+1))
	if err != nil {
		return smdpsim.Order{}, err
	}
	return smdpsim.Order{
		ID: fmt.Sprintf("order-%05d", n+1), MatchingID: smdpsim.NewMatchingID(), Attempts: w.opt.Cap,
		Generic: &smdpsim.Generic{ICCID: iccid, IMSI: imsi, Name: "linefit demo", Size: w.opt.ProfileSize},
	}, nil
}

// iccidWithCheck appends the Luhn digit.
func iccidWithCheck(body string) (ident.ICCID, error) {
	for d := byte('0'); d <= '9'; d++ {
		if i, err := ident.ParseICCID(body + string(d)); err == nil && i.LuhnValid() {
			return i, nil
		}
	}
	return "", fmt.Errorf("no ICCID begins with %s", body)
}

// Code is one activation code that the line bought.
type Code struct {
	ICCID ident.ICCID
	Text  smdpsim.ActivationCode
	Cap   int
}

// Codes are the activation codes of all orders that are downloaded, in the order
// of ordering.
func (w *World) Codes() ([]Code, error) {
	var out []Code
	for _, o := range w.smdp.Orders() {
		if o.Prepared {
			continue
		}
		text, _, err := w.smdp.ActivationCode(o.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, Code{ICCID: o.ICCID, Text: text, Cap: o.Attempts})
	}
	return out, nil
}
