// Package testpki is linefit's own test certificate authority in the manner of
// SGP.26, the reader of other people's test certificates, and the chain checks
// that the virtual eUICC and the virtual SM-DP+ share. It never comes near
// production: a production station trusts none of what is made here.
//
// # Certificates
//
// All keys are on P-256. Roles, their policy identifiers and key usages are
// those of SGP.22 section 4.5.2.1:
//
//	CI      2.23.146.1.2.1.0  certSign, crlSign      self-signed root
//	EUICC   2.23.146.1.2.1.1  digitalSignature       subject serialNumber is the EID
//	EUM     2.23.146.1.2.1.2  certSign               nameConstraints: organization and EID prefix
//	DPTLS   2.23.146.1.2.1.3  digitalSignature       serverAuth, host names
//	DPAuth  2.23.146.1.2.1.4  digitalSignature       subjectAltName registeredID is the SM-DP+'s OID
//	DPPB    2.23.146.1.2.1.5  digitalSignature       the same OID
//
// They are valid from 1999-01-01 to 2099-12-31, so that they also hold inside
// a testing/synctest bubble, where time starts at 2000-01-01.
//
// An [Authority] holds the root, the EUM and the server keys. Every key and
// serial number is derived from its seed: the same seed gives the same
// certificates byte for byte, and storing the seed ([Authority.MarshalText])
// stores the authority. The defects that negative tests need are made by
// [Authority.CardWith] and [Authority.ServerWith].
//
// # Folders
//
// [LoadCard] and [LoadServer] read the folders that `--pki` names. They report
// every mistake at once, each with its file:
//
//	card:    ci*.der  eum.der  euicc.der  euicc-key.pem or euicc.d.hex  [eum-key.pem or eum.d.hex]
//	server:  ci*.der  ci-key.pem or ci.d.hex  dpauth.der dpauth.d.hex  dppb.der dppb.d.hex
//
// # Checks
//
// [VerifyServer] and [VerifyCard] walk leaf to root and check signature,
// validity (unless the caller has no clock), policy, key usage, curve and, for
// an eUICC, the EUM's name constraints, which crypto/x509 cannot: it reports a
// directoryName constraint as an unhandled critical extension. Their errors
// wrap one of the Err values of this package.
package testpki
