package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"text/tabwriter"

	"linefit/station"
	"linefit/station/pairing"
	"linefit/station/text"
	"linefit/ui/client"
)

type unitsCmd struct {
	Import unitsImportCmd `cmd:"" help:"Take a pairing list in: all of it or nothing."`
	List   unitsListCmd   `cmd:"" help:"The lists in force, their modules, and which unit uses which."`
	Free   unitsFreeCmd   `cmd:"" help:"Let a module and its eUICC be used by another unit."`
}

// pairingBook is the lists of a running station, or of a store.
type pairingBook interface {
	Import(ctx context.Context, by station.Person, name string, data []byte, replace bool) (pairing.Intake, error)
	List(ctx context.Context, f pairing.Filter, limit int) (pairing.Listed, error)
	Free(ctx context.Context, by station.Person, id, why string) (station.PairingFreed, error)
}

// withPairing works with the lists of the station that was named.
func (w where) withPairing(a *app, fn func(context.Context, pairingBook) error) error {
	return w.station(a, func(ctx context.Context, c *client.Client) error { return fn(ctx, remoteBook{c}) }, func(ctx context.Context, o *offline) error {
		return fn(ctx, storeBook{pairing.NewBook(o.store.View, o.journal), o})
	})
}

// storeBook is the lists of a store.
type storeBook struct {
	*pairing.Book
	o *offline
}

func (b storeBook) Import(ctx context.Context, by station.Person, name string, data []byte, replace bool) (out pairing.Intake, err error) {
	if by, err = b.o.as(ctx, by); err != nil {
		return out, err
	}
	return b.Book.Import(ctx, by, name, data, replace)
}

func (b storeBook) Free(ctx context.Context, by station.Person, id, why string) (out station.PairingFreed, err error) {
	if by, err = b.o.as(ctx, by); err != nil {
		return out, err
	}
	return b.Book.Free(ctx, by, id, why)
}

func (b storeBook) List(_ context.Context, f pairing.Filter, limit int) (pairing.Listed, error) {
	return b.Book.List(f, limit)
}

// remoteBook is the lists of a running station.
type remoteBook struct{ c *client.Client }

func (b remoteBook) Import(ctx context.Context, by station.Person, name string, data []byte, replace bool) (out pairing.Intake, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	err = b.c.Post(ctx, "/v1/pairing/import", body{"operator": by.Actor, "role": by.Role, "name": name, "data": string(data), "replace": replace}, &out)
	return out, err
}

func (b remoteBook) List(ctx context.Context, f pairing.Filter, limit int) (out pairing.Listed, err error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	for name, v := range map[string]string{"id": f.ID, "list": f.List, "reel": f.Reel} {
		if v != "" {
			q.Set(name, v)
		}
	}
	err = b.c.Get(ctx, "/v1/pairing?"+q.Encode(), &out)
	return out, err
}

func (b remoteBook) Free(ctx context.Context, by station.Person, id, why string) (out station.PairingFreed, err error) {
	err = b.c.Post(ctx, "/v1/pairing/free", body{"operator": by.Actor, "role": by.Role, "id": id, "why": why}, &out)
	return out, err
}

type unitsImportCmd struct {
	where
	who
	File    string `arg:"" type:"existingfile" help:"CSV; the first line names the columns: imei, eid, and module_serial, firmware, bootstrap_iccid, reel."`
	Replace bool   `help:"Lines of this list correct those of earlier ones."`
}

// Run imports a list.
func (c *unitsImportCmd) Run(a *app) error {
	by, err := c.person()
	if err != nil {
		return err
	}
	data, err := readList(c.File)
	if err != nil {
		return err
	}
	return c.withPairing(a, func(ctx context.Context, b pairingBook) error {
		out, err := b.Import(ctx, by, c.File, data, c.Replace)
		if err != nil {
			return err
		}
		for _, w := range out.Warnings {
			fmt.Fprintln(a.stderr, "warning:", w)
		}
		switch {
		case c.JSON:
			return printJSON(a.stdout, out)
		case out.Again:
			fmt.Fprintf(a.stdout, "this list is in force already: %s, %d modules\n", out.List, out.Units)
		default:
			fmt.Fprintf(a.stdout, "list %s: %d modules, %d of them new, %d corrected\n", out.List, out.Units, out.New, out.Replaced)
		}
		return nil
	})
}

type unitsListCmd struct {
	where
	ID    string `arg:"" optional:"" help:"Only the module with this imei:, eid: or module: (its maker's serial)."`
	List  string `help:"Of this list only."`
	Reel  string `help:"Of this reel only."`
	Limit int    `default:"1000" help:"At most so many modules."`
}

// Run lists what is on the lists.
func (c *unitsListCmd) Run(a *app) error {
	return c.withPairing(a, func(ctx context.Context, b pairingBook) error {
		out, err := b.List(ctx, pairing.Filter{ID: c.ID, List: c.List, Reel: c.Reel}, c.Limit)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(a.stdout, out)
		}
		t := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "LIST\tMODULES\tIMPORTED (UTC)\tBY\tFILE")
		for _, l := range out.Lists {
			fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", l.List, l.Units, l.UTC, text.Printable(l.By), text.Printable(l.File))
		}
		fmt.Fprintln(t, "\nIMEI\tEID\tMODULE\tFIRMWARE\tBOOTSTRAP\tREEL\tUNIT")
		for _, p := range out.Units {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.IMEI, p.EID, orDash(text.Printable(p.Module)), orDash(text.Printable(p.Firmware)),
				orDash(string(p.Bootstrap)), orDash(text.Printable(p.Reel)), orDash(text.Printable(string(p.Unit))))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		if out.More {
			fmt.Fprintln(a.stderr, "there are more: say --limit")
		}
		return nil
	})
}

type unitsFreeCmd struct {
	where
	who
	ID  string `arg:"" help:"imei:, eid: or module: (its maker's serial)."`
	Why string `required:"" help:"Why another unit may have it."`
}

// Run frees a module.
func (c *unitsFreeCmd) Run(a *app) error {
	by, err := c.person()
	if err != nil {
		return err
	}
	return c.withPairing(a, func(ctx context.Context, b pairingBook) error {
		out, err := b.Free(ctx, by, c.ID, c.Why)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(a.stdout, out)
		}
		fmt.Fprintf(a.stdout, "unit %s no longer has IMEI %s, EID %s\n", text.Printable(string(out.From)), orDash(string(out.IMEI)), orDash(string(out.EID)))
		return nil
	})
}
