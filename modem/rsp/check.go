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

// checkRules holds the profile's policy rules against what the eUICC allows. The
// table is read only for a profile that has rules.
func (d *download) checkRules(ctx context.Context) error {
	rules := slices.DeleteFunc(slices.Clone(d.res.Metadata.PPRs), func(bit int) bool { return bit == 0 }) // how to update, no rule
	if len(rules) == 0 {
		return nil
	}
	table, err := d.card.RAT(ctx)
	if err != nil {
		return err
	}
	asks, err := CheckRules(rules, d.res.Metadata.Owner, d.res.Info2.ForbiddenPPRs, table, d.p.Consent)
	if asks {
		d.res.Detail.Consent = d.p.Consent.Contract
	}
	return err
}

// CheckRules holds policy rules (1, 2) that an owner's profile has against an
// eUICC's forbidden ones, its rules authorisation table, and the consent (SGP.22
// section 2.9.3). asks reports whether the table asks for a consent, which was
// given where there is no error. The error matches [ErrPolicyRules] or
// [ErrConsent].
func CheckRules(rules []int, owner euicc.Owner, forbidden []int, table []euicc.Rule, consent Consent) (asks bool, err error) {
	for _, rule := range rules {
		if slices.Contains(forbidden, rule) {
			return asks, fmt.Errorf("%w: it forbids PPR%d", ErrPolicyRules, rule)
		}
	}
	for _, rule := range rules {
		allowed, wants := allowedBy(table, rule, owner)
		if !allowed {
			return asks, fmt.Errorf("%w: no entry of its table allows PPR%d to operator %q", ErrPolicyRules, rule, owner)
		}
		if wants && (consent.Contract == "" || !slices.Contains(consent.PPRs, rule)) {
			return asks, fmt.Errorf("%w: PPR%d", ErrConsent, rule)
		}
		asks = asks || wants
	}
	return asks, nil
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
