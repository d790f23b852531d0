package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
	"linefit/modem/wire"
	"linefit/station"
)

// Factory makes a line one of in-factory provisioning (SGP.41): its eUICCs are
// delivered with one-time keys and data files, and its SM-DP+ delivers packages
// as batches.
type Factory struct {
	Keys int // one-time keys of each new eUICC
}

// Files of a factory in the world's folder.
const (
	makerFile  = "euicc-data.json"
	smdpFile   = "smdp.json"
	smdpBefore = "smdp.json.before" // the SM-DP+ as it was before a delivery that is not out yet
)

// openFactory has the maker of the eUICCs deliver them: its data file gets every
// eUICC that it does not have yet.
func (w *World) openFactory() error {
	if w.opt.Factory == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(w.opt.Dir, "batches"), 0o700); err != nil {
		return fmt.Errorf("simulated line: %w", err)
	}
	all := euiccsim.MakerData{}
	data, err := os.ReadFile(w.MakerFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("simulated line: %w", err)
	default:
		if err := json.Unmarshal(data, &all); err != nil {
			return fmt.Errorf("simulated line: %s: %w", w.MakerFile(), err)
		}
	}
	known := map[ident.EID]bool{}
	for _, e := range all.EUICCs {
		known[e.EID] = true
	}
	var cards []*euiccsim.Card
	for _, u := range w.ledger.units() {
		if known[u.EID] || !u.Prepared {
			continue
		}
		card, err := w.card(u)
		if err != nil {
			return err
		}
		cards = append(cards, card)
	}
	if len(cards) == 0 {
		return nil
	}
	made, err := euiccsim.NewMakerData(cards...)
	if err != nil {
		return err
	}
	made.EUICCs = append(all.EUICCs, made.EUICCs...)
	if data, err = json.Marshal(made); err != nil {
		return fmt.Errorf("simulated line: %w", err)
	}
	return replace(w.MakerFile(), data)
}

// MakerFile is the data file of the eUICCs' maker.
func (w *World) MakerFile() string { return filepath.Join(w.opt.Dir, makerFile) }

// undeliver brings the SM-DP+ back to before a delivery that was cut off: its
// packages never left it.
func (w *World) undeliver() error {
	err := os.Rename(filepath.Join(w.opt.Dir, smdpBefore), filepath.Join(w.opt.Dir, smdpFile))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("simulated line: %w", err)
}

// Deliver has the SM-DPf answer a binding request with a batch of packages of
// one service provider. It returns the batch's file.
func (w *World) Deliver(request []byte, provider string) (batch string, err error) {
	if w.opt.Factory == nil {
		return "", errors.New("simulated line: it is none of in-factory provisioning")
	}
	req, err := smdpsim.ParseRequest(request)
	if err != nil {
		return "", err
	}
	before := filepath.Join(w.opt.Dir, smdpBefore)
	was, err := os.ReadFile(filepath.Join(w.opt.Dir, smdpFile))
	if err != nil {
		return "", fmt.Errorf("simulated line: %w", err)
	}
	if err := replace(before, was); err != nil {
		return "", err
	}
	have := len(w.smdp.Orders())
	made, err := w.smdp.Prepare(req, smdpsim.PrepareOptions{Profile: func(n int) (smdpsim.Order, error) {
		o, err := w.newOrder(have + n)
		o.Metadata = smdpsim.Metadata{ServiceProvider: provider}
		if w.opt.Hooks.Order != nil {
			w.opt.Hooks.Order(have+n, &o)
		}
		return o, err
	}})
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(made)
	if err != nil {
		return "", fmt.Errorf("simulated line: %w", err)
	}
	batch = filepath.Join(w.opt.Dir, "batches", made.ID+".json")
	if err := replace(batch, text); err != nil {
		return "", err
	}
	if err := os.Remove(before); err != nil {
		return "", fmt.Errorf("simulated line: %w", err)
	}
	return batch, nil
}

// Batches are the files of all batches that were delivered.
func (w *World) Batches() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(w.opt.Dir, "batches", "*.json"))
	slices.Sort(files)
	return files, err
}

// TakeReport gives the SM-DPf a loading report.
func (w *World) TakeReport(report []byte) (smdpsim.ReportOutcome, error) {
	return w.smdp.TakeReport(report)
}

// Keys are the one-time keys that each eUICC has left, from the cards' own
// memory.
func (w *World) Keys() (map[ident.EID]int, error) {
	out := map[ident.EID]int{}
	for _, u := range w.ledger.units() {
		st, err := euiccsim.ReadState(euiccsim.FileImage(w.cardFile(u.EID)))
		if errors.Is(err, fs.ErrNotExist) {
			continue // never made
		}
		if err != nil {
			return nil, fmt.Errorf("card of %s: %w", u.Serial, err)
		}
		out[u.EID] = st.OneTimeKeys
	}
	return out, nil
}

// LPA asks a unit's eUICC for a challenge, with which every download begins, as
// the device's LPA would at the customer's. It asks a copy: the eUICC is as it
// was before. The unit must stand in no slot.
func (w *World) LPA(u UnitState) (works bool, err error) {
	image, err := euiccsim.FileImage(w.cardFile(u.EID)).Load()
	if err != nil {
		return false, fmt.Errorf("card of %s: %w", u.Serial, err)
	}
	pki, err := w.ca.Card(u.EID)
	if err != nil {
		return false, err
	}
	copied := &euiccsim.MemoryImage{}
	if err := copied.Save(image); err != nil {
		return false, err
	}
	card, err := euiccsim.New(euiccsim.Options{PKI: pki, Image: copied, Generation: u.Generation, Direct: true})
	if err != nil {
		return false, fmt.Errorf("card of %s: %w", u.Serial, err)
	}
	if card.Reset() == nil {
		return false, fmt.Errorf("card of %s is mute", u.Serial)
	}
	isdr := []byte{0xA0, 0, 0, 0x05, 0x59, 0x10, 0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x89, 0, 0, 0x01, 0}
	channel, _ := card.Transmit([]byte{0x00, 0x70, 0x00, 0x00, 0x01})
	if len(channel) != 3 {
		return false, fmt.Errorf("card of %s opens no channel: %x", u.Serial, channel)
	}
	cla := channel[0]
	if got, _ := card.Transmit(append([]byte{cla, 0xA4, 0x04, 0x00, byte(len(isdr))}, isdr...)); len(got) < 2 {
		return false, fmt.Errorf("card of %s has no ISD-R: %x", u.Serial, got)
	}
	ask := wire.TLV(0xBF2E)
	got, _ := card.Transmit(append(append([]byte{0x80 | cla, 0xE2, 0x91, 0x00, byte(len(ask))}, ask...), 0x00))
	n := len(got)
	return n > 2 && got[n-2] == 0x90 && got[n-1] == 0x00, nil
}

func (w *World) cardFile(eid ident.EID) string {
	return filepath.Join(w.opt.Dir, "cards", string(eid)+".card")
}

// contradictsPackage says in what the world does not agree with the books about a
// prepared package, which is on these cards; empty where it does.
func (a Account) contradictsPackage(i station.StockItem, order smdpsim.OrderInfo, cards []ident.EID) string {
	switch {
	case len(cards) > 1:
		return fmt.Sprintf("it is on %d eUICCs", len(cards))
	case len(cards) == 1 && cards[0] != i.Bound:
		return fmt.Sprintf("it is bound to %s and on %s", i.Bound, cards[0])
	case order.EID != i.Bound:
		return fmt.Sprintf("the log has it bound to %s, the SM-DPf to %s", i.Bound, order.EID)
	case i.State == station.StockInstalled && len(cards) != 1:
		return "the log says installed, no card has it"
	case i.State != station.StockInstalled && i.Left() != station.StateUnknown && len(cards) > 0:
		return fmt.Sprintf("the log says %s, it is on %v", i.State, cards)
	case i.Downloads > 1:
		return fmt.Sprintf("it was tried %d times", i.Downloads)
	case len(order.Installs) > 1:
		return fmt.Sprintf("%d installations", len(order.Installs))
	}
	return ""
}
