package main

import (
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"linefit/internal/strictyaml"
	"linefit/modem/ident"
	"linefit/modem/smdpsim"
)

// simOrdersFile is the form of --orders.
type simOrdersFile struct {
	Orders []simOrder
}

// simOrder is one order: the profile by its file in --profiles, or generated
// by number, and its rules.
type simOrder struct {
	ID                   string
	Profile              string
	Generated            *int
	Size                 int
	ICCID                string `yaml:"iccid"`
	MatchingID           string `yaml:"matching_id"`
	ConfirmationCode     string `yaml:"confirmation_code"`
	ConfirmationAttempts int    `yaml:"confirmation_attempts"`
	EID                  string `yaml:"eid"`
	Attempts             int
	Expires              string
	Memory               int
	Held                 bool
	NoRebind             bool `yaml:"no_rebind"`
	Reusable             bool
	ProtectionKeys       bool `yaml:"protection_keys"`
	Pending              bool
	Name                 string
	Provider             string
	Class                string
	PPRs                 []int `yaml:"pprs"`
	Owner                *simOwner
}

// simOwner is a profile owner; group identifiers are hexadecimal.
type simOwner struct {
	MCCMNC string  `yaml:"mcc_mnc"`
	GID1   *string `yaml:"gid1"`
	GID2   *string `yaml:"gid2"`
}

//go:embed sim_orders.schema.json
var simOrdersSchemaText string

// orders are the orders that the flags ask for.
func (c *simSmdpServeCmd) orders() ([]smdpsim.Order, error) {
	var files []smdpsim.ProfileFile
	if c.Profiles != "" {
		var err error
		if files, err = smdpsim.LoadProfiles(c.Profiles); err != nil {
			return nil, err
		}
	}
	if c.Orders != "" {
		return readOrders(c.Orders, files)
	}
	var orders []smdpsim.Order
	for _, f := range files {
		orders = append(orders, smdpsim.Order{ID: f.Name, MatchingID: smdpsim.NewMatchingID(), Package: f.DER})
	}
	if c.Profiles != "" {
		return orders, nil
	}
	for n := range c.Count {
		orders = append(orders, smdpsim.Order{ID: fmt.Sprintf("generated-%d", n), MatchingID: smdpsim.NewMatchingID(), Generic: smdpsim.GeneratedProfile(n)})
	}
	return orders, nil
}

// readOrders reads --orders. The error has all mistakes with file and line.
func readOrders(path string, files []smdpsim.ProfileFile) ([]smdpsim.Order, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	doc, err := strictyaml.Parse(path, text)
	if err != nil {
		return nil, err
	}
	schema := strictyaml.Compile("sim_orders.schema.json", simOrdersSchemaText)
	if err := doc.Validate(schema).Err(); err != nil {
		return nil, err
	}
	var file simOrdersFile
	if err := doc.Decode(&file); err != nil {
		return nil, err
	}
	byName := map[string][]byte{}
	for _, f := range files {
		byName[f.Name] = f.DER
	}
	var problems strictyaml.Problems
	var orders []smdpsim.Order
	seen := map[string]bool{}
	for i, in := range file.Orders {
		o, err := in.order(byName)
		if err == nil {
			err = o.Check()
		}
		if seen["id "+o.ID] || o.MatchingID != "" && seen["matching "+o.MatchingID.Reveal()] {
			err = errors.Join(err, errors.New("id or matching id is that of an earlier order"))
		}
		seen["id "+o.ID], seen["matching "+o.MatchingID.Reveal()] = true, true
		if err != nil {
			problems = append(problems, doc.Problem(strictyaml.Path("orders", i), "%v", err))
		}
		orders = append(orders, o)
	}
	return orders, problems.Err()
}

// order makes the order; its rules are checked by the server.
func (in simOrder) order(files map[string][]byte) (smdpsim.Order, error) {
	o := smdpsim.Order{
		ID: in.ID, MatchingID: smdpsim.MatchingID(in.MatchingID), ConfirmationCode: smdpsim.ConfirmationCode(in.ConfirmationCode),
		ConfirmationAttempts: in.ConfirmationAttempts, EID: ident.EID(in.EID), ICCID: ident.ICCID(in.ICCID),
		Attempts: in.Attempts, Memory: in.Memory, Held: in.Held, NoRebind: in.NoRebind, Reusable: in.Reusable, ProtectionKeys: in.ProtectionKeys,
		Metadata: smdpsim.Metadata{ServiceProvider: in.Provider, Name: in.Name, PPRs: in.PPRs},
	}
	var errs []error
	if o.MatchingID == "" && !in.Pending {
		o.MatchingID = smdpsim.NewMatchingID()
	}
	switch in.Class {
	case "test":
		o.Metadata.Class = smdpsim.ClassTest
	case "provisioning":
		o.Metadata.Class = smdpsim.ClassProvisioning
	}
	if in.Expires != "" {
		var err error
		if o.Expires, err = time.Parse(time.RFC3339, in.Expires); err != nil {
			errs = append(errs, fmt.Errorf("expires: %q is no time such as 2030-01-31T12:00:00Z", in.Expires))
		}
	}
	switch {
	case in.Generated != nil:
		o.Generic = smdpsim.GeneratedProfile(*in.Generated)
		o.Generic.Size = in.Size
	default:
		der, ok := files[in.Profile]
		if !ok {
			errs = append(errs, fmt.Errorf("profile: no file %s.der in --profiles", in.Profile))
		}
		o.Package = der
	}
	var err error
	if o.Metadata.Owner, err = in.owner(o.Generic); err != nil {
		errs = append(errs, err)
	}
	return o, errors.Join(errs...)
}

// owner is the profile's owner. Policy rules need one: that of a generated
// profile is its own network.
func (in simOrder) owner(generated *smdpsim.Generic) (*smdpsim.Owner, error) {
	if in.Owner == nil {
		if generated == nil || len(in.PPRs) == 0 {
			return nil, nil
		}
		return smdpsim.OwnerOf(generated.IMSI.Reveal()[:5])
	}
	owner, err := smdpsim.OwnerOf(in.Owner.MCCMNC)
	if err != nil {
		return nil, err
	}
	for _, g := range []struct {
		text *string
		to   *[]byte
	}{{in.Owner.GID1, &owner.GID1}, {in.Owner.GID2, &owner.GID2}} {
		if g.text == nil {
			continue
		}
		if *g.to, err = hex.DecodeString(*g.text); err != nil {
			return nil, fmt.Errorf("owner: %w", err)
		}
	}
	return owner, nil
}

// orderICCID is the ICCID that an order will have.
func orderICCID(o smdpsim.Order) (ident.ICCID, error) {
	if o.ICCID != "" {
		return o.ICCID, nil
	}
	if o.Generic != nil {
		return o.Generic.ICCID, nil
	}
	info, err := smdpsim.ParsePackage(o.Package)
	return info.ICCID, err
}
