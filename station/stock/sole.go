package stock

import (
	"context"
	"slices"

	"linefit/modem/ident"
)

// By what a station alone uses a list, beside a share of a split one
// ([Share.String]) and a claim at the MES ("claimed", and the MES's reference).
const (
	SoleNamed    = "named"    // the list says for which station it is
	SoleDeclared = "declared" // nobody but this station says so
)

// ListClaim asks for the sole use of a list.
type ListClaim struct {
	Batches  []string
	ICCIDs   []ident.ICCID // of those lines that say one
	Profiles int
}

// sole says by what this station alone uses a list.
func sole(ctx context.Context, src Source, list []profile, batches []string, share *Share) (string, error) {
	switch {
	case share != nil:
		return share.String(), nil
	case list[0].station != "":
		return SoleNamed, nil
	case src.Claim == nil:
		return SoleDeclared, nil
	}
	c := ListClaim{Batches: batches, Profiles: len(list)}
	for _, p := range list {
		if p.fact.ICCID != "" {
			c.ICCIDs = append(c.ICCIDs, p.fact.ICCID)
		}
	}
	ref, err := src.Claim(ctx, c)
	switch {
	case err != nil:
		return "", err
	case ref == "":
		return SoleDeclared, nil
	}
	return "claimed " + ref, nil
}

// mine are the lines of a list that are for a station, all of them where the
// list does not say for whom it is. A list that says so for some lines only is
// a mistake: the others would be anybody's.
func (s *sheet) mine(list []profile, station string) (mine []profile, others int) {
	named := slices.ContainsFunc(list, func(p profile) bool { return p.station != "" })
	if !named {
		return list, 0
	}
	if station == "" {
		s.problem(1, 1, "the list says for which station each line is, and this station has no name: say --station")
	}
	for _, p := range list {
		switch p.station {
		case "":
			s.at(p.row, "station", "missing: other lines say for which station they are")
		case station:
			mine = append(mine, p)
		default:
			others++
		}
	}
	return mine, others
}

// Unassigned reports whether a file is a list of codes that does not say for
// which station it is: neither a share, nor a batch of packages for single
// eUICCs, nor one that names stations.
func Unassigned(data []byte) bool {
	if IsShare(data) || IsBatch(data) {
		return false
	}
	s := readSheet("", data, codeColumns)
	if s.terms != nil && s.terms.text("station") != "" {
		return false
	}
	return !slices.ContainsFunc(s.rows, func(r row) bool { return r.text("station") != "" })
}
