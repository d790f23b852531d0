// Package handover makes the list that an eIM's operator gets when units leave:
// for each released unit with an IoT eUICC (SGP.32) its eIM onboarding record,
// one row for each eIM, in the columns that the operator asks for.
//
// A [Collector] sees the entries of a log in order and keeps each unit's newest
// run. Only units whose newest run passed, and which were released, are handed
// over; the others are named with the reason why not. Association tokens are
// secrets: the log has handles, and the caller gives the function that opens
// them, so that a token passes through the vault and the file that is written,
// and nowhere else. A list is of one eIM: no operator gets another's tokens.
//
//	c := handover.NewCollector(since, until)
//	for each entry { err := c.See(e) }
//	columns, err := handover.ParseColumns([]string{"EID=eid", "Token=association_token"})
//	table, err := c.Table("eim.example.com", columns, open)
package handover
