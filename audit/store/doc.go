// Package store keeps a station's log on disk: the evidence in append-only
// segments, and Badger derived from it.
//
// # Order of a batch
//
//  1. [Store.Gate] and [Store.Queue] put drafts into one bounded queue; the
//     order there is the order of the log, and the time stamps are taken there.
//  2. [Store.Run], the only writer, takes what is waiting (no timer; at most
//     256 entries, 512 KB) and checks the free space.
//  3. It completes the drafts to entries and has the projections apply them to
//     a stage in memory. A call of which a projection cannot take a draft is
//     refused with an audit.RefusedError and leaves nothing; the others go on.
//  4. It writes the entries to the newest segment as one batch: one write, one
//     fdatasync. Now they are evidence.
//  5. It puts the stage, tree tiles, indexes and counters into Badger, in one
//     transaction together with the number of the last entry applied.
//  6. It answers the gates. Writers that were just answered get the chance to
//     queue again before it goes back to 2, so that they share a flush.
//
// The plug pulled between any two of these loses nothing that was answered:
// after 4 the entries are in the segment and are applied at the next open;
// before 4 nobody was told. A batch is atomic: either all of it is in the log
// or nothing, so the drafts of one Gate stay together.
//
// # Folder
//
//	segments/0001-000000000001.seg  evidence: shard, first entry
//	checkpoint     newest published checkpoint, a C2SP signed note
//	station.vkey   verifier key of the checkpoints, one line
//	badger/        derived; deleted, it is made anew from the segments
//	badger.before  while a rebuild compares with it
//	badger.opening while Badger is being opened; found there at start, that
//	               opening killed the station and Badger is made anew
//	torn/          ends of segments that were never acknowledged and were cut
//	damage         there while the newest scrub has found damage: opening verifies all
//	archived       while archived segments are removed: the newest shard that leaves;
//	               none of its segments counts, or of those before
//	probe          for a moment, to see whether a failed disk takes writes again
//	lock           flock; names the holder as {"pid":…,"program":"…"}
//
// Other files in the folder are not the store's and are left alone. The key
// itself must lie elsewhere.
//
// # Segment
//
// A segment is the 8 bytes "linefit\x01", then frames without gaps. All
// integers are big-endian:
//
//	4 bytes  length of the payload
//	1 byte   kind
//	4 bytes  CRC-32C (Castagnoli) over length, kind and payload
//	         payload
//
// The first frame has kind H: a JSON object
//
//	{"format":1,"origin":"…","shard":1,"base":1,"first":1,
//	 "prev":{"size":0,"root":"<base64>"},"vkey":"…","sim":false,"link":{…}}
//
// origin and vkey name the shard's log and its key; base is the seq of the
// shard's first entry, first that of the segment's; prev is the tree head
// before that entry. link is only in the first segment of a later shard; see
// below. Then come batches, each
//
//	S        at most one: a checkpoint that was published earlier, as text
//	E…       one or more: an entry's bytes, see package audit
//	C        8 bytes size and 32 bytes root hash of the tree after the batch
//
// A batch without its C frame is not in the log. Only the newest segment can
// end in one, and only behind everything that DIR/checkpoint covers: that is
// what a crash leaves. Everything else that does not read as above is damage.
// A new segment begins when the last one has reached its size (64 MB).
//
// # Signing and publishing
//
// Only durable heads are signed, so the log never signs two histories. A head
// is published, as DIR/checkpoint, within a second, on [Store.Publish] and at
// the end of Run; the next batch carries the note along in the log. Readers
// without the lock ([OpenLog], [Verify], exports) trust what is published, and
// export no more than that.
//
// # Shards
//
// A shard is one log: an origin, a key, a tree. The next one begins after
// ShardEntries entries or on [Store.Rotate]: the old one gets a last entry
// shard.closed/1 that names the next key, and is published for the last time;
// the new one, named <origin>/<number>, begins with shard.opened/1, which
// carries that checkpoint, and a snapshot of all projections. So each shard
// vouches for the one before and names the one after: whoever has one key can
// verify all of them. seq and the projections go on; slot_seq and unit_seq
// begin again. Closed shards that were exported and verified can be moved
// away: derived state then comes from the oldest snapshot that is there.
//
// # Opening
//
// [Open] takes the lock, checks every segment's header, replays the newest
// segment (or all, when Badger must be made anew) against its own roots and
// against Badger's head, cuts a torn end, flushes what it found, and compares
// with DIR/checkpoint and with [Options].Anchors. If entries are missing that
// were acknowledged or signed, or history is another, nothing is repaired:
// the store opens read-only and says what it found. [Store.Accept] goes on all
// the same, when two people have decided so: in a new shard whose first entry
// is their decision, numbered behind everything that was ever seen.
// Closed shards are not verified at opening, but by [Verify], and by [Store.Scrub]
// while the station runs: damage that it finds is an alarm too, and stays one at
// every opening until the file is mended or two people go on.
//
// # Failing
//
// After the first failed write or flush nothing is retried: the kernel may
// have dropped the pages. The store stops, gates fail with a [StateError],
// views and followers go on. [Store.Resume] closes, opens and verifies it as
// at start. Below the reserve of free space it stops before it writes.
// Badger maps its files; if another process takes the last block, the process
// can die of SIGBUS, with nothing acknowledged lost.
//
// # What a projection cannot take
//
// A queued draft that is refused (nobody waits for it) holds its slot: nothing
// of the slot is recorded behind it until a gate was told. Other slots go on. An
// entry that is in the log already, and that this version's projection cannot
// take, is left out of that projection only; the store opens read-only and says
// which, at every start, until a version takes it or two people go on. So is what
// a projection cannot take of the log's own entries, which are always written.
//
// # Owners
//
// Run's goroutine owns segments, tree and Badger's writing side. Readers use
// Badger snapshots and open segments for themselves. Run ends with its
// context; [Store.Close] ends the rest. Limits: 64 drafts and 256 KB for one
// call, 4,096 drafts of up to 1 KB waiting, entries of 60 KB.
//
//	s, err := store.Open(ctx, store.Options{Dir: dir, Key: key, Projections: ps})
//	…
//	group.Go(func() error { return s.Run(ctx) })
//	es, err := s.Gate(ctx, audit.Draft{Type: "run.verdict/1", Slot: 3, Unit: "SN1", Data: fact})
//	if err != nil { … } // not recorded, or unknown: the lamp stays dark
package store
