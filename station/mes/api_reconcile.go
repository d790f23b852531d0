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
	l.Batch = b.Batch
	if b.Server != nil {
		if l.Server, err = stock.ReadServerList(b.Server.Name, []byte(b.Server.Data)); err != nil {
			return l, err
		}
		l.Names = append(l.Names, stock.ListName(b.Server.Name, []byte(b.Server.Data)))
	}
	if b.Units != nil {
		l.Units, err = stock.ReadUnitList(b.Units.Name, []byte(b.Units.Data))
		l.Names = append(l.Names, stock.ListName(b.Units.Name, []byte(b.Units.Data)))
	}
	return l, err
}
