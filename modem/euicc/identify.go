package euicc

import (
	"context"
	"errors"
	"fmt"

	"linefit/modem/apdu"
	"linefit/modem/wire"
)

// Generation is the specification that an eUICC follows.
type Generation string

// The generations.
const (
	SGP22 Generation = "sgp22" // consumer
	SGP32 Generation = "sgp32" // IoT
	SGP02 Generation = "sgp02" // M2M: no local download
)

// Generation tells consumer from IoT eUICCs by their EUICCInfo2.
func (i Info2) Generation() Generation {
	if len(i.IoTVersions) > 0 || i.IPAMode >= 0 {
		return SGP32
	}
	return SGP22
}

// Channel is an open channel to one application; an [*apdu.Channel] is one.
type Channel interface {
	apdu.Transmitter
	Close(ctx context.Context) error
}

// Opener opens a channel to the application with the given AID.
type Opener func(ctx context.Context, aid []byte) (Channel, error)

// ErrNotEUICC says that the card has neither an ISD-R that answers nor an ECASD.
var ErrNotEUICC = errors.New("card is no eUICC, or its ISD-R is held by another program")

// ErrShut says that the ISD-R is that of a consumer or IoT eUICC and refuses its
// functions all the same: LPA services are shut. Nobody told the card of an LPA
// (TERMINAL CAPABILITY, SGP.22 section 5.7.1), or in-factory keys are left on it.
var ErrShut = errors.New("no M2M eUICC, its ISD-R is that of SGP.22 and its LPA services are shut: the module does not tell the card of an LPA (TERMINAL CAPABILITY), or in-factory keys are left")

// Identity is what an eUICC is.
type Identity struct {
	EID        []byte
	Generation Generation
	Info2      *Info2 // nil on SGP.02
}

// Identify finds out which eUICC this is. It asks the ISD-R first; where that
// knows no function of SGP.22, it reads the EID from the ECASD as SGP.02 does.
// Every eUICC has an ECASD: an ISD-R that only failed makes none an M2M eUICC, nor
// one that names its version of SGP.22 when it is selected ([ErrShut]). It closes
// every channel it opened.
func Identify(ctx context.Context, open Opener, opt Options) (Identity, error) {
	id, err := identifyISDR(ctx, open, opt)
	if err == nil || errors.Is(err, ErrShut) || !unknownFunction(err) && !errors.Is(err, apdu.ErrNoApplication) {
		return id, err
	}
	eid, second := ecasdEID(ctx, open)
	if second != nil {
		return Identity{}, fmt.Errorf("%w: %w; %w", ErrNotEUICC, err, second)
	}
	return Identity{EID: eid, Generation: SGP02}, nil
}

// unknownFunction reports whether a card said that it does not do what it was
// asked for, and not that it could not do it now.
func unknownFunction(err error) bool {
	var refused *StatusError
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.SW {
	case wire.SWConditionsNotSatisfied, wire.SWSecurityStatus, wire.SWWrongData, wire.SWFunctionNotSupported, wire.SWWrongP1P2,
		wire.SWDataNotFound, wire.SWInsNotSupported, wire.SWClaNotSupported:
		return true
	}
	return false
}

func identifyISDR(ctx context.Context, open Opener, opt Options) (id Identity, err error) {
	ch, err := open(ctx, wire.AIDISDR)
	if err != nil {
		return Identity{}, err
	}
	defer func() { err = errors.Join(err, ch.Close(ctx)) }()
	card := New(ch, opt)
	info, err := card.Info2(ctx)
	if err != nil {
		if unknownFunction(err) && namesVersion(ctx, ch, opt) {
			err = fmt.Errorf("%w: %w", ErrShut, err)
		}
		return Identity{}, err
	}
	eid, err := card.EID(ctx)
	if err != nil {
		return Identity{}, err
	}
	return Identity{EID: eid, Generation: info.Generation(), Info2: &info}, nil
}

// namesVersion reports whether the application on the channel, selected once more,
// answers with the template that the ISD-R of SGP.22 and SGP.32 has and that of
// SGP.02 has not: E0, with the version in 82 (SGP.22 section 5.7.1, annex H
// ISDRProprietaryApplicationTemplate). A module that keeps SELECT to itself, and a
// card that gives no template, leave it open.
func namesVersion(ctx context.Context, ch Channel, opt Options) bool {
	sel := wire.Command{INS: wire.InsSelect, P1: 0x04, Data: wire.AIDISDR, Ne: 256}
	if opt.OmitLe {
		sel.Ne = 0
	}
	command, err := sel.Append(nil)
	if err != nil {
		return false
	}
	answer, err := ch.Transmit(ctx, command)
	if err != nil || len(answer) < 2 {
		return false
	}
	fci, err := wire.ParseTag(answer[:len(answer)-2], 0x6F)
	if err != nil {
		return false
	}
	_, found := fci.Find(0xE0, 0x82)
	return found
}

// ecasdEID reads the EID by GET DATA 5A on the ECASD (SGP.02 section 4.1.1.1).
func ecasdEID(ctx context.Context, open Opener) (eid []byte, err error) {
	ch, err := open(ctx, wire.AIDECASD)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ch.Close(ctx)) }()
	response, err := ch.Transmit(ctx, []byte{0x80, wire.InsGetData, 0x00, 0x5A, 0x00})
	if err != nil {
		return nil, err
	}
	n := len(response) - 2
	if n < 0 {
		return nil, &ResponseError{Function: "GET DATA", Err: wire.ErrTruncated}
	}
	if sw := wire.SW(response[n])<<8 | wire.SW(response[n+1]); !sw.OK() {
		return nil, &StatusError{Function: "GET DATA", SW: sw, Blocks: 1}
	}
	data, err := wire.ParseTag(response[:n], 0x5A)
	if err != nil || len(data.Value) != 16 {
		return nil, &ResponseError{Function: "GET DATA", Err: fmt.Errorf("%w: EID of %d bytes", wire.ErrOutOfRange, len(data.Value))}
	}
	return data.Value, nil
}
