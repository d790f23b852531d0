package rsp

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"strings"

	"linefit/modem/euicc"
)

// initiated is the answer to initiateAuthentication.
type initiated struct {
	id     string // as the server writes it
	rawID  []byte
	server euicc.ServerAuthentication
}

// initiate begins a session. It changes nothing but the server's session table
// and is repeated when no answer comes.
func (s *Server) initiate(ctx context.Context, challenge, info1 []byte) (initiated, error) {
	const f = InitiateAuthentication
	r, err := s.call(ctx, f, s.client.cfg.Timeouts.Initiate, struct {
		Address   string `json:"smdpAddress"`
		Challenge der    `json:"euiccChallenge"`
		Info1     der    `json:"euiccInfo1"`
	}{s.address, challenge, info1}, true)
	if err != nil {
		return initiated{}, err
	}
	signed, err := euicc.ParseServerSigned1(r.ServerSigned1)
	if err != nil {
		return initiated{}, &ReplyError{f, err}
	}
	id, err := hex.DecodeString(r.TransactionID)
	switch {
	case err != nil || !bytes.Equal(id, signed.TransactionID):
		return initiated{}, &ReplyError{f, errors.New("transaction id is not the one that was signed")}
	case !bytes.Equal(signed.Challenge, challenge):
		return initiated{}, &ReplyError{f, errors.New("another challenge was signed")}
	case !strings.EqualFold(signed.Address, s.address):
		return initiated{}, &ReplyError{f, errors.New("another SM-DP+ address was signed")}
	}
	return initiated{r.TransactionID, id, euicc.ServerAuthentication{
		Signed1: r.ServerSigned1, Signature1: r.Signature1, CIPKID: r.CIPKID, Certificate: r.Certificate,
	}}, nil
}

// authenticate hands over the eUICC's answer and gets the offer.
func (s *Server) authenticate(ctx context.Context, in initiated, answer []byte) (euicc.Metadata, euicc.DownloadOffer, error) {
	const f = AuthenticateClient
	fail := func(err error) (euicc.Metadata, euicc.DownloadOffer, error) {
		return euicc.Metadata{}, euicc.DownloadOffer{}, err
	}
	r, err := s.call(ctx, f, s.client.cfg.Timeouts.Authenticate, struct {
		ID     string `json:"transactionId"`
		Answer der    `json:"authenticateServerResponse"`
	}{in.id, answer}, false)
	if err != nil {
		return fail(err)
	}
	offer := euicc.DownloadOffer{Signed2: r.Signed2, Signature2: r.Signature2, Certificate: r.SMDPCertificate}
	id, err := offer.TransactionID()
	if err != nil {
		return fail(&ReplyError{f, err})
	}
	if !bytes.Equal(id, in.rawID) || !strings.EqualFold(r.TransactionID, in.id) {
		return fail(&ReplyError{f, errors.New("it is of another transaction")})
	}
	metadata, err := euicc.ParseMetadata(r.Metadata)
	if err != nil {
		return fail(&ReplyError{f, err})
	}
	return metadata, offer, nil
}

// getPackage gets the bound profile package. It counts against the order.
func (s *Server) getPackage(ctx context.Context, in initiated, prepared []byte) (*euicc.BoundPackage, error) {
	const f = GetBoundProfilePackage
	r, err := s.call(ctx, f, s.client.cfg.Timeouts.GetPackage, struct {
		ID     string `json:"transactionId"`
		Answer der    `json:"prepareDownloadResponse"`
	}{in.id, prepared}, false)
	if err != nil {
		return nil, err
	}
	p, err := euicc.ParseBoundPackage(r.Package)
	if err != nil {
		return nil, &ReplyError{f, err}
	}
	if !bytes.Equal(p.TransactionID(), in.rawID) {
		return nil, &ReplyError{f, errors.New("the package is bound to another transaction")}
	}
	return p, nil
}

// cancel ends the server's session with what the eUICC signed.
func (s *Server) cancel(ctx context.Context, in initiated, signed []byte) error {
	_, err := s.call(ctx, CancelSession, s.client.cfg.Timeouts.Cancel, struct {
		ID     string `json:"transactionId"`
		Answer der    `json:"cancelSessionResponse"`
	}{in.id, signed}, false)
	return err
}

// Notify hands over one pending notification, as the eUICC made it. The server
// takes a repeated one for the same, so it is repeated when no answer comes.
func (s *Server) Notify(ctx context.Context, raw []byte) error {
	_, err := s.call(ctx, HandleNotification, s.client.cfg.Timeouts.Notify, struct {
		Notification der `json:"pendingNotification"`
	}{raw}, true)
	return err
}
