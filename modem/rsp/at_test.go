package rsp_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"linefit/atcmd"
	"linefit/configs"
	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/euiccsim"
	"linefit/modem/modemsim"
	"linefit/modem/rsp"
)

// module puts a virtual module in front of the world's card. It runs inside a
// synctest bubble.
type module struct {
	*world
	m    *modemsim.Module
	link *modemsim.Link
	port *atcmd.Port
	gap  time.Duration
	stop func()
}

var personas = sync.OnceValues(func() (modemsim.Personas, error) { return modemsim.LoadPersonas(configs.FS, "personas") })

func newModule(t *testing.T, o options, persona string, baud int, faults modemsim.Faults) *module {
	t.Helper()
	all, err := personas()
	if err != nil {
		t.Fatal(err)
	}
	p, err := all.Get(persona)
	if err != nil {
		t.Fatal(err)
	}
	return newModuleLike(t, o, p, baud, faults)
}

// newModuleLike is newModule with a persona that is in no file.
func newModuleLike(t *testing.T, o options, p modemsim.Persona, baud int, faults modemsim.Faults) *module {
	t.Helper()
	w := newWorld(t, o)
	m, err := modemsim.New(modemsim.Options{Persona: p, Card: w.card, IMEI: "356938035643809", Serial: "1", Baud: baud, Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	u := &module{world: w, m: m, link: modemsim.NewLink(m)}
	if p.Name == "ublox-sara-r5" {
		u.gap = 20 * time.Millisecond
	}
	done := make(chan error, 1)
	go func() { done <- u.link.Run(ctx) }()
	u.stop = func() {
		if u.port != nil {
			_ = u.port.Close()
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(u.stop)
	u.cycle()
	return u
}

// cycle takes the power away, gives it back and opens the port anew.
func (u *module) cycle() {
	if u.port != nil {
		_ = u.port.Close()
	}
	u.m.PowerOff()
	u.m.PowerOn()
	if err := u.m.WaitReady(context.Background()); err != nil {
		u.t.Fatal(err)
	}
	rwc, err := u.link.Open()
	if err != nil {
		u.t.Fatal(err)
	}
	u.port = atcmd.Open(rwc, atcmd.Options{Timeout: 5 * time.Second, Gap: u.gap})
	for _, text := range []string{"ATE0", "AT+CMEE=1"} {
		if _, err := u.port.Do(context.Background(), atcmd.Command{Text: text}); err != nil {
			u.t.Fatalf("%s: %v", text, err)
		}
	}
}

func (u *module) channel(kind apdu.Kind) (*apdu.Channel, error) {
	deadlines := apdu.Deadlines{Open: 5 * time.Second, Transmit: 5 * time.Second, Close: 5 * time.Second, Grace: time.Second}
	return apdu.Open(context.Background(), u.port, isdr, apdu.Options{}, apdu.Route{Kind: kind, Deadlines: deadlines})
}

// run downloads over a fresh channel.
func (u *module) run(kind apdu.Kind) (*rsp.Result, error) {
	ch, err := u.channel(kind)
	if err != nil {
		return nil, err
	}
	defer func() { _ = ch.Close(context.Background()) }()
	return rsp.Download(context.Background(), u.params(euicc.OnChannel(ch)))
}

func TestDownloadOverAT(t *testing.T) {
	for _, persona := range []string{"generic-3gpp", "quectel-eg25", "ublox-sara-r5", "telit-le910"} {
		for _, kind := range []apdu.Kind{apdu.CGLA, apdu.CSIM} {
			synctest.Test(t, func(t *testing.T) {
				u := newModule(t, options{}, persona, 115200, nil)
				start := time.Now()
				r, err := u.run(kind)
				if err != nil {
					t.Logf("%s over %v: %v", persona, kind, err)
					if errors.Is(err, apdu.ErrRefused) || apdu.RefusedByModule(err) {
						return // the family does not have this route on a card without a profile
					}
					t.Error(err)
					return
				}
				if len(u.card.State().Profiles) != 1 || !r.Delivery.Removed {
					t.Errorf("%s over %v: %+v", persona, kind, u.card.State())
				}
				t.Logf("%s over %v: %d APDUs in blocks of %d, %v at 115200", persona, kind, r.APDUs.APDUs, r.BlockSize, time.Since(start).Round(time.Millisecond))
			})
		}
	}
}

// A module that fetches 61xx by itself gives a response of any length in one
// answer: here a notification with the eUICC's certificates.
func TestModuleThatFetchesByItself(t *testing.T) {
	all, err := personas()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		p, err := all.Get("generic-3gpp")
		if err != nil {
			t.Fatal(err)
		}
		p.APDU.Channel.Fetch = true
		u := newModuleLike(t, options{card: func(o *euiccsim.Options) { o.Direct = false }, order: small}, p, 0, nil)
		if r, err := u.run(apdu.CGLA); err != nil || !r.Delivery.Removed {
			t.Fatalf("%+v, %v", r, err)
		}
		ch, err := u.channel(apdu.CGLA)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ch.Close(t.Context()) }()
		card := euicc.OnChannel(ch)
		profiles, err := card.Profiles(t.Context())
		if err != nil || len(profiles) != 1 {
			t.Fatalf("%+v, %v", profiles, err)
		}
		if err := card.Enable(t.Context(), euicc.Handle{ICCID: profiles[0].RawICCID}, false); err != nil {
			t.Fatal(err)
		}
		list, err := card.Notifications(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		if pending, err := card.Retrieve(t.Context(), list[0].Sequence); err != nil || len(pending) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		if n := ch.Counters(); n.GetResponses != 0 || n.BytesIn < 1000 {
			t.Errorf("%+v", n)
		}
	})
}

// The faults of a line, at every APDU of a load and around it, on both routes.
// What Reconcile says on a reopened channel is compared with the card's state.
func TestFaultyLine(t *testing.T) {
	counts := map[string]int{}
	for _, kind := range []apdu.Kind{apdu.CGLA, apdu.CSIM} {
		command := map[apdu.Kind]string{apdu.CGLA: "+CGLA", apdu.CSIM: "+CSIM"}[kind]
		for i, fault := range []struct {
			point string
			fault modemsim.Fault
		}{
			{command, modemsim.Fault{Kind: modemsim.FaultError}},
			{command + ".done", modemsim.Fault{Kind: modemsim.FaultError}},
			{command, modemsim.Fault{Kind: modemsim.FaultCME, Code: 100}},
			{command + ".done", modemsim.Fault{Kind: modemsim.FaultSilent}},
			{command + ".done", modemsim.Fault{Kind: modemsim.FaultLate, Delay: 7 * time.Second}},
			{command + ".done", modemsim.Fault{Kind: modemsim.FaultTruncate, N: 9}},
			{command + ".done", modemsim.Fault{Kind: modemsim.FaultCut, Delay: time.Second}},
			{command, modemsim.Fault{Kind: modemsim.FaultCut, Delay: time.Second}},
		} {
			for n := 0; ; n++ {
				if n > 12 && n%3 != i%3 {
					continue // all of them in TestBrokenAtEveryAPDU; here each kind at a third of the blocks
				}
				name := fmt.Sprintf("%s %s, APDU %d", fault.point, fault.fault.Kind, n)
				var struck atomic.Bool
				synctest.Test(t, func(t *testing.T) {
					once := modemsim.FaultFunc(func(point string, i int) (modemsim.Fault, bool) {
						if struck.Load() || point != fault.point || i != n {
							return modemsim.Fault{}, false
						}
						struck.Store(true)
						return fault.fault, true
					})
					u := newModule(t, options{order: small}, "generic-3gpp", 0, once)
					_, err := u.run(kind)
					if !struck.Load() {
						return
					}
					u.check(name, err)
					counts[u.settle(name, kind)]++
				})
				if !struck.Load() || t.Failed() {
					break
				}
			}
		}
	}
	t.Logf("%v", counts)
}

// settle brings the line back, reconciles and finishes the unit.
func (u *module) settle(name string, kind apdu.Kind) string {
	u.cycle()
	ch, err := u.channel(kind)
	if err != nil {
		u.t.Fatalf("%s: reopen: %v", name, err)
	}
	rec, err := rsp.Reconcile(context.Background(), u.last().phase, u.last().detail, euicc.OnChannel(ch))
	if err != nil {
		u.t.Fatalf("%s: %v", name, err)
	}
	_ = ch.Close(context.Background())
	want := rsp.Absent
	if slices.ContainsFunc(u.card.State().Profiles, func(p euiccsim.ProfileState) bool { return p.ICCID == u.order.ICCID }) {
		want = rsp.Installed
	}
	if rec.Outcome != want {
		u.t.Errorf("%s: %s, the card is %s", name, rec.Outcome, want)
	}
	if rec.Outcome == rsp.Absent {
		if _, err := u.run(kind); err != nil {
			u.t.Errorf("%s: again: %v", name, err)
		}
	}
	if len(u.card.State().Profiles) != 1 {
		u.t.Errorf("%s: %+v", name, u.card.State().Profiles)
	}
	return string(want)
}
