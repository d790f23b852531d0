package vpcd

import (
	"net"

	"golang.org/x/sys/unix"
)

// acknowledge sends the acknowledgement of what was read at once. The driver
// writes the length and the message apart, and its system holds the second back
// for some 40 ms until the first is acknowledged. Without it the reader is only
// slow.
func acknowledge(conn any) {
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
}
