package ifpp

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"linefit/modem/euicc"
	"linefit/station/stock"
)

// ErrBinding is the error of a package that is not what is said of it.
var ErrBinding = errors.New("the package is not bound as it should be")

// Inspect looks into a prepared package before it is taken into the stock: its
// shape, its session and profile, and the signature with which its SM-DP+ bound
// it to the eUICC's one-time key. It returns the profile's service provider,
// empty where its metadata cannot be read. What is enciphered only the eUICC can
// check. Errors show nothing of the package.
func Inspect(p stock.Prepared) (provider string, err error) {
	pkg, err := euicc.ParseBoundPackage(p.Package.Reveal())
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBinding, err)
	}
	if session := hex.EncodeToString(pkg.TransactionID()); !strings.EqualFold(session, p.Transaction) {
		return "", fmt.Errorf("%w: it is of session %s", ErrBinding, session)
	}
	cert, err := euicc.ParseCertificate(p.Certificate)
	if err != nil {
		return "", fmt.Errorf("%w: certificate: %w", ErrBinding, err)
	}
	if err := pkg.VerifyBinding(cert, p.OneTimeKey); err != nil {
		return "", fmt.Errorf("%w: %w for its certificate and one-time key", ErrBinding, err)
	}
	m, ok := pkg.Metadata()
	if !ok {
		return "", nil
	}
	if m.ICCID != p.ICCID {
		return "", fmt.Errorf("%w: its profile has ICCID %s", ErrBinding, m.ICCID)
	}
	return m.Provider, nil
}
