package vpcd_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"linefit/modem/euiccsim"
	"linefit/modem/euiccsim/vpcd"
	"linefit/modem/testpki"
)

// card is a virtual eUICC that takes a second for each command.
func card(tb testing.TB) *euiccsim.Card {
	tb.Helper()
	ca, err := testpki.New([]byte("vpcd"))
	if err != nil {
		tb.Fatal(err)
	}
	pki, err := ca.Card("89049032123451234512345678901235")
	if err != nil {
		tb.Fatal(err)
	}
	c, err := euiccsim.New(euiccsim.Options{PKI: pki, Image: &euiccsim.MemoryImage{}, Delays: euiccsim.Delays{APDU: time.Second}})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// reader is the driver's side.
type reader struct {
	t    *testing.T
	conn net.Conn
}

func (r *reader) send(s string) {
	r.t.Helper()
	b, err := hex.DecodeString(s)
	if err == nil {
		_, err = r.conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *reader) receive() string {
	r.t.Helper()
	var n [2]byte
	if _, err := io.ReadFull(r.conn, n[:]); err != nil {
		r.t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint16(n[:]))
	if _, err := io.ReadFull(r.conn, b); err != nil {
		r.t.Fatal(err)
	}
	return hex.EncodeToString(b)
}

func (r *reader) ask(s string) string {
	r.t.Helper()
	r.send(s)
	return r.receive()
}

// inserted runs f with a card in the reader and returns what Serve returned.
func inserted(t *testing.T, f func(*reader, context.CancelFunc)) (err error) {
	t.Helper()
	c := card(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		here, there := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- vpcd.Serve(ctx, there, c) }()
		f(&reader{t, here}, cancel)
		err = <-done
		_ = here.Close()
		if response, _ := c.Transmit([]byte{0x80, 0xF2, 0, 0x0C}); response != nil {
			t.Error("the card has power behind the end")
		}
	})
	return err
}

const selectISDR = "00a4040010a0000005591010ffffffff8900000100"

func TestCardInReader(t *testing.T) {
	err := inserted(t, func(r *reader, _ context.CancelFunc) {
		atr := r.ask("04")
		if len(atr) < 4 || atr[:2] != "3b" {
			t.Errorf("answer to reset %s", atr)
		}
		begin := time.Now()
		if got := r.ask(selectISDR); got[:2] != "61" {
			t.Errorf("SELECT without Le: %s, want 61xx", got)
		} else if data := r.ask("00c00000" + got[2:]); data[:2] != "6f" || data[len(data)-4:] != "9000" {
			t.Errorf("GET RESPONSE: %s", data)
		}
		if d := time.Since(begin); d != 2*time.Second {
			t.Errorf("two commands took %s, want the card's 2s", d)
		}
		if got := r.ask("0070000001"); got != "019000" {
			t.Errorf("MANAGE CHANNEL: %s", got)
		}
		r.send("02")
		if got := r.ask("01a4040010a0000005591010ffffffff8900000100"); got != "6881" {
			t.Errorf("channel 1 behind a reset: %s, want 6881", got)
		}
		r.send("00")
		if got := r.ask("04"); got != atr {
			t.Errorf("without power: %s, the card is still there", got)
		}
		if got := r.ask(selectISDR); got != "" {
			t.Errorf("without power: %s", got)
		}
		r.send("01")
		if got := r.ask(selectISDR); got[:2] != "61" {
			t.Errorf("powered again: %s", got)
		}
		_ = r.conn.Close()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEnds(t *testing.T) {
	if err := inserted(t, func(_ *reader, cancel context.CancelFunc) { cancel() }); err != nil {
		t.Errorf("ended context: %v", err)
	}
	for _, s := range []string{"", "7f"} {
		if err := inserted(t, func(r *reader, _ context.CancelFunc) { r.send(s) }); !errors.Is(err, vpcd.ErrMessage) {
			t.Errorf("message %q: %v", s, err)
		}
	}
	err := inserted(t, func(r *reader, _ context.CancelFunc) {
		_, _ = r.conn.Write([]byte{0, 5, 0x80})
		_ = r.conn.Close()
	})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off in a message: %v", err)
	}
}

// FuzzReader sends what a broken reader might: nothing may panic or hang.
func FuzzReader(f *testing.F) {
	f.Add([]byte{0, 1, 4, 0, 5, 0, 0xA4, 4, 0, 0})
	f.Add([]byte{0xFF, 0xFF, 0})
	f.Add([]byte{0, 0})
	c := card(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		err := vpcd.Serve(t.Context(), &tape{in: bytes.NewReader(in)}, quick{c})
		if err != nil && !errors.Is(err, vpcd.ErrMessage) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
}

// quick is a card that takes no time.
type quick struct{ *euiccsim.Card }

func (m quick) Transmit(apdu []byte) ([]byte, time.Duration) {
	b, _ := m.Card.Transmit(apdu)
	return b, 0
}

type tape struct{ in *bytes.Reader }

func (t *tape) Read(b []byte) (int, error)  { return t.in.Read(b) }
func (t *tape) Write(b []byte) (int, error) { return len(b), nil }
func (t *tape) Close() error                { return nil }
