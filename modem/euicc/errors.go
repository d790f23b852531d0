package euicc

import (
	"errors"
	"fmt"

	"linefit/modem/apdu"
	"linefit/modem/wire"
)

// FunctionError is an eUICC's own refusal.
type FunctionError struct {
	Function string // as the specification names it
	Code     int64
	Name     string // the specification's, or "code N" when it is not known
}

func (e *FunctionError) Error() string {
	return fmt.Sprintf("%s: %s (%d)", e.Function, e.Name, e.Code)
}

// Is compares with the named codes such as [ErrCatBusy].
func (e *FunctionError) Is(target error) bool {
	name, ok := target.(codeName)
	return ok && string(name) == e.Name
}

// codeName is the name of a result code as an error to compare with.
type codeName string

func (n codeName) Error() string { return string(n) }

// Result codes that callers act on; compare with errors.Is.
const (
	ErrNotFound        = codeName("iccidOrAidNotFound")
	ErrNotDisabled     = codeName("profileNotInDisabledState")
	ErrNotEnabled      = codeName("profileNotInEnabledState")
	ErrPolicy          = codeName("disallowedByPolicy")
	ErrCatBusy         = codeName("catBusy")
	ErrNothingToDelete = codeName("nothingToDelete")
	ErrNoSession       = codeName("noSessionContext")
	ErrEIMExists       = codeName("associatedEimAlreadyExists")
	ErrNotConfigured   = codeName("immediateEnableNotAvailable")
	ErrNoMemory        = codeName("insufficientMemory")
)

func functionError(function string, names codes, code int64) error {
	name, ok := names[code]
	if !ok {
		name = fmt.Sprintf("code %d", code)
	}
	return &FunctionError{Function: function, Code: code, Name: name}
}

// StatusError is a status word that refused a command.
type StatusError struct {
	Function string
	SW       wire.SW
	Block    int // of the chain, from 0
	Blocks   int
}

func (e *StatusError) Error() string {
	if e.Blocks > 1 {
		return fmt.Sprintf("%s: card answered %v to block %d of %d", e.Function, e.SW, e.Block+1, e.Blocks)
	}
	return fmt.Sprintf("%s: card answered %v", e.Function, e.SW)
}

// ResponseError says that a response cannot be read.
type ResponseError struct {
	Function string
	Err      error
}

func (e *ResponseError) Error() string { return fmt.Sprintf("%s: response: %v", e.Function, e.Err) }

// Unwrap is the cause.
func (e *ResponseError) Unwrap() error { return e.Err }

// Is matches apdu.ErrUnknown: the function may have taken effect.
func (e *ResponseError) Is(target error) bool { return target == apdu.ErrUnknown }

// LoadError says that a load ended without an installation result.
type LoadError struct {
	Segment  int  // from 0
	Segments int  // of the whole package
	Started  bool // the card may have seen the first block
	Err      error
}

func (e *LoadError) Error() string {
	return fmt.Sprintf("LoadBoundProfilePackage, segment %d of %d: %v", e.Segment+1, e.Segments, e.Err)
}

// Unwrap is the cause.
func (e *LoadError) Unwrap() error { return e.Err }

// Is matches apdu.ErrUnknown once the load has started.
func (e *LoadError) Is(target error) bool { return target == apdu.ErrUnknown && e.Started }

// ErrNoResult ends a load that went through without an installation result.
var ErrNoResult = errors.New("the whole package was sent and no installation result came")

// codes are the names of a function's result codes.
type codes map[int64]string

// The tables follow SGP.22 v2.6 with the values that v3.1 and SGP.32 v1.2 add.
var (
	authenticateCodes = codes{
		1: "invalidCertificate", 2: "invalidSignature", 3: "unsupportedCurve", 4: "noSessionContext", 5: "invalidOid",
		6: "euiccChallengeMismatch", 7: "ciPKUnknown", 8: "transactionIdError", 9: "missingCrl", 10: "invalidCrlSignature",
		11: "revokedCert", 12: "invalidCertOrCrlTime", 13: "invalidCertOrCrlConfiguration", 14: "invalidIccid", 127: "undefinedError",
	}
	prepareCodes = codes{
		1: "invalidCertificate", 2: "invalidSignature", 3: "unsupportedCurve", 4: "noSessionContext", 5: "invalidTransactionId", 127: "undefinedError",
	}
	cancelCodes   = codes{5: "invalidTransactionId", 127: "undefinedError"}
	profilesCodes = codes{1: "incorrectInputValues", 11: "profileChangeOngoing", 127: "undefinedError"}
	listCodes     = codes{1: "noResultAvailable", 127: "undefinedError"}
	removeCodes   = codes{1: "nothingToDelete", 127: "undefinedError"}
	nicknameCodes = codes{1: "iccidNotFound", 127: "undefinedError"}
	enableCodes   = codes{
		1: "iccidOrAidNotFound", 2: "profileNotInDisabledState", 3: "disallowedByPolicy", 4: "wrongProfileReenabling", 5: "catBusy",
		6: "disallowedByEnterpriseRule", 7: "commandError", 8: "disallowedForRpm", 9: "noEsimPortAvailable", 20: "rollbackNotAvailable", 104: "ecallActive", 127: "undefinedError",
	}
	disableCodes = codes{
		1: "iccidOrAidNotFound", 2: "profileNotInEnabledState", 3: "disallowedByPolicy", 5: "catBusy", 7: "commandError", 8: "disallowedForRpm", 104: "ecallActive", 127: "undefinedError",
	}
	deleteCodes = codes{
		1: "iccidOrAidNotFound", 2: "profileNotInDisabledState", 3: "disallowedByPolicy", 7: "commandError", 8: "disallowedForRpm",
		20: "rollbackNotAvailable", 21: "returnFallbackProfile", 104: "ecallActive", 127: "undefinedError",
	}
	resetCodes     = codes{1: "nothingToDelete", 5: "catBusy", 104: "ecallActive", 127: "undefinedError"}
	defaultDPCodes = codes{8: "unsupportedCiPKId", 127: "undefinedError"}
)

// installReasons are the error reasons of an installation result (SGP.22
// section 2.5.6, v3.1 included).
var installReasons = codes{
	1: "incorrectInputValues", 2: "invalidSignature", 3: "invalidTransactionId", 4: "unsupportedCrtValues",
	5: "unsupportedRemoteOperationType", 6: "unsupportedProfileClass", 7: "scp03tStructureError", 8: "scp03tSecurityError",
	9: "installFailedDueToIccidAlreadyExistsOnEuicc", 10: "installFailedDueToInsufficientMemoryForProfile",
	11: "installFailedDueToInterruption", 12: "installFailedDueToPEProcessingError", 13: "installFailedDueToDataMismatch",
	14: "testProfileInstallFailedDueToInvalidNaaKey", 15: "pprNotAllowed",
	17: "enterpriseProfilesNotSupported", 18: "enterpriseRulesNotAllowed", 19: "enterpriseProfileNotAllowed",
	20: "enterpriseOidMismatch", 21: "enterpriseRulesError", 22: "enterpriseProfilesOnly", 23: "lprNotSupported",
	26: "unknownTlvInMetadata", 127: "installFailedDueToUnknownError",
}

// bppCommands are the steps of an installation.
var bppCommands = codes{
	0: "initialiseSecureChannel", 1: "configureISDP", 2: "storeMetadata", 3: "storeMetadata2", 4: "replaceSessionKeys", 5: "loadProfileElements",
}
