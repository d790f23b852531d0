package atcmd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"linefit/atcmd"
)

func ExamplePort_Do() {
	host, module := net.Pipe()
	go func() { // a module that is still reading its card
		b := make([]byte, 64)
		_, _ = module.Read(b)
		_, _ = io.WriteString(module, "AT+CPIN?\r\r\n+CME ERROR: 14\r\n")
	}()
	port := atcmd.Open(host, atcmd.Options{URCs: []string{"+CPIN", "RDY"}})
	defer port.Close()

	resp, err := port.Do(context.Background(), atcmd.Command{Text: "AT+CPIN?", Prefix: "+CPIN", Require: true, Timeout: 10 * time.Second})
	var cme *atcmd.CMEError
	switch {
	case errors.As(err, &cme) && cme.Code == atcmd.CMESIMBusy:
		fmt.Println("ask again later:", err)
	case errors.Is(err, atcmd.ErrUnknown):
		fmt.Println("resync, then read back:", err)
	case err == nil:
		fmt.Println(resp.Value())
	}
	// Output: ask again later: AT+CPIN: +CME ERROR: 14 (SIM busy)
}
