package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"linefit/modem/euiccsim"
	"linefit/modem/smdpsim"
)

// makerData writes what the maker of the cards says of them (SGP.41, steps 3
// and 4).
func (c *simModulesCmd) makerData(start *simModulesStart) error {
	if c.MakerData == "" {
		return nil
	}
	cards := make([]*euiccsim.Card, len(start.Modules))
	for i, m := range start.Modules {
		cards[i] = m.card
	}
	d, err := euiccsim.NewMakerData(cards...)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.MakerData, append(text, '\n'), 0o644); err != nil { //nolint:gosec // public keys and certificates
		return exit(fileCode(err), err)
	}
	return nil
}

// simSmdpReportCmd is the SM-DPf that gets the loading report (SGP.41, steps 14
// and 15).
type simSmdpReportCmd struct {
	File  string `arg:"" type:"existingfile" help:"The loading report (linefit-loading-report/1)."`
	State string `required:"" placeholder:"FILE" help:"State file of sim smdp prepare; no server may be using it."`
	PKI   string `name:"pki" placeholder:"DIR" help:"Folder of certificates instead of linefit's own test CA."`
	JSON  bool   `name:"json" help:"Print the outcome as JSON."`
}

// Run takes one report in. It ends 1 where a row is refused or a package is
// missing.
func (c *simSmdpReportCmd) Run(a *app) error {
	text, err := readListFile(c.File)
	if err != nil {
		return exit(missingOrRefused(err), err)
	}
	pki, err := (&simSmdpServeCmd{PKI: c.PKI}).certificates()
	if err != nil {
		return exit(exitUsage, err)
	}
	s, err := smdpsim.New(smdpsim.Config{Address: "localhost", PKI: pki, State: c.State})
	if err != nil {
		return exit(missingOrRefused(err), err)
	}
	defer s.Close()
	out, err := s.TakeReport(text)
	if errors.Is(err, smdpsim.ErrReport) {
		return exit(exitUsage, fmt.Errorf("%s: %w", c.File, err))
	}
	if err != nil {
		return exit(exitMissing, err)
	}
	if err := c.print(a, out); err != nil {
		return err
	}
	if len(out.Refused)+len(out.Missing) > 0 {
		return exit(exitVerdict, nil)
	}
	return nil
}

func (c *simSmdpReportCmd) print(a *app, out smdpsim.ReportOutcome) error {
	if c.JSON {
		return printJSON(a.stdout, out)
	}
	fmt.Fprintf(a.stdout, "%d rows: %d installed, %d failed, %d without a result, %d returned unused, %d waiting, %d refused; %d packages missing\n",
		out.Rows, out.Installed, out.Failed, out.NoResult, out.Returned, out.Waiting, len(out.Refused), len(out.Missing))
	for _, r := range out.Refused {
		fmt.Fprintln(a.stdout, "refused   ", r)
	}
	for _, iccid := range out.Missing {
		fmt.Fprintln(a.stdout, "missing   ", iccid)
	}
	return nil
}
