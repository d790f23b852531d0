package atcmd_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"linefit/atcmd"
)

// answerer is a module that answers every command line at once.
func answerer(b *testing.B, answer string) io.ReadWriteCloser {
	host, module := net.Pipe()
	b.Cleanup(func() { _ = module.Close() })
	go func() {
		r := bufio.NewReader(module)
		for {
			if _, err := r.ReadSlice('\r'); err != nil {
				return
			}
			if _, err := io.WriteString(module, answer); err != nil {
				return
			}
		}
	}()
	return host
}

// BenchmarkTransaction is one command and its answer over an in-memory pipe:
// an AT, and CGLA with answers of a usual and of the greatest size.
func BenchmarkTransaction(b *testing.B) {
	for _, bench := range []struct {
		name   string
		cmd    atcmd.Command
		answer string
	}{
		{"AT", atcmd.Command{Text: "AT"}, "\r\nOK\r\n"},
		{"CGLA-255", cgla(255), cglaAnswer(20)},
		{"CGLA-32k", cgla(5), cglaAnswer(32 << 10)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			p := atcmd.Open(answerer(b, bench.answer), atcmd.Options{})
			defer func() { _ = p.Close() }()
			b.SetBytes(int64(len(bench.cmd.Text) + len(bench.answer)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Do(b.Context(), bench.cmd); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func cgla(n int) atcmd.Command {
	return atcmd.Command{Text: fmt.Sprintf("AT+CGLA=1,%d,\"%s\"", 2*n, strings.Repeat("A5", n)), Prefix: "+CGLA", Require: true}
}

func cglaAnswer(n int) string {
	return fmt.Sprintf("\r\n+CGLA: %d,\"%s\"\r\n\r\nOK\r\n", 2*n, strings.Repeat("5A", n))
}
