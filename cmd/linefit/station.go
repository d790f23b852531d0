package main

import (
	"errors"
	"fmt"
	"io/fs"

	"linefit/audit"
	"linefit/station/plant"
	"linefit/station/text"
)

type stationCmd struct {
	Backup  stationBackupCmd  `cmd:"" help:"Copy a station's store, vault and recipes, also while it runs."`
	Restore stationRestoreCmd `cmd:"" help:"Put a backup into the place of a store."`
	Replace stationReplaceCmd `cmd:"" help:"Begin a log behind one that is lost, on a replacement machine."`
}

// stationPlace is the store that is copied or put back.
type stationPlace struct {
	Config string `type:"path" placeholder:"FILE" help:"The station file; its data folder is the store."`
	Store  string `type:"path" placeholder:"DIR" help:"The store's folder."`
	JSON   bool   `name:"json" help:"Print one JSON document."`
}

func (p stationPlace) dir() (string, error) {
	if (p.Config == "") == (p.Store == "") {
		return "", exit(exitUsage, errors.New("say one of --config and --store"))
	}
	if p.Store != "" {
		return p.Store, nil
	}
	cfg, err := loadConfig(p.Config)
	if err != nil {
		return "", err
	}
	return cfg.Station.Data, nil
}

// stationError gives an error its exit code.
func stationError(err error) error {
	switch {
	case errors.Is(err, plant.ErrBackup):
		return exit(exitVerdict, err)
	case errors.Is(err, fs.ErrExist):
		return exit(exitMissing, err)
	}
	return logExit(err)
}

type stationBackupCmd struct {
	stationPlace
	Out string `required:"" type:"path" placeholder:"DIR" help:"An empty folder, on another disk."`
}

// Run makes a backup.
func (c *stationBackupCmd) Run(a *app) error {
	dir, err := c.dir()
	if err != nil {
		return err
	}
	flags := storeFlags{Store: dir, JSON: c.JSON}
	if err := isFolder(dir); err != nil {
		return err
	}
	if err := flags.outside(c.Out); err != nil {
		return err
	}
	b, err := plant.MakeBackup(a.ctx, dir, c.Out)
	if err != nil {
		return flags.refuse(a, stationError(err))
	}
	if c.JSON {
		return a.json(b)
	}
	fmt.Fprintf(a.stdout, "%d entries of log %s, %d files in %s, verified\n", b.Entries, text.Printable(b.Origin), len(b.Files), c.Out)
	fmt.Fprintln(a.stdout, "The log's signing key and the vault's key are not in it: without the vault's key its codes cannot be read.")
	return nil
}

type stationRestoreCmd struct {
	stationPlace
	From string `required:"" type:"existingdir" placeholder:"DIR" help:"The backup."`
}

// Run restores a backup. The station must not run.
func (c *stationRestoreCmd) Run(a *app) error {
	dir, err := c.dir()
	if err != nil {
		return err
	}
	b, err := plant.Restore(a.ctx, c.From, dir)
	if err != nil {
		return storeFlags{Store: dir, JSON: c.JSON}.refuse(a, stationError(err))
	}
	if c.JSON {
		return a.json(b)
	}
	fmt.Fprintf(a.stdout, "%d entries of log %s, as of %s, are in %s\n", b.Entries, text.Printable(b.Origin), b.Made.Format("2006-01-02 15:04 UTC"), dir)
	printNext(a)
	return nil
}

func printNext(a *app) {
	fmt.Fprintln(a.stdout, "Next: start the station (it reads only), have two people accept that (linefit audit accept), and")
	fmt.Fprintln(a.stdout, "reconcile the stock with the provider's and the MES's lists (linefit profiles reconcile): until then no profile is given out.")
}

type stationReplaceCmd struct {
	stationPlace
	Checkpoint string `required:"" placeholder:"FILE" help:"The newest checkpoint of the lost log that MES or QA kept; - for stdin."`
	OldKey     string `required:"" placeholder:"VKEY" help:"The lost log's verifier key, or a file with it."`
}

// Run makes the store of a replacement.
func (c *stationReplaceCmd) Run(a *app) error {
	dir, err := c.dir()
	if err != nil {
		return err
	}
	vkey, err := keyFlag{Key: c.OldKey}.vkey()
	if err != nil {
		return err
	}
	kept, err := readInput(a, c.Checkpoint)
	if err != nil {
		return err
	}
	last, err := plant.Replace(dir, audit.PlainNote(kept), vkey)
	if err != nil {
		return storeFlags{Store: dir, JSON: c.JSON}.refuse(a, stationError(err))
	}
	if c.JSON {
		return a.json(map[string]any{"origin": last.Origin, "size": last.Size, "root": last.Root.String()})
	}
	fmt.Fprintf(a.stdout, "%s continues log %s behind its entry count of %d\n", dir, text.Printable(last.Origin), last.Size)
	printNext(a)
	return nil
}
