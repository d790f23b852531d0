package mes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"

	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/stock"
)

// claimRequest asks the MES for the sole use of a list of codes.
type claimRequest struct {
	Station  string        `json:"station"`
	Batches  []string      `json:"batches"`
	ICCIDs   []ident.ICCID `json:"iccids"`
	Profiles int           `json:"profiles"`
}

// Claim asks the MES for the sole use of a list that does not say for which
// station it is: POST {mes}/v1/stock/claims. It returns the MES's reference;
// empty where the MES keeps no such claims (404, 405, 501). A *station.Refusal
// says that another station has it, or that there was no answer: it fails closed.
// The same list asks under the same key.
func (c *Client) Claim(ctx context.Context, name string, list stock.ListClaim) (ref string, err error) {
	if c.None() {
		return "", nil
	}
	body, err := marshal(claimRequest{Station: name, Batches: list.Batches, ICCIDs: append([]ident.ICCID{}, list.ICCIDs...), Profiles: list.Profiles})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, c.opt.EventTimeout)
	defer cancel()
	sum := sha256.Sum256(append([]byte(c.opt.Origin+"\n"), body...))
	header := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {"claim-" + hex.EncodeToString(sum[:16])}}
	r, err := c.do(ctx, http.MethodPost, "/v1/stock/claims", header, body)
	if err != nil {
		return "", station.Refuse(station.MESUnreachable, "claim of the list: %v", err)
	}
	switch {
	case r.status == http.StatusNotFound || r.status == http.StatusMethodNotAllowed || r.status == http.StatusNotImplemented:
		return "", nil
	case r.status == http.StatusTooManyRequests || r.status >= 500 || r.status < 200 || r.status >= 300 && r.status < 400:
		return "", station.Refuse(station.MESUnreachable, "claim of the list: status %d", r.status)
	case r.status >= 400:
		return "", station.Refuse(station.MESRejected, "claim of the list: %s", orStatus(problemDetail(r.body), r.status))
	}
	var a answerBody
	if json.Unmarshal(r.body, &a) != nil {
		return "", station.Refuse(station.MESUnreachable, "claim of the list: the answer is not understood")
	}
	switch a.Answer {
	case AnswerConfirmed:
		return either(bounded(a.Ref, 60), "by the MES"), nil
	case AnswerRejectedHold, AnswerRejectedPass:
		return "", station.Refuse(station.MESRejected, "claim of the list: %s", orStatus(bounded(a.Reason, 200), r.status))
	}
	return "", station.Refuse(station.MESUnreachable, "claim of the list: no decision")
}
