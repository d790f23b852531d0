// Package report tells what the log says of a station's work: yield, failures,
// cycle times and interoperability ([Builder]), which runs share something
// ([Finder]), and the story of one unit ([Tell]). It reads entries and nothing
// else: the same entries always give the same report.
//
// # One pass
//
// All three take the entries of a log one after another, from its beginning,
// and keep what they must: the run that is open in each slot, counts and
// histograms, and for the report 16 bytes or so for each unit. What grows with
// names from devices (firmware, servers, reasons) is capped, and a report says
// where it was.
//
// # What counts
//
// A run counts for yield when it has a verdict, is no reference unit's (golden
// or failing sample, as the pairing list says) and was not ended by something
// that is not its own: abort or emergency stop of the whole bench, a lot that
// was stopped, a log that could not be written, a power cut that it could not be
// continued from. Such runs stand in the report and in no yield: in a fixture
// with many slots the neighbours of a failure must not count as failures.
//
//	first-pass yield  units whose first counted run passed, of all units with one
//	final yield       units whose last counted run passed, of all units with one
//
// An inconclusive run (station, server, profile or operator at fault) is no
// failure of the unit, yet not a pass: it lowers first-pass yield and is shown
// apart. A window of time takes the runs that started in it; a unit's first run
// is its first one in the window.
//
// Times are the attempts' own milliseconds; percentiles come from histograms
// with buckets of 1/64 of their value, so they are right within two percent.
//
// Nothing is told by person: operators stand in the log as pseudonyms, and this
// package never groups by them.
package report
