package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"linefit/modem/ident"
	"linefit/station"
)

// An MES that is the source of codes hands one out with each route check, under
// a ref of its own. As long as that is open the unit gets the same ref and code
// again; what came back is handed out to the next unit, under another ref.

// issueState is one handing-out.
type issueState struct {
	Ref     string         `json:"ref"`
	Station string         `json:"station"`
	Unit    station.Serial `json:"unit"`
	ICCID   ident.ICCID    `json:"iccid"`
	State   string         `json:"state"` // open, or the outcome that the station told
	EID     ident.EID      `json:"eid,omitempty"`
	Code    station.Code   `json:"code,omitempty"` // of the reason
}

// Issued is a handing-out as a test sees it.
type Issued struct {
	Ref, Station, State string
	Unit                station.Serial
	ICCID               ident.ICCID
	EID                 ident.EID
	Code                station.Code // of the reason
}

// Issues are the handings-out so far, in order.
func (m *MES) Issues() []Issued {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Issued, len(m.state.Issues))
	for i, s := range m.state.Issues {
		out[i] = Issued{s.Ref, s.Station, s.State, s.Unit, s.ICCID, s.EID, s.Code}
	}
	return out
}

// again reports whether the unit gets this one again.
func (s issueState) again(unit station.Serial) bool {
	if s.Unit != unit {
		return false
	}
	switch s.State {
	case "open", "installed":
		return true
	case "quarantined":
		return s.Code == station.SameEUICCOnly || s.Code == station.ProfileUnknown
	}
	return false
}

// issue hands out a code for a unit; nil where none is left. The caller holds mu.
func (m *MES) issue(from string, unit station.Serial) (map[string]any, error) {
	codes, err := m.pool()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(m.state.Issues, func(s issueState) bool { return s.again(unit) })
	if i < 0 {
		free := func(c Code) bool {
			return !slices.ContainsFunc(m.state.Issues, func(s issueState) bool {
				return s.ICCID == c.ICCID && s.State != "returned" && s.State != "refused"
			})
		}
		n := slices.IndexFunc(codes, free)
		if n < 0 {
			return nil, nil
		}
		i = len(m.state.Issues)
		m.state.Issues = append(m.state.Issues, issueState{Ref: fmt.Sprintf("issue-%05d", i+1), Unit: unit, ICCID: codes[n].ICCID, State: "open"})
	}
	m.state.Issues[i].Station = from
	if err := m.save(); err != nil {
		return nil, err
	}
	s := m.state.Issues[i]
	c := codes[slices.IndexFunc(codes, func(c Code) bool { return c.ICCID == s.ICCID })]
	out := map[string]any{
		"ref": s.Ref, "activation_code": c.Text.Reveal(), "iccid": c.ICCID, "cap": c.Cap, "operator": "linefit-demo",
		"batch": map[string]any{"name": "demo-mes", "provider": "linefit", "purchase": "PO-1", "countries": []string{"DE"}, "billing": "download"},
	}
	if m.profile != nil {
		maps.Copy(out, m.profile(unit, c.ICCID))
	}
	return out, nil
}

// settle takes what a station tells of a handing-out. The caller holds mu.
func (m *MES) settle(body []byte) {
	var e struct {
		Data struct {
			Ref, Outcome string
			EID          ident.EID
			Reason       *station.Reason
		} `json:"data"`
	}
	if json.Unmarshal(body, &e) != nil {
		return
	}
	for i := range m.state.Issues {
		s := &m.state.Issues[i]
		if s.Ref != e.Data.Ref {
			continue
		}
		s.State, s.EID, s.Code = e.Data.Outcome, e.Data.EID, ""
		if e.Data.Reason != nil {
			s.Code = e.Data.Reason.Code
		}
	}
}

// claim gives a list of codes to one station alone.
func (m *MES) claim(w http.ResponseWriter, origin string, body []byte) {
	var ask struct {
		Batches, ICCIDs []string
		Profiles        int
	}
	if json.Unmarshal(body, &ask) != nil || len(ask.Batches) == 0 {
		http.Error(w, `{"detail":"no batch"}`, http.StatusBadRequest)
		return
	}
	keys := ask.ICCIDs
	if len(keys) < ask.Profiles {
		keys = append(keys, ask.Batches...)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		if by := m.state.Claims[key]; by != "" && by != origin {
			answer(w, map[string]string{"answer": "rejected_hold", "reason": key + " is " + by + "'s"})
			return
		}
	}
	if m.state.Claims == nil {
		m.state.Claims = map[string]string{}
	}
	for _, key := range keys {
		m.state.Claims[key] = origin
	}
	if m.save() != nil {
		http.Error(w, `{"detail":"busy"}`, http.StatusServiceUnavailable)
		return
	}
	answer(w, map[string]string{"answer": "confirmed", "ref": "claim-" + ask.Batches[0]})
}

// HandOut changes what is handed out from now on; see Hooks.Profile.
func (m *MES) HandOut(change func(unit station.Serial, iccid ident.ICCID) map[string]any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.profile = change
}

// Types counts the events that the MES has, by CloudEvents type.
func (m *MES) Types() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]int{}
	for _, body := range m.state.Events {
		var e struct{ Type string }
		if json.Unmarshal(body, &e) == nil {
			out[e.Type]++
		}
	}
	return out
}
