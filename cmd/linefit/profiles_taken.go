package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"linefit/station"
	"linefit/station/stock"
	"linefit/ui/client"
)

// A list of codes that does not say for which station it is belongs to the one
// that takes it first. Beside the file stands then FILE.taken, with the random
// name of that station's vault: who brings the same file, on a stick or a shared
// folder, to another station is refused. A copy of the file is not recognised:
// that is what shares, a column station and a claim at the MES are for.
// A list that was split says so there too.
const (
	takenMagic = "linefit taken/1\n"
	takenSplit = "split "
)

// takenBefore says what became of a list, by what stands beside it.
func takenBefore(file, mark string, text []byte) error {
	if rest, split := strings.CutPrefix(string(text), takenMagic+takenSplit); split {
		stations, _, _ := strings.Cut(rest, "\n")
		return fmt.Errorf("%s was split for %s (%s): the same codes on two stations would be tried twice; each station imports its share", file, stations, mark)
	}
	return fmt.Errorf("%s was taken into another station (%s): the same codes on two stations would be tried twice; lists for several stations are split before anything is imported (linefit profiles split), or name them in a column station", file, mark)
}

// nothingTaken reports whether an import that ended with this error is certain to
// have taken nothing: this process or the station said no, or was not reached.
func nothingTaken(err error) bool {
	var refusal *station.Refusal
	var remote *client.Error
	var dial *net.OpError
	switch {
	case errors.Is(err, stock.ErrUnfinished):
		return false
	case errors.As(err, &refusal):
		return true
	case errors.As(err, &remote):
		return remote.Status >= 400 && remote.Status < 500 || errors.As(err, &dial) && dial.Op == "dial"
	}
	return true
}

// take marks the file as this station's. give undoes that, where it was done
// now.
func (c *profilesImportCmd) take(ctx context.Context, a *app, r stockroom, data []byte) (give func() error, err error) {
	nothing := func() error { return nil }
	if !stock.Unassigned(data) {
		return nothing, nil
	}
	have, err := r.list(ctx, "", stock.Filter{}, 0)
	if err != nil {
		return nil, err
	}
	file, text := c.File+".taken", takenMagic+"vault "+have.Vault+"\n"
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		old, err := readFile(file)
		if err != nil {
			return nil, exit(exitMissing, err)
		}
		if string(old) == text || len(old) == 0 || !strings.HasPrefix(string(old), takenMagic) { // its own, or cut short by a crash
			return nothing, os.WriteFile(file, []byte(text), 0o644)
		}
		return nil, exit(exitUsage, takenBefore(c.File, file, old))
	case err != nil:
		fmt.Fprintf(a.stderr, "warning: %s cannot be made (%v): no other station will see that the list was taken\n", file, err)
		return nothing, nil
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, exit(exitMissing, errors.Join(err, os.Remove(file)))
	}
	return func() error { return os.Remove(file) }, nil
}
