package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	logging "github.com/ipfs/go-log/v2"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/exec/task"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

var log = logging.Logger("exec/runtime")

// Options of a server.
type Options struct {
	// ExecSecret, if not empty, must have signed every acquire-task.
	ExecSecret []byte
}

// server routes requests to a Host.
type server struct {
	host Host
	exec *execAuth // nil: acquire-task needs no signature
}

// NewHandler gives the handler of all routes below /v1/runtime/, and of /health.
func NewHandler(host Host, options Options) http.Handler {
	s := &server{host: host}
	if len(options.ExecSecret) > 0 {
		s.exec = newExecAuth(options.ExecSecret)
	}
	mux := flwr.NewMux()
	routes := map[string]flwr.Handler{
		flwr.PathAcquireTask:            s.acquireTask,
		flwr.PathSendTaskHeartbeat:      s.forTask(s.heartbeat),
		flwr.PathPullTaskInput:          s.forTask(s.pullTaskInput),
		flwr.PathPushTaskOutput:         s.forTask(s.pushTaskOutput),
		flwr.PathPushMessages:           s.forTask(s.pushMessages),
		flwr.PathPullMessages:           s.forTask(s.pullMessages),
		flwr.PathPushObject:             s.forTask(s.pushObject),
		flwr.PathPullObject:             s.forTask(s.pullObject),
		flwr.PathConfirmMessageReceived: s.forTask(s.confirm),
		flwr.PathGetNodes:               s.forTask(s.getNodes),
		flwr.PathPushLogs:               s.forTask(s.pushLogs),
	}
	for path, handler := range routes {
		mux.Handle(path, compatible(handler))
	}
	for _, path := range flwr.UnsupportedRuntime() {
		mux.Handle(path, flwr.Unsupported)
	}
	mux.Handle(PathAwaitTaskEnd, s.forTask(s.awaitTaskEnd))
	mux.Handle(PathReportExit, s.forTask(s.reportExit))
	return mux
}

func compatible(next flwr.Handler) flwr.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := checkVersion(r.Header); err != nil {
			return err
		}
		return next(w, r)
	}
}

// taskHandler answers a request of an app whose task is known.
type taskHandler func(w http.ResponseWriter, r *http.Request, t task.Task) error

// forTask resolves the token, which must be there exactly once.
func (s *server) forTask(next taskHandler) flwr.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		tokens := r.Header.Values(flwr.HeaderTaskToken)
		if len(tokens) != 1 || tokens[0] == "" || len(tokens[0]) > maxToken {
			return flwr.NewError(flwr.CodeAuthenticationFailed)
		}
		t, err := s.host.Authenticate(r.Context(), tokens[0])
		if errors.Is(err, task.ErrUnknownToken) {
			return flwr.NewError(flwr.CodeAuthenticationFailed)
		}
		if err != nil {
			return err
		}
		return next(w, r, t)
	}
}

func (s *server) acquireTask(w http.ResponseWriter, r *http.Request) error {
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
	return answer(w, r, res, err)
}

func (s *server) heartbeat(w http.ResponseWriter, r *http.Request, t task.Task) error {
	if err := flwr.ReadRequest(r, &flwrpb.SendTaskHeartbeatRequest{}, flwr.MaxRequest); err != nil {
		return err
	}
	success, err := s.host.Heartbeat(r.Context(), t)
	return answer(w, r, &flwrpb.SendTaskHeartbeatResponse{Success: success}, err)
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
	return answer(w, r, res, err)
}

func (s *server) pushTaskOutput(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.PushTaskOutputRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxContext); err != nil {
		return err
	}
	return answer(w, r, &flwrpb.PushTaskOutputResponse{}, s.host.PushTaskOutput(r.Context(), t, req))
}

func (s *server) pushMessages(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.PushAppMessagesRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxMessages); err != nil {
		return err
	}
	res, err := s.host.PushMessages(r.Context(), t, req)
	return answer(w, r, res, err)
}

func (s *server) pullMessages(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.PullAppMessagesRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxMessages); err != nil {
		return err
	}
	var res *flwrpb.PullAppMessagesResponse
	err := hold(w, r, func(ctx context.Context) (err error) {
		res, err = s.host.PullMessages(ctx, t, req)
		return err
	})
	return answer(w, r, res, err)
}

func (s *server) confirm(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.ConfirmMessageReceivedRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxRequest); err != nil {
		return err
	}
	return answer(w, r, &flwrpb.ConfirmMessageReceivedResponse{}, s.host.ConfirmMessageReceived(r.Context(), t, req))
}

func (s *server) getNodes(w http.ResponseWriter, r *http.Request, t task.Task) error {
	if err := flwr.ReadRequest(r, &flwrpb.GetNodesRequest{}, flwr.MaxRequest); err != nil {
		return err
	}
	res, err := s.host.GetNodes(r.Context(), t)
	return answer(w, r, res, err)
}

func (s *server) pushLogs(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.PushLogsRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxRequest); err != nil {
		return err
	}
	return answer(w, r, &flwrpb.PushLogsResponse{}, s.host.PushLogs(r.Context(), t, req))
}

func (s *server) pushObject(w http.ResponseWriter, r *http.Request, t task.Task) error {
	push, err := flwr.ReadObjectPush(r, flwr.MaxObject)
	if err != nil {
		return err
	}
	stored, err := s.host.PushObject(r.Context(), t, ObjectPush{
		NodeID:    push.Head.GetNode().GetNodeId(),
		RunID:     push.Head.GetRunId(),
		ObjectID:  push.Head.GetObjectId(),
		SessionID: push.Head.GetSessionId(),
		Size:      push.Size,
	}, push.Content)
	if err != nil {
		return err
	}
	return answer(w, r, &flwrpb.PushObjectResponse{Stored: stored}, nil)
}

func (s *server) pullObject(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.PullObjectRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxRequest); err != nil {
		return err
	}
	var object Object
	err := hold(w, r, func(ctx context.Context) (err error) {
		object, err = s.host.PullObject(ctx, t, req)
		return err
	})
	if err != nil {
		return err
	}
	if object.Content == nil {
		return answer(w, r, &flwrpb.PullObjectResponse{ObjectFound: object.Found}, nil)
	}
	defer object.Content.Close()
	if err := flwr.WriteObject(w, object.Content, object.Size); err != nil {
		log.Debugf("send object %s of run %d: %v", req.ObjectId, t.RunID, err)
		panic(http.ErrAbortHandler) // the head is out: only an end of the connection tells the client
	}
	return nil
}

func (s *server) awaitTaskEnd(w http.ResponseWriter, r *http.Request, t task.Task) error {
	err := hold(w, r, func(ctx context.Context) error { return s.host.AwaitTaskEnd(ctx, t) })
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func (s *server) reportExit(w http.ResponseWriter, r *http.Request, t task.Task) error {
	var exit Exit
	if err := json.NewDecoder(io.LimitReader(r.Body, maxExitBody)).Decode(&exit); err != nil {
		return flwr.Plain(http.StatusBadRequest, "The report is not JSON.")
	}
	err := s.host.ReportExit(r.Context(), t, exit)
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// answer writes a response unless there was an error.
func answer(w http.ResponseWriter, r *http.Request, res proto.Message, err error) error {
	if err != nil {
		return err
	}
	return flwr.WriteResponse(w, r, res)
}

// hold keeps the request alive while wait runs, for at most maxHold.
func hold(w http.ResponseWriter, r *http.Request, wait func(context.Context) error) error {
	return flwr.Hold(w, r, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, maxHold)
		defer cancel()
		return wait(ctx)
	})
}
