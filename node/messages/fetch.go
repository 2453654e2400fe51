package messages

import (
	"context"
	"fmt"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
)

// Prefetch fetches the bundle of an announced run. The announcement is only a hint, so failures are just logged.
func (o *Office) Prefetch(runID, seriesID uint64, fabHash string) {
	o.begin(fmt.Sprintf("run %d", runID), runID, func(ctx context.Context) error {
		err := o.cfg.Store.AnnounceRun(ctx, state.Run{ID: runID, SeriesID: seriesID, FABHash: fabHash})
		if err != nil {
			return err
		}
		return o.fetch(ctx, Want{RunID: runID, IDs: []string{fabHash}})
	}, func(err error) {
		if err != nil {
			log.Info("app bundle could not be fetched ahead", "run", runID, "err", err)
		}
	})
}

// fetch brings what is missing, trying again after failures.
func (o *Office) fetch(ctx context.Context, w Want) error {
	all := w.IDs
	pause := retry.Between(firstPause, maxPause)
	for try := 1; ; try++ {
		w.IDs = o.cfg.Store.Missing(all)
		if len(w.IDs) == 0 {
			return nil
		}
		err := o.cfg.Fetch(ctx, w)
		if err == nil {
			return nil
		}
		if objects.Permanent(err) || try == maxTries {
			return fmt.Errorf("fetch %d objects of run %d: %w", len(w.IDs), w.RunID, err)
		}
		if !pause.Wait(ctx) {
			return fmt.Errorf("fetch %d objects of run %d: %w", len(w.IDs), w.RunID, context.Cause(ctx))
		}
	}
}
