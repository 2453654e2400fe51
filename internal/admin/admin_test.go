package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rhizome-fl/rhizome/internal/admin"
)

func serve(t *testing.T, dir string) *admin.Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		var in map[string]string
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			admin.WriteError(w, http.StatusBadRequest, err)
			return
		}
		admin.WriteJSON(w, in)
	})
	mux.HandleFunc("GET /refuse", func(w http.ResponseWriter, _ *http.Request) {
		admin.WriteError(w, http.StatusConflict, errors.New("the ticket is used up"))
	})
	ctx, cancel := context.WithCancel(t.Context())
	socket, err := admin.Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- socket.Serve(ctx, mux) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve ended with %v", err)
		}
	})
	client, err := admin.NewClient(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestCall(t *testing.T) {
	deep := func() string { return filepath.Join(t.TempDir(), strings.Repeat("d", 120)) }
	for name, test := range map[string]struct{ dir, temp string }{
		"short path":                     {t.TempDir(), t.TempDir()},
		"long path":                      {deep(), os.TempDir()},
		"long path and temporary folder": {deep(), deep()},
	} {
		t.Run(name, func(t *testing.T) {
			dir := test.dir
			for _, folder := range []string{dir, test.temp} {
				if err := os.MkdirAll(folder, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("TMPDIR", test.temp)
			client := serve(t, dir)
			var out map[string]string
			if err := client.Call(t.Context(), "POST", "/echo", map[string]string{"a": "b"}, &out); err != nil || out["a"] != "b" {
				t.Fatalf("echo: %v, %v", out, err)
			}
			err := client.Call(t.Context(), "GET", "/refuse", nil, nil)
			if err == nil || err.Error() != "the ticket is used up" {
				t.Fatalf("refusal: got %v, want the daemon's own words", err)
			}
			info, err := os.Stat(filepath.Join(dir, admin.SocketName))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Fatalf("socket mode %v, %v; want 0600", info.Mode(), err)
			}
		})
	}
}

func TestNoDaemon(t *testing.T) {
	client, err := admin.NewClient(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Call(t.Context(), "GET", "/status", nil, nil); !errors.Is(err, admin.ErrNotRunning) {
		t.Fatalf("got %v, want ErrNotRunning", err)
	}
}
