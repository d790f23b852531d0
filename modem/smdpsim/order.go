package smdpsim

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"linefit/modem/ident"
)

// State is the state of a profile in the SM-DP+ (SGP.22 section 3.1.6), as far
// as download orders are concerned.
type State string

// States. Released and Downloaded orders can be downloaded; Installed, Error
// and Unavailable ones can not.
const (
	StateAvailable   State = "available"   // ordered, not released yet
	StateReleased    State = "released"    // ready for download
	StateDownloaded  State = "downloaded"  // bound and delivered at least once
	StateInstalled   State = "installed"   // the eUICC signed the installation
	StateError       State = "error"       // ended; the operator must reset it
	StateUnavailable State = "unavailable" // withdrawn, or deleted from the eUICC
)

// Limits of an order where it states none.
const (
	DefaultAttempts             = 5 // deliveries of the bound package
	DefaultConfirmationAttempts = 3 // wrong confirmation codes
)

// Order is a download order with its profile (SGP.22 section 3.1.1). Exactly
// one of Package and Generic is given.
type Order struct {
	ID         string     // name that is no secret, for queries and events; "": random
	MatchingID MatchingID // "": pending order, found by the EID alone
	// ConfirmationCode is asked for when it is not empty.
	ConfirmationCode ConfirmationCode
	EID              ident.EID // "": linked to the EID of the first delivery

	Package []byte      `json:"-"` // unprotected profile package (SAIP DER); not copied, must not change
	Generic *Generic    // or what to generate
	ICCID   ident.ICCID // "": the package's; another one is written into the package

	Metadata Metadata
	Memory   int // bytes of non-volatile memory that the eUICC must have free; 0: the package's size

	Attempts             int       // cap on deliveries of the bound package; 0: DefaultAttempts
	ConfirmationAttempts int       // cap on wrong confirmation codes; 0: DefaultConfirmationAttempts
	Expires              time.Time // zero: never

	Held     bool // starts Available instead of Released
	NoRebind bool // a delivered package is not bound to another one-time key (8.2/3.7)
	Reusable bool // Released again, for the same EID, when the eUICC has deleted the profile
	// ProtectionKeys protects the profile once, with keys of its own that are
	// handed to the eUICC by ReplaceSessionKeys (SGP.22 section 2.5.3).
	ProtectionKeys bool
}

// String names the order and shows nothing of its codes and its profile.
func (o Order) String() string { return fmt.Sprintf("order %q of ICCID %s", o.ID, o.ICCID) }

// GoString is [Order.String].
func (o Order) GoString() string { return o.String() }

// Errors of orders.
var (
	ErrOrder     = errors.New("order is not valid")
	ErrDuplicate = errors.New("order exists already")
	ErrUnknown   = errors.New("no such order")
	ErrState     = errors.New("not possible in the order's state")
)

// matchingIDs is the alphabet of SGP.22 section 4.1.1, widened by the lower case,
// points and underscores that other servers accept.
var matchingIDs = regexp.MustCompile(`^[0-9A-Za-z._-]{0,255}$`)

// Check reports every mistake of an order at once, as [Server.AddOrder] would.
func (o Order) Check() error { return o.validate() }

// validate completes the order and reports every mistake at once.
func (o *Order) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrOrder}, args...)...))
	}
	if o.ID == "" {
		o.ID = fmt.Sprintf("%x", random(make([]byte, 8)))
	}
	if !matchingIDs.MatchString(o.MatchingID.Reveal()) {
		bad("the matching id has characters that are not allowed, or more than 255")
	}
	if o.MatchingID == "" && o.EID == "" {
		bad("without a matching id the order needs an EID")
	}
	if o.EID != "" {
		if _, err := ident.ParseEID(string(o.EID)); err != nil {
			bad("%w", err)
		}
	}
	if err := o.checkPackage(); err != nil {
		bad("%w", err)
	}
	if o.Attempts < 0 || o.ConfirmationAttempts < 0 || o.Memory < 0 {
		bad("a limit is negative")
	}
	if err := o.Metadata.validate(); err != nil {
		bad("%w", err)
	}
	return errors.Join(errs...)
}

func (o *Order) checkPackage() error {
	var own ident.ICCID
	switch {
	case (o.Generic == nil) == (o.Package == nil):
		return errors.New("exactly one of package and generic is needed")
	case o.Generic != nil:
		own = o.Generic.ICCID
		if o.ICCID != "" && o.ICCID != own {
			return errors.New("the generated profile has another ICCID")
		}
	default:
		info, err := ParsePackage(o.Package)
		if err != nil {
			return err
		}
		own = info.ICCID
	}
	if o.ICCID == "" {
		o.ICCID = own
	}
	der, err := o.profile()
	if err != nil {
		return err
	}
	if o.Memory == 0 {
		o.Memory = len(der)
	}
	return nil
}

// profile is the unprotected profile package with the order's ICCID.
func (o *Order) profile() ([]byte, error) {
	if o.Generic != nil {
		g := *o.Generic
		g.testKey = o.Metadata.Class == ClassTest // an eUICC installs no other test profile
		return g.Package()
	}
	info, err := ParsePackage(o.Package)
	if err != nil || info.ICCID == o.ICCID {
		return o.Package, err
	}
	return RewriteICCID(o.Package, o.ICCID)
}

func (o *Order) attempts() int {
	if o.Attempts == 0 {
		return DefaultAttempts
	}
	return o.Attempts
}

func (o *Order) confirmationAttempts() int {
	if o.ConfirmationAttempts == 0 {
		return DefaultConfirmationAttempts
	}
	return o.ConfirmationAttempts
}

// Class is a profile class. The zero value is an operational profile.
type Class int

// Profile classes (SGP.22 section 2.4.5.3).
const (
	ClassOperational Class = iota
	ClassProvisioning
	ClassTest
)

// code is the number of ProfileClass in SGP.22 annex H.
func (c Class) code() int64 { return int64(2 - c) }

// Profile policy rules (SGP.22 section 2.9.1): bit numbers of PprIds.
const (
	PPR1 = 1 // disabling is not allowed
	PPR2 = 2 // deletion is not allowed
)

// ProfileEvent is something that an eUICC did with a profile: a bit number of
// NotificationEvent in SGP.22 annex H.
type ProfileEvent int

// Profile events.
const (
	EventInstall ProfileEvent = iota
	EventEnable
	EventDisable
	EventDelete
)

// String is the event's name.
func (e ProfileEvent) String() string {
	if e < EventInstall || e > EventDelete {
		return fmt.Sprintf("event %d", int(e))
	}
	return [...]string{"install", "enable", "disable", "delete"}[e]
}

// MarshalText is the event's name.
func (e ProfileEvent) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads the event's name.
func (e *ProfileEvent) UnmarshalText(b []byte) error {
	for v := EventInstall; v <= EventDelete; v++ {
		if v.String() == string(b) {
			*e = v
			return nil
		}
	}
	return fmt.Errorf("%w: event %q", ErrOrder, b)
}

// Recipient is a server that the eUICC tells of events (notification
// configuration of the profile metadata).
type Recipient struct {
	Address string // host name, with port where it is not 443
	Events  []ProfileEvent
}

// Owner is the profile owner (OperatorID of SGP.22 annex H).
type Owner struct {
	MCCMNC     [3]byte // as 3GPP TS 24.008 codes it
	GID1, GID2 []byte
}

// OwnerOf is the owner with a network code of five or six digits.
func OwnerOf(network string) (*Owner, error) {
	if !networkCode.MatchString(network) {
		return nil, fmt.Errorf("%w: network code %q has not five or six digits", ErrOrder, network)
	}
	digit := func(i int) byte {
		if i >= len(network) {
			return 0x0F // the MNC has two digits
		}
		return network[i] - '0'
	}
	return &Owner{MCCMNC: [3]byte{digit(1)<<4 | digit(0), digit(5)<<4 | digit(2), digit(4)<<4 | digit(3)}}, nil
}

var networkCode = regexp.MustCompile(`^[0-9]{5,6}$`)

// Metadata is what the LPA sees of a profile before the download (SGP.22
// section 4.4).
type Metadata struct {
	ServiceProvider string // at most 32 characters; "": "linefit test"
	Name            string // at most 64 characters; "": the package's profile type
	Class           Class
	PPRs            []int  // bit numbers of PprIds
	Owner           *Owner // needed with PPRs by eUICCs that check them
	// Recipients of notifications; nil: this SM-DP+ for enable, disable and
	// delete. The result of the installation always comes to this SM-DP+.
	Recipients []Recipient
}

func (m *Metadata) validate() error {
	switch {
	case utf8.RuneCountInString(m.ServiceProvider) > 32 || !utf8.ValidString(m.ServiceProvider):
		return errors.New("the service provider's name has more than 32 characters or is not UTF-8")
	case utf8.RuneCountInString(m.Name) > 64 || !utf8.ValidString(m.Name):
		return errors.New("the profile's name has more than 64 characters or is not UTF-8")
	case m.Class < ClassOperational || m.Class > ClassTest:
		return fmt.Errorf("profile class %d", m.Class)
	case slices.ContainsFunc(m.PPRs, func(bit int) bool { return bit < 0 || bit > 7 }):
		return errors.New("a policy rule is not a bit from 0 to 7")
	}
	for _, r := range m.Recipients {
		if r.Address == "" || len(r.Events) == 0 {
			return errors.New("a recipient of notifications has no address or no event")
		}
	}
	return nil
}
