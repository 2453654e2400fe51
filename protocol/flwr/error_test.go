package flwr_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrtest"
)

func TestErrorsLookAsFlowerWritesThem(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status int
		body   string
	}{
		"code":            {flwr.NewError(flwr.CodeRunIDNotFound), 404, `{"code":16,"detail":"Run ID not found."}`},
		"code with extra": {flwr.NewError(flwr.CodeInvalidLocation).WithExtra(`<"é">`), 400, `{"code":45,"detail":"Invalid SuperNode location.","extra":"<\"é\">"}`},
		"plain":           {flwr.Plain(404, "Not Found"), 404, `{"detail":"Not Found"}`},
		"wrapped":         {fmt.Errorf("outer: %w", flwr.NewError(flwr.CodeRunFinished)), 412, `{"code":18,"detail":"Run is already finished."}`},
		"the cause stays here": {
			flwr.NewError(flwr.CodeGetRunFailed).WithCause(errors.New("secret")), 403, `{"code":2008,"detail":"Failed to get run."}`,
		},
		"anything else": {errors.New("disk full"), 503, `{"detail":"The service is temporarily unavailable; try again."}`},
		"client gone":   {context.Canceled, 503, `{"detail":"The service is temporarily unavailable; try again."}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			flwr.WriteError(w, test.err)
			if w.Code != test.status || w.Body.String() != test.body {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, test.status, test.body)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("content type is %q", got)
			}
		})
	}
}

func TestBearerChallenge(t *testing.T) {
	for _, err := range []error{flwr.NewError(flwr.CodeAccountAuthenticationFailed), flwr.NotAuthenticated()} {
		w := httptest.NewRecorder()
		flwr.WriteError(w, err)
		if w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%v: got %d, challenge %q", err, w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
	w := httptest.NewRecorder()
	flwr.WriteError(w, flwr.NewError(flwr.CodeAuthenticationFailed))
	if challenge := w.Header().Get("WWW-Authenticate"); challenge != "" {
		t.Errorf("a task token is not a bearer token, but the challenge is %q", challenge)
	}
}

func TestNewErrorKnowsItsCodes(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a code that is not in the catalogue was made into an error")
		}
	}()
	flwr.NewError(999)
}

func TestMux(t *testing.T) {
	mux := flwr.NewMux()
	mux.Handle(flwr.PathListRuns, func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.WriteString(w, "listed")
		return err
	})
	mux.Handle(flwr.PathStopRun, func(http.ResponseWriter, *http.Request) error { return flwr.NewError(flwr.CodeRunFinished) })
	mux.Mount("/below/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) }))
	client := flwrtest.Serve(t, mux)
	for _, test := range []struct {
		method, path string
		status       int
		body, allow  string
	}{
		{"POST", flwr.PathListRuns, 200, "listed", ""},
		{"POST", flwr.PathStopRun, 412, `{"code":18,"detail":"Run is already finished."}`, ""},
		{"GET", flwr.PathListRuns, 405, `{"detail":"Method Not Allowed"}`, "POST"},
		{"POST", "/v1/control/none", 404, `{"detail":"Not Found"}`, ""},
		{"POST", flwr.PathListRuns + "/", 404, `{"detail":"Not Found"}`, ""},
		{"GET", "/below/some/where", 200, "/below/some/where", ""},
		{"GET", "/health", 200, "", ""},
		{"HEAD", "/health", 200, "", ""},
		{"POST", "/health", 405, `{"detail":"Method Not Allowed"}`, "GET, HEAD"},
	} {
		got := client.Do(test.method, test.path, nil)
		if got.Status != test.status || string(got.Body) != test.body || got.Header.Get("Allow") != test.allow {
			t.Errorf("%s %s: got %d %q, allow %q; want %d %q, allow %q",
				test.method, test.path, got.Status, got.Body, got.Header.Get("Allow"), test.status, test.body, test.allow)
		}
	}
}
