package simtest_test

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"linefit/modem/euiccsim"
	"linefit/modem/modemsim"
	"linefit/modem/smdpsim"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

var errNotAllowed = errors.New("not on the list")

// notHere are the rows that no run of this station comes to, with the reason.
var notHere = []struct{ row, why string }{
	{"20", "packages prepared for in-factory loading (SGP.41) have a table of their own: TestFactoryScenario"},
}

// Outcomes that many cells share.
const (
	passed      = "pass, release; card enabled; order installed 1; ledger installed 1"
	passedAsk2  = "pass, release; card enabled; order installed 1; ledger installed 2"
	passedTwice = "pass, release; card enabled; order installed 2; ledger installed 2"
	unused      = "; card absent; order released 0; ledger available 0"
	held        = "; card absent; order released 0; ledger quarantined 0"
)

// epoch is the time with which a bubble begins.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

var scenarios = []scenario{
	// 1: network, TLS, the server's configuration.
	{row: "1", name: "network lost", at: simtest.Server(smdpsim.InitiateAuthentication), want: []string{passed}},
	{row: "1", name: "no network for minutes", hows: []simtest.How{simtest.Failed, simtest.TookEffect},
		prepare: func(l *simtest.Line) {
			l.FaultAlways(simtest.Server(smdpsim.InitiateAuthentication), simtest.Failed)
		},
		want: []string{"inconclusive smdp.unreachable, retest" + unused}, again: "same"},
	{row: "1", name: "address refused", plain: "inconclusive smdp.refused, retest" + unused, sessions: 1, at: simtest.Server(smdpsim.InitiateAuthentication),
		options: refuse(smdpsim.InitiateAuthentication, "8.8.1", "3.8"),
		want:    []string{"inconclusive smdp.refused, retest" + unused}},
	{row: "1", name: "host not allowed", hows: variants[:1],
		options: func(o *simtest.Options) { o.AllowHost = func(string) error { return errNotAllowed } },
		want:    []string{"inconclusive smdp.untrusted, retest" + unused}},
	{row: "1", name: "no answer to authenticateClient", at: simtest.Server(smdpsim.AuthenticateClient), want: []string{passed}},

	// 2: the eUICC does not accept the server.
	{row: "2", name: "server's signature wrong", plain: "inconclusive smdp.untrusted, retest" + unused, sessions: 1, at: simtest.Card("AuthenticateServer"),
		options: falsify(smdpsim.InitiateAuthentication, smdpsim.FaultWrongSignature, 0),
		want:    []string{"inconclusive smdp.untrusted, retest" + unused}},

	// 3a: another EID, matching id refused.
	{row: "3a", name: "another EID", plain: "inconclusive code.refused, retest" + held, sessions: 1, at: simtest.Server(smdpsim.AuthenticateClient), again: "other",
		options: order(func(o *smdpsim.Order) { o.EID = "89049032123451234512345678901235" }),
		want:    []string{"inconclusive code.refused, retest" + held}},
	{row: "3a", name: "matching id refused", plain: "inconclusive code.refused, retest" + held, sessions: 1, at: simtest.Server(smdpsim.AuthenticateClient), again: "other",
		options: code(func(row []string) bool { row[1] = "LPA:1$" + sim.SMDPHost + "$UNKNOWN"; return true }),
		want:    []string{"inconclusive code.refused, retest" + held}},

	// 3b: too many tries, expired.
	{row: "3b", name: "expired", plain: "inconclusive code.spent, retest; card absent; order error 0; ledger spent 0", sessions: 1, at: simtest.Server(smdpsim.AuthenticateClient), again: "other",
		options: order(func(o *smdpsim.Order) { o.Expires = epoch }),
		want:    []string{"inconclusive code.spent, retest; card absent; order error 0; ledger spent 0"}},
	{row: "3b", name: "tried too often", at: simtest.Server(smdpsim.GetBoundProfilePackage), again: "other",
		hows:    []simtest.How{simtest.TookEffect, simtest.KilledAfter},
		options: both(order(func(o *smdpsim.Order) { o.Attempts = 1 }), code(func(row []string) bool { row[4] = "5"; return true })),
		want:    []string{"inconclusive code.spent, retest; card absent; order error 1; ledger spent 1"}},

	// 3c: not released, no room.
	{row: "3c", name: "not released", plain: "inconclusive code.refused, retest; card absent; order available 0; ledger quarantined 0", sessions: 1, at: simtest.Server(smdpsim.AuthenticateClient), again: "other",
		options: order(func(o *smdpsim.Order) { o.Held = true }), mend: release,
		want: []string{"inconclusive code.refused, retest; card absent; order available 0; ledger quarantined 0"}},
	{row: "3c", name: "no room", plain: "fail euicc.memory, rework" + unused, sessions: 1, at: simtest.Server(smdpsim.AuthenticateClient),
		options: func(o *simtest.Options) { o.Order = func(_ int, o *smdpsim.Order) { o.Memory = 1 << 29 } },
		want:    []string{"fail euicc.memory, rework" + unused}},

	// 4: what is checked before money moves.
	{row: "4", name: "policy rules not allowed", plain: "inconclusive profile.policy, hold" + unused, sessions: 1, at: simtest.Card("CancelSession"),
		options: both(order(func(o *smdpsim.Order) {
			o.Metadata.PPRs, o.Metadata.Owner = []int{smdpsim.PPR1}, &smdpsim.Owner{MCCMNC: [3]byte{0x00, 0xF1, 0x10}}
		}), card(func(c *euiccsim.Options) { c.RAT = []euiccsim.RATRule{} })),
		want: []string{"inconclusive profile.policy, hold" + unused}},
	{row: "4", name: "another profile than ordered", plain: "inconclusive profile.mismatch, hold" + held, sessions: 1, at: simtest.Card("CancelSession"),
		options: func(o *simtest.Options) {
			o.Code = func(n int, row []string) bool { // two lines of the list are mixed up
				row[3] = map[int]string{0: "89880000000000000025", 1: "89880000000000000017", 2: row[3]}[n]
				return true
			}
		},
		want: []string{"inconclusive profile.mismatch, hold" + held}},
	{row: "4", name: "a profile from elsewhere", plain: "inconclusive profile.duplicate, hold; nothing reserved", at: simtest.Card("GetProfilesInfo"), options: earlierCopy(false), foreign: "89880000000000000017",
		prepare: func(l *simtest.Line) { u, _ := l.World.Queued(); l.Elsewhere(u, 0, false) },
		want:    []string{"inconclusive profile.duplicate, hold; nothing reserved"}},

	// 5: confirmation code. A wrong one is never tried in a loop.
	{row: "5", name: "confirmation code missing", plain: "inconclusive code.refused, retest" + held, sessions: 1, at: simtest.Card("CancelSession"), again: "other",
		options: both(order(func(o *smdpsim.Order) { o.ConfirmationCode = "4711" }),
			code(func(row []string) bool { row[1] = strings.TrimSuffix(row[1], "$$1"); return true })),
		want: []string{"inconclusive code.refused, retest" + held}},
	{row: "5", name: "confirmation code wrong", plain: "inconclusive code.refused, retest; card absent; order released 0 (1 wrong); ledger quarantined 1", sessions: 1, at: simtest.Server(smdpsim.GetBoundProfilePackage), again: "other",
		options: both(order(func(o *smdpsim.Order) { o.ConfirmationCode = "4711" }), code(func(row []string) bool { row[2] = "4712"; return true })),
		want: []string{
			"inconclusive code.refused, retest; card absent; order released 0 (1 wrong); ledger quarantined 2",
			"inconclusive code.refused, retest; card absent; order released 0 (2 wrong); ledger quarantined 2",
			"inconclusive code.refused, retest; card absent; order released 0 (1 wrong); ledger quarantined 2",
			"inconclusive code.refused, retest; card absent; order released 0 (2 wrong); ledger quarantined 2",
		}},
	{row: "5", name: "confirmation code right", plain: passed, sessions: 1, at: simtest.Server(smdpsim.GetBoundProfilePackage),
		options: both(order(func(o *smdpsim.Order) { o.ConfirmationCode = "4711" }), code(func(row []string) bool { row[2] = "4711"; return true })),
		want:    []string{passedAsk2, passedTwice, passedAsk2, passedTwice}},

	// 6: PrepareDownload.
	{row: "6", name: "PrepareDownload refused", plain: passed, sessions: 2, at: simtest.Card("PrepareDownload"),
		options: falsify(smdpsim.AuthenticateClient, smdpsim.FaultWrongSignature, 1), want: []string{passed}},

	// 7: the package is lost on its way.
	{row: "7", name: "package lost", at: simtest.Server(smdpsim.GetBoundProfilePackage),
		want: []string{passedAsk2, passedTwice, passedAsk2, passedTwice}},
	{row: "7", name: "package lost, not bound again", at: simtest.Server(smdpsim.GetBoundProfilePackage), again: "other",
		hows: []simtest.How{simtest.TookEffect, simtest.KilledAfter},
		options: func(o *simtest.Options) {
			o.Server = func(p smdpsim.FaultPoint) smdpsim.Fault {
				if p.Point != smdpsim.GetBoundProfilePackage || p.Attempt != 2 {
					return smdpsim.Fault{}
				}
				return smdpsim.Fault{Kind: smdpsim.FaultRefuse, Status: &smdpsim.Status{Subject: "8.2", Reason: "3.7", Message: "no"}}
			}
		},
		want: []string{"inconclusive code.spent, retest; card absent; order downloaded 1; ledger spent 2"}},
	{row: "7", name: "package of another session", options: falsify(smdpsim.GetBoundProfilePackage, smdpsim.FaultWrongTransactionID, 1),
		hows: variants[:1], want: []string{passedTwice}},

	// 8: the package is there, the station dies before the first block.
	{row: "8", name: "before the first block", at: simtest.Load(1), want: []string{passedTwice}},
	{row: "8", name: "package kept, load not recorded", at: simtest.Fact("result/1"), hows: variants[2:], want: []string{passedTwice}},
	{row: "8", name: "load recorded", at: simtest.Fact("intent/1"), later: 1, hows: variants[2:], want: []string{passedTwice}},

	// 9: an AT error or no answer in the middle of the load.
	{row: "9", name: "middle of the load", at: simtest.Load(9), want: []string{passedTwice}},
	{row: "9", name: "middle of the load, no answer", at: simtest.Load(9), hows: []simtest.How{simtest.Lost, simtest.AnswerLost}, want: []string{passedTwice}},
	{row: "9", name: "last block", at: simtest.Load(-1), want: []string{passedTwice, passed, passedTwice, passed}},
	{row: "9", name: "last block, no answer", at: simtest.Load(-1), hows: []simtest.How{simtest.Lost, simtest.AnswerLost}, want: []string{passedTwice, passed}},

	{row: "9", name: "last block, mute for a while", at: simtest.Load(-1), options: muteAfterLoad(4),
		hows: []simtest.How{simtest.Failed, simtest.TookEffect, simtest.Lost, simtest.AnswerLost}, want: []string{passedTwice, passed, passedTwice, passed}},
	{row: "9", name: "last block, and nobody can ask", at: simtest.Load(-1), stuck: simtest.Card("GetProfilesInfo"), until: 1, again: "same",
		hows: []simtest.How{simtest.Failed, simtest.TookEffect, simtest.Lost, simtest.AnswerLost},
		want: []string{
			"inconclusive profile.unknown, hold; card absent; order downloaded 1; ledger quarantined 1; 1 open",
			"inconclusive profile.unknown, hold; card disabled; order downloaded 1; ledger quarantined 1; 1 open",
			"inconclusive profile.unknown, hold; card absent; order downloaded 1; ledger quarantined 1; 1 open",
			"inconclusive profile.unknown, hold; card disabled; order downloaded 1; ledger quarantined 1; 1 open",
		},
		then: []string{passedTwice, passed, passedTwice, passed}},

	// 10: power lost in the load.
	{row: "10", name: "middle of the load", at: simtest.Load(9), hows: power, want: []string{passedTwice}},
	{row: "10", name: "last block", at: simtest.Load(-1), hows: power, want: []string{passedTwice, passed, passed}},
	{row: "10", name: "middle, card writes no result", at: simtest.Load(9), hows: power,
		options: card(func(c *euiccsim.Options) { c.NoInterruption = true }), want: []string{passedTwice}},

	// 11: results 10 and 11.
	{row: "11", name: "no memory", plain: passedTwice, at: simtest.Load(-1), options: fault(euiccsim.FaultLoadMemory, 1), want: []string{
		"pass, release; card enabled; order installed 3; ledger installed 3", passedTwice,
		"pass, release; card enabled; order installed 3; ledger installed 3", passedTwice,
	}},
	{row: "11", name: "no memory, for good", options: fault(euiccsim.FaultLoadMemory, -1), hows: variants[:1],
		want: []string{"inconclusive code.spent, retest; card absent; order downloaded 3; ledger spent 3"}},

	// 12: result 9, the profile is there from before.
	{row: "12", name: "an earlier copy that was not listed", plain: "inconclusive profile.duplicate, hold; card disabled; order error 1; ledger quarantined 1", sessions: 2, at: simtest.Load(4), options: earlierCopy(true), foreign: "89880000000000000017",
		prepare: func(l *simtest.Line) { u, _ := l.World.Queued(); l.Elsewhere(u, 0, false) },
		want: []string{
			"inconclusive profile.duplicate, hold; card disabled; order downloaded 1; ledger quarantined 1",
			"inconclusive profile.duplicate, hold; card disabled; order error 1; ledger quarantined 1",
			"inconclusive profile.duplicate, hold; card disabled; order downloaded 1; ledger quarantined 1",
			"inconclusive profile.duplicate, hold; card disabled; order error 1; ledger quarantined 1",
		}},

	// 13: any other result.
	{row: "13", name: "profile element refused", plain: "fail profile.refused, retest; card absent; order error 1; ledger spent 1", sessions: 1, at: simtest.Load(-1), options: fault(euiccsim.FaultLoadElement, 1), again: "other", want: []string{
		"fail profile.refused, retest; card absent; order error 2; ledger spent 2", "fail profile.refused, retest; card absent; order error 1; ledger spent 1",
		"fail profile.refused, retest; card absent; order error 2; ledger spent 2", "fail profile.refused, retest; card absent; order error 1; ledger spent 1",
	}},
	{row: "13", name: "wrong MAC", plain: "inconclusive profile.damaged, retest; card absent; order error 1; ledger spent 1", sessions: 1, at: simtest.Load(-1), options: falsify(smdpsim.GetBoundProfilePackage, smdpsim.FaultWrongMAC, 1), want: []string{
		passedTwice, "inconclusive profile.damaged, retest; card absent; order error 1; ledger spent 1",
		passedTwice, "inconclusive profile.damaged, retest; card absent; order error 1; ledger spent 1",
	}},

	// 14, 15: the notification is not delivered, or not removed.
	{row: "14", name: "notification", at: simtest.Server(smdpsim.HandleNotification), want: []string{passed}},
	{row: "14", name: "notification of the enabling", at: simtest.Server(smdpsim.HandleNotification), later: 1, want: []string{passed}},
	{row: "15", name: "removal", at: simtest.Card("RemoveNotification"), want: []string{passed}},
	{row: "15", name: "removal, no answer", at: simtest.Card("RemoveNotification"), hows: []simtest.How{simtest.Lost, simtest.AnswerLost}, want: []string{passed}},

	// 16, 17: enabling, and what REFRESH leaves unclear.
	{row: "16", name: "catBusy", plain: passed, sessions: 1, at: simtest.Card("EnableProfile"), options: fault(euiccsim.FaultCatBusy, 1), want: []string{passed}},
	{row: "16", name: "takes an AID only", at: simtest.Card("EnableProfile"), plain: passed, want: []string{passed},
		options: refuseEnable(func(request []byte) int { return map[bool]int{true: 1}[bytes.Contains(request, []byte{0x5A, 0x0A})] })},
	{row: "16", name: "knows no REFRESH", at: simtest.Card("EnableProfile"), plain: passed, want: []string{passed},
		options: refuseEnable(func(request []byte) int {
			return map[bool]int{true: 127}[!bytes.HasSuffix(request, []byte{0x81, 0x01, 0x00})]
		})},
	{row: "16", name: "another profile's rules forbid it", at: simtest.Card("EnableProfile"), options: refuseEnable(func([]byte) int { return 3 }),
		plain: disallowed, want: []string{disallowed}},

	{row: "17", name: "enable", at: simtest.Card("EnableProfile"), want: []string{passed}},
	{row: "17", name: "enable, no answer", at: simtest.Card("EnableProfile"), hows: []simtest.How{simtest.Lost, simtest.AnswerLost}, want: []string{passed}},
	{row: "17", name: "enable, power lost", at: simtest.Card("EnableProfile"), hows: power, want: []string{passed}},
	{row: "17", name: "enable, effect with REFRESH", plain: passed, sessions: 1, at: simtest.Card("EnableProfile"), options: card(func(c *euiccsim.Options) { c.Effect = euiccsim.EffectAfterRefresh }), want: []string{passed}},
	{row: "17", name: "no REFRESH from the card", plain: passed, sessions: 1, at: simtest.Card("EnableProfile"), options: fault(euiccsim.FaultNoRefresh, -1), want: []string{passed}},
	{row: "17", name: "forgotten at the cold restart", at: simtest.Card("EnableProfile"), options: fault(euiccsim.FaultStateLost, -1), plain: forgotten, want: []string{forgotten}},
	{row: "17", name: "module ignores REFRESH", plain: passed, sessions: 1, at: simtest.Card("EnableProfile"), want: []string{passed}, options: func(o *simtest.Options) {
		o.Module = func(_ sim.UnitState, point string, _ int) (modemsim.Fault, bool) {
			return modemsim.Fault{Kind: modemsim.FaultLost}, point == "refresh"
		}
	}},

	// 18: a unit that is given up: its profile is deleted and the operator is told.
	{row: "18", name: "eUICC cleared", plain: cleared, at: simtest.Card("eUICCMemoryReset"), options: fault(euiccsim.FaultStateLost, -1), prepare: clearing, want: []string{cleared}},
	{row: "18", name: "eUICC cleared, no answer", at: simtest.Card("eUICCMemoryReset"), options: fault(euiccsim.FaultStateLost, -1), prepare: clearing,
		hows: append([]simtest.How{simtest.Lost, simtest.AnswerLost}, power...), want: []string{cleared}},

	// 19: the order was ended elsewhere; this station never ends one (see
	// simtest.Line.Check).
	{row: "19", name: "order ended elsewhere", plain: "inconclusive code.refused, retest; card absent; order unavailable 0; ledger quarantined 0", sessions: 1, at: simtest.Server(smdpsim.AuthenticateClient), again: "other",
		prepare: func(l *simtest.Line) {
			if _, err := l.World.Provider().Withdraw("order-00001"); err != nil {
				panic(err)
			}
		},
		want: []string{"inconclusive code.refused, retest; card absent; order unavailable 0; ledger quarantined 0"}},
}
