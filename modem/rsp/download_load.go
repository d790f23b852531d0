package rsp

import (
	"context"
	"errors"
	"fmt"

	"linefit/modem/euicc"
)

// fetch gets the package. From the recorded intent on, an attempt is counted.
func (d *download) fetch(ctx context.Context, prepared []byte) (*euicc.BoundPackage, error) {
	if err := ctx.Err(); err != nil {
		return nil, d.cancelled(ctx, string(GetBoundProfilePackage), RowNone, euicc.CancelPostponed, err)
	}
	if err := d.record(ctx, PhaseGetPackage, d.res.Detail); err != nil {
		return nil, d.cancelled(ctx, "record", RowNone, euicc.CancelPostponed, err)
	}
	var pkg *euicc.BoundPackage
	err := d.step(string(GetBoundProfilePackage), func() (err error) {
		pkg, err = d.server.getPackage(ctx, d.in, prepared)
		return err
	})
	if err != nil {
		return nil, d.fail(string(GetBoundProfilePackage), rowOf(GetBoundProfilePackage, err), err)
	}
	d.res.Detail.PackageBytes = pkg.Size()
	if m, ok := pkg.Metadata(); ok && !m.SameProfile(d.res.Metadata) {
		return nil, d.cancelled(ctx, "package", RowPackageLost, euicc.CancelPostponed, ErrPackageDiffers)
	}
	if d.p.KeepPackage != nil {
		if err := d.p.KeepPackage(ctx, pkg, d.res.Detail); err != nil {
			return nil, d.cancelled(ctx, "keep", RowStationDied, euicc.CancelPostponed, fmt.Errorf("%w: %w", ErrKeep, err))
		}
	}
	if err := d.record(ctx, PhaseLoad, d.res.Detail); err != nil {
		return nil, d.cancelled(ctx, "record", RowStationDied, euicc.CancelPostponed, err)
	}
	return pkg, nil
}

// load sends the package to the eUICC. After its first block nothing is
// cancelled and nothing is sent again.
func (d *download) load(ctx context.Context, pkg *euicc.BoundPackage) error {
	const name = "LoadBoundProfilePackage"
	var r *euicc.InstallationResult
	err := d.step(name, func() (err error) {
		r, err = d.card.Load(ctx, pkg, func(sent, total int) {
			if d.p.Progress != nil {
				d.p.Progress(Progress{Step: name, Done: sent, Total: total})
			}
		})
		return err
	})
	if err != nil {
		var load *euicc.LoadError
		if errors.As(err, &load) && !load.Started {
			return d.cancelled(ctx, name, RowStationDied, euicc.CancelPostponed, err)
		}
		f := d.fail(name, RowLoadUnknown, err)
		f.Unknown = true
		return f
	}
	d.open = false
	d.settle(ctx, r)
	if r.Failure != nil {
		return d.fail(name, rowOfResult(r.Failure), r.Failure)
	}
	return nil
}

// settle keeps the eUICC's word and passes it on.
func (d *download) settle(ctx context.Context, r *euicc.InstallationResult) {
	d.res.Installation = r
	if d.cert != nil {
		if err := r.Verify(d.cert); err != nil {
			d.res.Proof.Err = err
		} else {
			d.res.Proof.Result = true
		}
	}
	d.res.Delivery = Delivery{Sequence: r.Notification.Sequence, Address: r.Notification.Address, Event: euicc.EventInstall}
	if d.p.KeepResult != nil {
		if err := d.p.KeepResult(ctx, r); err != nil {
			d.res.Delivery.Err = fmt.Errorf("%w: %w", ErrKeep, err)
			return // it stays on the eUICC, which keeps it better
		}
	}
	if !d.p.Deliver {
		return
	}
	_ = d.step(string(HandleNotification), func() error {
		o := outgoing{card: d.card, recorder: d.p.Recorder, detail: d.res.Detail}
		d.res.Delivery = o.deliver(ctx, d.recipient(r.Notification.Address), euicc.Pending{Notification: r.Notification, Raw: r.Raw, Result: r})
		return nil
	})
}

// recipient is this session's server when the eUICC names the same host, or one
// by its address.
func (d *download) recipient(address string) func() (*Server, error) {
	return func() (*Server, error) {
		mine, _ := splitAddress(d.server.address)
		if theirs, _ := splitAddress(address); theirs == mine {
			return d.server, nil
		}
		return d.p.Client.Server(address)
	}
}
