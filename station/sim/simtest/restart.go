package simtest

import (
	"testing/synctest"

	"linefit/audit/store"
	"linefit/station"
)

// kill kills the present process. It does not wait.
func (l *Line) kill() { l.process.Load().kill() }

// begin assembles a station over the open store and lets it work.
func (l *Line) begin() {
	l.t.Helper()
	l.Station = l.assemble(l.st)
	l.t.Cleanup(l.Station.end) // before its store is closed
	l.process.Store(l.Station.p)
	l.vault.Store(l.Station.Ledger.Vault())
	l.witness.restart()
	l.remember()
	l.Station.stockUp()
	l.Station.run()
	synctest.Wait() // every slot stands as the log says, or works
}

// Restart goes on after a kill: everything that lives in memory is dropped, the
// station's and the world's.
func (l *Line) Restart() { l.RestartAfter(func() {}) }

// RestartAfter does so, and people do something while the station is dead and its
// clamps are open.
func (l *Line) RestartAfter(people func()) {
	l.t.Helper()
	l.kill()
	l.Station.end()
	if l.cut {
		l.st.PowerCut()
		l.cut = false
	}
	l.restarts++
	l.closeWorld()
	l.openWorld()
	people()
	l.st = l.st.Restart()
	if len(l.again) > 0 {
		l.KillAfter(l.Head() + l.again[0])
		l.again = l.again[1:]
	}
	l.begin()
}

// Reopen stops the station in order and starts it again.
func (l *Line) Reopen() {
	l.t.Helper()
	l.Station.end()
	l.st = l.st.Restart()
	l.begin()
}

// Rebuild stops the station in order, drops everything that is derived from the
// log, derives it anew and starts the station again. It returns what the rebuild
// found.
func (l *Line) Rebuild() store.Rebuilt {
	l.t.Helper()
	l.Station.end()
	r, err := store.Rebuild(l.t.Context(), l.storeOptions())
	l.must(err)
	l.st = l.st.Restart()
	l.begin()
	return r
}

// Switch stops the station in order and starts it with another recipe.
func (l *Line) Switch(r *station.Recipe) {
	l.t.Helper()
	l.opt.Recipe = r
	l.Reopen()
}

// closeWorld ends the world and keeps its counts.
func (l *Line) closeWorld() {
	l.t.Helper()
	l.must(l.World.Close())
	a, err := l.World.Account()
	l.must(err)
	l.radio += a.Registrations
}
