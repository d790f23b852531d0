package mes

import (
	"linefit/station/stock"
)

// ReconcileBody compares the stock with lists.
type ReconcileBody struct {
	PersonBody
	Server *ListBody `json:"server,omitempty" doc:"The SM-DP+'s list"`
	Units  *ListBody `json:"units,omitempty" doc:"The MES's list of finished units"`
	Batch  string    `json:"batch,omitempty" maxLength:"64" doc:"The SM-DP+'s list is of this batch only"`
	Apply  bool      `json:"apply,omitempty" doc:"Put back what both lists and the log say nobody has used; it takes QA and why"`
	NoMES  bool      `json:"no_mes,omitempty" doc:"There is no MES: its list is not needed"`
	Why    string    `json:"why,omitempty" maxLength:"200"`
}

func (b ReconcileBody) lists() (l stock.Lists, err error) {
	file := func(b *ListBody) *stock.File {
		if b == nil {
			return nil
		}
		return &stock.File{Name: b.Name, Data: []byte(b.Data)}
	}
	l, err = stock.ReadLists(file(b.Server), file(b.Units))
	l.Batch = b.Batch
	return l, err
}
