// Package plant puts a station together: it is the one composition root, used by
// the daemon, the demo, a single run and the simulated line of the tests, so that
// what is tested is what runs.
//
// A [Plan] says of what the station is made. [Open] opens its log and assembles
// it; [New] assembles it over a log that is open already. [Plant.Run] works until
// its context is done and takes its goroutines along; the log ends last, since
// everything else writes to it. [Plant.Close] gives the store back after Run. The
// fixtures belong to who made the plan: [Plan.CloseSlots].
//
// # Example
//
//	pl, err := plant.Open(ctx, plan)
//	if err != nil {
//		return errors.Join(err, plan.CloseSlots())
//	}
//	err = pl.Run(ctx, api)
//	return errors.Join(err, plan.CloseSlots(), pl.Close())
package plant
