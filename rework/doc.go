// Package rework sends units where they belong after a run and keeps them from
// going on before somebody has looked at them: tickets, queues, the disposition
// policy and what people may do.
//
// Everything here is either pure (a [Policy] decides from a run, a [Unit] and
// its open ticket) or derived from the log ([Projection]); a [Desk] writes what
// people decide. The projection changes in the same batch as the entries, so an
// admission reads what was just acknowledged.
//
// # A unit's way
//
//	run ends    Policy.Dispose    closes the ticket that the unit had; unless it is
//	                              released, opens ticket "T-<run>" in a queue
//	next run    Policy.Admit      refuses, or sends the ticket to retest
//	people      Desk              claim, repair, dispose
//
// A unit has one open ticket at most. The facts that belong to one decision
// stand next to one another in the log and are durable together.
//
//	run r1: fail, module.silent   T-r1 opened in retest, wants retest
//	run r2: fail, sim.absent      T-r1 closed, T-r2 opened in repair, wants rework
//	scan                          refused: retest.limit
//	claim, repair                 T-r2 repaired; the counts of failures start anew
//	run r3: pass                  T-r2 to retest, then closed as released
//
// # Policy
//
// A policy is a YAML file (JSON Schema: [Schema]); configs/policies/default.yaml
// is a commented example. The first rule that matches counts. Limits stand over
// rules: after RetestLimit retests a failing unit must be repaired, after
// ScrapAfter repairs it is scrapped, and a unit of which too many runs came to
// no verdict is held. Three things no policy can change: a unit whose identity
// is not certain, or of which nobody knows what is on its eUICC, is held; only a
// passed run releases; a unit that was put on hold or scrapped while it ran does
// not go on.
//
// # Counts
//
// Units are counted by what became of them last ([Counts]): scrapped; held, on
// hold or with an open ticket; passed; failed, all others that have a result.
package rework
