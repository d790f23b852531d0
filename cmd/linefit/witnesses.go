package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"linefit/audit"
	"linefit/station"
	"linefit/station/config"
	"linefit/station/plant"
	"linefit/station/text"
	"linefit/station/witness"
)

// witnessed takes the witnesses of a station file.
func (p *plan) witnessed(w config.Witnesses) error {
	if len(w.List) == 0 {
		return nil
	}
	p.Witnesses = &plant.Witnesses{Keep: w.Keep, Every: w.Every.D()}
	seen := map[string]bool{}
	var errs []error
	for _, c := range w.List {
		key, err := audit.ParseWitnessKey(c.VKey)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("audit.witnesses: %s: %w", c.URL, err))
			continue
		case seen[key.Name()]:
			errs = append(errs, fmt.Errorf("audit.witnesses: witness %s is named twice", key.Name()))
		}
		seen[key.Name()] = true
		p.Witnesses.Clients = append(p.Witnesses.Clients, &witness.Client{URL: c.URL, Key: key, Timeout: w.Timeout.D()})
	}
	return errors.Join(errs...)
}

// witnesses says what a running station's witnesses have cosigned.
func (d *doctor) witnesses(all []station.Witness) {
	for _, w := range all {
		name, found := "witness "+text.Printable(w.Name), "it has cosigned nothing yet"
		if w.At != "" {
			found = fmt.Sprintf("it has cosigned %d entries of log %s, the last time at %s", w.Size, text.Printable(w.Log), w.At)
		}
		switch {
		case w.Fork:
			d.add(name, checkFail, "somebody has put back an older log, or written another: compare with the newest cosigned checkpoint (linefit audit verify --checkpoint FILE)", "%s; %s", text.Printable(w.Error), found)
		case w.Error != "":
			d.add(name, checkWarn, "check the witness and the network; the line does not wait for it", "%d tries in vain: %s; %s", w.Tries, text.Printable(w.Error), found)
		case w.At == "":
			d.add(name, checkUnknown, "", "%s", found)
		default:
			d.add(name, checkOK, "", "%s", found)
		}
	}
}

// witnessFolder looks at the folder for cosigned checkpoints.
func (d *doctor) witnessFolder() {
	w := d.cfg.Audit.Witnesses
	if len(w.List) == 0 {
		return
	}
	if st, err := os.Stat(w.Keep); err != nil || !st.IsDir() {
		d.add("cosigned checkpoints", checkFail, "make the folder audit.witnesses.keep, for the station's user", "%s is no folder", w.Keep)
		return
	}
	d.add("cosigned checkpoints", checkOK, "", "%s, every %s", w.Keep, w.Every.D().Round(time.Second))
}
