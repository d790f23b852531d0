package euicc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"

	"linefit/modem/wire"
)

// Challenge asks for a fresh eUICC challenge, 16 bytes (ES10b
// GetEUICCChallenge). It ends any earlier session on the eUICC.
func (c *Card) Challenge(ctx context.Context) ([]byte, error) {
	n, err := c.call(ctx, "GetEUICCChallenge", 0xBF2E, []byte{0xBF, 0x2E, 0})
	if err != nil {
		return nil, err
	}
	challenge, err := n.Need(0x80)
	if err == nil && len(challenge.Value) != 16 {
		err = fmt.Errorf("%w: challenge of %d bytes", wire.ErrOutOfRange, len(challenge.Value))
	}
	if err != nil {
		return nil, &ResponseError{Function: "GetEUICCChallenge", Err: err}
	}
	return challenge.Value, nil
}

// CtxParams1 encodes the parameters for common authentication. Extensible is
// whether the eUICC takes the device capabilities added since SGP.22 v2.2.2.
func CtxParams1(matchingID string, device Device, extensible bool) ([]byte, error) {
	info, err := device.tlv(0xA1, extensible)
	if err != nil {
		return nil, err
	}
	if matchingID == "" {
		return wire.TLV(0xA0, info), nil
	}
	return wire.TLV(0xA0, wire.TLV(0x80, []byte(matchingID)), info), nil
}

// ServerAuthentication is what AuthenticateServer gets from a server, each
// field one TLV as received.
type ServerAuthentication struct {
	Signed1     []byte // 30
	Signature1  []byte // 5F37
	CIPKID      []byte // 04; may be empty from a v3 server
	Certificate []byte // 30
	Others      []byte // A1, v3 only: further certificates of the chain
}

// ServerSigned1 is what a server signs at the beginning of a session.
type ServerSigned1 struct {
	TransactionID []byte
	Challenge     []byte // the eUICC's
	Address       string
}

// ParseServerSigned1 decodes it, to be compared with what was asked.
func ParseServerSigned1(raw []byte) (ServerSigned1, error) {
	n, err := wire.ParseTag(raw, 0x30)
	if err != nil {
		return ServerSigned1{}, fmt.Errorf("serverSigned1: %w", err)
	}
	id, err := transactionID(n)
	if err != nil {
		return ServerSigned1{}, fmt.Errorf("serverSigned1: %w", err)
	}
	challenge, err := n.Need(0x81)
	if err != nil {
		return ServerSigned1{}, fmt.Errorf("serverSigned1: %w", err)
	}
	return ServerSigned1{TransactionID: id, Challenge: challenge.Value, Address: text(n, 0x83)}, nil
}

func transactionID(n wire.Node) ([]byte, error) {
	id, err := n.Need(0x80)
	if err != nil {
		return nil, err
	}
	if len(id.Value) < 1 || len(id.Value) > 16 {
		return nil, fmt.Errorf("%w: transaction id of %d bytes", wire.ErrOutOfRange, len(id.Value))
	}
	return id.Value, nil
}

// Authentication is an eUICC's answer to AuthenticateServer.
type Authentication struct {
	Raw           []byte // BF38, for ES9+ authenticateClient
	TransactionID []byte
	ServerAddress string
	Signed1       []byte // 30, covered by Signature
	Signature     []byte // r and s, 64 bytes on P-256
	Certificate   []byte // the eUICC's, DER
	EUM           []byte // its maker's, DER
	Info2         Info2  // signed by the eUICC
}

// AuthenticateServer lets the eUICC check a server and sign its own identity
// (ES10b). It begins a session on the eUICC; nothing else changes.
func (c *Card) AuthenticateServer(ctx context.Context, s ServerAuthentication, ctxParams1 []byte) (Authentication, error) {
	const function = "AuthenticateServer"
	request := wire.TLV(0xBF38, s.Signed1, s.Signature1, s.CIPKID, s.Certificate, ctxParams1, s.Others)
	n, err := c.call(ctx, function, 0xBF38, request)
	if err != nil {
		return Authentication{}, err
	}
	a, err := parseAuthentication(n)
	if err != nil {
		return Authentication{}, err
	}
	return a, nil
}

func parseAuthentication(n wire.Node) (Authentication, error) {
	const function = "AuthenticateServer"
	if err := choiceError(function, authenticateCodes, n); err != nil {
		return Authentication{}, err
	}
	bad := func(err error) (Authentication, error) {
		return Authentication{}, &ResponseError{Function: function, Err: err}
	}
	ok, err := n.Need(0xA0)
	if err != nil {
		return bad(err)
	}
	children, err := ok.Children()
	if err != nil {
		return bad(err)
	}
	if len(children) < 4 || children[0].Tag != 0x30 || children[1].Tag != 0x5F37 || children[2].Tag != 0x30 || children[3].Tag != 0x30 {
		return bad(fmt.Errorf("%w: signed data, signature and two certificates", wire.ErrMissing))
	}
	signed := children[0]
	id, err := transactionID(signed)
	if err != nil {
		return bad(err)
	}
	a := Authentication{
		Raw: n.Raw, TransactionID: id, ServerAddress: text(signed, 0x83), Signed1: signed.Raw, Signature: children[1].Value,
		Certificate: children[2].Raw, EUM: children[3].Raw,
	}
	info, err := signed.Need(0xBF22)
	if err != nil {
		return bad(err)
	}
	if a.Info2, err = parseInfo2(info); err != nil {
		return bad(err)
	}
	return a, nil
}

// choiceError reads the A1 alternative of an answer: a transaction id and a code.
func choiceError(function string, names codes, n wire.Node) error {
	failed, ok := n.Find(0xA1)
	if !ok {
		return nil
	}
	children, err := failed.Children()
	if err != nil || len(children) == 0 {
		return &ResponseError{Function: function, Err: fmt.Errorf("%w: error code", wire.ErrMissing)}
	}
	code, err := children[len(children)-1].Int()
	if err != nil {
		return &ResponseError{Function: function, Err: err}
	}
	return functionError(function, names, code)
}

// DownloadOffer is what PrepareDownload gets from a server, as received.
type DownloadOffer struct {
	Signed2     []byte // 30
	Signature2  []byte // 5F37
	Certificate []byte // 30
}

// ConfirmationCodeRequired reads the flag in smdpSigned2.
func (o DownloadOffer) ConfirmationCodeRequired() (bool, error) {
	n, err := wire.ParseTag(o.Signed2, 0x30)
	if err != nil {
		return false, fmt.Errorf("smdpSigned2: %w", err)
	}
	flag, err := n.Need(0x01)
	if err != nil {
		return false, fmt.Errorf("smdpSigned2: %w", err)
	}
	return len(flag.Value) == 1 && flag.Value[0] != 0, nil
}

// TransactionID reads the session's id in smdpSigned2.
func (o DownloadOffer) TransactionID() ([]byte, error) {
	n, err := wire.ParseTag(o.Signed2, 0x30)
	if err != nil {
		return nil, fmt.Errorf("smdpSigned2: %w", err)
	}
	return transactionID(n)
}

// ConfirmationHash is SHA-256(SHA-256(code) || transaction id) (SGP.22 section
// 5.7.5).
func ConfirmationHash(code string, transactionID []byte) []byte {
	inner := sha256.Sum256([]byte(code))
	outer := sha256.Sum256(append(inner[:], transactionID...))
	return outer[:]
}

// PrepareDownload lets the eUICC agree to a download and make its one-time key
// (ES10b). Hash is [ConfirmationHash] or nil. It returns BF21 as received.
func (c *Card) PrepareDownload(ctx context.Context, o DownloadOffer, hash []byte) ([]byte, error) {
	const function = "PrepareDownload"
	var hashCc []byte
	if len(hash) > 0 {
		hashCc = wire.TLV(0x04, hash)
	}
	n, err := c.call(ctx, function, 0xBF21, wire.TLV(0xBF21, o.Signed2, o.Signature2, hashCc, o.Certificate))
	if err != nil {
		return nil, err
	}
	if err := choiceError(function, prepareCodes, n); err != nil {
		return nil, err
	}
	signed, err := n.Need(0xA0, 0x30)
	if err != nil {
		return nil, &ResponseError{Function: function, Err: err}
	}
	id, err := transactionID(signed)
	if err != nil {
		return nil, &ResponseError{Function: function, Err: err}
	}
	if want, err := o.TransactionID(); err != nil || !bytes.Equal(id, want) {
		return nil, &ResponseError{Function: function, Err: fmt.Errorf("%w: another transaction id", wire.ErrOutOfRange)}
	}
	return n.Raw, nil
}

// CancelReason is why a session is cancelled (SGP.22 section 5.7.14).
type CancelReason int

// The reasons. After [CancelPostponed] and [CancelTimeout] the order stays
// alive and the eUICC keeps its one-time key; all others end the order.
const (
	CancelEndUserRejection CancelReason = 0
	CancelPostponed        CancelReason = 1
	CancelTimeout          CancelReason = 2
	CancelPPRNotAllowed    CancelReason = 3
	CancelMetadataMismatch CancelReason = 4
	CancelLoadBPPError     CancelReason = 5
	CancelUndefined        CancelReason = 127
)

// Terminal reports whether the reason ends the order.
func (r CancelReason) Terminal() bool { return r != CancelPostponed && r != CancelTimeout }

// CancelSession ends the session on the eUICC (ES10b) and returns BF41 as
// received, for ES9+ cancelSession.
func (c *Card) CancelSession(ctx context.Context, transactionID []byte, reason CancelReason) ([]byte, error) {
	const function = "CancelSession"
	n, err := c.call(ctx, function, 0xBF41, wire.TLV(0xBF41, wire.TLV(0x80, transactionID), wire.Integer(0x81, int64(reason))))
	if err != nil {
		return nil, err
	}
	if _, failed := n.Find(0x81); failed {
		return nil, result(function, cancelCodes, n, 0x81)
	}
	if _, err := n.Need(0xA0); err != nil {
		return nil, &ResponseError{Function: function, Err: err}
	}
	return n.Raw, nil
}
