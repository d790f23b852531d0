package euicc

import (
	"fmt"

	"linefit/modem/ident"
	"linefit/modem/wire"
)

// Event is what a notification tells.
type Event int

// The events (SGP.22 NotificationEvent); the last four are of v3.
const (
	EventInstall Event = iota
	EventEnable
	EventDisable
	EventDelete
	EventRPMEnable
	EventRPMDisable
	EventRPMDelete
	EventRPMResult
)

// String names the event.
func (e Event) String() string {
	if e < 0 || int(e) >= len(eventNames) {
		return "unknown"
	}
	return eventNames[e]
}

var eventNames = [...]string{"install", "enable", "disable", "delete", "rpm-enable", "rpm-disable", "rpm-delete", "rpm-result"}

// MarshalText writes [Event.String].
func (e Event) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (e *Event) UnmarshalText(b []byte) error {
	for i, name := range eventNames {
		if name == string(b) {
			*e = Event(i)
			return nil
		}
	}
	*e = -1
	return nil
}

// Notification is the metadata of a notification.
type Notification struct {
	Sequence int64 // of the eUICC's one counter; never repeats
	Event    Event // -1 when it is none of the above
	Address  string
	ICCID    ident.ICCID
	RawICCID []byte
}

func parseNotification(n wire.Node) (Notification, error) {
	sequence, err := n.Need(0x80)
	if err != nil {
		return Notification{}, err
	}
	out := Notification{Event: -1, Address: text(n, 0x0C)}
	if out.Sequence, err = sequence.Int(); err != nil {
		return Notification{}, err
	}
	if set := bits(n, 0x81); len(set) == 1 && set[0] <= int(EventRPMResult) {
		out.Event = Event(set[0])
	}
	if iccid, ok := n.Find(0x5A); ok {
		out.RawICCID = iccid.Value
		out.ICCID, _ = ident.ICCIDFromBytes(iccid.Value)
	}
	return out, nil
}

// InstallationResult is the eUICC's signed statement about one installation
// (SGP.22 section 2.5.6).
type InstallationResult struct {
	Raw           []byte // BF37: the notification to send
	Data          []byte // BF27, covered by the signature
	Signature     []byte // r and s
	TransactionID []byte
	Notification  Notification
	SMDPOID       string
	AID           []byte // of the new ISD-P, when it succeeded
	Failure       *InstallFailure
	Response      []byte // of the profile package interpreter
}

// InstallFailure is why an installation failed.
type InstallFailure struct {
	Command int // step, see Error
	Reason  int // errorReason of SGP.22 section 2.5.6
}

// Reasons of [InstallFailure] that callers act on.
const (
	ReasonSCP03tStructure    = 7 // the package was damaged: not the eUICC's fault
	ReasonSCP03tSecurity     = 8
	ReasonICCIDExists        = 9
	ReasonInsufficientMemory = 10
	ReasonInterruption       = 11
	ReasonPEProcessing       = 12
)

func (f *InstallFailure) Error() string {
	name := func(c codes, v int) string {
		if s, ok := c[int64(v)]; ok {
			return s
		}
		return fmt.Sprintf("code %d", v)
	}
	return fmt.Sprintf("installation failed in %s (%d): %s (%d)", name(bppCommands, f.Command), f.Command, name(installReasons, f.Reason), f.Reason)
}

// Temporary reports whether the same order may be tried again: the eUICC had
// too little memory or was interrupted.
func (f *InstallFailure) Temporary() bool {
	return f.Reason == ReasonInsufficientMemory || f.Reason == ReasonInterruption
}

// OK reports whether the profile was installed.
func (r *InstallationResult) OK() bool { return r.Failure == nil }

// ParseInstallationResult decodes a BF37.
func ParseInstallationResult(raw []byte) (*InstallationResult, error) {
	fail := func(err error) (*InstallationResult, error) {
		return nil, &ResponseError{Function: "ProfileInstallationResult", Err: err}
	}
	n, err := wire.ParseTag(raw, 0xBF37)
	if err == nil {
		err = n.Check()
	}
	if err != nil {
		return fail(err)
	}
	data, err := n.Need(0xBF27)
	if err != nil {
		return fail(err)
	}
	r := &InstallationResult{Raw: n.Raw, Data: data.Raw}
	if r.TransactionID, err = transactionID(data); err != nil {
		return fail(err)
	}
	if signature, ok := n.Find(0x5F37); ok {
		r.Signature = signature.Value
	}
	metadata, err := data.Need(0xBF2F)
	if err != nil {
		return fail(err)
	}
	if r.Notification, err = parseNotification(metadata); err != nil {
		return fail(err)
	}
	if oid, ok := data.Find(0x06); ok {
		r.SMDPOID, _ = oid.OID()
	}
	final, err := data.Need(0xA2)
	if err != nil {
		return fail(err)
	}
	if err := r.final(final); err != nil {
		return fail(err)
	}
	return r, nil
}

func (r *InstallationResult) final(n wire.Node) error {
	if ok, is := n.Find(0xA0); is {
		if aid, has := ok.Find(0x4F); has {
			r.AID = aid.Value
		}
		if response, has := ok.Find(0x04); has {
			r.Response = response.Value
		}
		return nil
	}
	failed, err := n.Need(0xA1)
	if err != nil {
		return err
	}
	command, reason := number(failed, 0x80), number(failed, 0x81)
	if command < 0 || command > 255 || reason < 0 || reason > 255 {
		return fmt.Errorf("%w: error result", wire.ErrOutOfRange)
	}
	r.Failure = &InstallFailure{Command: int(command), Reason: int(reason)}
	if response, has := failed.Find(0x82); has {
		r.Response = response.Value
	}
	return nil
}
