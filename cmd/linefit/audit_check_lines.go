package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/mod/sumdb/note"

	"linefit/audit"
)

// lines checks entries as JSON Lines, which are no evidence, against an export as
// tiles, which is: each line must be an entry of it, byte for byte, in order. That
// no line was left out it cannot say: a filter may have been asked for.
func (c *auditCheckCmd) lines(a *app, v note.Verifier, d *checkDocument) error {
	f, err := os.Open(c.Path)
	if err != nil {
		return logExit(err)
	}
	defer f.Close()
	l := &lineCheck{r: bufio.NewReaderSize(f, audit.MaxEntry+2)}
	if err := l.next(); err != nil {
		return err
	}
	tiles := *c
	tiles.Path, tiles.Tiles = c.Tiles, ""
	if err := tiles.tiles(a, v, d, l.see); err != nil {
		return err
	}
	d.Kind, d.Entries = "jsonl", l.good
	if len(d.Findings) > 0 {
		return nil // the evidence is damaged: nothing is held against it
	}
	if l.found == nil && !l.ended {
		l.bad(fmt.Sprintf("it says seq %d, the export ends before", l.seq))
	}
	if l.err != nil {
		return logExit(l.err)
	}
	if l.found != nil {
		l.found.File = c.Path
		d.Findings = append(d.Findings, *l.found)
	}
	return nil
}

// lineCheck is the line that waits for its entry.
type lineCheck struct {
	r     *bufio.Reader
	raw   []byte
	seq   uint64
	at    int64 // offset of the line
	size  int64 // with its end
	good  uint64
	ended bool
	found *audit.Finding
	err   error
}

func (l *lineCheck) bad(what string) {
	if l.found == nil {
		l.found = &audit.Finding{Code: audit.FindEntry, Offset: l.at, Seq: l.seq, Detail: fmt.Sprintf("line %d: %s", l.good+1, what)}
	}
}

// next reads a line. The error is about reading.
func (l *lineCheck) next() error {
	l.at, l.seq = l.at+l.size, 0
	line, err := l.r.ReadSlice('\n')
	l.size = int64(len(line))
	switch {
	case errors.Is(err, io.EOF) && len(line) == 0:
		l.ended = true
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, bufio.ErrBufferFull):
		l.bad("it has no end, or is longer than an entry can be")
		return nil
	case err != nil:
		return err
	}
	l.raw = bytes.Clone(line[:len(line)-1])
	e, err := audit.Decode(l.raw)
	if err != nil {
		l.bad(err.Error())
		return nil
	}
	l.seq = e.Seq
	return nil
}

// see compares an entry of the evidence with the line of its number.
func (l *lineCheck) see(e audit.Entry) {
	switch {
	case l.ended || l.found != nil || l.err != nil || e.Seq < l.seq:
		return
	case e.Seq > l.seq:
		l.bad("it is out of order, doubled, or of an entry that the export does not have")
		return
	case !bytes.Equal(l.raw, audit.AppendEntry(nil, e)):
		l.bad("it is not what the evidence says")
		return
	}
	l.good++
	l.err = l.next()
}
