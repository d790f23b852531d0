package euiccsim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"linefit/modem/testpki"
)

// Generation is the family of remote SIM provisioning that the card speaks.
type Generation string

// Generations.
const (
	SGP22 Generation = "sgp22" // consumer: SGP.22 version 2
	SGP32 Generation = "sgp32" // IoT: SGP.32 version 1.2, on top of ES10 of SGP.22
	SGP02 Generation = "sgp02" // M2M: EID from the ECASD, no local download
)

// Effect says when an enabled or disabled profile takes effect.
type Effect string

// Effects. In both the file system that the module sees changes with REFRESH
// (its TERMINAL RESPONSE) or at a reset, unless refreshFlag was not set.
const (
	EffectAtOnce       Effect = "at-once"       // the profile's state changes with the command
	EffectAfterRefresh Effect = "after-refresh" // the state changes with REFRESH or at a reset
)

// Delays is the modelled processing time that [Card.Transmit] reports. Zero
// takes no time.
type Delays struct {
	APDU    time.Duration // every command
	Sign    time.Duration // every signature made
	Verify  time.Duration // every signature or certificate checked
	KeyPair time.Duration // one-time key pair, key agreement
	Block   time.Duration // every decrypted segment of a bound profile package
	Commit  time.Duration // every change of the non-volatile memory
	Install time.Duration // the end of an installation
}

// OperatorID names an operator: MCC and MNC as in 3GPP TS 24.008 (three bytes,
// nibble E stands for any digit in a rules authorisation table), and the
// contents of EF_GID1 and EF_GID2 where they matter.
type OperatorID struct {
	MCCMNC     [3]byte
	GID1, GID2 []byte
}

// RATRule is one entry of the rules authorisation table (SGP.22 section 2.9.2):
// which profile policy rules (1 and 2) these operators may use.
type RATRule struct {
	PPRs      []int
	Operators []OperatorID
	Consent   bool // the end user is to consent
}

// AnyOperator is the wildcard of a rules authorisation table.
var AnyOperator = OperatorID{MCCMNC: [3]byte{0xEE, 0xEE, 0xEE}}

// Options describe one card. Only PKI and Image are needed.
type Options struct {
	PKI   *testpki.Card
	Image Image // non-volatile memory; it is owned by the card from New on

	Generation Generation       // default SGP22
	Clock      func() time.Time // for certificate validity; nil: the card has no clock
	FreeNVM    int              // bytes for profiles when none is installed; default 512 KiB
	SVN        string           // default "2.5.0"; SGP32: "1.2.0" is reported beside
	Firmware   string           // default "1.0.0"
	SAS        string           // SAS accreditation number, default "LF-TEST-0001"
	Platform   string           // platform label, default "linefit/virtual-euicc"
	RootDS     string           // root SM-DS address, default "testrootsmds.example.com"
	DefaultDP  string           // default SM-DP+ address of a new card

	RAT           []RATRule // nil: both rules for any operator with consent; empty: none allowed
	ForbiddenPPRs []int     // reported in EUICCInfo2 and refused
	NoTestProfile bool      // profiles of class test are refused (errorReason 6)

	// IPAe: an IPA in the eUICC is active (SGP.32).
	IPAe bool
	// ES10cOnIoT lets an SGP.32 card enable, disable, delete and name profiles
	// by ES10c; otherwise ImmediateEnable and an eIM's packages are its only ways.
	ES10cOnIoT bool
	// EIMs are the eIMs that a new SGP.32 card is delivered with: content of
	// EimConfigurationData (SGP.32 section 2.11.1.1.1).
	EIMs [][]byte
	// FirstToken is the first association token that an SGP.32 card gives; default 1.
	FirstToken int64

	// Preloaded are unprotected profile packages (SAIP DER) with which a new card
	// is delivered; the first one is enabled. On an SGP.02 card they are the only
	// profiles that this package gives it: its SM-SR is not modelled.
	Preloaded []Preloaded

	Channels      int    // logical channels with the basic one, 2 to 20; default 5
	Notifications int    // places in the notification list, default 32
	Effect        Effect // default EffectAtOnce
	// Direct answers with data at once where the command has an Le, as over T=1
	// or where the module fetches for T=0: with 9000, or with as much as was
	// asked for and 61xx. Otherwise 61xx alone and GET RESPONSE.
	Direct bool
	// NeedCapability refuses every ES10 function with 6985 until TERMINAL
	// CAPABILITY said that the terminal has an LPA (ETSI TS 102 221 section
	// 11.1.19, SGP.22 section 5.7.1).
	NeedCapability bool
	// StrictGetResponse answers GET RESPONSE in class 8x with 9000 and nothing,
	// as some cards do; class 0x works.
	StrictGetResponse bool
	// NoInterruption keeps the card from writing an installation result with
	// errorReason 11 after a load that power loss or another command cut off.
	NoInterruption bool
	// OneTimeKeys is the number of in-factory one-time key pairs (SGP.41) that a
	// new card is delivered with. While one is left, LPA services are refused.
	OneTimeKeys int

	Delays Delays
	Faults Faults
}

// Preloaded is a profile with which a card is delivered.
type Preloaded struct {
	Package []byte // unprotected profile package; it must not change
	Class   int    // 0 test, 1 provisioning, 2 operational
}

// Fault names a way in which the card misbehaves.
type Fault string

// Faults. The number in [Faults] says how often the fault strikes, negative
// always; what has struck is kept in the non-volatile memory.
const (
	FaultCatBusy   Fault = "cat-busy"   // enable, disable and memory reset answer catBusy (5)
	FaultNoRefresh Fault = "no-refresh" // a change of the enabled profile raises no REFRESH
	// FaultStateLost forgets at a cold restart which profile was enabled since
	// the cold restart before.
	FaultStateLost Fault = "state-lost"
	// FaultWrongResult returns an installation result with errorReason 127 (and
	// stores the true one) though the profile was installed.
	FaultWrongResult Fault = "wrong-result"
	// FaultForgetKeys loses one-time keys with the session, so that a retry
	// needs a package that is bound again.
	FaultForgetKeys Fault = "forget-keys"
	// FaultChannelLeak answers the closing of a channel with 9000 and leaves it open.
	FaultChannelLeak Fault = "channel-leak"
	// FaultLoadMemory ends a load with errorReason 10 although there is space.
	FaultLoadMemory Fault = "load-memory"
	// FaultLoadElement ends a load with errorReason 12 on its last element.
	FaultLoadElement Fault = "load-element"
)

// Faults is a card's fault plan.
type Faults map[Fault]int

var knownFaults = []Fault{
	FaultCatBusy, FaultNoRefresh, FaultStateLost, FaultWrongResult, FaultForgetKeys,
	FaultChannelLeak, FaultLoadMemory, FaultLoadElement,
}

// ErrOptions is the error of impossible options.
var ErrOptions = errors.New("virtual eUICC: impossible options")

func (o *Options) defaults() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrOptions}, args...)...))
	}
	if o.PKI == nil || o.PKI.Cert == nil || o.PKI.EUM == nil || o.PKI.Key == nil || len(o.PKI.CIs) == 0 {
		bad("no certificates")
	}
	if o.Image == nil {
		bad("no image for the non-volatile memory")
	}
	setDefault(&o.Generation, SGP22)
	setDefault(&o.FreeNVM, 512<<10)
	setDefault(&o.SVN, "2.5.0")
	setDefault(&o.Firmware, "1.0.0")
	setDefault(&o.SAS, "LF-TEST-0001")
	setDefault(&o.Platform, "linefit/virtual-euicc")
	setDefault(&o.RootDS, "testrootsmds.example.com")
	setDefault(&o.Channels, 5)
	setDefault(&o.Notifications, 32)
	setDefault(&o.Effect, EffectAtOnce)
	if o.RAT == nil {
		o.RAT = []RATRule{{PPRs: []int{1, 2}, Operators: []OperatorID{AnyOperator}, Consent: true}}
	}
	if !slices.Contains([]Generation{SGP22, SGP32, SGP02}, o.Generation) {
		bad("generation %q", o.Generation)
	}
	if o.Effect != EffectAtOnce && o.Effect != EffectAfterRefresh {
		bad("effect %q", o.Effect)
	}
	if o.Channels < 2 || o.Channels > 20 {
		bad("%d channels, 2 to 20 are possible", o.Channels)
	}
	if o.FreeNVM < 0 || o.FreeNVM > 1<<30 || o.Notifications < 1 || o.Notifications > 1000 || o.OneTimeKeys < 0 || o.OneTimeKeys > 1000 {
		bad("memory of %d bytes, %d notifications, %d one-time keys", o.FreeNVM, o.Notifications, o.OneTimeKeys)
	}
	for _, v := range []string{o.SVN, o.Firmware} {
		if _, err := version(v); err != nil {
			bad("%v", err)
		}
	}
	for f := range o.Faults {
		if !slices.Contains(knownFaults, f) {
			bad("fault %q; known are %v", f, knownFaults)
		}
	}
	return errors.Join(errs...)
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// version is "major.minor.revision" as a VersionType.
func version(s string) ([]byte, error) {
	var a, b, c uint8
	if n, err := fmt.Sscanf(s, "%d.%d.%d", &a, &b, &c); err != nil || n != 3 || fmt.Sprintf("%d.%d.%d", a, b, c) != s {
		return nil, fmt.Errorf("version %q is not major.minor.revision", s)
	}
	return []byte{a, b, c}, nil
}
