package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"linefit/station/mes"
	"linefit/station/text"
)

type auditArchiveCmd struct {
	where
	Out    string `required:"" type:"path" placeholder:"DIR" help:"Folder of the archive, on another disk."`
	Rotate bool   `help:"Close the newest shard first, so that it goes too."`
}

// Run moves closed shards into an archive. The station must not run: it takes
// the store's lock.
func (c *auditArchiveCmd) Run(a *app) error {
	if c.Store == "" || c.Address != "" || c.Config != "" {
		return exit(exitUsage, errors.New("say --store: a running station moves closed shards by itself, to audit.archive of its file"))
	}
	flags := storeFlags{Store: c.Store, JSON: c.JSON}
	if err := isFolder(c.Store); err != nil {
		return err
	}
	if err := flags.outside(c.Out); err != nil {
		return err
	}
	return logExit(c.withStore(a, func(ctx context.Context, o *offline) error {
		if c.Rotate {
			if err := o.store.Rotate(ctx); err != nil {
				return err
			}
		}
		out, err := o.store.Archive(ctx, c.Out, mes.Archivable)
		if errors.Is(err, mes.ErrNeeded) {
			err = exit(exitMissing, fmt.Errorf("%w: archive when its unit has left and the MES has its events", err))
		}
		if err != nil {
			return flags.refuse(a, err)
		}
		if c.JSON {
			return a.json(out)
		}
		for _, s := range out.Shards {
			fmt.Fprintf(a.stdout, "shard %d, log %s: in %s\n", s.Shard, text.Printable(s.Origin), filepath.Join(c.Out, "shards", fmt.Sprintf("%04d", s.Shard)))
		}
		fmt.Fprintf(a.stdout, "%d shards with %d entries archived, %d bytes of segments moved\n", len(out.Shards), out.Entries, out.Bytes)
		return nil
	}))
}
