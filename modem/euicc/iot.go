package euicc

import (
	"context"
	"fmt"

	"linefit/modem/wire"
)

// Result codes of the functions that SGP.32 v1.2 adds.
var (
	addEIMCodes = codes{
		1: "insufficientMemory", 2: "associatedEimAlreadyExists", 3: "ciPKUnknown", 5: "invalidAssociationToken",
		6: "counterValueOutOfRange", 7: "commandError", 127: "undefinedError",
	}
	configureImmediateCodes = codes{1: "insufficientMemory", 2: "associatedEimAlreadyExists", 127: "undefinedError"}
	immediateEnableCodes    = codes{1: "immediateEnableNotAvailable", 4: "noSessionContext", 5: "catBusy", 127: "undefinedError"}
	rollbackCodes           = codes{1: "rollbackNotAllowed", 5: "catBusy", 7: "commandError", 127: "undefinedError"}
	fallbackCodes           = codes{
		2: "profileNotInDisabledState", 5: "catBusy", 6: "fallbackNotAvailable", 7: "commandError", 104: "ecallActive", 127: "undefinedError",
	}
	emergencyCodes    = codes{2: "profileNotInDisabledState", 5: "catBusy", 8: "ecallNotAvailable", 127: "undefinedError"}
	certsCodes        = codes{1: "invalidCiPKId", 127: "undefinedError"}
	connectivityCodes = codes{1: "parametersNotAvailable", 127: "undefinedError"}
	resetEIMCodes     = codes{1: "nothingToDelete", 2: "eimResetNotSupported", 127: "undefinedError"}
	resetIECCodes     = codes{1: "resetIECNotSupported", 127: "undefinedError"}
)

// EIM is one eIM that an IoT eUICC is associated with (SGP.32 section
// 2.11.1.1.1).
type EIM struct {
	Raw      []byte
	ID       string
	FQDN     string
	IDType   int64 // 1 OID, 2 FQDN, 3 proprietary, -1 not stated
	Counter  int64 // initial counter value, -1 not stated
	Token    int64 // association token, -1 not stated
	Protocol []int // bits set
}

func parseEIM(n wire.Node) EIM {
	return EIM{
		Raw: n.Raw, ID: text(n, 0x80), FQDN: text(n, 0x81), IDType: number(n, 0x82), Counter: number(n, 0x83),
		Token: number(n, 0x84), Protocol: bits(n, 0x87),
	}
}

// EIMs lists the associated eIMs (ES10b GetEimConfigurationData).
func (c *Card) EIMs(ctx context.Context) ([]EIM, error) {
	const function = "GetEimConfigurationData"
	n, err := c.call(ctx, function, 0xBF55, []byte{0xBF, 0x55, 0})
	if err != nil {
		return nil, err
	}
	list, ok := n.Find(0xA0)
	if !ok {
		return nil, nil
	}
	entries, err := list.Children()
	if err != nil {
		return nil, &ResponseError{Function: function, Err: err}
	}
	eims := make([]EIM, 0, len(entries))
	for _, entry := range entries {
		eims = append(eims, parseEIM(entry))
	}
	return eims, nil
}

// AddInitialEIM associates the first eIMs (ES10b). Each configuration is one
// EimConfigurationData (30) as the eIM's operator made it. It works only while
// there is none, changes the card, and returns one association token for each
// configuration, -1 where the eUICC gave none. Tokens are kept: the eIM needs
// them.
func (c *Card) AddInitialEIM(ctx context.Context, configurations ...[]byte) ([]int64, error) {
	const function = "AddInitialEim"
	n, err := c.call(ctx, function, 0xBF57, wire.TLV(0xBF57, wire.TLV(0xA0, configurations...)))
	if err != nil {
		return nil, err
	}
	if _, failed := n.Find(0x81); failed {
		return nil, result(function, addEIMCodes, n, 0x81)
	}
	list, err := n.Need(0xA0)
	if err != nil {
		return nil, &ResponseError{Function: function, Err: err}
	}
	entries, err := list.Children()
	if err != nil {
		return nil, &ResponseError{Function: function, Err: err}
	}
	tokens := make([]int64, 0, len(entries))
	for _, entry := range entries {
		token := int64(-1)
		if entry.Tag == 0x84 {
			if token, err = entry.Int(); err != nil {
				return nil, &ResponseError{Function: function, Err: err}
			}
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

// Certificates reads the eUICC's and its maker's certificates, DER (ES10b
// GetCerts).
func (c *Card) Certificates(ctx context.Context) (euicc, eum []byte, err error) {
	const function = "GetCerts"
	n, err := c.call(ctx, function, 0xBF56, []byte{0xBF, 0x56, 0})
	if err != nil {
		return nil, nil, err
	}
	if _, failed := n.Find(0x81); failed {
		return nil, nil, result(function, certsCodes, n, 0x81)
	}
	if euicc, err = retagged(n, 0xA6); err == nil {
		eum, err = retagged(n, 0xA5)
	}
	if err != nil {
		return nil, nil, &ResponseError{Function: function, Err: err}
	}
	return euicc, eum, nil
}

// retagged undoes the implicit tag of a certificate: its content is kept as
// received, only the outer SEQUENCE tag comes back.
func retagged(n wire.Node, tag wire.Tag) ([]byte, error) {
	found, err := n.Need(0xA0, tag)
	if err != nil {
		return nil, err
	}
	return wire.TLV(0x30, found.Value), nil
}

// ConfigureImmediateEnable allows [Card.ImmediateEnable] to the profiles of a
// default SM-DP+ (ES10b). It works only while no eIM is associated and changes
// the card. OID and address may be empty.
func (c *Card) ConfigureImmediateEnable(ctx context.Context, allow bool, smdpOID, smdpAddress string) error {
	var parts [][]byte
	if allow {
		parts = append(parts, wire.TLV(0x80))
	}
	if smdpOID != "" {
		oid, err := wire.OID(0x81, smdpOID)
		if err != nil {
			return fmt.Errorf("ConfigureImmediateEnable: %w", err)
		}
		parts = append(parts, oid)
	}
	if smdpAddress != "" {
		parts = append(parts, wire.TLV(0x82, []byte(smdpAddress)))
	}
	return c.simple(ctx, "ConfigureImmediateEnable", configureImmediateCodes, wire.TLV(0xBF59, parts...), 0x80)
}

// ImmediateEnable enables the profile that was just installed in this session
// (ES10b).
func (c *Card) ImmediateEnable(ctx context.Context, refresh bool) error {
	return c.simple(ctx, "ImmediateEnable", immediateEnableCodes, wire.TLV(0xBF5A, boolean(0x80, refresh)), 0x80)
}

// ProfileRollback goes back to the profile before the last enable (ES10b, SGP.32
// section 5.9.16). The result is an INTEGER beside a component that has a tag of
// its own, so that automatic tagging does not reach it (X.680 section 25.7): it is
// universal. Some implementations tag it all the same; both are read.
func (c *Card) ProfileRollback(ctx context.Context, refresh bool) error {
	const function = "ProfileRollback"
	n, err := c.call(ctx, function, 0xBF58, wire.TLV(0xBF58, boolean(0x80, refresh)))
	if err != nil {
		return err
	}
	parts, err := n.Children()
	if err != nil {
		return &ResponseError{Function: function, Err: err}
	}
	tag, results := wire.Tag(0x80), 0
	for _, p := range parts {
		if p.Tag == 0x02 || p.Tag == 0x80 {
			tag, results = p.Tag, results+1
		}
	}
	if results > 1 {
		return &ResponseError{Function: function, Err: fmt.Errorf("%w: the result", wire.ErrDoubled)}
	}
	return result(function, rollbackCodes, n, tag)
}

// EnableEmergency and DisableEmergency switch the emergency profile.
func (c *Card) EnableEmergency(ctx context.Context, refresh bool) error {
	return c.simple(ctx, "EnableEmergencyProfile", emergencyCodes, wire.TLV(0xBF5B, boolean(0x80, refresh)), 0x80)
}

// DisableEmergency disables the emergency profile.
func (c *Card) DisableEmergency(ctx context.Context, refresh bool) error {
	return c.simple(ctx, "DisableEmergencyProfile", emergencyCodes, wire.TLV(0xBF5C, boolean(0x80, refresh)), 0x80)
}

// ExecuteFallback enables the profile with the fallback attribute.
func (c *Card) ExecuteFallback(ctx context.Context, refresh bool) error {
	return c.simple(ctx, "ExecuteFallbackMechanism", fallbackCodes, wire.TLV(0xBF5D, boolean(0x80, refresh)), 0x80)
}

// ReturnFromFallback undoes [Card.ExecuteFallback].
func (c *Card) ReturnFromFallback(ctx context.Context, refresh bool) error {
	return c.simple(ctx, "ReturnFromFallback", fallbackCodes, wire.TLV(0xBF5E, boolean(0x80, refresh)), 0x80)
}

// ConnectivityParameters reads the enabled profile's HTTP parameters; nil when
// it has none.
func (c *Card) ConnectivityParameters(ctx context.Context) ([]byte, error) {
	const function = "GetConnectivityParameters"
	n, err := c.call(ctx, function, 0xBF5F, []byte{0xBF, 0x5F, 0})
	if err != nil {
		return nil, err
	}
	if failed, is := n.Find(0x81); is {
		if code, err := failed.Int(); err == nil && code == 1 {
			return nil, nil
		}
		return nil, result(function, connectivityCodes, n, 0x81)
	}
	params, ok := n.Find(0xA0, 0x81)
	if !ok {
		return nil, nil
	}
	return params.Value, nil
}

// IoTMemoryReset is the memory reset of SGP.32 v1.2, with the options for eIM
// and immediate enable. It returns the first refusal of its up to three
// results.
func (c *Card) IoTMemoryReset(ctx context.Context, options ...int) error {
	const function = "eUICCMemoryReset"
	n, err := c.call(ctx, function, 0xBF64, wire.TLV(0xBF64, wire.BitString(0x82, options...)))
	if err != nil {
		return err
	}
	if err := result(function, resetCodes, n, 0x80); err != nil {
		return err
	}
	for tag, names := range map[wire.Tag]codes{0x81: resetEIMCodes, 0x82: resetIECCodes} {
		if _, has := n.Find(tag); has {
			if err := result(function, names, n, tag); err != nil {
				return err
			}
		}
	}
	return nil
}

// IoTSetDefaultDPAddress is SetDefaultDpAddress of SGP.32 v1.2.
func (c *Card) IoTSetDefaultDPAddress(ctx context.Context, address string) error {
	return c.simple(ctx, "SetDefaultDpAddress", defaultDPCodes, wire.TLV(0xBF65, wire.TLV(0x80, []byte(address))), 0x80)
}
