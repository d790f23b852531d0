package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"linefit/modem/euiccsim"
	"linefit/modem/ident"
)

// Told is what a loading report says of one package.
type Told struct {
	EID        ident.EID
	ICCID      ident.ICCID
	Session    string
	Key        int    // number of its one-time key
	Status     string // installed, failed, no_result or unused
	Why, State string
}

// delivered is what a batch's file says of a package.
type delivered struct {
	EID     ident.EID   `json:"eid"`
	ICCID   ident.ICCID `json:"iccid"`
	Key     int         `json:"key_number"`
	Session string      `json:"transaction_id"`
}

// AccountKeys accounts for every package and every one-time key from the batches
// as they were delivered, the data of the eUICCs' maker and the cards' own
// memory, and holds what a loading report says against it. It returns every
// disagreement:
//
//   - a package that was delivered stands in the report once, and no other does;
//   - no key was given to two packages, and every key is one of its eUICC's maker;
//   - the key of a package that was loaded is gone, and its profile is on the card
//     exactly where the eUICC says installed;
//   - the key of one that may still be loaded is there, its profile is not;
//   - a card has no key that its maker did not give it.
func (w *World) AccountKeys(report []Told) (problems []string, err error) {
	batches, made, err := w.deliveries()
	if err != nil {
		return nil, err
	}
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	told := map[string]Told{}
	for _, t := range report {
		if _, twice := told[t.Session]; twice {
			problem("package %s stands in the report twice", t.ICCID)
		}
		told[t.Session] = t
	}
	type key struct {
		eid ident.EID
		n   int
	}
	given := map[key]ident.ICCID{}
	cards := map[ident.EID]euiccsim.State{}
	for eid, keys := range made {
		st, err := euiccsim.ReadState(euiccsim.FileImage(w.cardFile(eid)))
		if errors.Is(err, fs.ErrNotExist) {
			st.KeyNumbers = keys // never powered
		} else if err != nil {
			return nil, fmt.Errorf("card of EID %s: %w", eid, err)
		}
		cards[eid] = st
		for _, n := range st.KeyNumbers {
			if !slices.Contains(keys, n) {
				problem("eUICC %s has a one-time key %d that its maker did not give it", eid, n)
			}
		}
	}
	for _, d := range batches {
		k := key{d.EID, d.Key}
		if other, twice := given[k]; twice {
			problem("one-time key %d of %s is that of packages %s and %s", d.Key, d.EID, other, d.ICCID)
		}
		given[k] = d.ICCID
		if !slices.Contains(made[d.EID], d.Key) {
			problem("package %s is for a one-time key %d that %s never had", d.ICCID, d.Key, d.EID)
		}
		t, reported := told[d.Session]
		delete(told, d.Session)
		switch {
		case !reported:
			problem("package %s was delivered and is not in the report", d.ICCID)
		case t.EID != d.EID || t.ICCID != d.ICCID || t.Key != d.Key:
			problem("package %s for key %d of %s: the report says %s, key %d of %s", d.ICCID, d.Key, d.EID, t.ICCID, t.Key, t.EID)
		default:
			if what := contradicts(t, cards[d.EID]); what != "" {
				problem("package %s of %s: %s", d.ICCID, d.EID, what)
			}
		}
	}
	for _, t := range told {
		problem("the report has package %s of %s, which nobody delivered", t.ICCID, t.EID)
	}
	return problems, nil
}

// contradicts says in what a card does not agree with a row of the report; empty
// where it does.
func contradicts(t Told, card euiccsim.State) string {
	there := slices.ContainsFunc(card.Profiles, func(p euiccsim.ProfileState) bool { return p.ICCID == t.ICCID })
	key := slices.Contains(card.KeyNumbers, t.Key)
	closed := len(card.KeyNumbers) == 0
	switch t.Status {
	case "installed":
		switch {
		case !there:
			return "reported as installed, and not on the card"
		case key:
			return fmt.Sprintf("it was loaded, and its one-time key %d is there", t.Key)
		}
	case "failed":
		// A card that says so and has it all the same is seen by its state.
		if key {
			return fmt.Sprintf("its load came to a result, and its one-time key %d is there", t.Key)
		}
	case "no_result":
		if t.State != "unknown" && there != (t.State == "installed") {
			return fmt.Sprintf("reported as %s; on the card: %v", t.State, there)
		}
	case "unused":
		switch {
		case there:
			return "reported as unused, and on the card"
		case (t.Why == "waiting" || t.Why == "not_seen") && !key:
			return fmt.Sprintf("it is to be loaded yet (%s), and its one-time key %d is gone", t.Why, t.Key)
		case t.Why == "closed" && !closed:
			return "it is returned since the eUICC is closed, and one-time keys are left"
		}
	default:
		return fmt.Sprintf("status %q", t.Status)
	}
	return ""
}

// deliveries reads the batches as they left the SM-DPf, and the key numbers that
// the eUICCs' maker gave to each.
func (w *World) deliveries() (all []delivered, made map[ident.EID][]int, err error) {
	files, err := w.Batches()
	if err != nil {
		return nil, nil, err
	}
	for _, file := range files {
		var batch struct {
			Packages []delivered `json:"packages"`
		}
		if err := readJSON(file, &batch); err != nil {
			return nil, nil, err
		}
		all = append(all, batch.Packages...)
	}
	var maker euiccsim.MakerData
	if err := readJSON(w.MakerFile(), &maker); err != nil {
		return nil, nil, err
	}
	made = map[ident.EID][]int{}
	for _, e := range maker.EUICCs {
		for _, k := range e.Keys {
			made[e.EID] = append(made[e.EID], k.Number)
		}
	}
	return all, made, nil
}

func readJSON(file string, v any) error {
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fmt.Errorf("simulated line: %s: %w", file, err)
	}
	return nil
}
