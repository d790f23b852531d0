package rsp

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"linefit/modem/apdu"
	"linefit/modem/euicc"
	"linefit/modem/wire"
)

// Download installs the profile of an activation code. It is one sequential
// function: what overlaps inside (server calls with reads of the card) is over
// when it returns. The error is a [*Failure]; see the package's comment for
// what it promises.
func Download(ctx context.Context, p Params) (*Result, error) {
	d := &download{p: p, card: p.Card}
	d.res.Detail.HighWater = -1
	if err := d.prepare(); err != nil {
		return &d.res, d.fail("parameters", RowNone, err)
	}
	before := p.Card.Counters()
	err := d.run(ctx)
	d.res.APDUs = since(before, p.Card.Counters())
	d.res.RoundTrips, d.res.BlockSize = d.server.RoundTrips(), d.card.BlockSize()
	return &d.res, err
}

// download is one session.
type download struct {
	p      Params
	card   *euicc.Card
	server *Server
	res    Result

	challenge []byte
	ctxParams []byte
	in        initiated
	offer     euicc.DownloadOffer
	cert      *x509.Certificate // the eUICC's, once verified
	open      bool              // the eUICC and the server have a session that can be cancelled
}

func (d *download) prepare() (err error) {
	p := &d.p
	if p.Card == nil || p.Client == nil || p.Recorder == nil {
		return errors.New("card, client and recorder are required")
	}
	if p.CancelTimeout == 0 {
		p.CancelTimeout = 20 * time.Second
	}
	address := p.Address
	if address == "" {
		address = p.Code.Address
	}
	if d.server, err = p.Client.Server(address, p.Code.MatchingID, p.Confirmation); err != nil {
		return err
	}
	d.res.Detail.SMDP = address
	extensible := p.Info2 != nil && slices.Contains(p.Info2.RSPCapability, euicc.CapabilityDeviceExtensibility)
	d.ctxParams, err = euicc.CtxParams1(p.Code.MatchingID.Reveal(), p.Device, extensible)
	return err
}

func (d *download) run(ctx context.Context) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	if err := d.authenticate(ctx); err != nil {
		return err
	}
	prepared, err := d.agree(ctx)
	if err != nil {
		return err
	}
	pkg, err := d.fetch(ctx, prepared)
	if err != nil {
		return err
	}
	return d.load(ctx, pkg)
}

// step runs one step and notes how long it took.
func (d *download) step(name string, run func() error) error {
	if d.p.Progress != nil {
		d.p.Progress(Progress{Step: name})
	}
	start := time.Now()
	err := run()
	d.res.Timings = append(d.res.Timings, Timing{name, time.Since(start)})
	return err
}

// overlap runs a server call beside work on the card and joins them. When the
// card fails, the call is given up.
func overlap(ctx context.Context, remote, local func(context.Context) error) (remoteErr, localErr error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- remote(ctx) }()
	if localErr = local(ctx); localErr != nil {
		cancel()
	}
	return <-done, localErr
}

// begin asks the eUICC for a challenge and the server for its identity.
func (d *download) begin(ctx context.Context) error {
	err := d.step("GetEUICCChallenge", func() (err error) {
		if d.p.Info1 != nil {
			d.res.Info1 = *d.p.Info1
		} else if d.res.Info1, err = d.card.Info1(ctx); err != nil {
			return err
		}
		d.challenge, err = d.card.Challenge(ctx)
		return err
	})
	if err != nil {
		return d.fail("GetEUICCChallenge", RowNone, err)
	}
	err = d.step(string(InitiateAuthentication), func() (err error) {
		d.in, err = d.server.initiate(ctx, d.challenge, d.res.Info1.Raw)
		return err
	})
	if err != nil {
		return d.fail(string(InitiateAuthentication), rowOf(InitiateAuthentication, err), err)
	}
	d.res.Detail.TransactionID = TransactionID(d.in.rawID)
	if !d.issuerTrusted() {
		return d.fail("issuer", RowServerRefused, ErrIssuer)
	}
	return nil
}

// survey reads the profiles, so that the outcome can be told from what was there
// before. Notifications are not read for that: the eUICC's result is found by
// its transaction id, and the list of those before costs an APDU.
func (d *download) survey(ctx context.Context) (err error) {
	known := d.p.Survey
	if known == nil {
		d.res.Before, err = d.card.ProfilesBrief(ctx)
		return err
	}
	d.res.Before = known.Profiles
	for _, n := range known.Pending {
		d.res.Detail.HighWater = max(d.res.Detail.HighWater, n.Sequence)
	}
	return nil
}

// issuerTrusted holds the server's choice of issuer against the eUICC's list.
func (d *download) issuerTrusted() bool {
	n, err := wire.ParseTag(d.in.server.CIPKID, 0x04)
	if err != nil || len(n.Value) == 0 {
		return true // a v3 server may leave the choice to the eUICC
	}
	return slices.ContainsFunc(d.res.Info1.Verification, func(id euicc.PKID) bool { return bytes.Equal(id, n.Value) })
}

// authenticate lets eUICC and server prove themselves to each other. While the
// server, which has most to compute here, checks the eUICC's word, what is on the
// eUICC is read.
func (d *download) authenticate(ctx context.Context) error {
	var auth euicc.Authentication
	err := d.step("AuthenticateServer", func() (err error) {
		auth, err = d.authenticateServer(ctx)
		return err
	})
	if err != nil {
		row := RowNone
		var refused *euicc.FunctionError
		if errors.As(err, &refused) {
			row = RowServerRefused
		}
		return d.fail("AuthenticateServer", row, err)
	}
	d.res.Info2 = auth.Info2
	d.res.Proof.Certificate, d.res.Proof.EUM = auth.Certificate, auth.EUM
	if d.res.Detail.EID, err = euicc.CertificateEID(auth.Certificate); err != nil {
		d.res.Detail.EID = hex.EncodeToString(d.p.EID)
	}
	if free := auth.Info2.FreeNonVolatile; d.p.Policy.MinFree > 0 && free >= 0 && free < d.p.Policy.MinFree {
		return d.fail("memory", RowOrderNotReady, fmt.Errorf("%w: %d bytes, %d needed", ErrMemory, free, d.p.Policy.MinFree))
	}
	var remote, local error
	_ = d.step(string(AuthenticateClient), func() error {
		remote, local = overlap(ctx, func(ctx context.Context) (err error) {
			d.res.Metadata, d.offer, err = d.server.authenticate(ctx, d.in, auth.Raw)
			return err
		}, func(ctx context.Context) error {
			d.verifyIdentity(auth)
			return d.survey(ctx)
		})
		return nil
	})
	d.open = remote == nil
	if local != nil {
		return d.cancelled(ctx, "survey", RowNone, euicc.CancelPostponed, local)
	}
	if remote != nil {
		return d.fail(string(AuthenticateClient), rowOf(AuthenticateClient, remote), remote)
	}
	if identity := d.res.Proof.Err; identity != nil && len(d.p.Policy.Issuers) > 0 {
		return d.cancelled(ctx, "identity", RowServerRefused, euicc.CancelPostponed, fmt.Errorf("%w: %w", ErrEUICC, identity))
	}
	return nil
}

// ShortBlock is a size of block in bytes that every module seen takes (250
// characters of hexadecimal).
const ShortBlock = 120

// authenticateServer sends the first long message of the session. A module that
// refuses a command of that length gets it once more in small blocks: the chain
// begins anew at its first block, and nothing has changed on the eUICC yet.
// It is also where a larger size of block is tried.
func (d *download) authenticateServer(ctx context.Context) (euicc.Authentication, error) {
	d.card.TryLonger()
	auth, err := d.card.AuthenticateServer(ctx, d.in.server, d.ctxParams)
	var status *euicc.StatusError
	long := d.card.BlockSize() > ShortBlock
	tooLong := long && (apdu.RefusedLength(err) || errors.As(err, &status) && status.SW == wire.SWWrongLength)
	d.res.ShortBlocks = tooLong || long && d.card.Trying() && apdu.NoAnswer(err)
	if !tooLong {
		return auth, err
	}
	d.card.SetBlockSize(ShortBlock)
	auth, err = d.card.AuthenticateServer(ctx, d.in.server, d.ctxParams)
	var carried *apdu.Error
	d.res.ShortBlocks = !errors.As(err, &carried) // else it was not the length
	return auth, err
}

// verifyIdentity checks what the eUICC signed, as evidence. Where the curve is
// not ours to check, the SM-DP+ still does.
func (d *download) verifyIdentity(auth euicc.Authentication) {
	cert, err := auth.Verify(d.p.Policy.Issuers, d.p.EID, time.Now())
	d.res.Proof.Err = err
	if err == nil {
		d.cert, d.res.Proof.Identity = cert, true
	}
}

// agree checks the offer and lets the eUICC prepare for it.
func (d *download) agree(ctx context.Context) ([]byte, error) {
	m := d.res.Metadata
	d.res.ICCID = m.ICCID
	det := &d.res.Detail
	det.ICCID, det.RawICCID, det.Class = m.ICCID, m.RawICCID, m.Class
	det.WasPresent = slices.ContainsFunc(d.res.Before, func(p euicc.Profile) bool { return bytes.Equal(p.RawICCID, m.RawICCID) })
	if row, err := d.checkOffer(ctx); err != nil {
		return nil, d.cancelled(ctx, "offer", row, euicc.CancelPostponed, err)
	}
	hash, err := d.confirmation()
	if err != nil {
		return nil, d.cancelled(ctx, "confirmation", RowConfirmation, euicc.CancelPostponed, err)
	}
	var prepared []byte
	err = d.step("PrepareDownload", func() (err error) {
		prepared, err = d.card.PrepareDownload(ctx, d.offer, hash)
		return err
	})
	if err != nil {
		row := RowNone
		var refused *euicc.FunctionError
		if errors.As(err, &refused) {
			row = RowPrepare
		}
		return nil, d.cancelled(ctx, "PrepareDownload", row, euicc.CancelTimeout, err)
	}
	return prepared, nil
}

func (d *download) confirmation() ([]byte, error) {
	required, err := d.offer.ConfirmationCodeRequired()
	if err != nil {
		return nil, &ReplyError{AuthenticateClient, err}
	}
	if !required {
		return nil, nil
	}
	if d.p.Confirmation == "" {
		return nil, ErrConfirmation
	}
	return euicc.ConfirmationHash(d.p.Confirmation.Reveal(), d.in.rawID), nil
}

func (d *download) record(ctx context.Context, p Phase, detail Detail) error {
	if err := d.p.Recorder.Record(ctx, p, detail); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrRecord, p, err)
	}
	return nil
}

func (d *download) fail(step string, row Row, err error) *Failure {
	return &Failure{Step: step, Advice: adviceFor(row, err), TransactionID: d.res.Detail.TransactionID, Err: err}
}

// cancelled is fail after the session was cancelled on the eUICC and on the
// server, with a reason that leaves the order alive. It works on after the
// context's end. A card that does not answer is left alone.
func (d *download) cancelled(ctx context.Context, step string, row Row, reason euicc.CancelReason, err error) *Failure {
	f := d.fail(step, row, err)
	var transport *apdu.Error
	stopped := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	if !d.open || errors.As(err, &transport) && (transport.Unknown || !stopped) {
		return f
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.p.CancelTimeout)
	defer cancel()
	detail := d.res.Detail
	detail.Reason = reason
	if f.CancelErr = d.record(ctx, PhaseCancel, detail); f.CancelErr != nil {
		return f
	}
	signed, err := d.card.CancelSession(ctx, d.in.rawID, reason)
	if err != nil {
		f.CancelErr = err
		return f
	}
	d.open = false
	f.Cancelled, f.Reason = true, reason
	f.CancelErr = d.server.cancel(ctx, d.in, signed)
	return f
}
