// Package witness has a log's checkpoints cosigned by witnesses on other machines
// (C2SP tlog-witness, tlog-cosignature): who keeps a cosigned checkpoint knows that
// the witness saw no other history of this log before it.
//
// # Who owns what
//
// A [Client] speaks to one witness and keeps nothing. A [Keeper] owns the folder in
// which the cosigned checkpoints are kept, one file for each witness, and what is
// known of them; its Run pushes every Every, each witness by itself, and ends with
// its context and all that it began. It waits for nobody on the line and nobody on
// the line waits for it: it reads the log's derived tree and appends nothing.
//
// # A push
//
// The newest checkpoint goes to POST <url>/add-checkpoint with the proof that the
// log only grew since the size that the witness cosigned last: that of the kept
// file, or the one that the witness names in a 409. A size that is more than the
// log has means that the log was rolled back, a 422 or a 409 of the same size that
// it has another history: [ForkError]; nothing is kept then and the state stays
// until the witness cosigns again. A 403 or 404 is [UnknownLogError]: each shard of
// a log is one of its own there. Everything else is waited out until the next
// push. An answer has 8 KB at most, and Timeout ends it.
//
// # Files
//
// <name>-<key hash>.checkpoint is the signed note with the cosignature behind the
// log's signature, written beside it, flushed and renamed: never half of it. In the
// folder audit.anchors of the station file, each start is held against it.
//
//	k := witness.NewKeeper(witness.Options{Log: store, Keep: dir, Every: time.Minute, Clients: clients})
//	group.Go(func() error { return k.Run(ctx) })
//	for _, w := range k.Status() { … }
package witness
