// Package simtest is a whole station on a simulated line, for tests: the real
// store, vault, ledger, engine, step bodies, notification outbox and MES outbox
// on virtual modules, eUICCs, SM-DP+ and MES, all in memory but for the files of
// store and world, so that it runs in a testing/synctest bubble.
//
//	synctest.Test(t, func(t *testing.T) {
//		l := simtest.New(t, simtest.Options{})
//		l.Fault(simtest.Load(-1), simtest.KilledAfter)
//		run := l.RunUnit(1)
//		if run.Verdict != station.Pass { … }
//		l.Check()
//	})
//
// # Faults
//
// A [Point] is a place where something can go wrong, by name: a function of the
// eUICC (card/EnableProfile), one block of a load (card/load#3), a function of
// the SM-DP+ (server/getBoundProfilePackage), a request at the MES
// (mes/validate), a fact that is about to be recorded (fact/intent/1), an
// operation of the fixture (fixture/power-on). [How] says what happens there.
//
// # Crashes
//
// A kill stops the station as kill -9 does, and takes the power of every unit at
// the same instant: from then on nothing that the process does reaches the log,
// a port, a server or the fixture; its memory is dropped without an orderly end;
// then store, card images, SM-DP+ and MES are opened again from their files and
// a new process goes on. The driving methods do that by themselves: a test says
// where the station is killed, and looks at what came of it.
//
// # Accounting
//
// [Line.Check] asks the cards, the SM-DP+ and the modules, and never takes the
// station's word. Two things are watched at every moment: no pass lamp without
// the durable verdict and disposition, and no terminal cancel of a session.
package simtest
