package euicc

import (
	"bytes"
	"crypto/x509"
	"fmt"

	"linefit/modem/wire"
)

// VerifyBinding checks who bound the package, and to which one-time key of an
// eUICC: the signature of InitialiseSecureChannel, by CERT.DPpb, covers the
// eUICC's one-time public key although the package does not carry it (SGP.22
// section 5.5.1). What is inside, only the eUICC can check. Errors wrap
// [ErrPackage] or [ErrSignature].
func (p *BoundPackage) VerifyBinding(cert *x509.Certificate, oneTimeKey []byte) error {
	n, err := wire.ParseTag(p.raw, 0xBF36)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPackage, err)
	}
	request, err := n.Need(0xBF23)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPackage, err)
	}
	parts, err := request.Children()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPackage, err)
	}
	want := []wire.Tag{0x82, 0x80, 0xA6, 0x5F49, 0x5F37} // operation, transaction id, control reference template, otPK.DP, signature
	if len(parts) != len(want) {
		return fmt.Errorf("%w: %w: initialiseSecureChannelRequest", ErrPackage, wire.ErrMissing)
	}
	var signed bytes.Buffer
	for i, part := range parts {
		if part.Tag != want[i] {
			return fmt.Errorf("%w: %w: %v in initialiseSecureChannelRequest", ErrPackage, wire.ErrWrongTag, part.Tag)
		}
		if part.Tag != 0x5F37 {
			signed.Write(part.Raw)
		}
	}
	signed.Write(wire.TLV(0x5F49, oneTimeKey))
	return VerifySignature(cert, signed.Bytes(), parts[len(parts)-1].Value)
}
