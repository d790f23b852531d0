package steps_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"linefit/modem/euiccsim"
	"linefit/modem/smdpsim"
	"linefit/station/sim"
	"linefit/station/sim/simtest"
)

type scenario struct {
	row, name string
	options   func(*simtest.Options)
	prepare   func(*simtest.Line)
	at        simtest.Point
}

func refuse(point smdpsim.Point, subject, reason string) func(smdpsim.FaultPoint) smdpsim.Fault {
	return func(p smdpsim.FaultPoint) smdpsim.Fault {
		if p.Point != point {
			return smdpsim.Fault{}
		}
		return smdpsim.Fault{Kind: smdpsim.FaultRefuse, Status: &smdpsim.Status{Subject: subject, Reason: reason, Message: "no"}}
	}
}

func falsify(point smdpsim.Point, kind smdpsim.FaultKind, attempts int) func(smdpsim.FaultPoint) smdpsim.Fault {
	return func(p smdpsim.FaultPoint) smdpsim.Fault {
		if p.Point != point || attempts > 0 && p.Attempt > attempts {
			return smdpsim.Fault{}
		}
		return smdpsim.Fault{Kind: kind}
	}
}

var scenarios = []scenario{
	{row: "1", name: "network lost at initiateAuthentication", at: simtest.Server(smdpsim.InitiateAuthentication)},
	{row: "1", name: "no network", prepare: func(l *simtest.Line) {
		l.FaultAlways(simtest.Server(smdpsim.InitiateAuthentication), simtest.Failed)
	}},
	{row: "1", name: "server refuses its configuration", at: simtest.Server(smdpsim.InitiateAuthentication), options: func(o *simtest.Options) {
		o.Server = refuse(smdpsim.InitiateAuthentication, "8.8.1", "3.8")
	}},
	{row: "2", name: "eUICC refuses the server", at: simtest.Card("AuthenticateServer"), options: func(o *simtest.Options) {
		o.Server = falsify(smdpsim.InitiateAuthentication, smdpsim.FaultWrongSignature, 0)
	}},
	{row: "3a", name: "another EID", at: simtest.Server(smdpsim.AuthenticateClient), options: func(o *simtest.Options) {
		o.Order = func(n int, o *smdpsim.Order) {
			if n == 0 {
				o.EID = "89049032123451234512345678901235"
			}
		}
	}},
	{row: "3a", name: "matching id refused", at: simtest.Server(smdpsim.AuthenticateClient), options: func(o *simtest.Options) {
		o.Code = func(n int, row []string) {
			if n == 0 {
				row[1] = "LPA:1$" + sim.SMDPHost + "$UNKNOWN"
			}
		}
	}},
	{row: "3b", name: "expired", at: simtest.Server(smdpsim.AuthenticateClient), options: func(o *simtest.Options) {
		o.Order = func(n int, o *smdpsim.Order) {
			if n == 0 {
				o.Expires = epoch
			}
		}
	}},
	{row: "3c", name: "not released", at: simtest.Server(smdpsim.AuthenticateClient), options: func(o *simtest.Options) {
		o.Order = func(n int, o *smdpsim.Order) { o.Held = n == 0 }
	}},
	{row: "3c", name: "no memory", at: simtest.Server(smdpsim.AuthenticateClient), options: func(o *simtest.Options) {
		o.Order = func(n int, o *smdpsim.Order) { o.Memory = 1 << 29 }
	}},
	{row: "4", name: "policy rules", at: simtest.Card("CancelSession"), options: func(o *simtest.Options) {
		o.Order = func(n int, o *smdpsim.Order) {
			o.Metadata.PPRs, o.Metadata.Owner = []int{smdpsim.PPR1}, &smdpsim.Owner{MCCMNC: [3]byte{0x00, 0xF1, 0x10}}
		}
		o.Card = func(_ sim.UnitState, o *euiccsim.Options) { o.RAT = []euiccsim.RATRule{} }
	}},
	{row: "5", name: "confirmation code missing", at: simtest.Card("CancelSession"), options: func(o *simtest.Options) {
		o.Order = func(n int, o *smdpsim.Order) { o.ConfirmationCode = "4711" }
		o.Code = func(n int, row []string) { row[1] = strings.TrimSuffix(row[1], "$$1") }
	}},
	{row: "5", name: "confirmation code wrong", at: simtest.Server(smdpsim.GetBoundProfilePackage), options: func(o *simtest.Options) {
		o.Order = func(n int, o *smdpsim.Order) { o.ConfirmationCode = "4711" }
		o.Code = func(n int, row []string) { row[2] = "4712" }
	}},
	{row: "6", name: "PrepareDownload refused", at: simtest.Card("PrepareDownload"), options: func(o *simtest.Options) {
		o.Server = falsify(smdpsim.AuthenticateClient, smdpsim.FaultWrongSignature, 1)
	}},
	{row: "7", name: "package lost", at: simtest.Server(smdpsim.GetBoundProfilePackage)},
	{row: "7", name: "package lost, no new binding", at: simtest.Server(smdpsim.GetBoundProfilePackage), options: func(o *simtest.Options) {
		o.Order = func(n int, o *smdpsim.Order) { o.NoRebind = true }
		o.Card = func(_ sim.UnitState, o *euiccsim.Options) { o.Faults[euiccsim.FaultForgetKeys] = -1 }
	}},
	{row: "8", name: "first block", at: simtest.Load(1)},
	{row: "9", name: "middle of the load", at: simtest.Load(9)},
	{row: "9", name: "last block", at: simtest.Load(-1)},
	{row: "11", name: "no memory", at: simtest.Load(-1), options: func(o *simtest.Options) {
		o.Card = func(_ sim.UnitState, o *euiccsim.Options) { o.Faults[euiccsim.FaultLoadMemory] = 1 }
	}},
	{row: "13", name: "profile element refused", at: simtest.Load(-1), options: func(o *simtest.Options) {
		o.Card = func(_ sim.UnitState, o *euiccsim.Options) { o.Faults[euiccsim.FaultLoadElement] = 1 }
	}},
	{row: "13", name: "wrong MAC", at: simtest.Load(-1), options: func(o *simtest.Options) {
		o.Server = falsify(smdpsim.GetBoundProfilePackage, smdpsim.FaultWrongMAC, 1)
	}},
	{row: "14", name: "notification lost", at: simtest.Server(smdpsim.HandleNotification)},
	{row: "15", name: "removal", at: simtest.Card("RemoveNotification")},
	{row: "16", name: "enable", at: simtest.Card("EnableProfile"), options: func(o *simtest.Options) {
		o.Card = func(_ sim.UnitState, o *euiccsim.Options) { o.Faults[euiccsim.FaultCatBusy] = 1 }
	}},
	{row: "17", name: "REFRESH", at: simtest.Card("EnableProfile")},
}

func TestScenario(t *testing.T) {
	for _, sc := range scenarios {
		for _, how := range []simtest.How{simtest.Failed, simtest.TookEffect, simtest.KilledBefore, simtest.KilledAfter} {
			for _, csim := range []bool{false, true} {
				t.Run(fmt.Sprint(sc.row, sc.name, how, csim), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						o := simtest.Options{CSIM: csim}
						if sc.options != nil {
							sc.options(&o)
						}
						l := simtest.New(t, o)
						if sc.prepare != nil {
							sc.prepare(l)
						}
						if sc.at != "" {
							l.Fault(sc.at, how)
						}
						u, _ := l.World.Queued()
						r := l.RunUnit(1)
						i, order := l.Item(r), l.Order(r)
						fmt.Printf("%-3s %-30s %-13s csim=%-5v struck=%d | %s %s %s | card %s | order %s deliveries %d wrong %d | ledger %s asked %d | open %d\n", sc.row, sc.name, how, csim, l.Struck(),
							r.Verdict.Verdict, r.Code(), r.Disposition.Disposition, l.OnCard(u, i.ICCID), order.State, order.Deliveries, order.WrongCodes, i.State, i.Downloads, len(r.OpenIntents()))
						l.Check()
					})
				})
			}
		}
	}
}
