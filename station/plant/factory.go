package plant

import (
	"linefit/audit"
	"linefit/station/ifpp"
	"linefit/station/stock"
)

// Reported is a log as a loading report needs it.
type Reported interface {
	View(fn func(audit.View) error) error
	Checkpoint() ([]byte, error)
}

// LoadingReport makes the loading report of in-factory provisioning (SGP.41,
// step 13) from a log and the signed results that the vault has: of one batch,
// or of all ("").
func LoadingReport(log Reported, vault *stock.Vault, batch string) ([]byte, error) {
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
	return r.Write()
}

// LoadingReport is that of the station.
func (pl *Plant) LoadingReport(batch string) ([]byte, error) {
	return LoadingReport(pl.Store, pl.Ledger.Vault(), batch)
}
