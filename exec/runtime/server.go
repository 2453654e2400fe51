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
	mux := http.NewServeMux()
	routes := map[string]http.HandlerFunc{
		"acquire-task":             s.acquireTask,
		"send-task-heartbeat":      s.forTask(s.heartbeat),
		"pull-task-input":          s.forTask(s.pullTaskInput),
		"push-task-output":         s.forTask(s.pushTaskOutput),
		"push-messages":            s.forTask(s.pushMessages),
		"pull-messages":            s.forTask(s.pullMessages),
		"push-object":              s.forTask(s.pushObject),
		"pull-object":              s.forTask(s.pullObject),
		"confirm-message-received": s.forTask(s.confirm),
		"get-nodes":                s.forTask(s.getNodes),
		"push-logs":                s.forTask(s.pushLogs),
	}
	for name, handler := range routes {
		mux.Handle(flwr.PathRuntime+name, postOnly(s.compatible(handler)))
	}
	for _, name := range unsupported {
		mux.Handle(flwr.PathRuntime+name, postOnly(func(w http.ResponseWriter, _ *http.Request) {
			flwr.WriteError(w, flwr.NewError(flwr.CodeFederationUnsupported).WithExtra("Rhizome does not run agents."))
		}))
	}
	mux.Handle(PathAwaitTaskEnd, postOnly(s.forTask(s.awaitTaskEnd)))
	mux.Handle(PathReportExit, postOnly(s.forTask(s.reportExit)))
	mux.HandleFunc(flwr.PathHealth, Health)
	mux.HandleFunc("/", flwr.NotFound)
	return mux
}

// unsupported are the routes of agents, connectors and models.
var unsupported = []string{
	"create-task", "push-task-message", "pull-task-message", "push-task-events", "record-task-usage", "get-connector",
	"start-automation", "get-run-series-events", "get-compacted-contexts", "put-compacted-context", "responses",
}

// Health answers GET and HEAD /health.
func Health(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		flwr.MethodNotAllowed(w, r)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func postOnly(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			flwr.MethodNotAllowed(w, r)
			return
		}
		next(w, r)
	})
}

func (s *server) compatible(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := checkVersion(r.Header); err != nil {
			flwr.WriteError(w, err)
			return
		}
		next(w, r)
	}
}

// taskHandler answers a request of an app whose task is known. An error is answered.
type taskHandler func(w http.ResponseWriter, r *http.Request, t task.Task) error

// forTask resolves the token, which must be there exactly once.
func (s *server) forTask(next taskHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		tokens := r.Header.Values(flwr.HeaderTaskToken)
		if len(tokens) != 1 || tokens[0] == "" || len(tokens[0]) > maxToken {
			flwr.WriteError(w, flwr.NewError(flwr.CodeAuthenticationFailed))
			return
		}
		t, err := s.host.Authenticate(r.Context(), tokens[0])
		if errors.Is(err, task.ErrUnknownToken) {
			err = flwr.NewError(flwr.CodeAuthenticationFailed)
		}
		if err == nil {
			err = next(w, r, t)
		}
		if err == nil || flwr.IsClientGone(r, err) {
			return
		}
		log.Debugf("%s of run %d: %v", r.URL.Path, t.RunID, err)
		flwr.WriteError(w, err)
	}
}

func (s *server) acquireTask(w http.ResponseWriter, r *http.Request) {
	body, err := flwr.ReadBody(r, flwr.MaxBody)
	if err == nil && s.exec != nil {
		err = s.exec.check(r.Header, body)
	}
	req, res := &flwrpb.AcquireTaskRequest{}, (*flwrpb.AcquireTaskResponse)(nil)
	if err == nil {
		err = flwr.Unmarshal(body, req)
	}
	if err == nil {
		err = hold(w, r, func(ctx context.Context) (err error) {
			res, err = s.host.AcquireTask(ctx, req)
			return err
		})
	}
	switch {
	case err == nil:
		flwr.WriteResponse(w, r, res)
	case !flwr.IsClientGone(r, err):
		flwr.WriteError(w, err)
	}
}

func (s *server) heartbeat(w http.ResponseWriter, r *http.Request, t task.Task) error {
	if err := flwr.ReadRequest(r, &flwrpb.SendTaskHeartbeatRequest{}, flwr.MaxBody); err != nil {
		return err
	}
	success, err := s.host.Heartbeat(r.Context(), t)
	return answer(w, r, &flwrpb.SendTaskHeartbeatResponse{Success: success}, err)
}

func (s *server) pullTaskInput(w http.ResponseWriter, r *http.Request, t task.Task) error {
	if err := flwr.ReadRequest(r, &flwrpb.PullTaskInputRequest{}, flwr.MaxBody); err != nil {
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
	if err := flwr.ReadRequest(r, req, flwr.MaxBody); err != nil {
		return err
	}
	return answer(w, r, &flwrpb.PushTaskOutputResponse{}, s.host.PushTaskOutput(r.Context(), t, req))
}

func (s *server) pushMessages(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.PushAppMessagesRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxBody); err != nil {
		return err
	}
	res, err := s.host.PushMessages(r.Context(), t, req)
	return answer(w, r, res, err)
}

func (s *server) pullMessages(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.PullAppMessagesRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxBody); err != nil {
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
	if err := flwr.ReadRequest(r, req, flwr.MaxBody); err != nil {
		return err
	}
	return answer(w, r, &flwrpb.ConfirmMessageReceivedResponse{}, s.host.ConfirmMessageReceived(r.Context(), t, req))
}

func (s *server) getNodes(w http.ResponseWriter, r *http.Request, t task.Task) error {
	if err := flwr.ReadRequest(r, &flwrpb.GetNodesRequest{}, flwr.MaxBody); err != nil {
		return err
	}
	res, err := s.host.GetNodes(r.Context(), t)
	return answer(w, r, res, err)
}

func (s *server) pushLogs(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.PushLogsRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxBody); err != nil {
		return err
	}
	return answer(w, r, &flwrpb.PushLogsResponse{}, s.host.PushLogs(r.Context(), t, req))
}

func (s *server) pushObject(w http.ResponseWriter, r *http.Request, t task.Task) error {
	push, err := flwr.ReadObjectPush(r)
	if err != nil {
		return err
	}
	stored, err := s.host.PushObject(r.Context(), t, ObjectPush{
		NodeID:    push.Head.GetNode().GetNodeId(),
		RunID:     push.Head.GetRunId(),
		ObjectID:  push.Head.GetObjectId(),
		SessionID: push.Head.GetSessionId(),
		Size:      push.Size,
	}, push.Content())
	if err != nil {
		return err
	}
	if err := push.Finish(); err != nil {
		return err
	}
	return answer(w, r, &flwrpb.PushObjectResponse{Stored: stored}, nil)
}

func (s *server) pullObject(w http.ResponseWriter, r *http.Request, t task.Task) error {
	req := &flwrpb.PullObjectRequest{}
	if err := flwr.ReadRequest(r, req, flwr.MaxBody); err != nil {
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
	if err == nil {
		flwr.WriteResponse(w, r, res)
	}
	return err
}

// hold keeps the request alive while wait runs, for at most maxHold.
func hold(w http.ResponseWriter, r *http.Request, wait func(context.Context) error) error {
	return flwr.Hold(w, r, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, maxHold)
		defer cancel()
		return wait(ctx)
	})
}
