package apdu

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"linefit/atcmd"
	"linefit/modem/wire"
)

// Executor runs AT commands one at a time; an [*atcmd.Port] is one.
type Executor interface {
	Do(ctx context.Context, cmd atcmd.Command) (atcmd.Response, error)
}

// csim carries raw APDUs, channel bits included (TS 27.007 section 8.17).
type csim struct {
	at    Executor
	route Route
}

// Transmit sends one APDU of any channel.
func (c csim) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	text := fmt.Sprintf("AT+CSIM=%d,%s", 2*len(command), quoted(command, c.route))
	return exchange(ctx, c.at, "+CSIM", text, c.route.Deadlines.Transmit)
}

// cgla carries APDUs of one session (TS 27.007 section 8.43).
type cgla struct {
	at     Executor
	handle string
	route  Route
}

// Transmit sends one APDU in the session.
func (c cgla) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	text := fmt.Sprintf("AT+CGLA=%s,%d,%s", c.handle, 2*len(command), quoted(command, c.route))
	return exchange(ctx, c.at, "+CGLA", text, c.route.Deadlines.Transmit)
}

func quoted(b []byte, r Route) string {
	s := strings.ToUpper(hex.EncodeToString(b))
	if r.Unquoted {
		return s
	}
	return `"` + s + `"`
}

// exchange runs one APDU command. It is always secret to the AT trace: a block
// in the middle of a chain cannot be told from key material there. The APDU
// trace of this package knows more and redacts by content.
func exchange(ctx context.Context, at Executor, prefix, text string, timeout time.Duration) ([]byte, error) {
	resp, err := at.Do(ctx, atcmd.Command{Text: text, Prefix: prefix, Require: true, Timeout: timeout, Secret: true})
	if err != nil {
		return nil, err
	}
	if len(resp.Lines) != 1 {
		return nil, fmt.Errorf("%w: %d lines", ErrAnswer, len(resp.Lines))
	}
	return parseAnswer(atcmd.CutPrefix(resp.Lines[0], prefix))
}

// parseAnswer reads `<length>,<hex>`: the length counts hexadecimal characters,
// the string may be quoted and in either case.
func parseAnswer(s string) ([]byte, error) {
	length, text, ok := strings.Cut(s, ",")
	if !ok {
		return nil, fmt.Errorf("%w: no comma behind the length", ErrAnswer)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(length), 10, 20)
	if err != nil {
		return nil, fmt.Errorf("%w: the length is no number", ErrAnswer)
	}
	text = strings.TrimSpace(text)
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	if uint64(len(text)) != n {
		return nil, fmt.Errorf("%w: %d characters announced, %d came", ErrAnswer, n, len(text))
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %d characters are not hexadecimal pairs", ErrAnswer, n)
	}
	if len(b) < 2 || len(b) > MaxResponse+2 { // a module that fetches by itself gives all at once
		return nil, fmt.Errorf("%w: response of %d bytes", ErrAnswer, len(b))
	}
	return b, nil
}

// openSession is CCHO. The answer is an opaque string, with or without prefix
// and quotation marks: a number on one module, a handle of 16 digits on another.
func openSession(ctx context.Context, at Executor, aid []byte, timeout time.Duration) (string, error) {
	resp, err := at.Do(ctx, atcmd.Command{
		Text: `AT+CCHO="` + strings.ToUpper(hex.EncodeToString(aid)) + `"`, Prefix: "+CCHO",
		Bare: isHandle, Require: true, Timeout: timeout,
	})
	if err != nil {
		return "", err
	}
	if len(resp.Lines) == 0 {
		return "", fmt.Errorf("%w: no session", ErrAnswer)
	}
	handle, _, _ := strings.Cut(atcmd.CutPrefix(resp.Lines[0], "+CCHO"), ",")
	handle = strings.Trim(strings.TrimSpace(handle), `"`)
	if !isHandle(handle) {
		return "", fmt.Errorf("%w: %q is no session", ErrAnswer, handle)
	}
	return handle, nil
}

func isHandle(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if !strings.ContainsRune("0123456789abcdefABCDEF", rune(s[i])) {
			return false
		}
	}
	return true
}

func closeSession(ctx context.Context, at Executor, handle string, timeout time.Duration) error {
	_, err := at.Do(ctx, atcmd.Command{Text: "AT+CCHC=" + handle, Prefix: "+CCHC", Timeout: timeout})
	return err
}

// sessionClass is the class byte for PatchCLA. A handle that is no channel
// number leaves it alone.
func sessionClass(handle string) func(byte) byte {
	n, err := strconv.ParseUint(handle, 10, 8)
	if err != nil || n > 19 {
		return func(cla byte) byte { return cla }
	}
	return channelClass(int(n))
}

func channelClass(channel int) func(byte) byte {
	return func(cla byte) byte {
		patched, err := wire.ClassChannel(cla, channel)
		if err != nil {
			return cla
		}
		return patched
	}
}
