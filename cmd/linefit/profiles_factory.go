package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"linefit/internal/strictyaml"
	"linefit/modem/ident"
	"linefit/modem/rsp"
	"linefit/station"
	"linefit/station/ifpp"
	"linefit/station/plant"
	"linefit/station/stock"
)

// bindingRequest are the flags of a binding request (SGP.41, step 5).
type bindingRequest struct {
	IFPP     bool     `name:"ifpp" help:"Write a binding request for in-factory provisioning: which eUICCs need prepared packages, and for which of their one-time keys."`
	Data     string   `type:"existingfile" placeholder:"FILE" help:"With --ifpp: the eUICC maker's data (linefit-euicc-data/1)."`
	Packages int      `default:"1" placeholder:"N" help:"With --ifpp: packages that each eUICC is to have, with those that it has."`
	Operator string   `placeholder:"NAME" help:"With --ifpp: the order is for this service provider's profiles; packages of others do not count."`
	Order    string   `placeholder:"NAME" help:"With --ifpp: reference of the order."`
	Out      string   `type:"path" placeholder:"FILE" help:"With --ifpp: where to write the request; by default stdout."`
	CI       []string `name:"ci" type:"existingfile" placeholder:"FILE" help:"With --ifpp: certificates of the issuers that the eUICCs' makers must be under."`
}

// bind writes the binding request of an order.
func (c *profilesRequestCmd) bind(a *app, l list) error {
	if c.Data == "" {
		return exit(exitUsage, errors.New("--ifpp needs --data: the eUICC maker's data have the one-time keys"))
	}
	d, err := readMakerData(c.Data, c.CI)
	if err != nil {
		return err
	}
	eids, err := stock.ReadEIDList(l.name, l.data)
	if err != nil {
		return exit(exitUsage, err)
	}
	return c.withStock(a, shares{}, func(ctx context.Context, r stockroom) error {
		order := ifpp.Order{Name: c.Order, List: l.name, EIDs: eids, Lines: eidLines(l.data, eids), Packages: c.Packages, Operator: c.Operator}
		req, err := ifpp.MakeRequest(d, order, packagesOf(ctx, r))
		if err != nil {
			return err
		}
		return c.write(a, req)
	})
}

// eidLines says in which line of a list an EID stands.
func eidLines(list []byte, eids []ident.EID) map[ident.EID]int {
	lines, at := map[ident.EID]int{}, 0
	text := strings.Split(string(list), "\n")
	for _, eid := range eids {
		for i := at; i < len(text); i++ { // they come in the list's order
			if strings.Contains(text[i], string(eid)) {
				lines[eid], at = i+1, i
				break
			}
		}
	}
	return lines
}

// write writes a request, unless nothing is lacking.
func (c *profilesRequestCmd) write(a *app, req *ifpp.Request) error {
	said := map[string]any{"euiccs": len(req.EUICCs), "packages": req.Wanted(), "request": c.Out}
	switch {
	case len(req.EUICCs) == 0 && c.JSON && c.Out != "":
		said["request"] = ""
		return printJSON(a.stdout, said)
	case len(req.EUICCs) == 0:
		fmt.Fprintln(a.stderr, "nothing is lacking: no request is needed")
		return nil
	}
	req.Created = time.Now().UTC().Format(time.RFC3339)
	text, err := req.Write()
	if err != nil {
		return err
	}
	if c.Out == "" {
		_, err := a.stdout.Write(text)
		return err
	}
	if err := replaceFile(c.Out, text); err != nil {
		return exit(fileCode(err), err)
	}
	if c.JSON {
		return printJSON(a.stdout, said)
	}
	fmt.Fprintf(a.stdout, "%s: %d packages for %d eUICCs\n", c.Out, req.Wanted(), len(req.EUICCs))
	return nil
}

// packagesOf gives the packages of an eUICC, whatever became of them. A large
// stock is asked for once and not by eUICC.
func packagesOf(ctx context.Context, r stockroom) func(ident.EID) ([]station.StockItem, error) {
	const most = 20_000 // of an answer that a client of the API still takes
	all, err := r.list(ctx, "", stock.Filter{}, most)
	by := map[ident.EID][]station.StockItem{}
	for _, i := range all.Profiles {
		by[i.Bound] = append(by[i.Bound], i) // a prepared package always is
	}
	return func(eid ident.EID) ([]station.StockItem, error) {
		if err != nil || !all.More {
			return by[eid], err
		}
		one, err := r.list(ctx, "eid:"+string(eid), stock.Filter{}, 0)
		return one.Profiles, err
	}
}

// readMakerData reads an eUICC maker's data file, under issuers where some are
// named.
func readMakerData(file string, ci []string) (*ifpp.Data, error) {
	text, err := readListFile(file)
	if err != nil {
		return nil, exit(fileCode(err), err)
	}
	issuers, err := readIssuers(ci)
	if err != nil {
		return nil, err
	}
	d, err := ifpp.ReadData(file, text, issuers, time.Now())
	if err != nil {
		return nil, exit(exitUsage, err)
	}
	return d, nil
}

// readIssuers reads certificates from files.
func readIssuers(files []string) (issuers []*x509.Certificate, err error) {
	for _, file := range files {
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
	return issuers, nil
}

// replaceFile writes a file as a whole, for its owner alone.
func replaceFile(path string, data []byte) error {
	return replaceFileBy(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// replaceFileBy is [replaceFile] of what write writes.
func replaceFileBy(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".linefit-*")
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(f, 1<<16)
	err = errors.Join(write(b), b.Flush())
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

type profilesReportCmd struct {
	where
	Out   string   `required:"" type:"path" placeholder:"FILE" help:"Where to write the report (JSON, linefit-loading-report/1)."`
	Batch string   `help:"This batch only."`
	Data  string   `type:"existingfile" placeholder:"FILE" help:"The eUICC maker's data: check the report against it."`
	CI    []string `name:"ci" type:"existingfile" placeholder:"FILE" help:"With --data: certificates of the issuers that the eUICCs' makers must be under."`
}

// Run writes the loading report; with --data it is checked, and ends 1 where it
// does not hold.
func (c *profilesReportCmd) Run(a *app) error {
	err := c.withStock(a, shares{}, func(ctx context.Context, r stockroom) error {
		err := replaceFileBy(c.Out, func(w io.Writer) error { return r.loadingReport(ctx, c.Batch, w) })
		var path *fs.PathError
		if errors.As(err, &path) {
			err = exit(fileCode(err), err)
		}
		return err
	})
	if err != nil {
		return err
	}
	if c.Data == "" {
		return c.head(a)
	}
	text, err := os.ReadFile(c.Out)
	if err != nil {
		return exit(fileCode(err), err)
	}
	r, err := ifpp.ReadReport(c.Out, text)
	if err != nil {
		return err
	}
	return checkReport(a, r, nil, c.Out, c.Data, c.CI, c.JSON)
}

// head prints what the report's head says, without reading all of it.
func (c *profilesReportCmd) head(a *app) error {
	f, err := os.Open(c.Out)
	if err != nil {
		return exit(fileCode(err), err)
	}
	defer f.Close()
	head, err := ifpp.ReadReportHead(f)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Out, err)
	}
	return printLoading(a, reportSaid{Report: c.Out, Counts: head.Counts}, c.JSON)
}

type profilesCheckCmd struct {
	keyFlag
	File string   `arg:"" type:"existingfile" help:"The loading report."`
	Data string   `required:"" type:"existingfile" placeholder:"FILE" help:"The eUICC maker's data."`
	CI   []string `name:"ci" type:"existingfile" placeholder:"FILE" help:"Certificates of the issuers that the eUICCs' makers must be under."`
	JSON bool     `name:"json" help:"Print one JSON document."`
}

// Run checks a loading report that somebody else may have written.
func (c *profilesCheckCmd) Run(a *app) error {
	text, err := readListFile(c.File)
	if err != nil {
		return exit(fileCode(err), err)
	}
	r, err := ifpp.ReadReport(c.File, text)
	if err != nil {
		return exit(exitUsage, err)
	}
	vkey, err := c.vkey()
	if err != nil {
		return err
	}
	seal := r.CheckSeal(vkey)
	if errors.Is(seal, ifpp.ErrUnsealed) && vkey == "" { // somebody else's format of a station
		seal = nil
	}
	return checkReport(a, r, seal, c.File, c.Data, c.CI, c.JSON)
}

// reportSaid is what is printed of a loading report.
type reportSaid struct {
	Report   string      `json:"report"`
	Counts   ifpp.Counts `json:"counts"`
	Verified *bool       `json:"verified,omitempty"` // against the eUICC maker's data, where these were given
	Problems []string    `json:"problems,omitempty"`
}

// checkReport prints what a report says, and whether it holds; seal is what is
// wrong with its seal.
func checkReport(a *app, r *ifpp.Report, seal error, file, data string, ci []string, asJSON bool) error {
	said := reportSaid{Report: file, Counts: r.Counts}
	if data != "" {
		d, err := readMakerData(data, ci)
		if err != nil {
			return err
		}
		said.Problems = problemLines(r.Check(file, d))
		if seal != nil {
			said.Problems = append(said.Problems, file+": "+seal.Error())
		}
		good := len(said.Problems) == 0
		said.Verified = &good
	}
	if err := printLoading(a, said, asJSON); err != nil {
		return err
	}
	if len(said.Problems) > 0 {
		return exit(exitVerdict, nil)
	}
	return nil
}

func printLoading(a *app, said reportSaid, asJSON bool) error {
	for _, p := range said.Problems {
		fmt.Fprintln(a.stderr, p)
	}
	if asJSON {
		return printJSON(a.stdout, said)
	}
	n := said.Counts
	fmt.Fprintf(a.stdout, "%s: %d packages: %d installed, %d failed, %d without a result, %d unused\n%d eUICCs: %d closed, %d open, %d gave no answer, %d not seen, %d scrapped (%d never answered)\n",
		said.Report, n.Packages, n.Installed, n.Failed, n.NoResult, n.Unused, n.EUICCs, n.Closed, n.Open, n.NoAnswer, n.NotSeen, n.Scrapped, n.Silent)
	if said.Verified != nil {
		fmt.Fprintln(a.stdout, map[bool]string{true: "every result is signed by its eUICC", false: "the report does not hold"}[*said.Verified])
	}
	return nil
}

func (r storeRoom) loadingReport(_ context.Context, batch string, w io.Writer) error {
	write, err := plant.LoadingReport(r.log, r.Ledger.Vault(), batch)
	if err != nil {
		return err
	}
	return write(w)
}

func (r remoteRoom) loadingReport(ctx context.Context, batch string, w io.Writer) error {
	return r.c.Download(ctx, "/v1/stock/loading-report?"+url.Values{"batch": {batch}}.Encode(), w)
}

// problemLines are the lines of an error with all mistakes of a file.
func problemLines(err error) (out []string) {
	var all strictyaml.Problems
	switch {
	case err == nil:
		return nil
	case errors.As(err, &all):
		for _, p := range all {
			out = append(out, p.String())
		}
		return out
	}
	return []string{err.Error()}
}
