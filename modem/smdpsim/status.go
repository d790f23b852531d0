package smdpsim

import "fmt"

// Status is a function execution status "Failed" with the subject and reason
// code of SGP.22 section 5.2.6 and of the functions in sections 5.6.1 to 5.6.5.
type Status struct {
	Subject string `json:"subjectCode"`
	Reason  string `json:"reasonCode"`
	Message string `json:"message,omitempty"`
}

// Error is the status as SGP.22 writes it.
func (s *Status) Error() string { return fmt.Sprintf("%s/%s %s", s.Subject, s.Reason, s.Message) }

// Code is subject and reason: "8.2.6/3.8".
func (s *Status) Code() string { return s.Subject + "/" + s.Reason }

// with gives the status another message. Messages name no secret.
func (s *Status) with(format string, args ...any) *Status {
	return &Status{s.Subject, s.Reason, fmt.Sprintf(format, args...)}
}

// Statuses. None of these values is ever changed.
var (
	statusVersion = &Status{"1.3.2", "2.1", "this version of the protocol is not supported"}
	statusInvalid = &Status{"1.3.1", "2.1", "a parameter is invalid"}
	statusMissing = &Status{"1.3.1", "2.2", "a mandatory element is missing"}

	statusMemory       = &Status{"8.1", "4.8", "the eUICC has not enough memory for this profile"}
	statusExecution    = &Status{"8.1", "4.2", "the eUICC reports an error"}
	statusSignature    = &Status{"8.1", "6.1", "the eUICC's signature or challenge is invalid"}
	statusEID          = &Status{"8.1.1", "3.8", "the EID is not the expected one"}
	statusEUM          = &Status{"8.1.2", "6.1", "the EUM certificate is invalid"}
	statusEUMExpired   = &Status{"8.1.2", "6.3", "the EUM certificate is not valid at this time"}
	statusEUICC        = &Status{"8.1.3", "6.1", "the eUICC certificate is invalid"}
	statusEUICCExpired = &Status{"8.1.3", "6.3", "the eUICC certificate is not valid at this time"}
	statusNotReleased  = &Status{"8.2", "1.2", "the profile is not released"}
	statusNoBinding    = &Status{"8.2", "3.7", "the profile is not available for a new binding"}
	statusNotEligible  = &Status{"8.2.5", "4.3", "no eligible profile for this eUICC or device"}
	statusRefused      = &Status{"8.2.6", "3.8", "the matching id is refused"}
	statusCodeMissing  = &Status{"8.2.7", "2.2", "the confirmation code is missing"}
	statusCodeRefused  = &Status{"8.2.7", "3.8", "the confirmation code is refused"}
	statusCodeRetries  = &Status{"8.2.7", "6.4", "the confirmation code was wrong too often"}
	statusOID          = &Status{"8.8", "3.10", "this is not the object identifier of the SM-DP+"}
	statusAddress      = &Status{"8.8.1", "3.8", "this is not the address of the SM-DP+"}
	statusCIKey        = &Status{"8.8.2", "3.1", "no CI public key of the eUICC for signing is supported"}
	statusSVN          = &Status{"8.8.3", "3.1", "the eUICC's specification version is not supported"}
	statusNoCert       = &Status{"8.8.4", "3.7", "no certificate of the SM-DP+ under a CI that the eUICC verifies"}
	statusExpired      = &Status{"8.8.5", "4.10", "the download order has expired"}
	statusRetries      = &Status{"8.8.5", "6.4", "the profile was downloaded too often"}
	statusTransaction  = &Status{"8.10.1", "3.9", "the transaction id is unknown"}
	statusCI           = &Status{"8.11.1", "3.9", "the CI of the EUM certificate is not a trusted root"}
)
