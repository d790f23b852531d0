// Package eim reads eIM configuration data (SGP.32 section 2.11.1.1.1): what an
// IoT eUICC must know of the remote manager that it is associated with. An eIM's
// operator hands it out as a file; this package takes
//
//   - DER: one EimConfigurationData, several behind one another, a list of them,
//     or a whole AddInitialEimRequest (BF57) or GetEimConfigurationDataResponse
//     (BF55); also as text, in hexadecimal or base64;
//   - JSON: one object, an array, or {"eimConfigurationDataList": [...]}, with the
//     names of the specification ([Schema]); keys and certificates as PEM or
//     base64.
//
// Nothing is guessed and nothing is half read: [Parse] returns every mistake at
// once with its place, and no configuration where there is one. Bytes that came
// as DER go to the eUICC as they came.
//
//	{
//	  "eimId": "eim.example.com",
//	  "eimFqdn": "eim.example.com",
//	  "eimIdType": "eimIdTypeFqdn",
//	  "counterValue": 0,
//	  "associationToken": -1,
//	  "eimPublicKeyData": {"eimCertificate": "-----BEGIN CERTIFICATE-----\n…"},
//	  "eimSupportedProtocol": ["eimRetrieveHttps"]
//	}
//
// What must hold is what an eUICC will ask of AddInitialEim: an identifier of 1
// to 128 bytes, a counter of 0 to 7FFFFF, a P-256 key, and an association token
// only as -1, which asks for one.
package eim

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"linefit/internal/strictyaml"
)

// Limits of SGP.32 and of what is read.
const (
	MaxID      = 128      // bytes of eimId
	MaxCounter = 0x7FFFFF // of counterValue (section 2.11.1.1)
	MaxFile    = 64 << 10
	MaxEIMs    = 16
)

// IDType says of what kind an eimId is.
type IDType int

// The kinds.
const (
	TypeOID         IDType = 1
	TypeFQDN        IDType = 2
	TypeProprietary IDType = 3
)

// Configuration is one eIM as its operator describes it.
type Configuration struct {
	// Raw is the EimConfigurationData (30) that goes to the eUICC.
	Raw     []byte
	ID      string
	FQDN    string
	IDType  IDType // 0: not stated
	Counter int64
	// Token says that the eUICC is asked for an association token.
	Token bool
	// Key is the eIM's public key, SubjectPublicKeyInfo in DER.
	Key      []byte
	Protocol []int  // bits of eimSupportedProtocol
	CI       []byte // euiccCiPKId, empty: the eUICC chooses
}

// Parse reads a file's configurations. The error is of type
// [strictyaml.Problems]: every mistake with its place, which in DER is line 1
// and the byte, counted from 1.
func Parse(file string, data []byte) ([]Configuration, error) {
	if len(data) > MaxFile {
		return nil, one(file, "the file has %d bytes, more than %d", len(data), MaxFile)
	}
	var list []Configuration
	var found strictyaml.Problems
	if text := bytes.TrimSpace(data); len(text) > 0 && (text[0] == '{' || text[0] == '[') {
		list, found = parseJSON(file, data)
	} else {
		list, found = parseDER(file, unpack(data))
	}
	if len(found) == 0 {
		found = twice(file, list)
	}
	if err := found.Err(); err != nil {
		return nil, err
	}
	return list, nil
}

func one(file, format string, args ...any) strictyaml.Problems {
	return strictyaml.Problems{problem(file, 0, "", format, args...)}
}

// twice finds identifiers that stand twice: the eUICC would refuse the second.
func twice(file string, list []Configuration) strictyaml.Problems {
	var found strictyaml.Problems
	seen := map[string]bool{}
	for _, c := range list {
		if seen[c.ID] {
			found = append(found, problem(file, 0, "eimId", "eIM %q stands twice", c.ID))
		}
		seen[c.ID] = true
	}
	return found
}

// unpack undoes a text form of DER.
func unpack(data []byte) []byte {
	text := strings.Join(strings.Fields(string(data)), "")
	if len(text) < 4 || strings.IndexFunc(text, func(r rune) bool { return r < '+' || r > 'z' }) >= 0 {
		return data
	}
	if b, err := hex.DecodeString(text); err == nil {
		return b
	}
	if b, err := base64.StdEncoding.DecodeString(text); err == nil {
		return b
	}
	return data
}

// IDs are the identifiers of configurations, in order.
func IDs(list []Configuration) []string {
	ids := make([]string, len(list))
	for i, c := range list {
		ids[i] = c.ID
	}
	return ids
}
