package main

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"linefit/internal/strictyaml"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/stock"
)

type profilesCmd struct {
	Import        profilesImportCmd        `cmd:"" help:"Take a list of activation codes, or a batch of prepared packages, into the stock: all of it or nothing."`
	List          profilesListCmd          `cmd:"" help:"What is in stock, and what is left of every kind."`
	Release       profilesReleaseCmd       `cmd:"" help:"Put a quarantined profile back for any eUICC."`
	Resolve       profilesResolveCmd       `cmd:"" help:"Say what was found out about a profile: installed, absent, unused or spent."`
	Quarantine    profilesQuarantineCmd    `cmd:"" help:"Take everything available out of use until it was reconciled."`
	Notifications profilesNotificationsCmd `cmd:"" help:"Send, or keep back, the notifications of a batch's profiles from now on."`
	Reconcile     profilesReconcileCmd     `cmd:"" help:"Compare ledger and log with the lists of SM-DP+ and MES."`
	Alarms        profilesAlarmsCmd        `cmd:"" help:"Codes that somebody else has used, or that were handed out twice; ends 1 while one is open."`
	Claim         profilesClaimCmd         `cmd:"" help:"Burnt, stuck and expired orders by provider, with the eUICCs' signed results."`
	Request       profilesRequestCmd       `cmd:"" help:"Which eUICCs of a list have no profile yet: the list that a provider needs."`
	Report        profilesReportCmd        `cmd:"" help:"The loading report of in-factory provisioning: what became of every prepared package (SGP.41)."`
	Check         profilesCheckCmd         `cmd:"" help:"Hold a loading report against the eUICC maker's data: every result is signed by its eUICC."`
	Split         profilesSplitCmd         `cmd:"" help:"Split a list into disjoint signed shares, one for each station."`
	Erase         profilesEraseCmd         `cmd:"" help:"Erase the codes of profiles that were used up long enough ago."`
}

// terms are those of a batch, where the list does not state them.
type terms struct {
	Batch         string   `help:"Name of the batch, for lists without a column batch."`
	Owner         string   `help:"Who owns the profiles."`
	Customer      string   `help:"For this customer's orders only."`
	SKU           string   `name:"sku" help:"For this SKU only."`
	WorkOrder     string   `help:"For this work order only."`
	Provider      string   `help:"Who sold them."`
	Purchase      string   `help:"Purchase reference."`
	Contract      string   `help:"Contract under which they were bought."`
	Contact       string   `help:"Whom to call when orders are stuck."`
	Countries     []string `help:"Allowed countries, ISO 3166-1 alpha-2."`
	Billing       string   `enum:",release,download,notification,attach,data" default:"" help:"What starts billing: release, download, notification, attach or data."`
	ShipState     string   `enum:",enabled,disabled" default:"" help:"How units ship: enabled or disabled."`
	Notifications string   `enum:",send,hold" default:"" help:"What happens to notifications: send or hold."`
	Cap           int      `help:"Downloads that the provider allows for each profile."`
}

func (t terms) batch() station.StockBatch {
	return station.StockBatch{
		Batch: t.Batch, Owner: t.Owner, Customer: t.Customer, SKU: t.SKU, WorkOrder: t.WorkOrder, Provider: t.Provider,
		Purchase: t.Purchase, Contract: t.Contract, Contact: t.Contact, Countries: t.Countries, Billing: t.Billing,
		ShipState: t.ShipState, Notifications: t.Notifications, Cap: t.Cap,
	}
}

type profilesImportCmd struct {
	where
	who
	terms
	shares
	File string `arg:"" type:"existingfile" help:"Codes: CSV or JSON; the first line of CSV names the columns. Prepared packages: a batch, format linefit-batch/1."`
	EIDs string `name:"eids" type:"existingfile" placeholder:"LIST" help:"Only packages for eUICCs of this list (CSV or JSON with a column eid) are taken."`
	Wipe bool   `help:"Erase the file when its codes are in the vault."`
}

// Run imports a list.
func (c *profilesImportCmd) Run(a *app) error {
	by, err := c.person()
	if err != nil {
		return err
	}
	data, err := readList(c.File)
	if err != nil {
		return err
	}
	eids, err := optionalList(c.EIDs)
	if err != nil {
		return err
	}
	return c.withStock(a, c.shares, func(ctx context.Context, r stockroom) error {
		give, err := c.take(ctx, a, r, data)
		if err != nil {
			return err
		}
		out, err := r.importList(ctx, by, stock.Source{Name: c.File, Data: data, Batch: c.batch()}, eids)
		if err != nil && !nothingTaken(err) {
			return fmt.Errorf("%w; it is not known whether this station has the list: %s.taken stays, no other station may get it", err, c.File)
		}
		if err != nil {
			return errors.Join(err, give())
		}
		if c.Wipe {
			if err := give(); err != nil {
				return exit(exitMissing, err)
			}
			if err := stock.Wipe(c.File); err != nil {
				return exit(exitMissing, fmt.Errorf("the profiles are in stock, and the file was not erased: %w", err))
			}
		}
		for _, w := range out.Warnings {
			fmt.Fprintln(a.stderr, "warning:", w)
		}
		if out.Sole == stock.SoleDeclared {
			fmt.Fprintln(a.stderr, "note: the list does not say for which station it is: it is this one's, and no other may get it (profiles split, or a column station)")
		}
		if c.JSON {
			return printJSON(a.stdout, out)
		}
		fmt.Fprintf(a.stdout, "%d profiles imported, batches %v\n", out.Profiles, out.Batches)
		if out.Others > 0 {
			fmt.Fprintf(a.stdout, "%d lines are for other stations\n", out.Others)
		}
		return nil
	})
}

// readList reads a list that a person named.
func readList(file string) ([]byte, error) {
	data, err := readListFile(file)
	if err != nil {
		return nil, exit(fileCode(err), err)
	}
	if !utf8.Valid(data) { // on its way to a station JSON would make something else of it
		return nil, exit(exitUsage, strictyaml.Problems{{File: file, Line: 1, Column: 1, Text: "the file is not UTF-8: save it as CSV UTF-8"}})
	}
	return data, nil
}

type profilesListCmd struct {
	where
	ID       string `arg:"" optional:"" help:"Only profiles with this handle, iccid:, eid: or run:."`
	State    string `enum:",available,reserved,installed,quarantined,spent" default:"" help:"In this state only: available, reserved, installed, quarantined or spent."`
	Batch    string `help:"Of this batch only."`
	Operator string `help:"Of this operator only."`
	Customer string `help:"Of this customer only."`
	SKU      string `name:"sku" help:"Of this SKU only."`
	Limit    int    `default:"1000" help:"At most so many profiles."`
	Low      int    `default:"0" help:"Warn, and end 1, where fewer than so many are left of a kind."`
}

// Run lists the stock.
func (c *profilesListCmd) Run(a *app) error {
	return c.withStock(a, shares{}, func(ctx context.Context, r stockroom) error {
		f := stock.Filter{State: station.StockState(c.State), Batch: c.Batch, Operator: c.Operator, Customer: c.Customer, SKU: c.SKU}
		out, err := r.list(ctx, c.ID, f, c.Limit)
		if err != nil {
			return err
		}
		if c.JSON {
			err = printJSON(a.stdout, out)
		} else {
			err = printStock(a.stdout, out, c.State != "" || c.ID != "" || c.Batch != "")
		}
		if err != nil {
			return err
		}
		return c.low(a, out)
	})
}

// low announces what is about to run out.
func (c *profilesListCmd) low(a *app, s stock.Stocked) error {
	few := c.Low > 0 && len(s.Offers) == 0
	if few {
		fmt.Fprintln(a.stderr, "warning: nothing is left")
	}
	for _, o := range s.Offers {
		if o.Left < c.Low || o.Expired {
			few = few || c.Low > 0
			fmt.Fprintf(a.stderr, "warning: batch %s: %d left%s\n", o.Batch, o.Left, map[bool]string{true: ", expired on " + o.Expires}[o.Expired])
		}
	}
	if few {
		return exit(exitVerdict, nil)
	}
	return nil
}

// decisionFlags are those of a decision about one profile.
type decisionFlags struct {
	Profile string `arg:"" help:"Handle of the profile, or its ICCID."`
	Why     string `required:"" help:"The reason; it stands in the log."`
}

type profilesReleaseCmd struct {
	where
	who
	decisionFlags
}

// Run releases a profile.
func (c *profilesReleaseCmd) Run(a *app) error {
	return c.decide(a, c.who, c.decisionFlags, func(ctx context.Context, r stockroom, d stock.Decision) (station.StockItem, error) {
		return r.release(ctx, d)
	})
}

type profilesResolveCmd struct {
	where
	who
	decisionFlags
	As    string `required:"" enum:"installed,absent,unused,spent" help:"What was found: installed, absent, unused or spent."`
	ICCID string `name:"iccid" help:"ICCID of an installed profile whose import did not say it."`
}

// Run resolves a profile.
func (c *profilesResolveCmd) Run(a *app) error {
	iccid := ident.ICCID("")
	if c.ICCID != "" {
		var err error
		if iccid, err = ident.ParseICCID(c.ICCID); err != nil {
			return exit(exitUsage, err)
		}
	}
	return c.decide(a, c.who, c.decisionFlags, func(ctx context.Context, r stockroom, d stock.Decision) (station.StockItem, error) {
		d.ICCID = iccid
		return r.resolve(ctx, d, stock.Finding(c.As))
	})
}

// decide carries out one decision about one profile.
func (w where) decide(a *app, who who, f decisionFlags, do func(context.Context, stockroom, stock.Decision) (station.StockItem, error)) error {
	by, err := who.person()
	if err != nil {
		return err
	}
	return w.withStock(a, shares{}, func(ctx context.Context, r stockroom) error {
		found, err := r.list(ctx, f.Profile, stock.Filter{}, 0)
		if err != nil {
			return err
		}
		if len(found.Profiles) != 1 {
			return exit(exitMissing, fmt.Errorf("%d profiles are %q", len(found.Profiles), f.Profile))
		}
		item, err := do(ctx, r, stock.Decision{By: by, Handle: found.Profiles[0].Handle, Why: f.Why})
		if err != nil {
			return err
		}
		if w.JSON {
			return printJSON(a.stdout, item)
		}
		return printItems(a.stdout, []station.StockItem{item})
	})
}

type profilesQuarantineCmd struct {
	where
	who
	Batch string `help:"This batch only."`
	Why   string `required:"" help:"The reason; it stands in the log."`
}

// Run quarantines what is available.
func (c *profilesQuarantineCmd) Run(a *app) error {
	by, err := c.person()
	if err != nil {
		return err
	}
	return c.withStock(a, shares{}, func(ctx context.Context, r stockroom) error {
		n, err := r.quarantine(ctx, by, c.Batch, c.Why)
		return printCount(a, c.JSON, n, "profiles quarantined", err)
	})
}

type profilesNotificationsCmd struct {
	where
	who
	To    string `arg:"" enum:"send,hold" help:"send or hold."`
	Batch string `required:"" help:"The batch."`
	Why   string `required:"" help:"The reason; it stands in the log."`
}

// Run changes the batch's terms.
func (c *profilesNotificationsCmd) Run(a *app) error {
	by, err := c.person()
	if err != nil {
		return err
	}
	return c.withStock(a, shares{}, func(ctx context.Context, r stockroom) error {
		if err := r.notifications(ctx, by, c.Batch, c.To, c.Why); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(a.stdout, map[string]string{"batch": c.Batch, "notifications": c.To})
		}
		fmt.Fprintf(a.stdout, "notifications of batch %s: %s\n", c.Batch, c.To)
		return nil
	})
}

type profilesEraseCmd struct {
	where
	who
	Keep time.Duration `default:"720h" help:"Codes stay so long after their profile was used up."`
}

// Run erases codes that are used up.
func (c *profilesEraseCmd) Run(a *app) error {
	by, err := c.person()
	if err != nil {
		return err
	}
	if c.Keep < 0 {
		return exit(exitUsage, errors.New("--keep is negative"))
	}
	return c.withStock(a, shares{}, func(ctx context.Context, r stockroom) error {
		n, err := r.erase(ctx, by, c.Keep)
		return printCount(a, c.JSON, n, "codes erased", err)
	})
}

func printCount(a *app, asJSON bool, n int, what string, err error) error {
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.stdout, map[string]int{"profiles": n})
	}
	fmt.Fprintln(a.stdout, n, what)
	return nil
}
