package audit

import (
	"bytes"
	"crypto/sha256"
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
	// Vouched is the word of the key of the shard before, VKey, for this one's
	// ([Vouch]); "" where that key was lost.
	Vouched string `json:"vouched,omitempty"`
	// Known is, with Accepted, the newest checkpoint that the entries at hand of
	// the shard before reach: what is left of it can be proved under this one.
	Known string `json:"known,omitempty"`
	// KnownVKey verifies Known where the shard at hand is not the one in Origin,
	// of which only a checkpoint is left.
	KnownVKey string `json:"known_vkey,omitempty"`
}

// vouchedFor is what a vouching seal is of.
const vouchedFor = "key of the next shard"

// Vouch is the word of a shard's key for that of the next one: a seal over its
// verifier key. Who trusts the older key can trust the newer one, also where the
// older shard is not at hand or has lost its end.
func Vouch(next Key, by Key) (string, error) {
	seal, err := Seal(vouchedFor, sha256.Sum256([]byte(next.VKey())), by)
	return string(seal), err
}

// Unvouched says what is wrong with a shard whose key nothing names that a trusted
// key has signed.
func Unvouched(origin string) string {
	return fmt.Sprintf("nothing that the given key has signed names the key of log %q, which was begun without it: check with that log's own key, from where you trust", origin)
}

// Vouches reports whether the key of the shard before has vouched for vkey.
func (s *ShardOpened) Vouches(vkey string) bool {
	return s.Vouched != "" && OpenSeal([]byte(s.Vouched), vouchedFor, sha256.Sum256([]byte(vkey)), s.VKey) == nil
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
