package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"golang.org/x/mod/sumdb/note"

	"linefit/modem/ident"
	"linefit/modem/rsp"
	"linefit/station"
	"linefit/station/stock"
	"linefit/station/text"
)

type profilesReconcileCmd struct {
	where
	who
	SMDPList string `name:"smdp-list" aliases:"provider" type:"existingfile" placeholder:"FILE" help:"The SM-DP+'s list (also --provider): CSV or JSON with iccid, state, eid and imsi."`
	MESList  string `name:"mes-list" aliases:"mes" type:"existingfile" placeholder:"FILE" help:"The MES's list of finished units (also --mes): serial, imei, eid, iccid, imsi."`
	NoMES    bool   `name:"no-mes" help:"There is no MES: the SM-DP+'s list alone decides what --apply puts back."`
	Batch    string `help:"The SM-DP+'s list has this batch only."`
	Apply    bool   `help:"Put back, all or nothing, what was kept back and what both lists and the log say nobody has used; it takes QA. Without it that is only shown."`
	Why      string `help:"With --apply: the reason; it stands in the log."`
}

// Run compares and prints every disagreement; with one it ends 1.
func (c *profilesReconcileCmd) Run(a *app) error {
	q := reconciling{batch: c.Batch, apply: c.Apply, noMES: c.NoMES, why: c.Why, by: station.Person{Actor: station.Actor(c.By), Role: station.Role(c.Role)}}
	var err error
	if q.server, err = optionalList(c.SMDPList); err != nil {
		return err
	}
	if q.units, err = optionalList(c.MESList); err != nil {
		return err
	}
	if c.Apply {
		if q.by, err = c.person(); err != nil {
			return err
		}
		if c.Why == "" {
			return exit(exitUsage, errors.New("--why is missing: the reason stands in the log"))
		}
		if !q.applies() || q.server == nil || q.units == nil && !q.noMES {
			return exit(exitUsage, stock.ErrLists)
		}
	}
	return c.withStock(a, shares{}, func(ctx context.Context, r stockroom) error {
		found, plan, err := r.reconcile(ctx, q)
		if err != nil {
			return err
		}
		if c.JSON {
			out := map[string]any{"disagreements": append([]stock.Disagreement{}, found...)}
			if plan != nil {
				out["application"] = plan
			}
			err = printJSON(a.stdout, out)
		} else if err = printDisagreements(a.stdout, found); err == nil && plan != nil {
			printApplication(a.stdout, *plan)
		}
		if err == nil && len(found) > 0 {
			return exit(exitVerdict, nil)
		}
		return err
	})
}

// printApplication says what the lists let go of what is kept back.
func printApplication(w io.Writer, p stock.Application) {
	switch {
	case len(p.Release)+len(p.Keep) == 0:
		return // nothing is kept back
	case p.Applied:
		fmt.Fprintf(w, "\n%d profiles are back in stock; %d stay\n", len(p.Release), len(p.Keep))
	default:
		fmt.Fprintf(w, "\nall agree that %d profiles are unused; %d stay (nothing was changed: --apply puts them back)\n", len(p.Release), len(p.Keep))
	}
	for _, k := range p.Keep {
		fmt.Fprintf(w, "  stays  %s  ICCID %s  %s\n", k.Handle, orDash(string(k.ICCID)), text.Printable(k.Why))
	}
}

// list is a file that a person named.
type list struct {
	name string
	data []byte
}

func (l *list) file() *stock.File {
	if l == nil {
		return nil
	}
	return &stock.File{Name: l.name, Data: l.data}
}

func optionalList(file string) (*list, error) {
	if file == "" {
		return nil, nil
	}
	data, err := readList(file)
	return &list{file, data}, err
}

func printDisagreements(w io.Writer, found []stock.Disagreement) error {
	if len(found) == 0 {
		_, err := fmt.Fprintln(w, "everything agrees")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "BETWEEN\tKIND\tICCID\tUNIT\tPROFILE\tWHAT\tEVIDENCE\tRESOLVE AS")
	for _, d := range found {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", d.Between, d.Kind, orDash(string(d.ICCID)), orDash(string(d.Unit)), orDash(d.Handle), d.Text, strings.Join(d.Evidence, ", "), orDash(string(d.Resolve)))
	}
	return t.Flush()
}

type profilesClaimCmd struct {
	where
	Batch string `help:"This batch only."`
}

// Run prints what providers are to be told.
func (c *profilesClaimCmd) Run(a *app) error {
	return c.withStock(a, shares{}, func(ctx context.Context, r stockroom) error {
		claims, err := r.claims(ctx, c.Batch)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(a.stdout, map[string]any{"claims": append([]stock.Claim{}, claims...)})
		}
		for _, claim := range claims {
			fmt.Fprintf(a.stdout, "batch %s  provider %s  purchase %s  contract %s  contact %s\n", claim.Batch, orDash(claim.Provider), orDash(claim.Purchase), orDash(claim.Contract), orDash(claim.Contact))
			t := tabwriter.NewWriter(a.stdout, 2, 4, 2, ' ', 0)
			for _, o := range claim.Orders {
				fmt.Fprintf(t, "  %s\t%s\tEID %s\tunit %s\t%d downloads\t%d signed results\t%s\n", o.Action, orDash(string(o.ICCID)), orDash(string(o.EID)), orDash(string(o.Unit)), o.Downloads, len(o.Evidence), text.Printable(o.Reason.String()))
			}
			if err := t.Flush(); err != nil {
				return err
			}
		}
		if len(claims) == 0 {
			fmt.Fprintln(a.stdout, "nothing to claim")
		}
		return nil
	})
}

type profilesRequestCmd struct {
	where
	File string `arg:"" type:"existingfile" help:"List of eUICCs: CSV or JSON with a column eid."`
	bindingRequest
}

// Run prints the eUICCs that still need a profile, as CSV or JSON; with --ifpp
// it writes a binding request.
func (c *profilesRequestCmd) Run(a *app) error {
	data, err := readList(c.File)
	if err != nil {
		return err
	}
	if c.IFPP {
		return c.bind(a, list{c.File, data})
	}
	return c.withStock(a, shares{}, func(ctx context.Context, r stockroom) error {
		eids, err := r.needed(ctx, list{c.File, data})
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(a.stdout, map[string]any{"eids": append([]ident.EID{}, eids...)})
		}
		fmt.Fprintln(a.stdout, "eid")
		for _, eid := range eids {
			fmt.Fprintln(a.stdout, eid)
		}
		return nil
	})
}

// shares says which split lists are taken from a store; a running station has
// its own rule.
type shares struct {
	Station    string   `help:"With --store: name of this station, as in a share."`
	ShareKey   []string `placeholder:"VKEY" help:"With --store: verifier key of who splits lists."`
	SharesOnly bool     `help:"With --store: refuse lists that are no share."`
	CI         []string `name:"ci" type:"existingfile" placeholder:"FILE" help:"With --store: certificates of the issuers whose SM-DP+ may prepare packages."`
}

// trust is whose batches of prepared packages count.
func (s shares) trust() (func(*x509.Certificate) error, error) {
	var issuers []*x509.Certificate
	for _, file := range s.CI {
		b, err := readFile(file)
		if err != nil {
			return nil, exit(exitMissing, err)
		}
		certs, err := rsp.ParseCertificates(b)
		if err != nil {
			return nil, exit(exitUsage, fmt.Errorf("%s: %w", file, err))
		}
		issuers = append(issuers, certs...)
	}
	return stock.TrustIssuers(issuers...), nil
}

func (s shares) rule() (stock.ShareRule, error) {
	rule := stock.ShareRule{Station: s.Station, Required: s.SharesOnly}
	for _, key := range s.ShareKey {
		v, err := note.NewVerifier(key)
		if err != nil {
			return rule, exit(exitUsage, fmt.Errorf("--share-key: %w", err))
		}
		rule.Keys = append(rule.Keys, v)
	}
	return rule, nil
}

func printStock(w io.Writer, s stock.Stocked, profiles bool) error {
	n := s.Count
	fmt.Fprintf(w, "%d profiles: %d available, %d reserved, %d installed, %d quarantined, %d spent; %d releases\n",
		n.Total, n.Available, n.Reserved, n.Installed, n.Quarantined, n.Spent, n.Released)
	if len(s.Offers) > 0 {
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "\nBATCH\tOPERATOR\tREGION\tCUSTOMER\tSKU\tEXPIRES\tLEFT")
		for _, o := range s.Offers {
			expires := orDash(o.Expires)
			if o.Expired {
				expires += " (over)"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", o.Batch, orDash(o.Operator), orDash(o.Region), orDash(o.Customer), orDash(o.SKU), expires, o.Left)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if !profiles {
		return nil
	}
	fmt.Fprintln(w)
	if err := printItems(w, s.Profiles); err != nil {
		return err
	}
	if s.More {
		fmt.Fprintln(w, "and more; see --limit")
	}
	return nil
}

func printItems(w io.Writer, items []station.StockItem) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "PROFILE\tBATCH\tSTATE\tICCID\tUNIT\tEID\tDOWNLOADS\tREASON")
	for _, i := range items {
		eid := i.EID
		if eid == "" {
			eid = i.Bound
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", i.Handle, i.Batch, i.State, orDash(string(i.ICCID)), orDash(string(i.Unit)), orDash(string(eid)), i.Downloads, orDash(text.Printable(i.Reason.String())))
	}
	return t.Flush()
}
