package simtest

import (
	"context"
	"errors"
	"time"

	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/rsp"
	"linefit/modem/wire"
	"linefit/station/sim"
)

// raw is a card without a module.
type raw struct {
	card interface {
		Transmit([]byte) ([]byte, time.Duration)
	}
}

// Transmit implements apdu.Transmitter.
func (r raw) Transmit(_ context.Context, command []byte) ([]byte, error) {
	response, _ := r.card.Transmit(command)
	if response == nil {
		return nil, errors.New("simtest: the card is mute")
	}
	return response, nil
}

// Elsewhere downloads the n-th profile that the line bought to a unit's eUICC,
// by an LPA that the station knows nothing of, and enables it where that is
// wanted. The unit must stand in no slot.
func (l *Line) Elsewhere(u sim.UnitState, n int, enable bool) {
	l.t.Helper()
	l.must(l.elsewhere(u, n, enable, true))
}

// ElsewhereFails is Elsewhere for a card that does not take the profile; what it
// says of that stays on it.
func (l *Line) ElsewhereFails(u sim.UnitState, n int) {
	l.t.Helper()
	if l.elsewhere(u, n, false, false) == nil {
		l.t.Fatal("the profile was installed")
	}
}

func (l *Line) elsewhere(u sim.UnitState, n int, enable, deliver bool) error {
	l.t.Helper()
	card, err := l.World.CardOf(u)
	l.must(err)
	card.Reset()
	defer card.PowerCut()
	ctx := l.t.Context()
	channel, err := apdu.OpenDirect(ctx, raw{card}, wire.AIDISDR, apdu.Options{}, apdu.Route{})
	l.must(err)
	codes, err := l.World.Codes()
	l.must(err)
	code, err := rsp.ParseActivationCode(codes[n].Text.Reveal())
	l.must(err)
	isdr := euicc.OnChannel(channel)
	_, err = rsp.Download(ctx, rsp.Params{
		Card: isdr, Client: rsp.NewClient(rsp.ClientConfig{Transport: l.World.SMDP()}), Code: code,
		Device: euicc.Device{IMEI: u.IMEI}, EID: u.EID.Bytes(), Deliver: deliver,
		Recorder: rsp.RecorderFunc(func(context.Context, rsp.Phase, rsp.Detail) error { return nil }),
	})
	if err == nil && enable {
		err = isdr.Enable(ctx, euicc.ByICCID(codes[n].ICCID), false)
	}
	return err
}
