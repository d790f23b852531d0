package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"linefit/modem/rsp"
)

// cardRecord is one line of the record of changes made by hand. It has no
// secrets.
type cardRecord struct {
	At      time.Time   `json:"at"`
	Port    string      `json:"port"`
	EID     string      `json:"eid"`
	Event   string      `json:"event"` // "intent" or "outcome"
	Phase   rsp.Phase   `json:"phase"`
	Detail  *rsp.Detail `json:"detail,omitempty"`
	Outcome string      `json:"outcome,omitempty"` // "done", "failed", "unknown", or what reconcile found
	Text    string      `json:"text,omitempty"`
}

// cardLog appends records, each durable before what it announces. It is a
// rsp.Recorder.
type cardLog struct {
	file *os.File
	port string
	eid  string
	via  *handSide // a station's audit log in place of the file
}

func (c *euiccCmd) recordPath() string {
	switch {
	case c.Record != "":
		return c.Record
	case c.Trace != "":
		return c.Trace + ".jsonl"
	}
	return "linefit-euicc.jsonl"
}

// openRecord opens the file of records. Without one nothing is changed. A station
// says first whether this person may change this eUICC.
func (u *unit) openRecord(eid []byte) (*cardLog, error) {
	if u.c.via != nil {
		return u.c.via.openRecord(eid)
	}
	f, err := os.OpenFile(u.c.recordPath(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, exit(exitMissing, fmt.Errorf("--record: %w", err))
	}
	return &cardLog{file: f, port: u.c.Port, eid: fmt.Sprintf("%x", eid)}, nil
}

func (l *cardLog) append(r cardRecord) error {
	if l.via != nil {
		return l.via.record(r)
	}
	r.At, r.Port, r.EID = time.Now().UTC(), l.port, l.eid
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := l.file.Write(append(b, '\n')); err != nil {
		return err
	}
	return l.file.Sync()
}

// Record makes an intent durable. A download knows the EID from the eUICC's
// certificate.
func (l *cardLog) Record(_ context.Context, p rsp.Phase, d rsp.Detail) error {
	if d.EID != "" {
		l.eid = d.EID
	}
	return l.append(cardRecord{Event: "intent", Phase: p, Detail: &d})
}

// change records an intent, makes the change, and records what came of it.
func (l *cardLog) change(p rsp.Phase, d rsp.Detail, change func() error) error {
	if err := l.append(cardRecord{Event: "intent", Phase: p, Detail: &d}); err != nil {
		return fmt.Errorf("%w: %w", rsp.ErrRecord, err)
	}
	err := change()
	return errors.Join(err, l.outcome(p, d, err))
}

// outcome records what came of an intent.
func (l *cardLog) outcome(p rsp.Phase, d rsp.Detail, err error) error {
	r := cardRecord{Event: "outcome", Phase: p, Detail: &d, Outcome: "done"}
	if err != nil {
		r.Outcome, r.Text = "failed", err.Error()
		if unknownOutcome(err) {
			r.Outcome = "unknown"
		}
	}
	return l.append(r)
}

// settled records what the read-back has shown of an intent without an answer.
func (l *cardLog) settled(p rsp.Phase, d rsp.Detail, outcome string) error {
	return l.append(cardRecord{Event: "outcome", Phase: p, Detail: &d, Outcome: outcome, Text: "read back"})
}

func (l *cardLog) close() error {
	if l.via != nil {
		return nil
	}
	return l.file.Close()
}

// lastDownload finds the newest download to an eUICC in the records, which a
// station keeps in its audit log.
func (c *euiccCmd) lastDownload(eid string) (rsp.Phase, rsp.Detail, error) {
	if c.via != nil {
		return c.via.lastDownload(eid)
	}
	return lastDownload(c.recordPath(), eid)
}

// lastDownload finds the newest download of an eUICC in a file of records: its
// last intent before the load was settled.
func lastDownload(path, eid string) (rsp.Phase, rsp.Detail, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", rsp.Detail{}, exit(exitMissing, fmt.Errorf("no record of changes at %s: give --record", path))
	}
	if err != nil {
		return "", rsp.Detail{}, exit(exitMissing, err)
	}
	defer f.Close()
	var phase rsp.Phase
	var detail rsp.Detail
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20)
	for line := 1; scanner.Scan(); line++ {
		var r cardRecord
		if err := json.Unmarshal(scanner.Bytes(), &r); err != nil {
			fmt.Fprintf(os.Stderr, "linefit: %s:%d: not a record, skipped\n", path, line) // a line that was cut off by a crash
			continue
		}
		download := r.Phase == rsp.PhaseGetPackage || r.Phase == rsp.PhaseLoad || r.Phase == rsp.PhaseCancel
		if r.EID == eid && r.Event == "intent" && download && r.Detail != nil {
			phase, detail = r.Phase, *r.Detail
		}
	}
	if phase == "" {
		return "", rsp.Detail{}, exit(exitMissing, fmt.Errorf("%s has no download to this eUICC", path))
	}
	return phase, detail, scanner.Err()
}
