package runtimeapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

var log = logs.For("internal/runtimeapi")

// holdUntilDone holds a request for as long as storing what it brings fails for a reason that
// may pass, such as a full disk. Other requests are answered with 503, and their clients come
// back; but an app that exits sends its output once, and the rest of its lines for a few
// seconds at most, and whatever it could not hand over by then is lost. Holding also avoids the
// pauses of clients, which grow to 20 s. store must change nothing when it fails.
func holdUntilDone(w http.ResponseWriter, r *http.Request, t task.Task, store func(context.Context) error) error {
	return flwr.Hold(w, r, func(ctx context.Context) error {
		err := store(ctx)
		if mayPass(ctx, err) {
			log.Warn("the app is kept waiting until this works", "path", r.URL.Path, "run", t.RunID, "task", t.ID, "err", err)
		}
		again := time.NewTicker(storePause)
		defer again.Stop()
		for mayPass(ctx, err) {
			select {
			case <-again.C:
				err = store(ctx)
			case <-ctx.Done():
			}
		}
		return err
	})
}

// mayPass tells errors that another attempt may overcome from refusals and from the end of the
// request.
func mayPass(ctx context.Context, err error) bool {
	var refusal *flwr.Error
	return err != nil && ctx.Err() == nil && !errors.As(err, &refusal)
}
