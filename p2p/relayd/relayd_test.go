package relayd_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/relayd"
)

func testConfig(t *testing.T) relayd.Config {
	return relayd.Config{
		DataDir: t.TempDir(), Open: true, Metrics: "127.0.0.1:0", Software: "rhizome test",
		Overlay: p2p.Overlay{Listen: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}},
	}
}

func TestStatusIsWhatCanBeHandedOn(t *testing.T) {
	cfg := testConfig(t)
	d, err := relayd.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()

	answer := httptest.NewRecorder()
	d.AdminHandler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/status", nil))
	var status relayd.Status
	if err := json.Unmarshal(answer.Body.Bytes(), &status); err != nil {
		t.Fatal(err)
	}
	if len(status.Addresses) == 0 {
		t.Error("no address")
	}
	for _, text := range status.Addresses {
		if a, err := ma.NewMultiaddr(text); err != nil || !strings.HasSuffix(a.String(), "/p2p/"+status.PeerID) {
			t.Errorf("address %s of %s: %v", text, status.PeerID, err)
		}
	}

	stop()
	if err := errors.Join(<-ended, d.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := relayd.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := again.Status().PeerID; got != status.PeerID {
		t.Errorf("started again it is %s, was %s", got, status.PeerID)
	}
}

func TestNobodyIsRelayedForUnasked(t *testing.T) {
	cfg := testConfig(t)
	cfg.Open, cfg.DataDir = false, filepath.Join(cfg.DataDir, "new")
	if _, err := relayd.Open(t.Context(), cfg); !errors.Is(err, relayd.ErrNobody) {
		t.Errorf("error: %v", err)
	}
	if _, err := os.Stat(cfg.DataDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a data directory was made for it: %v", err)
	}
}

func TestOpenLeavesNothingBehindWhenItFails(t *testing.T) {
	cfg := testConfig(t)
	cfg.Metrics = "192.0.2.1:1" // not an address of this machine
	if _, err := relayd.Open(t.Context(), cfg); err == nil || !strings.HasPrefix(err.Error(), "metrics: ") {
		t.Errorf("error: %v", err)
	}
	cfg.Metrics = ""
	d, err := relayd.Open(t.Context(), cfg) // the directory is free
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
