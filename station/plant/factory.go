package plant

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"linefit/audit"
	"linefit/modem/ident"
	"linefit/station"
	"linefit/station/ifpp"
	"linefit/station/stock"
)

// Reported is a log as a loading report needs it.
type Reported interface {
	View(fn func(audit.View) error) error
	Checkpoint() ([]byte, error)
	// Seal signs what the report says.
	Seal(what string, sum [sha256.Size]byte) ([]byte, error)
}

// LoadingReport makes the loading report of in-factory provisioning (SGP.41,
// step 13) from a log and the signed results that the vault has: of one batch,
// or of all (""). It returns what writes it, row after row: a report of any length
// takes less than 1 KB of memory for each package.
func LoadingReport(log Reported, vault *stock.Vault, batch string) (func(io.Writer) error, error) {
	checkpoint, err := log.Checkpoint()
	if err != nil {
		return nil, err
	}
	var r *ifpp.Report
	err = log.View(func(v audit.View) error {
		r, err = ifpp.MakeReport(v, ifpp.Source{Result: ifpp.Results(vault), Checkpoint: checkpoint, Batch: batch})
		return err
	})
	if err != nil {
		return nil, err
	}
	return func(w io.Writer) error { return r.EncodeSealed(w, log.Seal) }, nil
}

// LoadingReport is that of the station.
func (pl *Plant) LoadingReport(batch string) (func(io.Writer) error, error) {
	return LoadingReport(pl.Log, pl.Ledger.Vault(), batch)
}

// Supplier is who delivers prepared packages: eUICC maker and SM-DPf of a
// simulated line.
type Supplier interface {
	// MakerFile is the data file of the eUICCs' maker.
	MakerFile() string
	// Deliver answers a binding request with a batch of profiles of a service
	// provider; it returns the batch's file, named after the batch.
	Deliver(request []byte, provider string) (file string, err error)
	// Batches are the files of all batches that were delivered.
	Batches() ([]string, error)
}

// Procure does for a simulated line what people do with "linefit profiles": it
// asks the supplier for packages, for unused one-time keys of the maker's data,
// and takes them into the stock; for those eUICCs of the order that never had
// one. A batch that was delivered before a crash, and not taken in or not wholly,
// is taken in first.
func (pl *Plant) Procure(ctx context.Context, from Supplier, order ifpp.Order) error {
	var err error
	if err = pl.Ledger.FinishImports(ctx, pl.Journal); err != nil {
		return err
	}
	if order.EIDs, err = pl.without(order); err != nil {
		return err
	}
	return pl.Supply(ctx, from, order)
}

// Supply is [Plant.Procure] for all eUICCs of the order: what they lack is asked
// for, also in place of packages that were used up. An eUICC without enough unused
// one-time keys is a strictyaml.Problems.
func (pl *Plant) Supply(ctx context.Context, from Supplier, order ifpp.Order) error {
	if err := pl.Ledger.FinishImports(ctx, pl.Journal); err != nil {
		return err
	}
	files, err := from.Batches()
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := pl.takeBatch(ctx, file); err != nil {
			return err
		}
	}
	if len(order.EIDs) == 0 {
		return nil
	}
	text, err := os.ReadFile(from.MakerFile())
	if err != nil {
		return err
	}
	data, err := ifpp.ReadData(from.MakerFile(), text, pl.Plan.Issuers, time.Now())
	if err != nil {
		return err
	}
	req, err := ifpp.MakeRequest(data, order, pl.Ledger.OfEUICC)
	if err != nil || len(req.EUICCs) == 0 {
		return err
	}
	if text, err = req.Write(); err != nil {
		return err
	}
	file, err := from.Deliver(text, order.Operator)
	if err != nil {
		return fmt.Errorf("binding request: %w", err)
	}
	return pl.takeBatch(ctx, file)
}

// without are the eUICCs of an order that never had a package of its provider.
func (pl *Plant) without(order ifpp.Order) (out []ident.EID, err error) {
	for _, eid := range order.EIDs {
		items, err := pl.Ledger.OfEUICC(eid)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(items, func(i station.StockItem) bool { return order.Operator == "" || i.Operator == order.Operator }) {
			out = append(out, eid)
		}
	}
	return out, nil
}

// takeBatch takes a batch in, unless the stock has it.
func (pl *Plant) takeBatch(ctx context.Context, file string) error {
	id, have := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), false
	err := pl.Log.View(func(v audit.View) error {
		return stock.List(v, stock.Filter{Batch: id}, func(station.StockItem) error {
			have = true
			return audit.ErrStop
		})
	})
	if err != nil || have {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	_, err = pl.Room().Import(ctx, station.Person{Actor: "lead-1", Role: station.RoleLead}, stock.Source{Name: file, Data: text})
	return err
}
