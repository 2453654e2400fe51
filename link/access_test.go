package link

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rhizome-fl/rhizome/protocol/flwr"
)

var reached = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })

func TestControlTokenIsDemanded(t *testing.T) {
	guard := demandToken([]byte("0123456789abcdef"), reached)
	ask := func(path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, path, nil)
		for _, value := range headers {
			r.Header.Add("Authorization", value)
		}
		w := httptest.NewRecorder()
		guard.ServeHTTP(w, r)
		return w
	}
	for _, good := range []string{"Bearer 0123456789abcdef", "bearer 0123456789abcdef", "Bearer  0123456789abcdef"} {
		if w := ask(flwr.PathListRuns, good); w.Code != http.StatusTeapot {
			t.Errorf("%q was refused with %d", good, w.Code)
		}
	}
	for _, bad := range [][]string{
		nil, {""}, {"Bearer"}, {"Bearer "}, {"0123456789abcdef"}, {"Basic 0123456789abcdef"}, {"Bearer 0123456789abcdeF"},
		{"Bearer 0123456789abcdef0"}, {"Bearer 0123456789abcde"}, {"Bearer 0123456789abcdef", "Bearer 0123456789abcdef"},
	} {
		w := ask(flwr.PathListRuns, bad...)
		if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%q got %d %v", bad, w.Code, w.Header())
		}
	}
	if w := ask(flwr.PathGetLoginDetails); w.Code != http.StatusTeapot {
		t.Errorf("a client without a token cannot ask how to log in: %d", w.Code)
	}
}

func TestRuntimeAPIIsForThisMachine(t *testing.T) {
	guard := sameMachine(reached)
	for _, c := range []struct {
		from, at string
		want     int
	}{
		{"127.0.0.1:5", "127.0.0.1:8000", http.StatusTeapot},
		{"[::1]:5", "[::1]:8000", http.StatusTeapot},
		{"192.0.2.7:5", "192.0.2.7:8000", http.StatusTeapot},
		{"192.0.2.8:5", "192.0.2.7:8000", http.StatusForbidden},
		{"[2001:db8::1]:5", "[2001:db8::2]:8000", http.StatusForbidden},
		{"nonsense", "192.0.2.7:8000", http.StatusForbidden},
	} {
		at, err := net.ResolveTCPAddr("tcp", c.at)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/v1/runtime/acquire-task", nil)
		r.RemoteAddr = c.from
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(at)))
		w := httptest.NewRecorder()
		guard.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s to %s: %d, want %d", c.from, c.at, w.Code, c.want)
		}
	}
}
