package atcmd

import (
	"context"
	"time"
)

// write is one job of the writer goroutine.
type write struct {
	ctx  context.Context // stops paced writing between two characters
	data []byte
	gap  time.Duration
	done chan writeResult // capacity 1
}

type writeResult struct {
	n   int
	err error
}

// write is the writer goroutine. Only it may block in rwc.Write.
func (p *Port) write() {
	for {
		select {
		case w := <-p.writes:
			n, err := p.writePaced(w)
			p.mu.Lock()
			p.stats.Sent += uint64(n)
			p.mu.Unlock()
			w.done <- writeResult{n, err}
		case <-p.closed:
			return
		case <-p.ended:
			return
		}
	}
}

func (p *Port) writePaced(w write) (int, error) {
	if w.gap <= 0 {
		return p.rwc.Write(w.data)
	}
	t := time.NewTimer(w.gap)
	defer t.Stop()
	for i := range w.data {
		if n, err := p.rwc.Write(w.data[i : i+1]); err != nil {
			return i + n, err
		}
		if i == len(w.data)-1 {
			break
		}
		t.Reset(w.gap)
		select {
		case <-t.C:
		case <-w.ctx.Done():
			return i + 1, w.ctx.Err()
		case <-p.closed:
			return i + 1, ErrClosed
		}
	}
	return len(w.data), nil
}
