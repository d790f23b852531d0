package modem

import (
	"errors"
	"fmt"

	"linefit/modem/ident"
)

// Sentinel errors; compare with errors.Is. Errors of the AT engine
// ([linefit/atcmd]) pass through wrapped.
var (
	// ErrMissing says that there is no such port, or that its device is gone.
	ErrMissing = errors.New("port is missing")

	// ErrBusy says that another program, or another part of this one, has the
	// port open.
	ErrBusy = errors.New("port is busy")

	// ErrPermission says that this user may not open the port.
	ErrPermission = errors.New("no permission to open the port")

	// ErrNotSerial says that the path is not a terminal device.
	ErrNotSerial = errors.New("not a serial port")

	// ErrRestarted says that the module has started by itself since the last
	// call: settings, radio state and channels are lost. [Module.Recover] comes
	// first.
	ErrRestarted = errors.New("module restarted by itself")

	// ErrAnswer says that an answer does not have the form of what was asked for.
	ErrAnswer = errors.New("answer is not of the expected form")

	// ErrSilent says that the module did not answer within its boot limit.
	ErrSilent = errors.New("module does not answer")
)

// PortError is a failure to open, configure or use a serial port.
type PortError struct {
	Path string
	Op   string
	Err  error // matches one of the sentinels where one fits
}

func (e *PortError) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err) }

// Unwrap is the cause.
func (e *PortError) Unwrap() error { return e.Err }

// IdentityError says that the module's answer to an identity query is not one.
type IdentityError struct {
	What string // "maker", "model", "firmware" or "IMEI"
	Err  error
}

func (e *IdentityError) Error() string { return fmt.Sprintf("%s cannot be read: %v", e.What, e.Err) }

// Unwrap is the last query's error.
func (e *IdentityError) Unwrap() error { return e.Err }

// OtherModuleError says that another module than before answers on the port.
type OtherModuleError struct{ Want, Got ident.IMEI }

func (e *OtherModuleError) Error() string {
	return fmt.Sprintf("another module answers: IMEI %s instead of %s", e.Got, e.Want)
}

// RadioError says that the functionality level that was read back is not the
// wanted one.
type RadioError struct {
	Want []int
	Got  int
}

func (e *RadioError) Error() string {
	return fmt.Sprintf("functionality level is %d, wanted one of %v", e.Got, e.Want)
}
