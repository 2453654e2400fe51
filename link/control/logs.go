package control

import (
	"context"
	"net/http"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// streamLogs sends all the text that is there as the first frame (`flwr log --show` reads no
// other), then whatever is added, until the run has ended.
func (a *api) streamLogs(w http.ResponseWriter, r *http.Request) error {
	req := &flwrpb.StreamLogsRequest{}
	if err := checkAuthorization(r); err != nil {
		return err
	}
	if err := flwr.ReadRequest(r, req, flwr.MaxRequest); err != nil {
		return err
	}
	if _, err := a.run(r.Context(), req.RunId); err != nil {
		return err
	}
	frames, err := flwr.NewFrameWriter(w)
	if err == nil {
		err = a.follow(r.Context(), req, frames)
	}
	if err != nil {
		log.Debug("the log stream of a run ended early", "run", req.RunId, "err", err)
		panic(http.ErrAbortHandler) // only a broken stream tells the client that there is more
	}
	return nil
}

func (a *api) follow(ctx context.Context, req *flwrpb.StreamLogsRequest, frames *flwr.FrameWriter) error {
	watch := a.store.Bell().Watch(state.KeyLogs(req.RunId), state.KeyRun(req.RunId))
	defer watch.Close()
	var seq int64
	for {
		// The run is read before the text, so that nothing it wrote before it ended is missed.
		run, err := a.store.Run(ctx, req.RunId)
		if err != nil {
			return err
		}
		if seq, err = a.sendNew(ctx, req, seq, frames); err != nil {
			return err
		}
		if run.PrimaryTask.Status == task.Finished {
			return nil
		}
		select {
		case <-watch.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendNew sends the text that follows a sequence number, if there is any.
func (a *api) sendNew(ctx context.Context, req *flwrpb.StreamLogsRequest, after int64, frames *flwr.FrameWriter) (int64, error) {
	text, at, seq, err := a.store.Logs(ctx, req.RunId, after)
	if err != nil || text == "" {
		return max(seq, after), err
	}
	latest := float64(at.UnixMicro()) / 1e6
	if after == 0 && req.AfterTimestamp > 0 && !at.After(time.UnixMicro(int64(req.AfterTimestamp*1e6))) {
		return seq, nil // a client that resumes already has all of it
	}
	return seq, frames.Write(&flwrpb.StreamLogsResponse{LogOutput: text, LatestTimestamp: latest})
}
