package flwr

import (
	"net/http"
	"strings"
)

// Handler serves a route. [WriteError] answers with the error it returns; once a Handler has
// begun its answer it must return nil (or panic with [http.ErrAbortHandler], to cut it short).
type Handler func(w http.ResponseWriter, r *http.Request) error

// Mux passes requests to the handlers of their routes, which are all POST, and answers the
// rest as Flower does. It also serves [PathHealth]. Handlers must be added before it serves.
type Mux struct {
	routes map[string]Handler
	// below are whole subtrees, by prefix.
	below map[string]http.Handler
}

// NewMux makes a Mux that knows only /health.
func NewMux() *Mux {
	return &Mux{routes: make(map[string]Handler), below: make(map[string]http.Handler)}
}

// Handle serves POST requests to path.
func (m *Mux) Handle(path string, h Handler) { m.routes[path] = h }

// Mount serves everything below prefix, which ends with a slash.
func (m *Mux) Mount(prefix string, h http.Handler) { m.below[prefix] = h }

// ServeHTTP serves one request.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if h, known := m.routes[path]; known {
		if r.Method != http.MethodPost {
			notAllowed(w, path, http.MethodPost)
			return
		}
		r.Body = newProgressBody(w, r.Body)
		if err := h(w, r); err != nil {
			writeError(w, path, err)
		}
		return
	}
	for prefix, h := range m.below {
		if strings.HasPrefix(path, prefix) {
			h.ServeHTTP(w, r)
			return
		}
	}
	if path == PathHealth {
		health(w, r)
		return
	}
	writeError(w, path, Plain(http.StatusNotFound, "Not Found"))
}

// health answers [PathHealth], for anybody.
func health(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		notAllowed(w, PathHealth, "GET, HEAD")
		return
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

func notAllowed(w http.ResponseWriter, path, allow string) {
	refusal := Plain(http.StatusMethodNotAllowed, "Method Not Allowed")
	refusal.header = [2]string{"Allow", allow}
	writeError(w, path, refusal)
}

// Unsupported is the handler for routes of features that Rhizome does not have.
func Unsupported(http.ResponseWriter, *http.Request) error {
	return NewError(CodeFederationManagement)
}
