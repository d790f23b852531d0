package modemsim

import "strconv"

// A speeder is a line that knows which rate its host has set, in bit/s; 0 means
// that it does not. Characters that cross at another rate than the module's
// are garbage.
type speeder interface{ Speed() int }

// rateSetting is what AT+IPR? says: 0 for automatic.
func (m *Module) rateSetting() int {
	if v, ok := m.settings.get("+IPR"); ok {
		n, _ := strconv.Atoi(v) // checked when it was set
		return n
	}
	if m.opt.Baud > 0 {
		return m.opt.Baud
	}
	return m.persona.Port.Baud
}

// setRate changes the line's rate; 0 waits for the host's. Pacing follows where
// there is any.
func (m *Module) setRate(rate int) {
	m.rate = rate
	if rate > 0 && m.opt.Baud > 0 && m.rx.baud != rate {
		m.rx.baud, m.rx.rest = rate, 0
		m.tx.baud, m.tx.rest = rate, 0
	}
}

// heard is input as the module's receiver sees it, from a host at speed.
func (m *Module) heard(data []byte, speed int) []byte {
	if m.rate == 0 && speed > 0 {
		m.setRate(speed)
	}
	return crossed(data, m.rate, speed)
}

// crossed is what arrives of characters sent at one rate and received at
// another: other characters, none of which ends a line.
func crossed(data []byte, a, b int) []byte {
	if a == b || a <= 0 || b <= 0 {
		return data
	}
	out := make([]byte, len(data))
	for i, c := range data {
		out[i] = 0x80 | c>>1 ^ 0x2A
	}
	return out
}
