package simtest

import (
	"fmt"
	"sync"
	"time"

	"linefit/modem/modemsim"
	"linefit/modem/wire"
	"linefit/station/sim"
)

// functions are the ES10 functions by the tag that begins their request (SGP.22
// annex H).
var functions = map[wire.Tag]string{
	0xBF20: "GetEUICCInfo1", 0xBF21: "PrepareDownload", 0xBF22: "GetEUICCInfo2", 0xBF28: "ListNotification",
	0xBF29: "SetNickname", 0xBF2B: "RetrieveNotificationsList", 0xBF2D: "GetProfilesInfo", 0xBF2E: "GetEUICCChallenge",
	0xBF30: "RemoveNotification", 0xBF31: "EnableProfile", 0xBF32: "DisableProfile", 0xBF33: "DeleteProfile",
	0xBF38: "AuthenticateServer", 0xBF3E: "GetEID", 0xBF41: "CancelSession", 0xBF43: "GetRAT",
	0xBF34: "eUICCMemoryReset",
	// SGP.32 section 5.9
	0xBF51: "LoadEuiccPackage", 0xBF55: "GetEimConfigurationData", 0xBF56: "GetCerts", 0xBF57: "AddInitialEim",
	0xBF59: "ConfigureImmediateProfileEnabling", 0xBF5A: "ImmediateEnable", 0xBF5F: "GetConnectivityParameters", 0xBF64: "eUICCMemoryReset",
	// ES10f as the virtual eUICC codes it: SGP.42 is not public.
	0xBF70: "GetOneTimeKeys", 0xBF71: "PrepareFactoryLoad", 0xBF72: "DeleteOneTimeKeys",
}

// socket stands between a module and its card: it knows which function each
// command belongs to and lets the plan strike there. It is used by the module's
// goroutine, which may not be kept waiting and must not be called.
type socket struct {
	modemsim.Card
	line *Line
	unit sim.UnitState

	data    []byte   // of the command under way
	chain   wire.Tag // first tag of the STORE DATA chain under way
	total   int      // bytes of the bound profile package under way; 0: none
	sent    int
	blocks  int
	mu      sync.Mutex
	pending modemsim.Fault // for the command's end
}

// Transmit implements modemsim.Card.
func (s *socket) Transmit(command []byte) ([]byte, time.Duration) {
	names := s.names(command)
	if len(names) == 0 {
		return s.Card.Transmit(command)
	}
	how := s.line.plan.at(names...)
	if how.kills() {
		s.line.kill()
	}
	s.arm(how)
	if how.before() {
		return []byte{0x6F, 0x00}, 0
	}
	s.line.witness.command(s.unit.Serial, s.unit.EID, names, s.data, s.line.vault.Load())
	if instead := s.line.opt.Instead; instead != nil {
		if response := instead(s.unit, functions[s.chain], s.data); response != nil {
			return response, 0
		}
	}
	response, busy := s.Card.Transmit(command)
	if change := s.line.opt.Answer; change != nil {
		response = change(s.unit, functions[s.chain], response)
	}
	return response, busy
}

// arm makes the module do what the station is to see.
func (s *socket) arm(how How) {
	fault := modemsim.Fault{}
	switch how {
	case "":
		return
	case Failed, TookEffect:
		fault.Kind = modemsim.FaultError
	case Lost, AnswerLost:
		fault.Kind = modemsim.FaultSilent
	case PowerBefore, PowerAfter:
		fault = modemsim.Fault{Kind: modemsim.FaultCut, Delay: 100 * time.Millisecond}
	case KilledBefore, KilledAfter:
		fault = modemsim.Fault{Kind: modemsim.FaultCut, Delay: time.Hour}
	case Reboot:
		fault.Kind = modemsim.FaultReboot
	}
	s.mu.Lock()
	s.pending = fault
	s.mu.Unlock()
}

// draw gives the fault for the end of the command under way.
func (s *socket) draw(point string) (modemsim.Fault, bool) {
	if point != "+CGLA.done" && point != "+CSIM.done" {
		return modemsim.Fault{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.pending
	s.pending = modemsim.Fault{}
	return f, f.Kind != ""
}

// names are the points that a command is, none for a command that only leads to
// one. A function takes place with the last block of its chain.
func (s *socket) names(command []byte) []Point {
	if len(command) < 5 || command[1] != 0xE2 || command[0]&0x80 == 0 {
		return nil
	}
	last, first, data := command[2]&0x80 != 0, command[3] == 0, command[5:]
	if n := int(command[4]); n < len(data) {
		data = data[:n]
	}
	s.data = data
	if first {
		s.chain = firstTag(data)
	}
	switch s.chain {
	case 0xBF36:
		if first {
			s.total, s.sent, s.blocks = packageSize(data), 0, 0
		}
		return s.load(len(data))
	case 0xA0, 0x87, 0xA1, 0x88, 0xA2, 0xA3, 0x86:
		return s.load(len(data))
	}
	if !last {
		return nil
	}
	s.total = 0
	if name, ok := functions[s.chain]; ok {
		return []Point{Card(name)}
	}
	return []Point{Point(fmt.Sprintf("card/%X", s.chain))}
}

// load are the points of a block of a package.
func (s *socket) load(n int) []Point {
	if s.total == 0 {
		return nil
	}
	s.sent += n
	s.blocks++
	names := []Point{Load(s.blocks)}
	if s.sent >= s.total {
		names = append(names, Load(-1))
	}
	return names
}

func firstTag(b []byte) wire.Tag {
	switch {
	case len(b) == 0:
		return 0
	case b[0]&0x1F == 0x1F && len(b) > 1:
		return wire.Tag(b[0])<<8 | wire.Tag(b[1])
	}
	return wire.Tag(b[0])
}

// packageSize is the size of the TLV that begins with these bytes, whose tag
// has two.
func packageSize(b []byte) int {
	if len(b) < 5 {
		return 0
	}
	n := int(b[2])
	if n < 0x80 {
		return 3 + n
	}
	size := 0
	for _, c := range b[3 : 3+n&0x7F] {
		size = size<<8 | int(c)
	}
	return 3 + n&0x7F + size
}
