// Package modem is what a production step may ask of a cellular module, and
// how its port is found and opened.
//
//   - [Root] finds serial ports in sysfs by what does not change: controller,
//     hubs, socket and USB interface. It opens nothing.
//   - [OpenSerial] opens a port for this process alone. Everything above it takes
//     an io.ReadWriteCloser, which a virtual module's pipe is as well.
//   - [Table] is the quirk table: what maker, model and firmware do differently
//     from 3GPP TS 27.007, as data that a station can override.
//   - [Module] is an attached module: identity, card state, ICCID, radio,
//     reset, power-down.
//
// # Ownership and ends
//
// A Module owns its port and has no goroutine; the port (package atcmd) has two,
// which end with [Module.Close]. A SerialPort has none. Nothing here sleeps: waits
// listen to what the module says and end with the context.
//
// # What holds after each start of a module
//
// [Attach], [Module.Reset], [Module.PowerCycled] and [Module.Recover] leave the
// module with the settings of the quirk table's init, the same IMEI as before,
// and, with [Options.RadioOff], the radio off by read-back. A start that nobody
// asked for is noticed by the family's start line, even in the middle of a
// command: methods then fail with [ErrRestarted] until Recover.
//
//	tbl, err := modem.LoadQuirks(os.DirFS("/etc/linefit/quirks"))
//	...
//	info, err := modem.Root("/").Find("0000:00:14.0-usb-1.4:2")
//	...
//	port, err := modem.OpenSerial(info.Path, modem.SerialOptions{})
//	...
//	m, err := modem.Attach(ctx, port, tbl, modem.Options{Booting: true, RadioOff: true})
//	if err != nil {
//		return err // errors.Is: modem.ErrSilent, atcmd.ErrGone, context.Canceled, ...
//	}
//	defer m.Close()
//	status, err := m.AwaitSIM(ctx)
//
// # Limits
//
// Linux is the station's system; elsewhere ports open with fewer guards. A
// program that holds a port open without locking it and without TIOCEXCL is not
// noticed. Families that print no start line cannot show a restart; a step that
// must know compares what it set with what it reads back.
package modem
