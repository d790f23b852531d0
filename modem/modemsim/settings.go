package modemsim

import (
	"fmt"
	"maps"
	"strings"
)

// settings are the module's vendor settings: what is in force now, what lies
// in non-volatile memory, and what is only in force after the next restart.
type settings struct {
	store  NV
	now    map[string]string // what a read command shows
	saved  map[string]string // survives a power cut
	policy map[string]string // how a changed value gets saved
	boot   map[string]string // as it was at the last restart
	err    error             // the last failure of the store
}

// load reads the non-volatile memory.
func (s *settings) load(store NV, p *Persona) error {
	s.store, s.saved, s.policy = store, map[string]string{}, map[string]string{}
	for name, c := range p.Commands {
		switch c.Action {
		case "setting":
			s.saved[name] = c.Default
		case "keyed":
			for key, v := range c.Values {
				s.saved[name+"/"+key] = v
			}
		}
	}
	if store != nil {
		kept, err := store.Load()
		if err != nil {
			return fmt.Errorf("load the module's settings: %w", err)
		}
		maps.Copy(s.saved, kept)
	}
	s.now, s.boot = maps.Clone(s.saved), maps.Clone(s.saved)
	return nil
}

func (s *settings) get(key string) (string, bool) {
	v, ok := s.now[key]
	return v, ok
}

// wants reports whether the setting that an unsolicited line needs is on.
func (m *Module) wants(setting string) bool {
	v, ok := m.settings.get(setting)
	return setting == "" || ok && v != "0"
}

// stored is the saved value.
func (s *settings) stored(key string) (string, bool) {
	v, ok := s.saved[key]
	return v, ok
}

// set changes a value; policy "write" saves it at once.
func (s *settings) set(key, value, policy string) {
	s.now[key], s.policy[key] = value, policy
	if policy == "write" {
		s.save("write")
	}
}

// save moves changed values to non-volatile memory: those whose policy is the
// occasion, and at an orderly power-down ("down") all of them.
func (s *settings) save(occasion string) {
	changed := false
	for key, policy := range s.policy {
		if policy == occasion || occasion == "down" && policy != "store" {
			s.saved[key] = s.now[key]
			delete(s.policy, key)
			changed = true
		}
	}
	if changed && s.store != nil {
		s.err = s.store.Save(maps.Clone(s.saved))
	}
}

// lose is a loss of power: what was not saved is gone.
func (s *settings) lose() {
	s.now = maps.Clone(s.saved)
	clear(s.policy)
}

// restart makes the values of now the ones in force.
func (s *settings) restart() {
	s.lose()
	s.boot = maps.Clone(s.now)
}

// Settings are the values in force and the values in non-volatile memory.
func (m *Module) Settings() (now, saved map[string]string, err error) {
	m.lock()
	defer m.unlock()
	visible := func(all map[string]string) map[string]string {
		out := map[string]string{}
		for k, v := range all {
			if !strings.HasPrefix(k, profileKey) {
				out[k] = v
			}
		}
		return out
	}
	return visible(m.settings.now), visible(m.settings.saved), m.settings.err
}
