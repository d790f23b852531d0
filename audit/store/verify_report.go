package store

import (
	"linefit/audit"
)

// VerifyOptions say what a log is held against.
type VerifyOptions struct {
	// Key is the verifier key to trust; empty means the folder's own, which
	// shows damage but not a log that was replaced as a whole.
	Key string
	// Checkpoint is a signed note that someone kept, or its base64; nil means
	// the published one only.
	Checkpoint []byte
}

// A Report is what verifying found. It is good when there are no findings.
type Report struct {
	OK         bool    `json:"ok"`
	Origin     string  `json:"origin"`
	VKey       string  `json:"vkey"`
	Sim        bool    `json:"sim"`
	Shards     int     `json:"shards"`
	Segments   int     `json:"segments"`
	Bytes      int64   `json:"bytes"`
	Entries    uint64  `json:"entries"`              // in all segments present
	Size       uint64  `json:"size"`                 // of the newest shard's tree
	Root       string  `json:"root"`                 // base64
	Published  uint64  `json:"published"`            // size of DIR/checkpoint
	Checkpoint *uint64 `json:"checkpoint,omitempty"` // size of the given checkpoint
	Tail       *Tail   `json:"tail,omitempty"`
	// Accepted lists the decisions in the log to go on in spite of damage.
	Accepted []audit.Acceptance `json:"accepted,omitempty"`
	// Archived lists the shards that the log says have left the store.
	Archived []audit.ArchivedShard `json:"archived,omitempty"`
	// Unvouched lists the shards whose key nothing at hand names that the given key
	// has signed: two people went on there, or the shard before was archived.
	Unvouched []string        `json:"unvouched,omitempty"`
	Findings  []audit.Finding `json:"findings"`
}

// A Tail is an unfinished batch at the end of the newest segment: one that is
// being written, or that was when the power went. It was never acknowledged.
type Tail struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Bytes  int64  `json:"bytes"`
	What   string `json:"what"`
}
