package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Entry types that link the shards of a station's log, all on slot 0. A shard
// is a log of its own, with its own origin, key and tree; seq goes on through
// all of them, slot_seq and unit_seq begin again.
const (
	// TypeShardClosed is a shard's last entry, a [ShardClosed].
	TypeShardClosed = "shard.closed/1"
	// TypeShardOpened is the first entry of every shard but a station's
	// first, a [ShardOpened].
	TypeShardOpened = "shard.opened/1"
	// TypeShardSnapshot carries derived state over, a [ShardSnapshot].
	TypeShardSnapshot = "shard.snapshot/1"
	// TypeShardReady says that the snapshot before it is whole, a [ShardReady].
	TypeShardReady = "shard.ready/1"
	// TypeShardArchived says that older shards leave the store, a [ShardArchived].
	TypeShardArchived = "shard.archived/1"
)

// ShardClosed names the shard that follows.
type ShardClosed struct {
	Next   uint32 `json:"next"`
	Origin string `json:"origin"`
	VKey   string `json:"vkey"`
}

// ShardOpened names the shard before, with its last signed head.
type ShardOpened struct {
	Shard      uint32      `json:"shard"`
	Origin     string      `json:"origin"` // of the shard before
	VKey       string      `json:"vkey"`
	Checkpoint string      `json:"checkpoint"`         // signed note; "" if none was left
	Accepted   *Acceptance `json:"accepted,omitempty"` // the shard before is damaged
	// Known is, with Accepted, the newest checkpoint that the entries at hand of
	// the shard before reach: what is left of it can be proved under this one.
	Known string `json:"known,omitempty"`
	// KnownVKey verifies Known where the shard at hand is not the one in Origin,
	// of which only a checkpoint is left.
	KnownVKey string `json:"known_vkey,omitempty"`
}

// Last is the checkpoint with which what is at hand of the shard before ends.
func (s *ShardOpened) Last() string {
	if s.Accepted != nil && s.Known != "" {
		return s.Known
	}
	return s.Checkpoint
}

// LastVKey is the verifier key of Last.
func (s *ShardOpened) LastVKey() string {
	if s.Accepted != nil && s.Known != "" && s.KnownVKey != "" {
		return s.KnownVKey
	}
	return s.VKey
}

// An Acceptance is the decision of two people to go on although the log is
// not what it must be.
type Acceptance struct {
	Persons  []string  `json:"persons"` // two different pseudonyms
	Reason   string    `json:"reason"`
	Findings []Finding `json:"findings"` // what was known then
}

// ShardSnapshot is a part of one projection's state. Attempt tells apart the
// parts of snapshots that a crash cut short.
type ShardSnapshot struct {
	Attempt    uint64 `json:"attempt"`
	Projection string `json:"projection"`
	Pairs      int    `json:"pairs"`
	// Data is base64 of the pairs, deflated (RFC 1951): for each one the
	// lengths of key and value as unsigned varints, then key and value.
	Data string `json:"data"`
}

// ShardReady ends a snapshot.
type ShardReady struct {
	Attempt uint64 `json:"attempt"`
	Parts   int    `json:"parts"`
}

// ShardArchived names shards that were exported, verified and copied elsewhere,
// by their last checkpoints: from then on they may be missing here.
type ShardArchived struct {
	Shards []ArchivedShard `json:"shards"`
}

// An ArchivedShard is one of them.
type ArchivedShard struct {
	Shard      uint32 `json:"shard"`
	Origin     string `json:"origin"`
	Checkpoint string `json:"checkpoint"` // signed note, its last
}

// ParseFact reads an entry's data strictly into a fact of the log itself.
func ParseFact(e Entry, fact any) error {
	dec := json.NewDecoder(bytes.NewReader(e.Data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(fact); err != nil {
		return fmt.Errorf("audit: entry %d (%s): %w", e.Seq, e.Type, err)
	}
	return nil
}

// Scrubbed is the result of reading and verifying everything that a store has.
type Scrubbed struct {
	Shards   int    `json:"shards"`
	Segments int    `json:"segments"`
	Entries  uint64 `json:"entries"`
	Bytes    int64  `json:"bytes"`
	Millis   int64  `json:"ms"`
	Findings int    `json:"findings"`
	First    string `json:"first,omitempty"` // what the first one says
}
