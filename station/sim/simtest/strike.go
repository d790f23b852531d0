package simtest

import (
	"time"

	"linefit/audit/store/storetest"
)

// Fault orders what happens at a point, once, at its next passing.
func (l *Line) Fault(at Point, how How) { l.plan.add(strike{at: at, how: how, left: 1}) }

// FaultLater orders it for the passing after skip good ones.
func (l *Line) FaultLater(at Point, how How, skip int) {
	l.plan.add(strike{at: at, how: how, skip: skip, left: 1})
}

// FaultFrom orders it for every passing after skip good ones until [Line.Mend].
func (l *Line) FaultFrom(at Point, how How, skip int) {
	l.plan.add(strike{at: at, how: how, skip: skip, left: -1})
}

// FaultAlways orders it for every passing until [Line.Mend].
func (l *Line) FaultAlways(at Point, how How) { l.plan.add(strike{at: at, how: how, left: -1}) }

// Mend takes away every fault that has not struck.
func (l *Line) Mend() { l.plan.clear() }

// Struck counts the faults that have struck.
func (l *Line) Struck() int { return l.plan.count() }

// KillAfter kills the station when the entry is durable, before anyone is told.
func (l *Line) KillAfter(seq uint64) { l.killAfter.Store(seq) }

// KillBefore kills the station when the entry was about to be written.
func (l *Line) KillBefore(seq uint64) { l.killBefore.Store(seq) }

// FailAt lets the disk fail at the batch with an entry; the log stops, and is
// tried again a second later.
func (l *Line) FailAt(seq uint64, f storetest.Fault) {
	l.failHow.Store(int32(f))
	l.failAt.Store(seq)
}

// SlowAt lets the disk take so long to flush the batch with an entry.
func (l *Line) SlowAt(seq uint64, d time.Duration) {
	l.failDelay.Store(int64(d))
	l.FailAt(seq, storetest.Slow)
}

// MakeSpace ends a full disk.
func (l *Line) MakeSpace() { l.disk.MakeSpace() }

// KillAgain kills the station once more when so many entries more are durable
// after the next restart; called several times, after the restarts that follow.
func (l *Line) KillAgain(after uint64) { l.again = append(l.again, after) }

// CutPower makes of the next kill a power cut: what the log had not flushed is
// gone, and everything that is derived from it.
func (l *Line) CutPower() { l.cut = true }

// Full makes the disk full at once, until MakeSpace.
func (l *Line) Full() { l.disk.Fill() }
