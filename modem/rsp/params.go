package rsp

import (
	"context"
	"crypto/x509"
	"time"

	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/ident"
)

// Params are what a download needs.
type Params struct {
	Card         *euicc.Card
	Client       *Client
	Code         ActivationCode
	Address      string // SM-DP+ address in place of the code's, where not empty
	Confirmation Secret
	Device       euicc.Device // the unit's own
	Consent      Consent
	Policy       Policy

	// EID that was read from this eUICC; its certificate must name it. Without
	// it the certificate's word is taken.
	EID []byte

	// Info1 and Info2 of this eUICC, where they were read before. They save
	// APDUs and let the device tell capabilities added since SGP.22 v2.2.2.
	Info1 *euicc.Info1
	Info2 *euicc.Info2

	// Survey is what was read on this very channel just before, in place of
	// reading it again.
	Survey *Survey

	// Recorder makes each intent durable before its effect. It is required.
	Recorder Recorder

	// KeepPackage makes the package durable before its first block is sent.
	KeepPackage func(ctx context.Context, p *euicc.BoundPackage, d Detail) error

	// KeepResult makes the installation result durable before it is delivered.
	KeepResult func(ctx context.Context, r *euicc.InstallationResult) error

	// Deliver sends the installation result to its server and removes it from
	// the eUICC. Without it the notification stays there for an outbox.
	Deliver bool

	// Progress, if set, is told what goes on, from the caller's goroutine.
	Progress func(Progress)

	// CancelTimeout bounds cancelling a session after the context has ended;
	// 20 s when 0.
	CancelTimeout time.Duration
}

// Survey is what is on an eUICC before a download.
type Survey struct {
	Profiles []euicc.Profile
	Pending  []euicc.Notification
}

// Consent declares that the customer agrees to profile policy rules.
type Consent struct {
	Contract string // names where that is written; recorded
	PPRs     []int  // rules agreed to: 1, 2
}

// Policy are checks made before the order is touched.
type Policy struct {
	ICCID   ident.ICCID         // the profile expected; any when empty
	MinFree int64               // bytes of non-volatile memory that must be free
	Issuers []*x509.Certificate // if any, one of them must have signed the EUM's certificate
}

// Progress is a step that begins, or bytes of a load.
type Progress struct {
	Step        string
	Done, Total int // bytes, while a package is loaded
}

// Timing is how long a step took.
type Timing struct {
	Step string
	Took time.Duration
}

// Result is what a download did. It comes with an error too, as far as it got.
type Result struct {
	Detail   Detail // transaction id, ICCID and what was there before
	ICCID    ident.ICCID
	Metadata euicc.Metadata
	Info1    euicc.Info1
	Info2    euicc.Info2 // as the eUICC signed it in this session

	Before []euicc.Profile // profiles there before

	Installation *euicc.InstallationResult // nil when none came
	Proof        Proof
	Delivery     Delivery

	BlockSize int

	// ShortBlocks says that the module did not take blocks of more than
	// [ShortBlock] bytes: with an error of the step AuthenticateServer, the next try with
	// such blocks may go through.
	ShortBlocks bool

	APDUs      apdu.Counters
	RoundTrips int
	Timings    []Timing
}

// Proof is what this station checked of the eUICC's signatures.
type Proof struct {
	Certificate []byte // the eUICC's, DER
	EUM         []byte
	Identity    bool  // certificate chain and euiccSignature1 verify
	Result      bool  // the installation result's signature verifies
	Err         error // the first thing that does not, or cannot be checked
}
