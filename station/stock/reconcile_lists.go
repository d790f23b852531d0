package stock

import (
	"fmt"
	"slices"

	"linefit/modem/ident"
	"linefit/station"
)

// server compares the ledger with an SM-DP+'s list.
func (c *comparison) server() {
	const between = "ledger, sm-dp+"
	rows := map[ident.ICCID]ServerRow{}
	for _, r := range c.lists.Server {
		if first, double := rows[r.ICCID]; double {
			c.add(Disagreement{Kind: Double, Between: "sm-dp+", ICCID: r.ICCID, Text: "the list has this order twice", Evidence: []string{first.At, r.At}})
			continue
		}
		rows[r.ICCID] = r
		if len(c.byICCID[r.ICCID]) == 0 {
			c.add(Disagreement{Kind: Missing, Between: between, ICCID: r.ICCID, EID: r.EID, Text: "the list has an order that the stock has not", Evidence: []string{r.At}})
		}
	}
	for _, i := range c.items {
		if c.lists.Batch != "" && i.Batch != c.lists.Batch || i.ICCID == "" || i.State == station.StockReturned {
			continue
		}
		r, ok := rows[i.ICCID]
		if !ok {
			c.add(c.about(Missing, between, i, "", "the stock has an order that the list has not"))
			continue
		}
		c.order(i, r)
	}
}

// order compares one item with its order.
func (c *comparison) order(i station.StockItem, r ServerRow) {
	const between = "ledger, sm-dp+"
	say := func(kind string, format string, args ...any) Disagreement {
		d := c.about(kind, between, i, r.At, format, args...)
		if d.EID == "" {
			d.EID = r.EID
		}
		return d
	}
	switch {
	case r.EID == "":
	case r.Tried && !c.h.eids[r.EID]:
		c.add(say(Foreign, "%s at the SM-DP+ by EID %s, which this station never saw%s: the code was used elsewhere", r.State, r.EID, c.since()))
		return
	case i.EID != "" && r.EID != i.EID:
		c.add(say(Mismatched, "here it belongs to EID %s, at the SM-DP+ to EID %s", i.EID, r.EID))
		return
	case !r.Tried && i.EID == "" && r.EID != i.Bound:
		c.add(say(Mismatched, "here it is bound to %s, at the SM-DP+ to EID %s", boundTo(i), r.EID))
		return
	}
	switch i.State {
	case station.StockAvailable:
		switch {
		case r.State == ServerDownloaded, r.State == ServerInstalled:
			c.add(say(Mismatched, "available here, %s at the SM-DP+", r.State))
		case r.State == ServerClosed:
			c.add(say(Mismatched, "available here, closed at the SM-DP+: it cannot be used"))
		}
	case station.StockInstalled:
		switch r.State {
		case ServerUnused:
			c.add(say(Mismatched, "installed here, unused at the SM-DP+"))
		case ServerDownloaded:
			c.add(say(Mismatched, "installed here, the SM-DP+ lacks the notification"))
		case ServerClosed:
			c.add(say(Mismatched, "installed here, closed at the SM-DP+"))
		}
	case station.StockQuarantined:
		c.quarantined(say, i, r)
	case station.StockSpent:
		// Downloaded is no contradiction: after errors 10 and 11 an order stays so,
		// also when all of its downloads were used.
		if r.State == ServerUnused || r.State == ServerInstalled {
			c.add(say(Mismatched, "spent here, %s at the SM-DP+", r.State))
		}
	}
}

func boundTo(i station.StockItem) string {
	if i.Bound == "" {
		return "no EID"
	}
	return "EID " + string(i.Bound)
}

// quarantined shows what a list tells of an item of which the ledger is not sure.
func (c *comparison) quarantined(say func(string, string, ...any) Disagreement, i station.StockItem, r ServerRow) {
	d := say(Open, "quarantined here, %s at the SM-DP+", r.State)
	switch {
	case r.State == ServerInstalled && i.EID != "" && (r.EID == i.EID || r.EID == ""):
		d.Resolve = FoundInstalled
	case r.State == ServerUnused:
		d.Resolve = FoundUnused
	case r.State == ServerClosed:
		d.Resolve = FoundSpent
	}
	c.add(d)
}

// since says how far back the entries go, where that is not the beginning.
func (c *comparison) since() string {
	if c.h.first <= 1 {
		return ""
	}
	return fmt.Sprintf(" since entry %d; older ones are archived", c.h.first)
}

// units compares the units that passed here with the MES's list.
func (c *comparison) units() {
	const between = "log, mes"
	serials, iccids := map[station.Serial]UnitRow{}, map[ident.ICCID]UnitRow{}
	imeis, eids := map[ident.IMEI]UnitRow{}, map[ident.EID]UnitRow{}
	for _, r := range c.lists.Units {
		serial := station.Serial(r.Serial)
		at := func(kind, text string, evidence ...string) Disagreement {
			return Disagreement{Kind: kind, Between: between, Unit: serial, IMEI: r.IMEI, EID: r.EID, ICCID: r.ICCID, Text: text, Evidence: append([]string{r.At}, evidence...)}
		}
		if first, double := serials[serial]; double {
			c.add(at(Double, "the list has this serial twice", first.At))
			continue
		}
		serials[serial] = r
		if first, double := iccids[r.ICCID]; double && r.ICCID != "" {
			c.add(at(Double, "the list has this ICCID for another unit too", first.At))
		}
		if first, double := imeis[r.IMEI]; double && r.IMEI != "" {
			c.add(at(Double, "the list has this IMEI for another unit too", first.At))
		}
		if first, double := eids[r.EID]; double && r.EID != "" {
			c.add(at(Double, "the list has this EID for another unit too", first.At))
		}
		iccids[r.ICCID], imeis[r.IMEI], eids[r.EID] = r, r, r
		m, ok := c.h.units[serial]
		if !ok {
			c.add(at(Missing, "the list has a unit that did not pass here"+c.since()))
			continue
		}
		if r.IMEI != "" && r.IMEI != m.imei {
			c.add(at(Mismatched, "IMEI "+string(m.imei)+" here, "+string(r.IMEI)+" in the list", entry(m.seq)))
		}
		if r.EID != "" && r.EID != m.eid {
			c.add(at(Mismatched, "EID "+string(m.eid)+" here, "+string(r.EID)+" in the list", entry(m.seq)))
		}
		if r.ICCID != "" && !slices.Contains(m.iccids, r.ICCID) {
			c.add(at(Mismatched, "ICCID "+string(r.ICCID)+" in the list is on no eUICC of this unit here", entry(m.seq)))
		}
	}
	for serial, m := range c.h.units {
		if _, ok := serials[serial]; !ok {
			c.add(Disagreement{Kind: Missing, Between: between, Unit: serial, IMEI: m.imei, EID: m.eid, Text: "passed here and not in the list", Evidence: []string{entry(m.seq)}})
		}
	}
}

// subscribers compares the lists' IMSIs with each other: the station never reads
// one. They are personal data, so that only their places are told.
func (c *comparison) subscribers() {
	byICCID, byIMSI := map[ident.ICCID]ServerRow{}, map[string]ServerRow{}
	for _, r := range c.lists.Server {
		imsi := r.IMSI.Reveal()
		if imsi == "" {
			continue
		}
		if first, double := byIMSI[imsi]; double && first.ICCID != r.ICCID {
			c.add(Disagreement{Kind: Double, Between: "sm-dp+", ICCID: r.ICCID, Text: "the list has this order's IMSI for another ICCID too", Evidence: []string{first.At, r.At}})
		}
		byICCID[r.ICCID], byIMSI[imsi] = r, r
	}
	units := map[string]UnitRow{}
	for _, r := range c.lists.Units {
		imsi := r.IMSI.Reveal()
		if imsi == "" {
			continue
		}
		at := func(kind, between, text, evidence string) {
			c.add(Disagreement{Kind: kind, Between: between, Unit: station.Serial(r.Serial), ICCID: r.ICCID, Text: text, Evidence: []string{evidence, r.At}})
		}
		if first, double := units[imsi]; double && first.Serial != r.Serial {
			at(Double, "mes", "the list has this unit's IMSI for another unit too", first.At)
		}
		units[imsi] = r
		if order, ok := byICCID[r.ICCID]; ok && order.IMSI.Reveal() != imsi {
			at(Mismatched, "sm-dp+, mes", "the lists have different IMSIs for this ICCID", order.At)
		} else if order, ok := byIMSI[imsi]; ok && r.ICCID != "" && order.ICCID != r.ICCID {
			at(Mismatched, "sm-dp+, mes", "the lists have this IMSI for different ICCIDs", order.At)
		}
	}
}
