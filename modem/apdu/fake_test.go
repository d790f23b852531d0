package apdu_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"linefit/atcmd"
)

// fakeModule answers the APDU commands of a module from a function that is the
// card. It is a Executor.
type fakeModule struct {
	card func(command []byte) []byte

	noCGLA bool                            // CCHO is not known
	answer func(prefix, hex string) string // shapes a CGLA or CSIM answer
	open   []string                        // answers to CCHO, in turn; empty: "+CCHO: 1"
	fail   func(text string) error         // an error in place of an answer
	after  bool                            // the error comes after the card has seen the command
	log    []string
	closed []string
}

func (m *fakeModule) Do(_ context.Context, cmd atcmd.Command) (atcmd.Response, error) {
	m.log = append(m.log, cmd.Text)
	if m.fail != nil && !m.after {
		if err := m.fail(cmd.Text); err != nil {
			return atcmd.Response{}, err
		}
	}
	switch {
	case strings.HasPrefix(cmd.Text, "AT+CCHO="):
		return m.ccho(cmd)
	case strings.HasPrefix(cmd.Text, "AT+CCHC="):
		m.closed = append(m.closed, strings.TrimPrefix(cmd.Text, "AT+CCHC="))
		return atcmd.Response{Final: "OK"}, nil
	}
	parts := strings.Split(strings.ReplaceAll(cmd.Text[strings.Index(cmd.Text, "=")+1:], `"`, ""), ",")
	text := parts[len(parts)-1]
	raw, err := hex.DecodeString(text)
	if err != nil || parts[len(parts)-2] != fmt.Sprint(len(text)) {
		return atcmd.Response{}, &atcmd.ResultError{Result: "ERROR"}
	}
	response := strings.ToUpper(hex.EncodeToString(m.card(raw)))
	if m.fail != nil {
		if err := m.fail(cmd.Text); err != nil {
			return atcmd.Response{}, err
		}
	}
	line := fmt.Sprintf(`%s: %d,"%s"`, cmd.Prefix, len(response), response)
	if m.answer != nil {
		line = m.answer(cmd.Prefix, response)
	}
	return atcmd.Response{Lines: []string{line}, Final: "OK"}, nil
}

func (m *fakeModule) ccho(cmd atcmd.Command) (atcmd.Response, error) {
	if m.noCGLA {
		return atcmd.Response{}, &atcmd.CMEError{Code: atcmd.CMENotSupported}
	}
	line := "+CCHO: 1"
	if len(m.open) > 0 {
		line, m.open = m.open[0], m.open[1:]
	}
	if line == "ERROR" {
		return atcmd.Response{}, &atcmd.CMEError{Code: atcmd.CMEMemoryFull}
	}
	if !strings.HasPrefix(line, cmd.Prefix) && !cmd.Bare(line) {
		return atcmd.Response{}, fmt.Errorf("line %q has no shape: %w", line, atcmd.ErrNoAnswer)
	}
	return atcmd.Response{Lines: []string{line}, Final: "OK"}, nil
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// table is a card that answers by exact command, with 6D00 for all else.
func table(tb testing.TB, pairs ...string) func([]byte) []byte {
	return func(command []byte) []byte {
		for i := 0; i < len(pairs); i += 2 {
			if strings.EqualFold(hex.EncodeToString(command), strings.ReplaceAll(pairs[i], " ", "")) {
				return unhex(tb, pairs[i+1])
			}
		}
		return []byte{0x6D, 0x00}
	}
}
