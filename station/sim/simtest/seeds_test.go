package simtest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linefit/audit/store/storetest"
	"linefit/modem/smdpsim"
	"linefit/station/sim/simtest"
)

// TestSeeds makes a line anew for each seed: modules, cards, SM-DP+, MES,
// operator, disk and the moments of kills all follow from it. Then world and log
// are held against one another: queue, profiles, every INTENT with its RESULT or
// an UNKNOWN that was read back, the log's own counters. LINEFIT_SEEDS says how
// many, LINEFIT_SEED which one alone.
func TestSeeds(t *testing.T) {
	number := func(name string, otherwise uint64) uint64 {
		n, err := strconv.ParseUint(os.Getenv(name), 10, 64)
		if err != nil {
			return otherwise
		}
		return n
	}
	first, n := number("LINEFIT_SEED", 1), number("LINEFIT_SEEDS", 8)
	if os.Getenv("LINEFIT_SEED") != "" {
		n = 1
	}
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { seeded(t, seed) })
		})
	}
}

// seeded is one line.
func seeded(t *testing.T, seed uint64) {
	dice := rand.New(rand.NewPCG(seed, 77))
	pick := func(of ...string) string { return of[dice.IntN(len(of))] }
	units, slots, faults := 2+dice.IntN(2), 1+dice.IntN(2), pick("none", "typical", "typical", "harsh")
	l := simtest.New(t, simtest.Options{
		Units: units, Slots: slots, Spare: 3, Seed: seed, Faults: faults,
		CSIM: dice.IntN(4) == 0, Mix: []string{"demo-eg25", "demo-sara-r5", "demo-le910", "demo-nrf91", "demo-generic"}[dice.IntN(5):],
	})
	s := simtest.NewShift(l, seed)
	s.Hands, s.Slips = time.Second, 0.1*float64(dice.IntN(3))
	servers := []smdpsim.Point{smdpsim.InitiateAuthentication, smdpsim.AuthenticateClient, smdpsim.GetBoundProfilePackage, smdpsim.HandleNotification, smdpsim.CancelSession}
	said := ""
	for range 1 + dice.IntN(4) {
		at := l.Head() + 1 + uint64(dice.IntN(60))
		what := dice.IntN(9)
		said += fmt.Sprintf(" %d@%d", what, at)
		switch what {
		case 0:
			l.KillAfter(at)
		case 1:
			l.KillBefore(at)
		case 2:
			l.FailAt(at, storetest.Failed)
		case 3:
			l.FailAt(at, storetest.TookEffect)
		case 4:
			l.FailAt(at, storetest.Torn)
		case 5:
			l.FailAt(at, storetest.Full)
		case 6:
			s.NoMES(true)
		case 7:
			hows := []simtest.How{simtest.Failed, simtest.TookEffect, simtest.Lost, simtest.AnswerLost, simtest.KilledBefore, simtest.KilledAfter}
			l.Fault(simtest.Server(servers[dice.IntN(len(servers))]), hows[dice.IntN(len(hows))])
		case 8:
			hows := []simtest.How{simtest.KilledBefore, simtest.KilledAfter, simtest.PowerBefore, simtest.PowerAfter}
			l.Fault(simtest.Load(1+dice.IntN(4)), hows[dice.IntN(len(hows))])
		}
		s.Work(time.Duration(1+dice.IntN(20)) * time.Minute)
		s.NoMES(false)
		l.MakeSpace()
	}
	l.KillAfter(0)
	l.KillBefore(0)
	for n := 0; !s.Work(time.Hour); n++ {
		if n == 12 {
			t.Fatalf("the line does not come to rest:%s: %+v", said, l.Station.View())
		}
		l.MakeSpace()
	}
	l.Drain()
	for _, p := range l.Account().Problems {
		// A module that is mute at boot, which is one of the faults, may be on the
		// air before anybody can tell it not to.
		if faults == "none" || !strings.HasSuffix(p, "attempts to register on a network") {
			t.Errorf("%s; seed %d:%s", p, seed, said)
		}
	}
}
