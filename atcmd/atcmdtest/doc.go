// Package atcmdtest records the traffic of a serial port and plays it back.
//
// A script is text, one step a line, seen from the host:
//
//	# a comment
//	> AT+CGMI          the host writes AT+CGMI and CR
//	< Quectel          the module sends CR LF Quectel CR LF
//	< OK
//	? "hello\x1a"      the host writes exactly these bytes (a Go string)
//	! "\x00\xffRDY"    the module sends exactly these bytes
//	~ 250ms            nothing happens for so long; writes wait meanwhile
//	* hangup           the device ends: reads return io.EOF
//
// [Play] is the module's side as an io.ReadWriteCloser; it fails the test on a
// write that is not the next expected one and on leftovers at Close. It has no
// goroutine, and its delays follow the clock of a testing/synctest bubble.
// [Record] writes such a script while a real port is used.
package atcmdtest
