package exec

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// host is a Runtime API that follows a script. It holds acquire-task as Rhizome does, or, like
// a stock one, answers at once and knows none of our routes.
type host struct {
	t      *testing.T
	server *httptest.Server
	stock  bool

	tasks   chan *flwrpb.Task
	reports chan report
	logs    chan []string
	asked   chan http.Header // headers of acquire-task requests, the newest few

	mu     sync.Mutex
	ended  map[string]chan struct{} // by token: closed by end
	broken int                      // so many requests are answered with this...
	status int                      // ...status
}

type report struct {
	token string
	exit  task.Exit
}

func newHost(t *testing.T, stock bool) *host {
	h := &host{
		t: t, stock: stock, tasks: make(chan *flwrpb.Task, 16), reports: make(chan report, 16),
		logs: make(chan []string, 1024), asked: make(chan http.Header, 1024), ended: make(map[string]chan struct{}),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+flwr.PathAcquireTask, h.acquire)
	mux.HandleFunc("POST "+flwr.PathPushLogs, h.pushLogs)
	if !stock {
		mux.HandleFunc("POST "+task.PathAwaitTaskEnd, h.awaitEnd)
		mux.HandleFunc("POST "+task.PathReportExit, h.reportExit)
	}
	h.server = httptest.NewServer(h.unreliable(mux))
	t.Cleanup(h.server.Close)
	return h
}

func (h *host) address() string { return h.server.Listener.Addr().(*net.TCPAddr).String() }

// breakNext answers the next n requests with a status, or cuts the connection if it is 0.
func (h *host) breakNext(n, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken, h.status = n, status
}

func (h *host) unreliable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		fail, status := h.broken > 0, h.status
		if fail {
			h.broken--
		}
		h.mu.Unlock()
		switch {
		case !fail:
			next.ServeHTTP(w, r)
		case status == 0:
			panic(http.ErrAbortHandler)
		default:
			http.Error(w, `{"detail":"scripted failure"}`, status)
		}
	})
}

// give offers a task; its token is its id in decimal.
func (h *host) give(id uint64) { h.tasks <- clientTask(id) }

func clientTask(id uint64) *flwrpb.Task {
	return &flwrpb.Task{TaskId: id, RunId: 7, Type: "flwr-clientapp"}
}

// end ends a task as "flwr stop" does.
func (h *host) end(token string) { close(h.endOf(token)) }

func (h *host) endOf(token string) chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended[token] == nil {
		h.ended[token] = make(chan struct{})
	}
	return h.ended[token]
}

func (h *host) acquire(w http.ResponseWriter, r *http.Request) {
	var req flwrpb.AcquireTaskRequest
	body, _ := io.ReadAll(r.Body)
	if err := proto.Unmarshal(body, &req); err != nil || len(req.GetSupportedTaskTypes()) == 0 {
		h.t.Errorf("acquire-task with body %x: %v", body, err)
	}
	select {
	case h.asked <- r.Header.Clone():
	default:
	}
	var given *flwrpb.Task
	select {
	case given = <-h.tasks:
	default:
		if !h.stock {
			w.WriteHeader(http.StatusProcessing) // a held request
			select {
			case given = <-h.tasks:
			case <-r.Context().Done():
				return
			}
		}
	}
	resp := &flwrpb.AcquireTaskResponse{}
	if given != nil {
		resp.Task, resp.Token = given, strconv.FormatUint(given.GetTaskId(), 10)
	}
	answer, err := proto.Marshal(resp)
	if err != nil {
		h.t.Error(err)
	}
	w.Header().Set("Content-Type", flwr.TypeProtobuf)
	_, _ = w.Write(answer)
}

func (h *host) awaitEnd(w http.ResponseWriter, r *http.Request) {
	select {
	case <-h.endOf(r.Header.Get(flwr.HeaderTaskToken)):
		w.WriteHeader(http.StatusNoContent)
	case <-r.Context().Done():
	}
}

func (h *host) reportExit(w http.ResponseWriter, r *http.Request) {
	var exit task.Exit
	if err := json.NewDecoder(r.Body).Decode(&exit); err != nil {
		h.t.Errorf("report-exit: %v", err)
	}
	h.reports <- report{token: r.Header.Get(flwr.HeaderTaskToken), exit: exit}
	w.WriteHeader(http.StatusNoContent)
}

func (h *host) pushLogs(w http.ResponseWriter, r *http.Request) {
	var req flwrpb.PushLogsRequest
	body, _ := io.ReadAll(r.Body)
	if err := proto.Unmarshal(body, &req); err != nil {
		h.t.Errorf("push-logs: %v", err)
	}
	h.logs <- req.GetLogs()
}

// nextReport waits until the end of an app is reported.
func (h *host) nextReport() report {
	h.t.Helper()
	select {
	case r := <-h.reports:
		return r
	case <-time.After(20 * time.Second):
		h.t.Fatal("no end of an app was reported")
		return report{}
	}
}

// linesUntil collects forwarded lines until it sees last.
func (h *host) linesUntil(last string) []string {
	h.t.Helper()
	var got []string
	for deadline := time.After(20 * time.Second); ; {
		select {
		case lines := <-h.logs:
			got = append(got, lines...)
			if n := len(got); strings.TrimSpace(got[n-1]) == last {
				return got
			}
		case <-deadline:
			h.t.Fatalf("line %q was not forwarded; got %q", last, got)
		}
	}
}
