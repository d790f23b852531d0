package euiccsim

import (
	"crypto/ecdh"
	"crypto/x509"
)

// stage is how far an RSP session has come (SGP.22 section 3.1.3).
type stage int

const (
	stageChallenged    stage = iota // GetEUICCChallenge
	stageAuthenticated              // AuthenticateServer
	stagePrepared                   // PrepareDownload
)

// session is one RSP session. It lives until power loss, a new challenge, a
// cancellation, an error or an installation result; closing a logical channel
// leaves it alone.
type session struct {
	stage         stage
	challenge     [16]byte
	transactionID []byte
	address       string            // serverAddress as signed
	oid           string            // of the SM-DP+
	ci            *x509.Certificate // above the SM-DP+'s certificates
	signature1    []byte            // euiccSignature1 as TLV 5F37
	pb            *x509.Certificate // CERT.DPpb.ECDSA
	otSK          *ecdh.PrivateKey
}

// otPK is the one-time public key as an uncompressed point.
func (s *session) otPK() []byte { return s.otSK.PublicKey().Bytes() }
