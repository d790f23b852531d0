package main

import (
	"encoding/json"
	"fmt"
)

// contained follows the runs of one slot and finds the units that were built in
// it since its last golden sample that passed, by the published meaning of the
// entries.
type contained struct {
	slot  int
	open  *built
	since []string // units, in order
}

// built is a run that is being read.
type built struct {
	unit, run, sample, verdict string
}

// see takes the next entry.
func (c *contained) see(raw []byte) error {
	var e struct {
		Type string          `json:"type"`
		Slot int             `json:"slot"`
		Unit string          `json:"unit"`
		Run  string          `json:"run"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return err
	}
	if e.Slot != c.slot || e.Run == "" {
		return nil
	}
	var data struct {
		Verdict string `json:"verdict"`
		Expect  struct {
			Sample string `json:"sample"`
		} `json:"expect"`
	}
	switch e.Type {
	case "run.started/1":
		c.end()
		if err := json.Unmarshal(e.Data, &data); err != nil {
			return err
		}
		c.open = &built{unit: e.Unit, run: e.Run, sample: data.Expect.Sample}
	case "run.verdict/1":
		if err := json.Unmarshal(e.Data, &data); err != nil {
			return err
		}
		if c.open != nil && c.open.run == e.Run {
			c.open.verdict = data.Verdict
		}
	case "unit.left/1":
		c.end()
	}
	return nil
}

// end closes the open run.
func (c *contained) end() {
	r := c.open
	c.open = nil
	switch {
	case r == nil:
	case r.sample == "golden" && r.verdict == "pass":
		c.since = nil
	case r.sample == "":
		c.since = append(c.since, r.unit)
	}
}

func (c *contained) print() {
	c.end()
	seen := map[string]bool{}
	for _, unit := range c.since {
		if !seen[unit] {
			fmt.Println("unit:", unit)
		}
		seen[unit] = true
	}
}
