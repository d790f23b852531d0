package stock

import (
	"context"
	"crypto/ecdh"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"linefit/audit"
	"linefit/internal/strictyaml"
	"linefit/modem/ident"
	"linefit/station"
)

// ErrBatch is the error of a batch of which it is not proven who made it.
var ErrBatch = errors.New("batch")

// PackageFormat reads one format of files with prepared packages. SGP.41 leaves
// the interface between manufacturer and station open, and the formats of
// SGP.42 are not public: a provider's own one is a plug-in beside linefit-batch/1.
type PackageFormat interface {
	// Is reports whether a file says that it has this format.
	Is(data []byte) bool
	// Read reads a file. trust says whether a certificate for profile package
	// binding counts here. The error of a file with mistakes is
	// strictyaml.Problems; none of its texts shows a package.
	Read(name string, data []byte, trust func(pb *x509.Certificate) error) (PackageBatch, error)
}

// PackageBatch is what a file delivers.
type PackageBatch struct {
	ID       string // the provider's name of the batch
	Address  string // of the SM-DP+ that gets the results
	Packages []Prepared
	Lines    []int // of the packages in the file, where that is known
	// Doubt is why it is not proven who made the file; such a batch is refused
	// with whatever else is wrong with it.
	Doubt error
}

// PackageRules say which prepared packages a station takes.
type PackageRules struct {
	// Formats are those beside linefit-batch/1.
	Formats []PackageFormat
	// Trust says whether a certificate that binds packages belongs to an SM-DP+
	// that counts here; nil: none does.
	Trust func(pb *x509.Certificate) error
	// Known says which eUICCs may be on this line; nil: all.
	Known func(ident.EID) bool
	// Inspect looks into one package: that it is bound by its certificate to its
	// one-time key, for the session and profile that it says. It returns the
	// profile's service provider. nil: nobody looks.
	Inspect func(p Prepared) (provider string, err error)
}

// format finds the format of a file; nil where it is no batch.
func (r PackageRules) format(data []byte) PackageFormat {
	all := append([]PackageFormat{linefitBatch{}}, r.Formats...)
	if i := slices.IndexFunc(all, func(f PackageFormat) bool { return f.Is(data) }); i >= 0 {
		return all[i]
	}
	return nil
}

// KeyID names an eUICC's one-time key in the log: the first 16 bytes of the
// SHA-256 over its uncompressed public point, in hexadecimal.
func KeyID(point []byte) string {
	sum := sha256.Sum256(point)
	return hex.EncodeToString(sum[:16])
}

// ImportBatch is ImportPackages with trust and known alone.
func (l *Ledger) ImportBatch(ctx context.Context, src Source, trust func(pb *x509.Certificate) error, known func(ident.EID) bool, at station.Scope, j Journal) (Imported, error) {
	return l.ImportPackages(ctx, src, PackageRules{Trust: trust, Known: known}, at, j)
}

// ImportPackages takes a batch of prepared packages in: all of it or nothing, as
// [Ledger.Import] does. The error of a batch with mistakes has all of them:
// strictyaml.Problems, and ErrBatch where it is not proven who made it.
func (l *Ledger) ImportPackages(ctx context.Context, src Source, rules PackageRules, at station.Scope, j Journal) (Imported, error) {
	l.importing.Lock()
	defer l.importing.Unlock()
	if err := l.recover(ctx, j); err != nil {
		return Imported{}, err
	}
	format := rules.format(src.Data)
	if format == nil {
		format = linefitBatch{} // which says what is wrong
	}
	b, err := format.Read(src.Name, src.Data, rules.Trust)
	if err != nil {
		return Imported{}, err
	}
	providers, err := l.checkPackages(src, b, rules)
	if err != nil {
		return Imported{}, err
	}
	src.Batch.Share = ""
	facts, note, err := l.stagePackages(src, b, providers, at)
	if err != nil {
		return Imported{}, err
	}
	if err := writeFacts(ctx, at, j, facts); err != nil {
		return Imported{}, fmt.Errorf("stock: %w: %w", ErrUnfinished, err)
	}
	return Imported{Batches: []string{either(src.Batch.Batch, b.ID)}, Profiles: len(b.Packages)}, l.unstage(note)
}

// stagePackages seals the packages and returns the facts to write.
func (l *Ledger) stagePackages(src Source, b PackageBatch, providers []string, at station.Scope) ([]station.Fact, staged, error) {
	name := either(src.Batch.Batch, b.ID)
	var facts []station.Fact
	if stated(src.Batch) {
		terms := src.Batch
		terms.Batch = name
		facts = append(facts, terms)
	}
	items, secrets := make([]station.StockImported, len(b.Packages)), make([]Secret, len(b.Packages))
	for i, p := range b.Packages {
		items[i] = station.StockImported{
			Batch: name, Kind: station.KindPreparedPackage, SMDP: b.Address, ICCID: p.ICCID, EID: p.EID, Operator: providers[i],
			Customer: src.Batch.Customer, SKU: src.Batch.SKU, Key: KeyID(p.OneTimeKey), KeyNumber: p.KeyNumber, Transaction: p.Transaction,
		}
		var err error
		if secrets[i], err = p.seal(); err != nil {
			return nil, staged{}, err
		}
	}
	return l.stage(KindPackage, items, secrets, facts, at)
}

func (p Prepared) seal() (Secret, error) {
	s, err := json.Marshal(sealedPackage{
		Version: 1, EID: p.EID, ICCID: p.ICCID, KeyNumber: p.KeyNumber, OneTimeKey: p.OneTimeKey, Transaction: p.Transaction,
		Address: p.Address, Certificate: p.Certificate, Package: p.Package.Reveal(),
	})
	if err != nil {
		return Secret{}, fmt.Errorf("stock: %w", err)
	}
	return NewSecret(s), nil
}

// packageCheck collects what is wrong with a batch.
type packageCheck struct {
	file  string
	batch PackageBatch
	rules PackageRules
	found strictyaml.Problems

	keys, sessions map[string]int
	iccids         map[ident.ICCID]int
}

func (c *packageCheck) add(i int, member, format string, args ...any) {
	p := strictyaml.Problem{File: c.file, Line: 1, Column: 1, Path: member, Text: fmt.Sprintf(format, args...)}
	if i >= 0 {
		p.Path = fmt.Sprintf("packages[%d].%s", i, member)
	}
	if i >= 0 && i < len(c.batch.Lines) {
		p.Line = c.batch.Lines[i]
	}
	c.found = append(c.found, p)
}

// checkPackages finds what is wrong with a batch, all of it at once. It returns
// the service provider of each package.
func (l *Ledger) checkPackages(src Source, b PackageBatch, rules PackageRules) (providers []string, err error) {
	c := &packageCheck{file: src.Name, batch: b, rules: rules, keys: map[string]int{}, sessions: map[string]int{}, iccids: map[ident.ICCID]int{}}
	if err := checkHost(b.Address); err != nil {
		c.add(-1, "smdp_address", "%v", err)
	}
	if what := badText(b.ID); what != "" {
		c.add(-1, "id", "%s", what)
	}
	for _, what := range TermMistakes(src.Batch) {
		c.add(-1, "terms that come with the file", "%s", what)
	}
	if len(b.Packages) > maxRows {
		c.add(-1, "packages", "%d packages, more than %d", len(b.Packages), maxRows)
		return nil, errors.Join(b.Doubt, c.found.Err())
	}
	providers = make([]string, len(b.Packages))
	err = l.views(func(v audit.View) error {
		for i, p := range b.Packages {
			providers[i] = c.alone(i, p)
			c.doubles(i, p)
			if err := c.stocked(v, i, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if b.Doubt != nil {
		b.Doubt = fmt.Errorf("%s: %w", src.Name, b.Doubt)
	}
	return providers, errors.Join(b.Doubt, c.found.Err())
}

// alone finds what is wrong with a package by itself.
func (c *packageCheck) alone(i int, p Prepared) (provider string) {
	if _, err := ident.ParseEID(string(p.EID)); err != nil {
		c.add(i, "eid", "%v", err)
	} else if c.rules.Known != nil && !c.rules.Known(p.EID) {
		c.add(i, "eid", "%s is on no list of this line's eUICCs", p.EID)
	}
	if _, err := ident.ParseICCID(string(p.ICCID)); err != nil {
		c.add(i, "iccid", "%v", err)
	}
	if _, err := ecdh.P256().NewPublicKey(p.OneTimeKey); err != nil {
		c.add(i, "one_time_key", "is no uncompressed point on P-256")
	}
	if id, err := hex.DecodeString(p.Transaction); err != nil || len(id) < 1 || len(id) > 16 {
		c.add(i, "transaction_id", "is not 1 to 16 bytes in hexadecimal")
	}
	if p.Package.Empty() {
		c.add(i, "bound_profile_package", "is empty")
		return ""
	}
	if c.rules.Inspect == nil {
		return ""
	}
	provider, err := c.rules.Inspect(p)
	if err != nil {
		c.add(i, "bound_profile_package", "%v", err)
	}
	if badText(provider) != "" {
		return "" // a name that cannot be shown is none
	}
	return provider
}

// doubles finds what two packages of a batch share and must not.
func (c *packageCheck) doubles(i int, p Prepared) {
	key := string(p.OneTimeKey)
	if first, double := c.keys[key]; double {
		c.add(i, "one_time_key", "is the key of package %d too", first)
	}
	if first, double := c.iccids[p.ICCID]; double {
		c.add(i, "iccid", "%s is that of package %d too", p.ICCID, first)
	}
	if first, double := c.sessions[p.Transaction]; double {
		c.add(i, "transaction_id", "is that of package %d too", first)
	}
	c.keys[key], c.iccids[p.ICCID], c.sessions[p.Transaction] = i, i, i
}

// stocked finds what the stock has already.
func (c *packageCheck) stocked(v audit.View, i int, p Prepared) error {
	items, err := ByICCID(v, p.ICCID)
	if err != nil {
		return err
	}
	if len(items) > 0 {
		c.add(i, "iccid", "%s is in the stock already: batch %s, %s", p.ICCID, items[0].Batch, items[0].State)
	}
	if items, err = ByEID(v, p.EID); err != nil {
		return err
	}
	for _, item := range items {
		if item.Key != "" && item.Key == KeyID(p.OneTimeKey) && item.ICCID != p.ICCID {
			c.add(i, "one_time_key", "key %d of EID %s was used for profile %s of batch %s already", p.KeyNumber, p.EID, item.ICCID, item.Batch)
		}
	}
	return nil
}

// dropPackages erases bound packages whose outcome is known: a process that died
// between the two left them. None of them is ever loaded again.
func (l *Ledger) dropPackages() error {
	items, err := l.vault.List(KindPackage)
	if err != nil {
		return err
	}
	var known []Item
	err = l.views(func(v audit.View) error {
		for _, item := range items {
			have, ok, err := ItemOf(v, item.Handle)
			if err != nil {
				return err
			}
			if ok && (have.State == station.StockInstalled || have.State == station.StockSpent) {
				known = append(known, item)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return l.vault.deleteItems(known)
}
