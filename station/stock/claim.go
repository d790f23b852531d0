package stock

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
)

// Action is what a provider is asked to do about an order.
type Action string

// Actions.
const (
	ActionReplace Action = "replace" // used up without being installed
	ActionReset   Action = "reset"   // make it available again, for any eUICC
	ActionReport  Action = "report"  // say what state it is in
	ActionExtend  Action = "extend"  // it expired unused
)

// Claim is what one provider is to be told about one batch's orders.
type Claim struct {
	Provider string      `json:"provider,omitempty"`
	Purchase string      `json:"purchase,omitempty"`
	Contract string      `json:"contract,omitempty"`
	Contact  string      `json:"contact,omitempty"`
	Batch    string      `json:"batch"`
	Orders   []ClaimItem `json:"orders"`
}

// ClaimItem is one order with what speaks for the claim.
type ClaimItem struct {
	Action    Action          `json:"action"`
	Handle    string          `json:"handle"`
	SMDP      string          `json:"smdp"`
	ICCID     ident.ICCID     `json:"iccid,omitempty"`
	EID       ident.EID       `json:"eid,omitempty"`
	Unit      station.Serial  `json:"unit,omitempty"`
	Run       station.RunID   `json:"run,omitempty"`
	Downloads int             `json:"downloads"`
	Reason    *station.Reason `json:"reason,omitempty"`
	Expires   string          `json:"expires,omitempty"`
	Evidence  []SignedResult  `json:"evidence"`
}

// SignedResult is a result that an eUICC signed (SGP.22 ProfileInstallationResult).
type SignedResult struct {
	Seq    uint64 `json:"entry"`
	State  string `json:"state,omitempty"`
	Code   string `json:"code,omitempty"`
	Result string `json:"result,omitempty"` // DER, base64; empty where the vault has it no more
}

// Claims groups what is burnt, stuck or expired by batch, with the results that
// eUICCs signed. Nothing in a claim is secret: neither code nor matching id.
func (l *Ledger) Claims(f Filter, at time.Time) ([]Claim, error) {
	var claims []Claim
	err := l.views(func(v audit.View) error {
		byBatch := map[string]*Claim{}
		err := List(v, f, func(i station.StockItem) error {
			action := actionFor(i, at)
			if action == "" {
				return nil
			}
			c, err := claimOf(v, byBatch, i.Batch)
			if err != nil {
				return err
			}
			item := ClaimItem{
				Action: action, Handle: i.Handle, SMDP: i.SMDP, ICCID: i.ICCID, EID: i.EID, Unit: i.Unit, Run: i.Run,
				Downloads: i.Downloads, Reason: i.Reason, Expires: i.Expires,
			}
			if item.Evidence, err = l.evidence(v, i); err != nil {
				return err
			}
			c.Orders = append(c.Orders, item)
			return nil
		})
		for _, c := range byBatch {
			claims = append(claims, *c)
		}
		return err
	})
	slices.SortFunc(claims, func(a, b Claim) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Batch, b.Batch))
	})
	return claims, err
}

func actionFor(i station.StockItem, at time.Time) Action {
	switch {
	case i.State == station.StockSpent:
		return ActionReplace
	case i.State == station.StockQuarantined && i.Left() == station.StateUnknown, is(i.Reason, station.StockUnreconciled):
		return ActionReport
	case i.State == station.StockQuarantined:
		return ActionReset
	case i.State == station.StockAvailable && expired(i.Expires, at):
		return ActionExtend
	}
	return ""
}

func is(r *station.Reason, code station.Code) bool { return r != nil && r.Code == code }

func claimOf(v audit.View, byBatch map[string]*Claim, batch string) (*Claim, error) {
	if c, ok := byBatch[batch]; ok {
		return c, nil
	}
	b, _, err := Terms(v, batch)
	c := &Claim{Provider: b.Provider, Purchase: b.Purchase, Contract: b.Contract, Contact: b.Contact, Batch: batch}
	byBatch[batch] = c
	return c, err
}

// evidence finds the signed results of the runs of its unit that had the profile.
func (l *Ledger) evidence(v audit.View, i station.StockItem) ([]SignedResult, error) {
	out := []SignedResult{}
	if i.Unit == "" {
		return out, nil
	}
	had := map[string]string{} // profile that a run had when it said so, by run
	for e, err := range v.Unit(string(i.Unit)) {
		if err != nil {
			return nil, err
		}
		if e.Type != resultType && e.Type != reservedType {
			continue
		}
		f, err := station.Decode(e.Type, e.Data)
		if err != nil {
			return nil, fmt.Errorf("stock: entry %d: %w", e.Seq, err)
		}
		if r, reserves := f.(station.ProfileReserved); reserves {
			had[e.Run] = r.Handle
			continue
		}
		res := f.(station.Result)
		if res.Effect != station.EffectLoad || res.Evidence == "" || cmp.Or(res.Profile, had[e.Run]) != i.Handle {
			continue
		}
		signed := SignedResult{Seq: e.Seq, State: res.State, Code: res.Code}
		raw, err := l.signedResult(res.Evidence)
		if err != nil {
			return nil, err
		}
		signed.Result = base64.StdEncoding.EncodeToString(raw)
		out = append(out, signed)
	}
	return out, nil
}

var (
	resultType   = station.Result{}.FactType()
	reservedType = station.ProfileReserved{}.FactType()
)

// signedResult reads a result, or the notification that carries it.
func (l *Ledger) signedResult(handle string) ([]byte, error) {
	for _, kind := range []Kind{KindResult, KindNotification} {
		s, err := l.vault.Get(kind, handle)
		if err == nil {
			return s.Reveal(), nil
		}
		if !errors.Is(err, ErrNoItem) {
			return nil, err
		}
	}
	return nil, nil
}

// Needed keeps those eUICCs for which there is no profile yet, neither bound
// nor installed nor reserved: the list that a provider of bound profiles needs.
func Needed(v audit.View, eids []ident.EID) ([]ident.EID, error) {
	var out []ident.EID
	for _, eid := range eids {
		items, err := ByEID(v, eid)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(items, func(i station.StockItem) bool { return i.State != station.StockSpent }) {
			out = append(out, eid)
		}
	}
	return out, nil
}
