package smdpsim

import (
	"bytes"
	"fmt"
	"strings"

	"linefit/modem/smdpsim/bsp"
	"linefit/modem/testpki"
	"linefit/modem/wire"
)

// initiate is ES9+.InitiateAuthentication (SGP.22 section 5.6.1).
func (s *Server) initiate(c *call) (reply, error) {
	if c.req.SMDPAddress == nil {
		return nil, statusMissing.with("smdpAddress is missing")
	}
	if !s.isAddress(*c.req.SMDPAddress) {
		return nil, statusAddress
	}
	challenge, err := data(c.req.EUICCChallenge, "euiccChallenge")
	if err != nil {
		return nil, err
	}
	if len(challenge) != 16 {
		return nil, statusInvalid.with("euiccChallenge: %d bytes, not 16", len(challenge))
	}
	info, err := object(c.req.EUICCInfo1, "euiccInfo1", 0xBF20)
	if err != nil {
		return nil, err
	}
	if err := s.supports(info); err != nil {
		return nil, err
	}

	sess := &session{ID: fmt.Sprintf("%X", random(make([]byte, 16))), Challenge: random(make([]byte, 16)), Stage: stageInitiated, At: c.at}
	signed := s.serverSigned1(signedID(sess.transaction(), c.fault), challenge, sess.Challenge)
	signature, err := s.sign(s.cfg.PKI.Auth, c.fault, signed)
	if err != nil {
		return nil, err
	}
	if err := s.store.commit(change{sessions: []*session{sess}}); err != nil {
		return nil, err
	}
	c.transaction = sess.ID
	return reply{
		"transactionId":       sess.ID,
		"serverSigned1":       encode(signed),
		"serverSignature1":    encode(signature),
		"euiccCiPKIdToBeUsed": encode(wire.TLV(0x04, s.cis[0].SubjectKeyId)),
		"serverCertificate":   encode(s.cfg.PKI.Auth.Cert.Raw),
	}, nil
}

// isAddress compares an address with the server's own. Host names have no case.
func (s *Server) isAddress(address string) bool { return strings.EqualFold(address, s.cfg.Address) }

// supports checks the eUICC's specification version and CI keys (EUICCInfo1).
func (s *Server) supports(info wire.Node) error {
	svn, err := sized(info, 3, 0x82)
	if err != nil {
		return err
	}
	if svn[0] < 2 {
		return statusSVN.with("the eUICC's specification version %d.%d.%d is not supported", svn[0], svn[1], svn[2])
	}
	for _, list := range []struct {
		tag    wire.Tag
		wanted []byte
		none   *Status
	}{
		{0xA9, s.cfg.PKI.Auth.Cert.AuthorityKeyId, statusNoCert},
		{0xAA, s.cis[0].SubjectKeyId, statusCIKey},
	} {
		n, err := need(info, list.tag)
		if err != nil {
			return err
		}
		ids, err := n.Children()
		if err != nil {
			return statusInvalid.with("euiccInfo1: %v", err)
		}
		found := false
		for _, id := range ids {
			found = found || id.Tag == 0x04 && bytes.Equal(id.Value, list.wanted)
		}
		if !found {
			return list.none
		}
	}
	return nil
}

// serverSigned1 is ServerSigned1 of SGP.22 annex H.
func (s *Server) serverSigned1(transaction, euiccChallenge, serverChallenge []byte) []byte {
	return wire.TLV(0x30,
		wire.TLV(0x80, transaction),
		wire.TLV(0x81, euiccChallenge),
		wire.TLV(0x83, []byte(s.cfg.Address)),
		wire.TLV(0x84, serverChallenge))
}

// sign makes a signature TLV (5F37).
func (s *Server) sign(with testpki.Pair, f Fault, parts ...[]byte) ([]byte, error) {
	signature, err := testpki.Sign(with.Key, parts...)
	if err != nil {
		return nil, err
	}
	if f.Kind == FaultWrongSignature {
		signature[len(signature)-1] ^= 1
	}
	return wire.TLV(0x5F37, signature), nil
}

// signedID is the transaction id for signed data, or another one on command.
func signedID(transaction []byte, f Fault) []byte {
	if f.Kind != FaultWrongTransactionID {
		return transaction
	}
	wrong := bytes.Clone(transaction)
	wrong[len(wrong)-1] ^= 1
	return wrong
}

func newKeys() *bsp.Keys {
	k := &bsp.Keys{}
	random(k.MCV[:])
	random(k.ENC[:])
	random(k.MAC[:])
	return k
}
