package euicc

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"linefit/modem/ident"
	"linefit/modem/wire"
)

// eimPackageCodes are the error codes of a package that was not executed
// (SGP.32 section 2.11.2.1).
var eimPackageCodes = codes{
	3: "invalidEid", 4: "replayError", 6: "counterValueOutOfRange", 15: "sizeOverflow", 104: "ecallActive", 127: "undefinedError",
}

// EIMPackage is an eUICC package that an eIM has signed for one eUICC (SGP.32
// EuiccPackageRequest, BF51). It is carried and never made here; its signature
// is the eUICC's to check.
type EIMPackage struct {
	Raw      []byte
	EIM      string
	EID      ident.EID
	Counter  int64
	Enables  []ident.ICCID // profiles that it enables, in order
	Rollback bool          // it allows ProfileRollback for one of them
}

// maxEIMPackage is what fits into one chain of STORE DATA commands.
const maxEIMPackage = maxBlocks * 255

// ParseEIMPackage reads a package as an eIM's operator hands it out, DER.
func ParseEIMPackage(raw []byte) (EIMPackage, error) {
	fail := func(err error) (EIMPackage, error) { return EIMPackage{}, fmt.Errorf("eUICC package: %w", err) }
	if len(raw) > maxEIMPackage {
		return fail(ErrTooLarge)
	}
	n, err := wire.ParseTag(raw, 0xBF51)
	if err == nil {
		err = n.Check()
	}
	if err != nil {
		return fail(err)
	}
	signed, err := n.Need(0x30)
	if err != nil {
		return fail(err)
	}
	if _, err := n.Need(0x5F37); err != nil {
		return fail(err)
	}
	eid, err := signed.Need(0x5A)
	if err != nil {
		return fail(err)
	}
	p := EIMPackage{Raw: raw, EIM: text(signed, 0x80), Counter: number(signed, 0x81)}
	if p.EID, err = ident.EIDFromBytes(eid.Value); err != nil {
		return fail(err)
	}
	if p.EIM == "" || p.Counter < 0 {
		return fail(fmt.Errorf("%w: eimId or counterValue", wire.ErrMissing))
	}
	return p, p.operations(signed)
}

// operations finds the profiles that the package enables (PSMO enable, A3).
func (p *EIMPackage) operations(signed wire.Node) error {
	list, ok := signed.Find(0xA0)
	if !ok {
		return nil // an eIM configuration package
	}
	operations, err := list.Children()
	if err != nil {
		return fmt.Errorf("eUICC package: %w", err)
	}
	for _, op := range operations {
		if op.Tag != 0xA3 {
			continue
		}
		id, err := op.Need(0x5A)
		if err != nil {
			return fmt.Errorf("eUICC package: %w", err)
		}
		iccid, err := ident.ICCIDFromBytes(id.Value)
		if err != nil {
			return fmt.Errorf("eUICC package: %w", err)
		}
		p.Enables = append(p.Enables, iccid)
		_, rollback := op.Find(0x05)
		p.Rollback = p.Rollback || rollback
	}
	return nil
}

// EIMPackageResult is what an eUICC answers to a package. It has executed the
// operations, in order, up to the first that it does not know; it signs what it
// did, for the eIM.
type EIMPackageResult struct {
	Raw     []byte
	Signed  bool
	EIM     string
	Counter int64 // of the package
	Results []EIMOperationResult
}

// EIMOperationResult is one operation's.
type EIMOperationResult struct {
	Tag  wire.Tag // 83 enable, 84 disable, 85 delete, …
	Code int64    // 0: ok; -1: the result is no code
}

// LoadEIMPackage gives an eIM's package to the eUICC (ES10b LoadEuiccPackage).
// An error that is a *[FunctionError] says that nothing of it was executed.
func (c *Card) LoadEIMPackage(ctx context.Context, p EIMPackage) (EIMPackageResult, error) {
	const function = "LoadEuiccPackage"
	n, err := c.call(ctx, function, 0xBF51, p.Raw)
	if err != nil {
		return EIMPackageResult{}, err
	}
	return eimPackageResult(function, n)
}

// EIMPackageResults are the results that the eUICC keeps until their eIMs have
// acknowledged them (ES10b RetrieveNotificationsList, SGP.32 section 5.9.11).
func (c *Card) EIMPackageResults(ctx context.Context) (out []EIMPackageResult, err error) {
	const function = "RetrieveNotificationsList"
	n, err := c.call(ctx, function, 0xBF2B, wire.TLV(0xBF2B, wire.TLV(0xA0, wire.TLV(0x82))))
	if err != nil {
		return nil, err
	}
	list, ok := n.Find(0xA2)
	if !ok {
		return nil, nil
	}
	entries, err := list.Children()
	if err != nil {
		return nil, &ResponseError{Function: function, Err: err}
	}
	for _, e := range entries {
		r, err := eimPackageResult(function, e)
		if as := (*FunctionError)(nil); err != nil && !errors.As(err, &as) { // of a package that was not executed
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func eimPackageResult(function string, n wire.Node) (EIMPackageResult, error) {
	r := EIMPackageResult{Raw: n.Raw}
	if _, unsigned := n.Find(0xA2); unsigned { // no such eIM, or its signature does not verify
		return r, &FunctionError{Function: function, Code: -1, Name: "eimUnknownOrSignature"}
	}
	if refused, is := n.Find(0xA1, 0x30); is {
		code := number(refused, 0x02)
		return r, functionError(function, eimPackageCodes, code)
	}
	data, err := n.Need(0xA0, 0x30)
	if err != nil {
		return r, &ResponseError{Function: function, Err: err}
	}
	_, r.Signed = n.Find(0xA0, 0x5F37)
	r.EIM, r.Counter = text(data, 0x80), number(data, 0x81)
	list, err := data.Need(0x30)
	if err != nil {
		return r, &ResponseError{Function: function, Err: err}
	}
	results, err := list.Children()
	if err != nil {
		return r, &ResponseError{Function: function, Err: err}
	}
	for _, one := range results {
		code := int64(-1)
		if v, err := one.Int(); err == nil && !one.Tag.Constructed() {
			code = v
		}
		r.Results = append(r.Results, EIMOperationResult{one.Tag, code})
	}
	return r, nil
}

// Enabled reports how the package's enable operations ended: nil when all went
// well.
func (r EIMPackageResult) Enabled() error {
	const function = "LoadEuiccPackage enable"
	seen := false
	for _, one := range r.Results {
		if one.Tag != 0x83 {
			continue
		}
		seen = true
		if one.Code != 0 {
			return functionError(function, enableCodes, one.Code)
		}
	}
	if !seen {
		return &ResponseError{Function: function, Err: fmt.Errorf("%w: result of enable in %s", wire.ErrMissing, hex.EncodeToString(r.Raw))}
	}
	return nil
}
