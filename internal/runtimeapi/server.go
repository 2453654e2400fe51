package runtimeapi

import (
	"context"
	"errors"
	"net/http"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Options of a server.
type Options struct {
	// ExecSecret, if not empty, is the secret with which every acquire-task must be signed.
	ExecSecret []byte
	// TakeLastWords makes push-logs accept lines for a short while after an app has ended its
	// task: for a host whose SuperExec sends what apps print.
	TakeLastWords bool
}

// server routes requests to a Host.
type server struct {
	host Host
	exec *execAuth  // nil: acquire-task needs no signature
	last *lastWords // nil: tokens end with their tasks on all routes
}

// NewHandler returns the handler of all routes below /v1/runtime/, and of /health.
func NewHandler(host Host, options Options) http.Handler {
	s := &server{host: host}
	if len(options.ExecSecret) > 0 {
		s.exec = newExecAuth(options.ExecSecret)
	}
	if options.TakeLastWords {
		s.last = newLastWords()
	}
	mux := flwr.NewMux()
	mux.Handle(flwr.PathAcquireTask, s.acquireTask)
	for path, handler := range map[string]taskHandler{
		flwr.PathSendTaskHeartbeat:      s.heartbeat,
		flwr.PathPullTaskInput:          s.pullTaskInput,
		flwr.PathPushTaskOutput:         s.pushTaskOutput,
		flwr.PathPushMessages:           s.pushMessages,
		flwr.PathPullMessages:           s.pullMessages,
		flwr.PathPushObject:             s.pushObject,
		flwr.PathPullObject:             s.pullObject,
		flwr.PathConfirmMessageReceived: s.confirm,
		flwr.PathGetNodes:               s.getNodes,
	} {
		mux.Handle(path, compatible(s.forTask(handler)))
	}
	mux.Handle(flwr.PathPushLogs, compatible(s.forTaskAs(s.authenticateLogs, s.pushLogs)))
	for _, path := range flwr.UnsupportedRuntime() {
		mux.Handle(path, flwr.Unsupported)
	}
	mux.Handle(task.PathAwaitTaskEnd, s.forTask(s.awaitTaskEnd))
	mux.Handle(task.PathReportExit, s.forTask(s.reportExit))
	return mux
}

// compatible refuses whatever is not Flower's protocol, before anything is looked up.
func compatible(next flwr.Handler) flwr.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := flwr.CheckContentType(r); err != nil {
			return err
		}
		if err := checkVersion(r.Header); err != nil {
			return err
		}
		return next(w, r)
	}
}

// taskHandler serves a request of an app whose task is known.
type taskHandler func(w http.ResponseWriter, r *http.Request, t task.Task) error

// forTask resolves the token, which must occur exactly once. It does so before the body
// is read, so a stranger does not get to send one.
func (s *server) forTask(next taskHandler) flwr.Handler {
	return s.forTaskAs(s.host.Authenticate, next)
}

// forTaskAs is forTask with a given way to resolve a token.
func (s *server) forTaskAs(authenticate func(context.Context, string) (task.Task, error), next taskHandler) flwr.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		tokens := r.Header.Values(flwr.HeaderTaskToken)
		if len(tokens) != 1 || tokens[0] == "" || len(tokens[0]) > maxToken {
			return flwr.NewError(flwr.CodeAuthenticationFailed)
		}
		t, err := authenticate(r.Context(), tokens[0])
		if errors.Is(err, task.ErrUnknownToken) {
			return flwr.NewError(flwr.CodeAuthenticationFailed)
		}
		if err != nil {
			return err
		}
		return next(w, r, t)
	}
}

// authenticateLogs also accepts the token of a task that its app ended a moment ago.
func (s *server) authenticateLogs(ctx context.Context, token string) (task.Task, error) {
	t, err := s.host.Authenticate(ctx, token)
	if s.last != nil && errors.Is(err, task.ErrUnknownToken) {
		if t, ok := s.last.of(token); ok {
			return t, nil
		}
	}
	return t, err
}

// reply writes an answer unless there was an error.
func reply(w http.ResponseWriter, r *http.Request, res proto.Message, err error) error {
	if err != nil {
		return err
	}
	return flwr.WriteResponse(w, r, res)
}

// hold keeps the request alive while wait runs, for at most maxHold; after that the client is
// asked to come back.
func hold(w http.ResponseWriter, r *http.Request, wait func(context.Context) error) error {
	return flwr.Hold(w, r, func(ctx context.Context) error {
		limited, cancel := context.WithTimeout(ctx, maxHold)
		defer cancel()
		err := wait(limited)
		if err != nil && limited.Err() != nil && ctx.Err() == nil {
			return flwr.Plain(http.StatusServiceUnavailable, "Nothing has happened yet; ask again.").WithCause(err)
		}
		return err
	})
}
