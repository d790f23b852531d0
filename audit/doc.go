// Package audit defines the station's append-only, verifiable log: the bytes
// of an entry, the Merkle tree over them, signed checkpoints, the projections
// derived from them, and what a reader checks and exports. It stores nothing,
// reads no clock and starts no goroutine; package audit/store keeps a log on
// disk.
//
// # Entry
//
// An entry is one UTF-8 JSON object without white space. Its fields stand in
// this order; those marked ? are left out when they are empty:
//
//	seq       integer, 1 for the first entry of the log, then without a gap
//	type      fact type with its version, "run.started/1"
//	slot      integer, 0 is the station itself
//	slot_seq  integer, counts the slot's entries in the shard from 1 without a gap
//	unit?     the unit's serial (or its carrier position until it has one)
//	unit_seq? integer, counts the unit's entries in the shard from 1 without a gap
//	run?      the run's identifier
//	actor     who: a pseudonym, or "station"
//	boot      identifies one start of the station program
//	utc       time of acceptance, RFC 3339 with nine fractional digits and Z
//	mono      nanoseconds since the start named in boot, never decreasing
//	clock     state of the system clock: synced, unsynced or unknown
//	sim?      true in every entry of a simulated station, else absent
//	data      the fact itself, an object
//
// Numbers are integers, there is no null, strings are escaped only where JSON
// demands it (and U+2028, U+2029 as \u2028, \u2029), no member occurs twice.
// So every entry has exactly one encoding: [Decode] accepts nothing else, and
// nobody re-encodes an entry. An entry is at most [MaxEntry] bytes.
//
//	{"seq":7,"type":"run.started/1","slot":3,"slot_seq":2,"unit":"SN1","unit_seq":1,"run":"r1","actor":"station","boot":"5f0c1a2b","utc":"2026-09-01T06:00:00.000000000Z","mono":12,"clock":"synced","data":{"recipe":"eg25"}}
//
// seq is the only order. utc may step; mono and boot say what elapsed.
// When utc and mono drift apart by more than one second, an entry
// [TypeClockStep] says so before the next one.
//
// # Tree and checkpoint
//
// The leaf hash is RFC 6962's over exactly the entry's bytes; entry seq is
// leaf seq-base of its shard, where base is the shard's first seq. A
// checkpoint is a signed note as in C2SP tlog-checkpoint and signed-note:
//
//	<origin>
//	<size: number of leaves>
//	<base64 of the root hash>
//
//	— <origin> <base64 of key id and Ed25519 signature>
//
// The origin names one shard of one station's log and is the name of its key.
// No extension lines are written and none are accepted.
//
// # Shards
//
// A long log is cut into shards, each a log of its own whose first entry
// carries the last checkpoint of the one before: see [ShardOpened].
//
// # Identifiers
//
// Any identifier finds a unit: its serial (field unit, or a member serial in
// data), or what data states in members imei, eid, iccid, or carrier and
// position: see [Identifiers].
//
// # Projections
//
// A [Projection] derives keys and values from entries, deterministically:
// the same entries always give the same state, whatever the batching.
//
// # Export
//
// Tiles and entry bundles as in C2SP tlog-tiles are the evidence; JSON Lines
// and CSV are conveniences; a unit bundle carries one unit's entries with
// their inclusion proofs under one checkpoint and verifies offline.
package audit
