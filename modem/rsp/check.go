package rsp

import (
	"context"
	"fmt"
	"slices"

	"linefit/modem/euicc"
)

// checkOffer holds the profile that the server offers against what is expected,
// against what is on the eUICC, and against its rules.
func (d *download) checkOffer(ctx context.Context) (Row, error) {
	m, free := d.res.Metadata, d.res.Info2.FreeNonVolatile
	switch {
	case d.p.Policy.ICCID != "" && d.p.Policy.ICCID != m.ICCID:
		return RowPrecheck, fmt.Errorf("%w: ICCID %s, not %s", ErrUnexpected, m.ICCID, d.p.Policy.ICCID)
	case d.res.Detail.WasPresent:
		return RowPrecheck, fmt.Errorf("%w: %s", ErrICCIDPresent, m.ICCID)
	case m.EstimatedSize > 0 && free >= 0 && free < m.EstimatedSize:
		return RowOrderNotReady, fmt.Errorf("%w: %d bytes, the profile needs %d", ErrMemory, free, m.EstimatedSize)
	}
	if err := d.checkRules(ctx); err != nil {
		return RowPrecheck, err
	}
	return RowNone, nil
}

// checkRules holds the profile's policy rules against the eUICC's forbidden
// ones, its rules authorisation table, and the consent (SGP.22 section 2.9.3).
// The table is read only for a profile that has rules.
func (d *download) checkRules(ctx context.Context) error {
	rules := slices.DeleteFunc(slices.Clone(d.res.Metadata.PPRs), func(bit int) bool { return bit == 0 }) // how to update, no rule
	if len(rules) == 0 {
		return nil
	}
	for _, rule := range rules {
		if slices.Contains(d.res.Info2.ForbiddenPPRs, rule) {
			return fmt.Errorf("%w: it forbids PPR%d", ErrPolicyRules, rule)
		}
	}
	table, err := d.card.RAT(ctx)
	if err != nil {
		return err
	}
	for _, rule := range rules {
		allowed, consent := allowedBy(table, rule, d.res.Metadata.Owner)
		if !allowed {
			return fmt.Errorf("%w: no entry of its table allows PPR%d to operator %q", ErrPolicyRules, rule, d.res.Metadata.Owner)
		}
		if consent && (d.p.Consent.Contract == "" || !slices.Contains(d.p.Consent.PPRs, rule)) {
			return fmt.Errorf("%w: PPR%d", ErrConsent, rule)
		}
		if consent {
			d.res.Detail.Consent = d.p.Consent.Contract
		}
	}
	return nil
}

// allowedBy finds the first entry for a rule and an operator, and whether it
// asks for consent.
func allowedBy(table []euicc.Rule, rule int, owner euicc.Owner) (allowed, consent bool) {
	for _, entry := range table {
		if !slices.Contains(entry.PPRs, rule) {
			continue
		}
		if slices.ContainsFunc(entry.Operators, owner.Matches) {
			return true, entry.ConsentRequired
		}
	}
	return false, false
}
