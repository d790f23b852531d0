package rsp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/ident"
)

// Prepared is a package that was bound to one eUICC's one-time key before
// (SGP.41): for exactly that eUICC and for one try.
type Prepared struct {
	EID           string // 32 digits
	ICCID         ident.ICCID
	TransactionID TransactionID
	OneTimeKey    []byte // the eUICC's, uncompressed point
	Address       string // SM-DP+ that the result is for
	Certificate   []byte // CERT.DPpb, DER
	Package       []byte // BF36
}

// String names the package without showing it.
func (p Prepared) String() string {
	return fmt.Sprintf("package of %d bytes with ICCID %s for EID %s", len(p.Package), p.ICCID, p.EID)
}

// GoString is [Prepared.String].
func (p Prepared) GoString() string { return p.String() }

// PreparedParams are what loading a prepared package needs.
type PreparedParams struct {
	Card     *euicc.Card
	Coding   euicc.FactoryCoding
	Prepared Prepared
	EID      []byte // as read from this eUICC

	// Certificate is the eUICC's, DER, where its maker's data have it: the
	// result's signature is then checked ([Result].Proof).
	Certificate []byte

	Recorder   Recorder
	KeepResult func(ctx context.Context, r *euicc.InstallationResult) error
	Progress   func(Progress)
}

// Errors of prepared packages; compare with errors.Is.
var (
	ErrOtherEID    = errors.New("the package is for another eUICC")
	ErrNotPrepared = errors.New("the prepared package does not fit together")
)

// LoadPrepared loads a package without a server. It checks that the package is
// for this eUICC and fits together before anything is sent, records the load
// before its first block, and leaves the result on the eUICC for whoever
// delivers it. The error is a [*Failure]; after one with Unknown, [Reconcile]
// decides. The package's key is spent with its first block: it is never loaded
// again ([RowFactoryPackage]).
func LoadPrepared(ctx context.Context, p PreparedParams) (*Result, error) {
	d := &download{p: Params{Card: p.Card, Recorder: p.Recorder, KeepResult: p.KeepResult, Progress: p.Progress}, card: p.Card}
	d.res.Detail = Detail{
		EID: p.Prepared.EID, SMDP: p.Prepared.Address, TransactionID: p.Prepared.TransactionID, ICCID: p.Prepared.ICCID, HighWater: -1,
		Class: euicc.Operational, PackageBytes: len(p.Prepared.Package),
	}
	if len(p.Certificate) > 0 {
		d.res.Proof.Certificate = p.Certificate
		d.cert, d.res.Proof.Err = euicc.ParseCertificate(p.Certificate)
	}
	pkg, err := p.check(d)
	if err != nil {
		return &d.res, d.fail("package", RowPrecheck, err)
	}
	before := p.Card.Counters()
	err = d.loadPrepared(ctx, p, pkg)
	d.res.APDUs, d.res.BlockSize = since(before, p.Card.Counters()), p.Card.BlockSize()
	return &d.res, err
}

// check reads the package and holds it against what is said of it.
func (p PreparedParams) check(d *download) (*euicc.BoundPackage, error) {
	if p.Card == nil || p.Recorder == nil {
		return nil, errors.New("card and recorder are required")
	}
	if p.Prepared.EID != fmt.Sprintf("%x", p.EID) {
		return nil, ErrOtherEID
	}
	pkg, err := euicc.ParseBoundPackage(p.Prepared.Package)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotPrepared, err)
	}
	if !bytes.Equal(pkg.TransactionID(), p.Prepared.TransactionID) {
		return nil, fmt.Errorf("%w: it is of another transaction", ErrNotPrepared)
	}
	if m, ok := pkg.Metadata(); ok {
		if m.ICCID != p.Prepared.ICCID {
			return nil, fmt.Errorf("%w: it has ICCID %s, not %s", ErrNotPrepared, m.ICCID, p.Prepared.ICCID)
		}
		d.res.Metadata, d.res.Detail.Class = m, m.Class
	}
	d.res.ICCID, d.res.Detail.RawICCID = p.Prepared.ICCID, p.Prepared.ICCID.Bytes()
	return pkg, nil
}

func (d *download) loadPrepared(ctx context.Context, p PreparedParams, pkg *euicc.BoundPackage) error {
	if err := d.step("survey", func() error { return d.survey(ctx) }); err != nil {
		return d.fail("survey", RowNone, err)
	}
	d.res.Detail.WasPresent = slices.ContainsFunc(d.res.Before, func(have euicc.Profile) bool { return bytes.Equal(have.RawICCID, d.res.Detail.RawICCID) })
	if d.res.Detail.WasPresent {
		return d.fail("package", RowPrecheck, fmt.Errorf("%w: %s", ErrICCIDPresent, p.Prepared.ICCID))
	}
	err := d.step("PrepareFactoryLoad", func() error {
		q := p.Prepared
		return d.card.PrepareFactoryLoad(ctx, p.Coding, q.TransactionID, q.OneTimeKey, q.Address, q.Certificate)
	})
	if err != nil {
		row := RowNone
		var refused *euicc.FunctionError
		if errors.As(err, &refused) {
			row = RowServerRefused
		}
		if errors.Is(err, euicc.ErrKeySpent) {
			row = RowFactoryPackage
		}
		return d.fail("PrepareFactoryLoad", row, err)
	}
	if err := d.record(ctx, PhaseLoad, d.res.Detail); err != nil {
		return d.fail("record", RowNone, err)
	}
	err = d.load(ctx, pkg)
	var f *Failure
	if errors.As(err, &f) && !f.Unknown && d.res.Installation != nil {
		f.Advice = adviceFor(RowFactoryPackage, f.Err)
	}
	return err
}

// since is what was counted after before.
func since(before, after apdu.Counters) apdu.Counters {
	return apdu.Counters{
		APDUs: after.APDUs - before.APDUs, GetResponses: after.GetResponses - before.GetResponses,
		BytesOut: after.BytesOut - before.BytesOut, BytesIn: after.BytesIn - before.BytesIn, Time: after.Time - before.Time,
	}
}
