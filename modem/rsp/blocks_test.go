package rsp_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"linefit/atcmd"
	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/rsp"
)

// A module that refuses long commands gets the session in small blocks. A size
// that is only tried is tried with the first long message, and given up after a
// refusal, or after seconds without an answer.
func TestSmallBlocks(t *testing.T) {
	for name, c := range map[string]struct {
		opt    euicc.Options
		module refusing
		size   int
		short  bool
		failed time.Duration // 0: it goes through
	}{
		"known, refused":      {euicc.Options{}, refusing{longest: 140}, 120, true, 0},
		"not tried":           {euicc.Options{BlockSize: 120}, refusing{longest: 140}, 120, false, 0},
		"tried and taken":     {euicc.Options{BlockSize: 120, TryBlock: 255}, refusing{longest: 300}, 255, false, 0},
		"tried and refused":   {euicc.Options{BlockSize: 120, TryBlock: 255}, refusing{longest: 140}, 120, true, 0},
		"tried and no answer": {euicc.Options{BlockSize: 120, TryBlock: 255}, refusing{longest: 140, mute: true}, 255, true, 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newModule(t, options{order: small}, "generic-3gpp", 0, nil)
				ch, err := u.channel(apdu.CGLA)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = ch.Close(t.Context()) }()
				c.module.Transmitter = ch
				start := time.Now()
				r, err := rsp.Download(t.Context(), u.params(euicc.New(c.module, c.opt)))
				if (err == nil) != (c.failed == 0) || r.BlockSize != c.size || r.ShortBlocks != c.short {
					t.Fatalf("blocks of %d, short %v, %v", r.BlockSize, r.ShortBlocks, err)
				}
				var f *rsp.Failure
				if err == nil {
					return
				}
				if took := time.Since(start); !errors.As(err, &f) || f.Unknown || f.Step != "AuthenticateServer" || took < c.failed || took > c.failed+5*time.Second {
					t.Errorf("%v after %v", err, took)
				}
			})
		})
	}
}

// A failure of the first long message that has nothing to do with its length
// does not teach that modules of the kind take small blocks only.
func TestFailuresThatAreNotAboutBlocks(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		short bool
	}{
		"port gone":         {atcmd.ErrGone, false},
		"SIM failure":       {&atcmd.CMEError{Code: atcmd.CMESIMFailure}, false},
		"SIM busy":          {&atcmd.CMEError{Code: atcmd.CMESIMBusy}, false},
		"session gone":      {&atcmd.CMEError{Code: atcmd.CMEInvalidIndex}, false},
		"malformed answer":  {apdu.ErrAnswer, false},
		"stopped by us":     {&atcmd.TimeoutError{Cause: context.Canceled}, false},
		"no answer":         {&atcmd.TimeoutError{Cause: context.DeadlineExceeded}, true},
		"refused any block": {&atcmd.ResultError{Result: "ERROR"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{order: small})
			ch, err := apdu.OpenDirect(t.Context(), w.line, isdr, apdu.Options{}, apdu.Route{})
			if err != nil {
				t.Fatal(err)
			}
			card := euicc.New(failing{ch, c.err}, euicc.Options{BlockSize: 120, TryBlock: 255})
			r, err := rsp.Download(t.Context(), w.params(card))
			var f *rsp.Failure
			if !errors.As(err, &f) || f.Step != "AuthenticateServer" || r.ShortBlocks != c.short {
				t.Errorf("short blocks %v, %v", r.ShortBlocks, err)
			}
		})
	}
}

// failing fails every STORE DATA of AuthenticateServer, however small.
type failing struct {
	apdu.Transmitter
	err error
}

// refusing is a module whose AT line is too short.
type refusing struct {
	apdu.Transmitter
	longest int
	mute    bool // it says nothing instead
}

func (f failing) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if len(command) > 7 && command[5] == 0xBF && command[6] == 0x38 {
		return nil, &apdu.Error{Op: "transmit", Route: apdu.CGLA, Unknown: true, Err: f.err}
	}
	return f.Transmitter.Transmit(ctx, command)
}

func (r refusing) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if len(command) > r.longest && r.mute {
		<-ctx.Done()
		return nil, &apdu.Error{Op: "transmit", Route: apdu.CGLA, Unknown: true, Err: &atcmd.TimeoutError{Cause: ctx.Err()}}
	}
	if len(command) > r.longest {
		return nil, &apdu.Error{Op: "transmit", Route: apdu.CGLA, Unknown: true, Err: &atcmd.ResultError{Result: "ERROR"}}
	}
	return r.Transmitter.Transmit(ctx, command)
}
