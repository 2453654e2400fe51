package stock

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/objects"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// running finds a run that is under way. Otherwise the answer is 403, on which a SuperNode drops
// what it was doing for the run and goes on; unknown is the code for a run that does not exist.
func (s *server) running(ctx context.Context, runID uint64, unknown flwr.Code) (state.Run, error) {
	run, err := s.cfg.Store.Run(ctx, runID)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return state.Run{}, flwr.NewError(unknown).WithCause(err)
	case err != nil:
		return state.Run{}, fmt.Errorf("look up run %d: %w", runID, err)
	case run.PrimaryTask.Status != task.Running:
		return state.Run{}, flwr.NewError(flwr.CodeRunStatusNotAllowed).WithCause(fmt.Errorf("run %d is %s", runID, run.PrimaryTask.Status))
	}
	return run, nil
}

func (s *server) getRun(ctx context.Context, _ state.Node, req *flwrpb.GetRunRequest) (proto.Message, error) {
	run, err := s.running(ctx, req.GetRunId(), flwr.CodeGetRunFailed)
	if err != nil {
		return nil, err
	}
	return &flwrpb.GetRunResponse{Run: run.Proto()}, nil
}

// getFAB gives the app of a run.
func (s *server) getFAB(w http.ResponseWriter, r *http.Request, _ state.Node, req *flwrpb.GetFabRequest) error {
	run, err := s.running(r.Context(), req.GetRunId(), flwr.CodeGetFABFailed)
	if err != nil {
		return err
	}
	if req.GetHashStr() != run.FABHash {
		return flwr.NewError(flwr.CodeGetFABFailed)
	}
	file, err := s.cfg.Objects.Open(run.FABHash)
	switch {
	case errors.Is(err, objects.ErrNotFound), errors.Is(err, objects.ErrCorrupt):
		log.Error("the app of a run is lost", "run", run.ID, "fab", run.FABHash, "err", err)
		return flwr.NewError(flwr.CodeGetFABFailed).WithCause(err)
	case err != nil:
		return fmt.Errorf("open the FAB of run %d: %w", run.ID, err)
	}
	defer file.Close()
	return flwr.WriteFAB(w, &flwrpb.Fab{HashStr: run.FABHash, Verifications: run.Verifications}, file, file.Size())
}
