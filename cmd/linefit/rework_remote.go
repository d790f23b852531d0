package main

import (
	"context"

	"linefit/rework"
	"linefit/ui/client"
)

// remoteDesk is the desk of a running station.
type remoteDesk struct{ *client.Client }

// Story implements desk.
func (d remoteDesk) Story(ctx context.Context, id string) (rework.Story, error) {
	u, err := d.Unit(ctx, id)
	return u.Story, err
}
