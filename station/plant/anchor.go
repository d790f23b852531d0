package plant

import (
	"context"

	"linefit/audit/store"
	"linefit/station"
	"linefit/station/mes"
)

// askAnchor asks the MES for the newest checkpoint that it keeps, before the log
// is opened: an MES that does not answer is asked again while the station runs.
func (p Plan) askAnchor(ctx context.Context) []byte {
	if p.AnchorWithin <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.AnchorWithin)
	defer cancel()
	client, err := mes.NewClient(p.mesOptions())
	if err != nil {
		return nil // New says so
	}
	note, err := client.Anchor(ctx)
	if err != nil {
		p.Logger.Warn().Err(err).Msg("the MES does not give the checkpoint that it keeps")
		return nil
	}
	if len(note) == 0 {
		return nil
	}
	return note
}

// quiet reports whether no run is open: a good moment for the log's next shard.
func quiet(v station.View) bool {
	for _, s := range v.Slots {
		if s.State == station.SlotRunning || s.State == station.SlotArmed || s.State == station.SlotHand {
			return false
		}
	}
	return true
}

// anchored takes a checkpoint that the MES keeps: the log is held against it,
// and one that is of this log is kept beside it for the next start.
func (pl *Plant) anchored(note []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), holdWithin)
	defer cancel()
	err := error(nil)
	if holder, ok := pl.Log.(interface {
		Hold(ctx context.Context, anchor []byte) error
	}); ok {
		err = holder.Hold(ctx, note)
	}
	if err != nil {
		pl.Plan.Logger.Error().Err(err).Msg("the log does not agree with a checkpoint from the MES")
	}
	// One that contradicts the log must do so at the next start too.
	if keep := pl.Plan.Anchored; keep != nil && (err == nil || pl.Log.State().Cause == store.CauseAlarm) {
		keep(note)
	}
}
