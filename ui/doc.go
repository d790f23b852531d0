// Package ui is the operator's terminal screen: snapshots of the station in,
// commands out. It is a client of the running station and nothing else; any
// number of screens may run, and the death of one changes nothing.
//
//	err := ui.Run(ctx, ui.Options{Source: theClient, Lang: text.Chinese}, ui.Terminal{})
//
// # The screen
//
// From top to bottom: the station and its health; counters of units, profiles,
// MES; the newest decided slot in big letters; one cell for each slot; what the
// station says to the last scan; the scan field; keys. It is made for 80x24 and
// 64 slots, and takes what it gets from 60x12 up. A result is a word, a sign
// and a colour, never a colour alone.
//
// The scan field has the focus, always: whatever a scanner types goes there and
// Enter sends it. Every action also works by a command barcode
// ([station.ParseBarcode]); [Sheet] prints them.
//
// A slot is shown as PASS only while the station lights its PASS lamp, or as
// the last result of a slot whose unit has left. While the log is stopped or
// the connection is lost, nothing is shown as decided.
//
// # Rules
//
// [Model.Update] does no I/O and reads no clock: time comes in messages, I/O
// happens in commands, all of which end with the context of [Run].
package ui
