// Package station has the vocabulary of a provisioning station and its pure
// machines. Nothing here reads a clock, does I/O or starts a goroutine; it
// imports the standard library and modem/ident only.
//
// A lifecycle is a pair of functions:
//
//	facts, effects, err := Decide(state, event)   // changes nothing
//	state.Evolve(fact)                             // the only mutation; all that replay calls
//
// The caller (station/engine) appends the facts to the log, waits where one of
// them is a gate, evolves, and only then carries out the effects in order. A
// refusal is a *[Refusal] and leaves no fact behind but the one that the
// caller writes about the refused attempt.
//
// # Slots
//
// A [Slot] is Empty, Armed (a unit was admitted), Running, Done (verdict and
// disposition are durable, the unit still stands there) and Empty again; Fault
// and Disabled stand beside these.
//
//	Empty --scan, admitted--> Armed --first step--> Running --disposition--> Done --unit left--> Empty
//
// # Runs
//
// A [Run] is one unit, one recipe, one slot. It walks through the recipe's
// steps; a failing attempt is tried again where the step allows it, from the
// step itself or from an earlier one ([Step.RetryFrom]), else the run goes to
// the recipe's closing steps (`always: true`) and gets its verdict. After a
// crash the same run goes on: the open attempt closes Aborted and the run
// starts again at the recipe's restart point, so that identity is read again
// before anything else happens.
//
// # Facts
//
// A [Fact] is a struct of strings and integers. [Encode] gives its type and
// its bytes; a type carries a version, a published version never changes
// (testdata/facts has one golden entry of each).
package station
