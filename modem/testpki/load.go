package testpki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// FileError is one mistake in a folder of certificates.
type FileError struct {
	File string // path as given, joined with the file's name
	Err  error
}

func (e *FileError) Error() string { return e.File + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Err }

// folder collects mistakes while it reads.
type folder struct {
	dir  string
	errs []error
}

func (f *folder) fail(name string, err error) {
	f.errs = append(f.errs, &FileError{File: filepath.Join(f.dir, name), Err: err})
}

// LoadCard reads the folder of an eUICC's certificates. The chain is checked
// too, without validity periods. The error joins every *[FileError].
func LoadCard(dir string) (*CardMaker, error) {
	f := &folder{dir: dir}
	m := &CardMaker{CIs: f.roots()}
	m.EUM.Cert = f.cert("eum.der")
	m.EUM.Key = f.key("eum", m.EUM.Cert, false)
	card := &Card{CIs: m.CIs, EUM: m.EUM.Cert}
	card.Cert = f.cert("euicc.der")
	card.Key = f.key("euicc", card.Cert, true)
	if len(f.errs) == 0 {
		chain, err := VerifyCard(card.Cert.Raw, m.EUM.Cert.Raw, m.CIs, time.Time{})
		if err != nil {
			f.fail("euicc.der", err)
		} else {
			card.EID, m.Given = chain.EID, card
		}
	}
	return m, errors.Join(f.errs...)
}

// LoadServer reads the folder of an SM-DP+'s certificates and checks them,
// validity periods excepted. The error joins every *[FileError].
func LoadServer(dir string) (*Server, error) {
	f := &folder{dir: dir}
	s := &Server{}
	cis := f.roots()
	if len(cis) > 0 {
		s.CI.Cert = cis[0]
		s.CI.Key = f.key("ci", s.CI.Cert, true)
	}
	s.Auth.Cert = f.cert("dpauth.der")
	s.Auth.Key = f.key("dpauth", s.Auth.Cert, true)
	s.PB.Cert = f.cert("dppb.der")
	s.PB.Key = f.key("dppb", s.PB.Cert, true)
	if len(f.errs) == 0 {
		f.server("dpauth.der", s.Auth.Cert, RoleDPAuth, cis)
		f.server("dppb.der", s.PB.Cert, RoleDPPB, cis)
		if a, b := RegisteredID(s.Auth.Cert), RegisteredID(s.PB.Cert); a != b {
			f.fail("dppb.der", fmt.Errorf("%w: registeredID %s, but dpauth.der has %s", ErrSubject, b, a))
		}
	}
	return s, errors.Join(f.errs...)
}

func (f *folder) server(name string, cert *x509.Certificate, role Role, cis []*x509.Certificate) {
	if _, _, err := VerifyServer(cert.Raw, role, cis, time.Time{}); err != nil {
		f.fail(name, err)
	}
}

// roots reads ci*.der; ci.der comes first.
func (f *folder) roots() []*x509.Certificate {
	names, err := filepath.Glob(filepath.Join(f.dir, "ci*.der"))
	if err != nil || len(names) == 0 {
		f.fail("ci.der", fmt.Errorf("%w: at least one root certificate (ci*.der) is needed", fs.ErrNotExist))
		return nil
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := filepath.Base(names[i]) == "ci.der", filepath.Base(names[j]) == "ci.der"
		return a != b && a || a == b && names[i] < names[j]
	})
	var cis []*x509.Certificate
	for _, path := range names {
		if c := f.cert(filepath.Base(path)); c != nil {
			if err := check(c, RoleCI, c, time.Time{}); err != nil {
				f.fail(filepath.Base(path), err)
			}
			cis = append(cis, c)
		}
	}
	return cis
}

func (f *folder) cert(name string) *x509.Certificate {
	der, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		f.fail(name, cause(err))
		return nil
	}
	if block, _ := pem.Decode(der); block != nil && block.Type == "CERTIFICATE" {
		der = block.Bytes
	}
	cert, err := ParseCertificate(der)
	if err != nil {
		f.fail(name, err)
		return nil
	}
	return cert
}

// key reads NAME-key.pem or NAME.d.hex and compares it with the certificate.
func (f *folder) key(name string, cert *x509.Certificate, needed bool) *ecdsa.PrivateKey {
	for _, file := range []string{name + "-key.pem", name + ".d.hex"} {
		b, err := os.ReadFile(filepath.Join(f.dir, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var key *ecdsa.PrivateKey
		if err == nil {
			key, err = parseKey(b)
		}
		if err != nil {
			f.fail(file, cause(err))
			return nil
		}
		if cert != nil && !key.PublicKey.Equal(cert.PublicKey) {
			f.fail(file, errors.New("is not the private key of "+name+".der"))
			return nil
		}
		return key
	}
	if needed {
		f.fail(name+"-key.pem", fmt.Errorf("%w (nor %s.d.hex): the private key of %s.der is needed", fs.ErrNotExist, name, name))
	}
	return nil
}

// parseKey reads a PEM (SEC 1 or PKCS #8) or a hexadecimal scalar of 64 digits.
// Its errors never show the key.
func parseKey(b []byte) (*ecdsa.PrivateKey, error) {
	bad := errors.New("neither a P-256 private key in PEM nor 64 hexadecimal digits")
	for rest := b; ; {
		block, tail := pem.Decode(rest)
		if block == nil {
			break
		}
		rest = tail
		if k, err := x509.ParseECPrivateKey(block.Bytes); err == nil && k.Curve == elliptic.P256() {
			return k, nil
		}
		if k, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if k, ok := k.(*ecdsa.PrivateKey); ok && k.Curve == elliptic.P256() {
				return k, nil
			}
		}
	}
	d, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(d) != 32 {
		return nil, bad
	}
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	if err != nil {
		return nil, bad
	}
	return k, nil
}

// cause drops the path that the file system's errors repeat.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
