package modem

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"go.bug.st/serial"
)

// SerialOptions are the properties of a serial port.
type SerialOptions struct {
	Baud int // bits per second, 8N1; 115200 when 0

	// WriteTimeout bounds one Write: a module that holds CTS, or a full buffer,
	// must not block its writer for ever. 10 s when 0.
	WriteTimeout time.Duration

	// CloseTimeout bounds Close: a driver may wait for its output to drain (30 s
	// in Linux). 2 s when 0. What is left then ends in the background.
	CloseTimeout time.Duration
}

func (o SerialOptions) withDefaults() SerialOptions {
	if o.Baud == 0 {
		o.Baud = 115200
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 10 * time.Second
	}
	if o.CloseTimeout == 0 {
		o.CloseTimeout = 2 * time.Second
	}
	return o
}

func (o SerialOptions) mode() *serial.Mode {
	return &serial.Mode{BaudRate: o.Baud, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit}
}

// openError gives an error of opening its sentinel.
func openError(path string, err error) error {
	var port *serial.PortError
	kind := error(nil)
	switch {
	case errors.Is(err, fs.ErrNotExist), isGone(err):
		kind = ErrMissing
	case errors.Is(err, fs.ErrPermission):
		kind = ErrPermission
	case isBusy(err):
		kind = ErrBusy
	case errors.As(err, &port):
		kind = map[serial.PortErrorCode]error{
			serial.PortBusy: ErrBusy, serial.PortNotFound: ErrMissing, serial.PermissionDenied: ErrPermission,
			serial.InvalidSerialPort: ErrNotSerial,
		}[port.Code()]
	}
	if kind != nil {
		err = errors.Join(kind, err)
	}
	return &PortError{Path: path, Op: "open", Err: err}
}

// ioError translates what a device says when it was unplugged or closed.
func ioError(path, op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrClosed):
		return &PortError{path, op, err}
	case isGone(err):
		return &PortError{path, op, errors.Join(ErrMissing, err)}
	}
	return &PortError{path, op, err}
}
