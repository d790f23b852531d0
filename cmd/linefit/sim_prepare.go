package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"linefit/internal/strictyaml"
	"linefit/modem/smdpsim"
)

// simSmdpPrepareCmd is the SM-DPf of in-factory provisioning (SGP.41): it binds
// profiles to one-time keys and writes them as a batch.
type simSmdpPrepareCmd struct {
	EIDs     string `name:"eids" required:"" placeholder:"FILE" help:"Binding request: EIDs with certificates and one-time keys (JSON, format linefit-binding-request/1)."`
	Out      string `required:"" placeholder:"BATCH" help:"Where to write the batch (JSON, format linefit-batch/1)."`
	PerEID   int    `name:"per-eid" default:"1" help:"Packages for each eUICC; each uses one key."`
	Profiles string `placeholder:"DIR" help:"Folder of profile packages to copy in turn, each copy with an ICCID of its own; without it profiles are generated."`
	First    int    `default:"0" help:"Number of the first generated profile or ICCID."`
	Address  string `default:"localhost:8443" placeholder:"HOST[:PORT]" help:"SM-DP+ address, where the installation results go."`
	PKI      string `name:"pki" placeholder:"DIR" help:"Folder of certificates instead of linefit's own test CA."`
	State    string `placeholder:"FILE" help:"State file of sim smdp that is to take the installation results; no server may be using it."`
	JSON     bool   `name:"json" help:"Print what was prepared as JSON."`
}

// simBatch is what --json prints.
type simBatch struct {
	Batch    string `json:"batch"`
	ID       string `json:"id"`
	EUICCs   int    `json:"euiccs"`
	Packages int    `json:"packages"`
	CA       string `json:"ca"` // PEM of the issuer to trust
}

// Run prepares one batch.
func (c *simSmdpPrepareCmd) Run(a *app) error {
	var errs []error
	req, err := c.request()
	if err != nil {
		errs = append(errs, err)
	}
	pki, err := (&simSmdpServeCmd{PKI: c.PKI}).certificates()
	if err != nil {
		errs = append(errs, err)
	}
	profile, err := c.profile()
	if err != nil {
		errs = append(errs, err)
	}
	if c.PerEID < 1 || c.First < 0 {
		errs = append(errs, errors.New("--per-eid is at least 1, --first at least 0"))
	}
	if len(errs) > 0 {
		return exit(exitUsage, errors.Join(errs...))
	}
	s, err := smdpsim.New(smdpsim.Config{Address: c.Address, PKI: pki, State: c.State})
	if err != nil {
		return exit(missingOrRefused(err), err)
	}
	defer s.Close()
	batch, err := s.Prepare(req, smdpsim.PrepareOptions{PerEID: c.PerEID, Profile: profile})
	if err != nil {
		return exit(exitUsage, fmt.Errorf("%s: %w", c.EIDs, err))
	}
	if err := writeBatch(c.Out, batch); err != nil {
		return exit(missingOrRefused(err), err)
	}
	out := simBatch{Batch: c.Out, ID: batch.ID, EUICCs: len(req.EUICCs), Packages: len(batch.Packages), CA: c.Out + ".ci.pem"}
	if err := os.WriteFile(out.CA, pki.RootPEM(), 0o644); err != nil { //nolint:gosec // a certificate is public
		return exit(missingOrRefused(err), err)
	}
	if c.JSON {
		return printJSON(a.stdout, out)
	}
	fmt.Fprintf(a.stdout, "%s: %d packages for %d eUICCs; trust %s\n", out.Batch, out.Packages, out.EUICCs, out.CA)
	return nil
}

func (c *simSmdpPrepareCmd) request() (*smdpsim.BindingRequest, error) {
	text, err := readListFile(c.EIDs)
	if err != nil {
		return nil, err
	}
	var document map[string]any // for the place of what is no JSON
	if err := strictyaml.DecodeJSON(c.EIDs, text, maxListFile, strictyaml.Compile("object.json", `{"type": "object"}`), "euiccs", &document); err != nil {
		return nil, err
	}
	req, err := smdpsim.ParseRequest(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.EIDs, err)
	}
	return req, nil
}

// profile says what the n-th package holds.
func (c *simSmdpPrepareCmd) profile() (func(int) (smdpsim.Order, error), error) {
	if c.Profiles == "" {
		return func(n int) (smdpsim.Order, error) {
			return smdpsim.Order{Generic: smdpsim.GeneratedProfile(c.First + n)}, nil
		}, nil
	}
	files, err := smdpsim.LoadProfiles(c.Profiles)
	if err != nil {
		return nil, err
	}
	return func(n int) (smdpsim.Order, error) {
		return smdpsim.Order{Package: files[n%len(files)].DER, ICCID: smdpsim.GeneratedICCID(c.First + n)}, nil
	}, nil
}

// writeBatch writes a file with packages: only the owner may read it.
func writeBatch(path string, batch *smdpsim.Batch) error {
	text, err := json.MarshalIndent(batch, "", " ")
	if err != nil {
		return err
	}
	return replaceFile(path, append(text, '\n'))
}
