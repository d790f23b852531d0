package simtest

import (
	"os"
	"path/filepath"

	"linefit/audit"
	"linefit/audit/store"
	"linefit/audit/store/storetest"
)

// Backup stops the station in order, copies its store and vault, and starts it
// again. The copy is a folder of its own.
func (l *Line) Backup() string {
	l.t.Helper()
	l.Station.end()
	to := folder(l.t)
	l.eachPart(l.Dir, func(name string) {
		from := filepath.Join(l.Dir, name)
		if st, err := os.Stat(from); err == nil && st.IsDir() {
			l.must(os.CopyFS(filepath.Join(to, name), os.DirFS(from)))
			return
		}
		data, err := os.ReadFile(from)
		l.must(err)
		l.must(os.WriteFile(filepath.Join(to, name), data, 0o600))
	})
	l.st = l.st.Restart()
	l.begin()
	return to
}

// eachPart calls fn for what belongs to the station, the world left out.
func (l *Line) eachPart(dir string, fn func(name string)) {
	l.t.Helper()
	all, err := os.ReadDir(dir)
	l.must(err)
	for _, e := range all {
		if e.Name() != "sim" {
			fn(e.Name())
		}
	}
}

// PutBack stops the station in order and puts a backup in the place of its
// store; the world stays what it became. The station starts when two people have
// accepted that. It returns what they accepted.
func (l *Line) PutBack(backup string) []audit.Finding {
	l.t.Helper()
	l.Station.end()
	l.eachPart(l.Dir, func(name string) { l.must(os.RemoveAll(filepath.Join(l.Dir, name))) })
	l.must(os.CopyFS(l.Dir, os.DirFS(backup)))
	l.must(store.Restored{ID: "r1", What: "backup of yesterday"}.Mark(l.Dir))
	if anchor, ok := l.World.MES().Anchor(l.key.Name()); ok {
		l.st.Options.Anchors = [][]byte{anchor}
	}
	l.st = l.st.Restart()
	h := l.st.State()
	if h.Cause != store.CauseAlarm {
		l.t.Fatalf("a restored store opened as if nothing had happened: %+v", h)
	}
	l.must(l.st.Accept(l.t.Context(), audit.Acceptance{Persons: []string{"qa-1", "qa-2"}, Reason: "disk broke", Findings: h.Findings}))
	l.begin()
	return h.Findings
}

// Store is the store under the station.
func (l *Line) Store() *storetest.Station { return l.st }

// shardKey keeps the keys of later shards in memory.
func (l *Line) shardKey(shard uint32, origin string) (audit.Key, error) {
	if k := l.shards[shard]; k != nil {
		return k, nil
	}
	k, _, err := audit.NewKey(origin)
	l.shards[shard] = k
	return k, err
}

// LoseDerived stops the station in order, drops everything that is derived from
// its log, and starts it again.
func (l *Line) LoseDerived() {
	l.t.Helper()
	l.Station.end()
	l.must(os.RemoveAll(filepath.Join(l.Dir, "badger")))
	l.st = l.st.Restart()
	l.begin()
}
