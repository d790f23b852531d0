// Package sim is a simulated line: units with virtual modules and eUICCs,
// virtual fixtures, an operator who scans and carries units, a technician who
// repairs, an SM-DP+ and an MES. The station that works on it is the real one;
// sim stands behind its byte pipes, its fixture interface and its HTTP clients
// and nowhere else.
//
// # What survives
//
// A [World] lives in a folder: which unit stands where, what each card and
// module remembers without power, the SM-DP+'s orders, what the MES has. Every
// change is a file that is written and renamed, without fsync: a killed process
// is what is simulated, and that keeps the page cache. At the instant of a kill
// every card loses its power in the middle of whatever it does, as on a line.
//
// # Chance
//
// Everything random follows from the seed, the unit and its attempt, never from
// the order in which things happen, so that a seed means the same at any speed
// and number of slots.
package sim
