// Package modemsim is a virtual cellular module: AT commands on a byte pipe
// (ITU-T V.250, 3GPP TS 27.007) in front of a UICC. It is an independent
// reading of the specifications and shares no code with the station's AT
// engine, so that a misreading on one side shows on the other.
//
// # What is data
//
// How a family behaves is a [Persona], a YAML file: identity, boot times and
// boot text, echo, error style, the forms of +CCHO and +CGLA, what a blank
// eUICC looks like, the reaction to REFRESH, vendor commands and settings, when
// settings reach non-volatile memory, what the radio does by itself.
// [LoadPersonas] reads a folder of them strictly and reports every mistake with
// file and line. What can go wrong is data too: [Fault] values that a [Faults]
// callback hands out at named points, so that a seed outside decides.
//
// # Owners
//
// A [Module] owns its [Card] from New on: nobody else calls it. One goroutine
// at a time serves the module ([Module.Serve]); it owns the line that it was
// given and closes it. The fixture owns power and the reset pin and may use
// them at any time from any goroutine: PowerOff cuts the line in the middle of
// a character, and when it has returned the card has no power and nothing more
// happens. [Link] and [PTY] are the two kinds of line that the package brings.
//
// # Time
//
// The module lives on a time line of its own: everything happens at the moment
// it is due, and what the host process is late by (a late wake-up, a late
// write, at most 100 ms) is given back in the next interval. With a baud rate n
// characters take exactly n x 10 / baud seconds in each direction. [Meter]
// hears of each interval in which the module makes the other side wait. No
// clock but the time package: in a testing/synctest bubble a Module made there
// and served on an in-memory pipe runs a day in no time.
//
// # Clients that know no +CME ERROR
//
// Some programs take only OK and ERROR for the end of an answer: after +CME
// ERROR they wait for ever. Modules do answer so: SIM busy (14) while a REFRESH
// resets the card, when AT+CMEE=1 holds, as it does by default on many and on
// all others once somebody has sent it. A persona that is kind to them lets
// commands wait for the card (sim.refresh.hold); generic-3gpp, telit-le910 and
// nrf91 with the demo personas on them are not.
//
// # Limits
//
// A command line has at most Persona.AT.MaxLine characters; a longer one is an
// ERROR. Input in flight is bounded by 8 KiB, then the module stops reading;
// input during a command by one line, then it is lost; unread output by 64 KiB,
// then it is lost. The radio log keeps its last 4096 events. PINs, calls, SMS
// and data connections are not modelled.
//
// # Example
//
//	personas, err := modemsim.LoadPersonas(configs.FS, "personas")
//	p, err := personas.Get("quectel-eg25")
//	m, err := modemsim.New(modemsim.Options{Persona: p, Card: card, IMEI: imei, Baud: 115200})
//	go m.Serve(ctx, line) // until ctx ends
//	m.PowerOn()
package modemsim
