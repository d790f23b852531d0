package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"linefit/modem/euicc"
	"linefit/modem/ident"
	"linefit/modem/rsp"
	"linefit/station/mes"
)

// smdpFlags are how an SM-DP+ is reached and trusted.
type smdpFlags struct {
	CA          []string `name:"ca" placeholder:"FILE" help:"Certificate of an issuer to trust, PEM or DER; none is trusted without it."`
	SmdpAddress string   `placeholder:"HOST:PORT" help:"Where the SM-DP+ is reached, when not at the address in the code."`
}

// client makes an ES9+ client that trusts the given issuers and no other. early,
// where not empty, is a server to which a connection is begun at once.
func (f smdpFlags) client(ctx context.Context, trace func() io.Writer, early string) (*rsp.Client, func(), error) {
	var certs []*x509.Certificate
	for _, path := range f.CA {
		b, err := readFile(path)
		if err != nil {
			return nil, nil, exit(exitMissing, fmt.Errorf("--ca: %w", err))
		}
		more, err := rsp.ParseCertificates(b)
		if err != nil {
			return nil, nil, exit(exitUsage, fmt.Errorf("--ca: %s: %w", path, err))
		}
		certs = append(certs, more...)
	}
	if len(certs) == 0 {
		return nil, nil, exit(exitUsage, errors.New("--ca: the certificate of the SM-DP+'s issuer is needed; none is built in"))
	}
	cfg := rsp.TransportConfig{Roots: rsp.Pool(certs...)}
	if f.SmdpAddress != "" {
		if err := rsp.CheckAddress(f.SmdpAddress); err != nil {
			return nil, nil, exit(exitUsage, fmt.Errorf("--smdp-address: %w", err))
		}
		target := f.SmdpAddress
		if !strings.Contains(target, ":") {
			target += ":443"
		}
		cfg.Dial = func(string) string { return target }
	}
	transport := rsp.NewTransport(cfg)
	client := rsp.NewClient(rsp.ClientConfig{Transport: transport, Trace: func(x rsp.Exchange) {
		trace := trace()
		fmt.Fprintf(trace, "# ES9+ %s %s: status %d, %d bytes out, %d in, %v", x.Function, x.Address, x.Status, x.Sent, x.Received, x.Took.Round(time.Millisecond))
		if x.Err != nil {
			fmt.Fprintf(trace, ", %v", x.Err)
		}
		fmt.Fprintln(trace)
	}})
	end := func() {}
	if early != "" {
		end = transport.Preconnect(ctx, early)
	}
	return client, func() { end(); transport.CloseIdleConnections() }, nil
}

type euiccDownloadCmd struct {
	smdpFlags
	ActivationCode   string `required:"" placeholder:"LPA:1$..." help:"Activation code; - reads it from the input's first line."`
	ConfirmationCode string `placeholder:"C" help:"Confirmation code, where the order asks for one; - reads it from the input's next line."`
	IMEI             string `name:"imei" placeholder:"IMEI" help:"The unit's IMEI, for a module that does not tell it."`
	TAC              string `name:"tac" placeholder:"TAC" help:"Type allocation code, where there is no IMEI."`
	ICCID            string `name:"iccid" placeholder:"ICCID" help:"The profile that is expected; another one is not installed."`
	Consent          string `placeholder:"CONTRACT" help:"Agree to the profile's policy rules; the name of the contract is recorded."`
	Keep             bool   `help:"Leave the notification on the eUICC instead of delivering it."`
}

// euiccDownload is what `download --json` prints.
type euiccDownload struct {
	OK            bool               `json:"ok"`
	EID           string             `json:"eid"`
	ICCID         ident.ICCID        `json:"iccid,omitempty"`
	AID           string             `json:"aid,omitempty"`
	Provider      string             `json:"provider,omitempty"`
	Name          string             `json:"name,omitempty"`
	TransactionID rsp.TransactionID  `json:"transaction_id,omitempty"`
	PackageBytes  int                `json:"package_bytes,omitempty"`
	Outcome       rsp.Outcome        `json:"outcome"` // installed, absent or unknown
	Notification  string             `json:"notification,omitempty"`
	Verified      bool               `json:"verified"` // the eUICC's signed result was checked
	APDUs         int                `json:"apdus"`
	GetResponses  int                `json:"get_responses"`
	BytesOut      int                `json:"bytes_out"`
	BytesIn       int                `json:"bytes_in"`
	RoundTrips    int                `json:"round_trips"`
	BlockSize     int                `json:"block_size"`
	Seconds       float64            `json:"seconds"`
	Steps         map[string]float64 `json:"steps,omitempty"` // seconds
	Error         string             `json:"error,omitempty"`
	Row           rsp.Row            `json:"row,omitempty"` // of the failure table
	Code          rsp.CodeUse        `json:"code,omitempty"`
	Advice        string             `json:"advice,omitempty"`
}

// Run downloads, and reconciles at once when the outcome is not known.
func (c *euiccDownloadCmd) Run(a *app, e *euiccCmd) error {
	params, err := c.params(a)
	if err != nil {
		return err
	}
	if done, err := e.throughStation(a, mes.HandBody{
		Verb: "download", ActivationCode: c.ActivationCode, ConfirmationCode: c.ConfirmationCode, IMEI: c.IMEI, TAC: c.TAC, ICCID: c.ICCID, Consent: c.Consent, Keep: c.Keep,
	}); done {
		return err
	}
	var u *unit
	client, done, err := e.server(a.ctx, c.smdpFlags, func() io.Writer { return u.trace }, params.Code.Address)
	if err != nil {
		return err
	}
	defer done()
	if u, err = e.open(a); err != nil {
		return e.failed(a, err)
	}
	defer u.close()
	params.Client = client
	if params.Device.IMEI == "" && params.Device.TAC == "" {
		if params.Device.IMEI = u.imei(a.ctx); params.Device.IMEI == "" {
			return exit(exitUsage, errors.New("the module does not tell its IMEI: give --imei or --tac"))
		}
	}
	out, err := c.download(u, params)
	if printErr := c.print(a, e, out, err); printErr != nil {
		return printErr
	}
	switch {
	case out.OK:
		return nil
	case e.JSON: // the document says it all
		return exit(codeOf(cardExit(err)), nil)
	}
	return cardExit(err)
}

// params reads what the command line says.
func (c *euiccDownloadCmd) params(a *app) (rsp.Params, error) {
	input := bufio.NewScanner(a.stdin)
	line := func(text string) string {
		if text != "-" {
			return text
		}
		input.Scan()
		return strings.TrimSpace(input.Text())
	}
	p := rsp.Params{Deliver: !c.Keep, Device: euicc.Device{TAC: c.TAC}, Consent: rsp.Consent{Contract: c.Consent, PPRs: []int{1, 2}}}
	var errs []error
	var err error
	c.ActivationCode, c.ConfirmationCode = line(c.ActivationCode), line(c.ConfirmationCode)
	if p.Code, err = rsp.ParseActivationCode(c.ActivationCode); err != nil {
		errs = append(errs, fmt.Errorf("--activation-code: %w", err))
	}
	p.Confirmation = rsp.Secret(c.ConfirmationCode)
	if c.IMEI != "" {
		if p.Device.IMEI, err = ident.ParseIMEI(c.IMEI); err != nil {
			errs = append(errs, fmt.Errorf("--imei: %w", err))
		}
	}
	if c.ICCID != "" {
		if p.Policy.ICCID, err = ident.ParseICCID(c.ICCID); err != nil {
			errs = append(errs, fmt.Errorf("--iccid: %w", err))
		}
	}
	if len(errs) > 0 {
		return p, exit(exitUsage, errors.Join(errs...))
	}
	return p, nil
}

// download runs one session, and a second one under the other name when the
// first was refused for the name before anything could change.
func (c *euiccDownloadCmd) download(u *unit, p rsp.Params) (euiccDownload, error) {
	ctx := u.a.ctx
	var out euiccDownload
	var log *cardLog
	start := time.Now()
	err := u.card(ctx, func(card *euicc.Card) (err error) {
		if log, err = u.openRecordOf(ctx, card, c.ActivationCode); err != nil {
			return err
		}
		p.Card, p.Recorder, p.Progress = card, log, u.progress()
		p.Address = u.c.via.serverAddress()
		result, err := rsp.Download(ctx, p)
		if c.otherName(p, err) {
			p.Address = c.SmdpAddress
			result, err = rsp.Download(ctx, p)
		}
		out = viewDownload(result, err)
		all := card.Counters() // opening included
		out.APDUs, out.GetResponses, out.BytesOut, out.BytesIn = all.APDUs, all.GetResponses, all.BytesOut, all.BytesIn
		if err == nil {
			return log.outcome(rsp.PhaseLoad, result.Detail, nil)
		}
		return errors.Join(err, log.outcome(rsp.PhaseLoad, result.Detail, err))
	})
	if log != nil {
		defer log.close()
	}
	out.Seconds = time.Since(start).Seconds()
	var f *rsp.Failure
	if errors.As(err, &f) && f.Unknown {
		return out, c.reconcile(u, log, p, &out, err)
	}
	if err != nil && out.Error == "" {
		out.Outcome, out.Error = rsp.Absent, err.Error()
	}
	return out, err
}

// otherName: the code's host and --smdp-address name the same server. It was
// asked by the code's name first; when the server has another one, or its
// certificate does, nothing has happened yet and the other name is tried.
func (c *euiccDownloadCmd) otherName(p rsp.Params, err error) bool {
	var f *rsp.Failure
	if c.SmdpAddress == "" || c.SmdpAddress == p.Code.Address || !errors.As(err, &f) || f.Step != string(rsp.InitiateAuthentication) {
		return false
	}
	var name x509.HostnameError
	return errors.As(err, &name) || errors.Is(err, &rsp.ServerError{Subject: "8.8.1", Reason: "3.8"})
}

// reconcile reads the eUICC back after a load with an unknown outcome.
func (c *euiccDownloadCmd) reconcile(u *unit, log *cardLog, p rsp.Params, out *euiccDownload, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.a.ctx), 2*time.Minute)
	defer cancel()
	fmt.Fprintln(u.a.stderr, "the outcome is not known; reading the eUICC back")
	phase, detail, err := u.c.lastDownload(log.eid)
	if err == nil {
		err = u.settle(ctx)
	}
	var rec rsp.Reconciliation
	if err == nil {
		err = u.card(ctx, func(card *euicc.Card) (err error) {
			if rec, err = rsp.Reconcile(ctx, phase, detail, card); err != nil || rec.Outcome != rsp.Installed || !p.Deliver {
				return err
			}
			deliveries, err := rsp.Deliver(ctx, card, p.Client, log)
			for _, d := range deliveries {
				if rec.Installation != nil && d.Sequence == rec.Installation.Notification.Sequence {
					out.Notification = deliveryText(d)
				}
			}
			return err
		})
	}
	if err != nil {
		out.Outcome, out.Error = rsp.Unknown, errors.Join(cause, err).Error()
		return errors.Join(cause, err)
	}
	out.Outcome, out.Row, out.Code, out.Advice = rec.Outcome, rec.Advice.Row, rec.Advice.Code, rec.Advice.Text
	if err := log.append(cardRecord{Event: "outcome", Phase: phase, Detail: &detail, Outcome: string(rec.Outcome)}); err != nil {
		return err
	}
	if rec.Outcome == rsp.Installed {
		out.OK, out.Error = true, ""
		return nil
	}
	return cause
}

// progress prints the steps on stderr, a load by tenths.
func (u *unit) progress() func(rsp.Progress) {
	if u.c.JSON {
		return nil
	}
	tenth := -1
	return func(p rsp.Progress) {
		switch {
		case p.Total == 0:
			fmt.Fprintln(u.a.stderr, p.Step)
		case p.Done*10/p.Total > tenth:
			tenth = p.Done * 10 / p.Total
			fmt.Fprintf(u.a.stderr, "%s %d of %d bytes\n", p.Step, p.Done, p.Total)
		}
	}
}
