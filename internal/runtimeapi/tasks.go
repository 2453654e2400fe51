package runtimeapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// acquireTask is the one route for which there is no token yet.
func (s *server) acquireTask(w http.ResponseWriter, r *http.Request) error {
	if err := flwr.CheckContentType(r); err != nil {
		return err
	}
	if err := checkVersion(r.Header); err != nil {
		return err
	}
	body, err := flwr.ReadBody(r, flwr.MaxRequest)
	if err != nil {
		return err
	}
	if s.exec != nil {
		if err := s.exec.check(r.Header, body); err != nil {
			return err
		}
	}
	req := &flwrpb.AcquireTaskRequest{}
	if err := flwr.Decode(body, req); err != nil {
		return err
	}
	var res *flwrpb.AcquireTaskResponse
	err = hold(w, r, func(ctx context.Context) (err error) {
		res, err = s.host.AcquireTask(ctx, req)
		return err
	})
	return reply(w, r, res, err)
}

func (s *server) heartbeat(w http.ResponseWriter, r *http.Request, t task.Task) error {
	if err := flwr.ReadRequest(r, &flwrpb.SendTaskHeartbeatRequest{}, flwr.MaxRequest); err != nil {
		return err
	}
	success, err := s.host.Heartbeat(r.Context(), t)
	return reply(w, r, &flwrpb.SendTaskHeartbeatResponse{Success: success}, err)
}

func (s *server) pullTaskInput(w http.ResponseWriter, r *http.Request, t task.Task) error {
	if err := flwr.ReadRequest(r, &flwrpb.PullTaskInputRequest{}, flwr.MaxRequest); err != nil {
		return err
	}
	var res *flwrpb.PullTaskInputResponse
	err := hold(w, r, func(ctx context.Context) (err error) {
		res, err = s.host.PullTaskInput(ctx, t)
		return err
	})
	return reply(w, r, res, err)
}

func (s *server) pushTaskOutput(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.PushTaskOutputRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxContext); err != nil {
		return err
	}
	err := holdUntilDone(w, r, t, func(ctx context.Context) error { return s.host.PushTaskOutput(ctx, t, req) })
	if err == nil && s.last != nil {
		s.last.remember(r.Header.Get(flwr.HeaderTaskToken), t)
	}
	return reply(w, r, &flwrpb.PushTaskOutputResponse{}, err)
}

func (s *server) getNodes(w http.ResponseWriter, r *http.Request, t task.Task) error {
	if err := flwr.ReadRequest(r, &flwrpb.GetNodesRequest{}, flwr.MaxRequest); err != nil {
		return err
	}
	res, err := s.host.GetNodes(r.Context(), t)
	return reply(w, r, res, err)
}

func (s *server) pushLogs(w http.ResponseWriter, r *http.Request, t task.Task) error {
	lines, dropped, err := flwr.ReadLogPush(r, maxLogs)
	if err != nil {
		return err
	}
	if dropped > 0 {
		lines = append([]string{fmt.Sprintf("(%d pieces of output were dropped: more than %d MiB at once)\n", dropped, maxLogs>>20)}, lines...)
	}
	req := &flwrpb.PushLogsRequest{RunId: t.RunID, Logs: lines}
	err = holdUntilDone(w, r, t, func(ctx context.Context) error { return s.host.PushLogs(ctx, t, req) })
	return reply(w, r, &flwrpb.PushLogsResponse{}, err)
}

func (s *server) awaitTaskEnd(w http.ResponseWriter, r *http.Request, t task.Task) error {
	err := hold(w, r, func(ctx context.Context) error { return s.host.AwaitTaskEnd(ctx, t) })
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) reportExit(w http.ResponseWriter, r *http.Request, t task.Task) error {
	var exit task.Exit
	if err := json.NewDecoder(io.LimitReader(r.Body, maxExitBody)).Decode(&exit); err != nil {
		return flwr.Plain(http.StatusBadRequest, "The report cannot be read.").WithCause(err)
	}
	if err := s.host.ReportExit(r.Context(), t, exit); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
