// Package vpcd puts a virtual card into a virtual smart card reader: the one
// that the driver vpcd of the vsmartcard project shows to PC/SC. Programs that
// speak PC/SC then reach the card as any other in a reader.
//
// The driver listens, by default at TCP ports 35963 and 35964, one for each
// slot; the card connects. Each message is a length of two bytes, most
// significant first, and that many bytes. One byte from the reader is a signal:
//
//	00 power off    01 power on    02 reset    04 send the answer to reset
//
// Only the last one is answered. Anything longer is a command APDU, answered by
// its response APDU.
//
//	conn, err := net.Dial("tcp", "127.0.0.1:35963")
//	err = vpcd.Serve(ctx, conn, card) // until ctx or the connection ends
//
// # Owners
//
// [Serve] owns the card and the connection: it inserts the card (which powers
// it), closes the connection and leaves the card without power when it returns.
// The time that the card models for a command passes before its answer.
//
// # Limits
//
// Messages have at most 65,535 bytes. A card that does not answer (without
// power, or mute) gives an empty message, which the driver takes for a failed
// exchange.
package vpcd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"linefit/internal/pause"
)

// Card is a UICC.
type Card interface {
	// Reset gives power and clock, or a reset to a powered card, and returns
	// the answer to reset (ISO/IEC 7816-3 section 8); nil when it is mute.
	Reset() []byte
	// PowerCut takes the power away.
	PowerCut()
	// Transmit carries one command APDU and returns the response APDU and the
	// processing time that the card models.
	Transmit(apdu []byte) (response []byte, busy time.Duration)
}

// ErrMessage is the error of a reader that sends what no reader sends.
var ErrMessage = errors.New("not a message of a virtual reader")

// Signals of the reader.
const (
	signalOff   = 0x00
	signalOn    = 0x01
	signalReset = 0x02
	signalATR   = 0x04
)

// Serve keeps the card in the reader until ctx ends or the reader closes the
// connection; both give nil. Errors wrap [ErrMessage] or are the connection's.
func Serve(ctx context.Context, conn io.ReadWriteCloser, card Card) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		if stop() {
			_ = conn.Close()
		}
		card.PowerCut()
	}()
	s := &slot{conn: conn, card: card, atr: card.Reset()}
	for {
		err := s.message(ctx)
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil, errors.Is(err, io.EOF):
			return nil
		}
		return err
	}
}

// slot is the reader's with the card in it.
type slot struct {
	conn io.ReadWriter
	card Card
	atr  []byte // of the last reset; a reader asks for it to see whether a card is there
}

// message takes one message and answers it.
func (s *slot) message(ctx context.Context) error {
	var length [2]byte
	if _, err := io.ReadFull(s.conn, length[:]); err != nil {
		return err
	}
	acknowledge(s.conn)
	b := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(s.conn, b); err != nil {
		return err
	}
	switch len(b) {
	case 0:
		return fmt.Errorf("%w: it is empty", ErrMessage)
	case 1:
		return s.signal(b[0])
	}
	response, busy := s.card.Transmit(b)
	if err := pause.For(ctx, busy); err != nil {
		return err
	}
	return s.answer(response)
}

func (s *slot) signal(b byte) error {
	switch b {
	case signalOff:
		s.card.PowerCut()
	case signalOn, signalReset:
		s.atr = s.card.Reset()
	case signalATR:
		return s.answer(s.atr)
	default:
		return fmt.Errorf("%w: signal %02X", ErrMessage, b)
	}
	return nil
}

func (s *slot) answer(b []byte) error {
	if len(b) > 0xFFFF {
		return fmt.Errorf("%w: the card's answer has %d bytes", ErrMessage, len(b))
	}
	_, err := s.conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	return err
}
