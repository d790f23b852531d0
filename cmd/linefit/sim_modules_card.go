package main

import (
	"fmt"
	"path/filepath"

	"linefit/modem/ident"
	"linefit/modem/modemsim"
)

// module makes one module with its card and terminal.
func (c *simModulesCmd) module(slot int, in *simModulesInputs, out *simModulesOutput) (*simModule, error) {
	p, err := in.personas.Get(c.Persona[(slot-1)%len(c.Persona)])
	if err != nil {
		return nil, exit(exitUsage, err)
	}
	if c.Boot > 0 {
		p = p.WithBoot(c.Boot)
	}
	card, err := c.card(slot, c.Seed, c.State, in.cards)
	if err != nil {
		return nil, err
	}
	m := &simModule{Slot: slot, Persona: p.Name, EID: card.EID(), card: card}
	if m.IMEI, err = ident.IMEIWithCheck(fmt.Sprintf("%s%06d", p.Identity.TAC, (c.Seed%1000*1000+uint64(slot))%1000000)); err != nil {
		return nil, exit(exitUsage, err)
	}
	serial := fmt.Sprintf("SIM%04d", slot)
	o := modemsim.Options{
		Persona: p, Card: card, IMEI: m.IMEI, Serial: serial, Baud: c.Baud, Network: c.Network,
		Faults: in.plan.Faults(c.Seed, serial, 1),
	}
	if c.State != "" {
		o.NV = modemsim.FileNV(filepath.Join(c.State, fmt.Sprintf("slot%d.settings.json", slot)))
	}
	if m.module, err = modemsim.New(o); err != nil {
		return nil, exit(fileCode(err), err)
	}
	m.board = newSimBoard(m.module, func(attempt int) modemsim.Faults { return in.plan.Faults(c.Seed, serial, attempt) })
	po := modemsim.PTYOptions{CheckSpeed: c.StrictBaud, Opened: func(path string) { out.port(slot, path) }}
	if c.Link != "" {
		m.Link = filepath.Join(c.Link, fmt.Sprintf("slot%d", slot))
		po.Link = m.Link
	}
	if m.port, err = modemsim.NewPTY(m.module, po); err != nil {
		return nil, exit(fileCode(err), err)
	}
	return m, nil
}
