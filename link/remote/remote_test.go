package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/link"
	"github.com/rhizome-fl/rhizome/link/admin"
	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/link/remote"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/join"
)

var loopback = p2p.Overlay{Listen: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}}

// startLink runs a link for the test.
func startLink(t *testing.T) *link.Link {
	t.Helper()
	l, err := link.Open(t.Context(), link.Config{DataDir: t.TempDir(), HTTP: "127.0.0.1:0", Overlay: loopback})
	if err != nil {
		t.Fatal(err)
	}
	run(t, l)
	return l
}

// run runs a daemon until the test ends.
func run(t *testing.T, d interface {
	Run(context.Context) error
	Close() error
}) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, d.Close()); err != nil {
			t.Error(err)
		}
	})
}

func ticketFor(t *testing.T, l *link.Link, role join.Role) string {
	t.Helper()
	made, err := l.Tickets().Create(t.Context(), membership.TicketRequest{Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return made.Text
}

func TestObserverJoinsOnceAndIsRemembered(t *testing.T) {
	l := startLink(t)
	cfg := remote.Config{DataDir: t.TempDir(), Join: ticketFor(t, l, join.RoleObserver)}
	if remote.Knows(cfg.DataDir) {
		t.Error("the data directory knows a link before it has joined one")
	}
	for range 2 {
		raw, err := remote.Observe(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		var status admin.Status
		if err := json.Unmarshal(raw, &status); err != nil || status.PeerID != l.PeerID().String() {
			t.Errorf("status of %q, %v", status.PeerID, err)
		}
		cfg.Join = "" // from now on
	}
	targets, err := remote.RecallTargets(cfg.DataDir)
	if err != nil || targets.Link != l.PeerID() || len(targets.Addresses) == 0 {
		t.Errorf("recalled %+v, %v", targets, err)
	}
}

func TestProxyCarriesTheControlAPI(t *testing.T) {
	l := startLink(t)
	p, err := remote.OpenProxy(t.Context(), remote.Config{
		DataDir: t.TempDir(), HTTP: "127.0.0.1:0", Join: ticketFor(t, l, join.RoleOperator), Overlay: loopback,
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, p)
	res, err := http.Get("http://" + p.HTTPAddress() + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the link answered %s", res.Status)
	}
}

func TestMistakesAreFoundBeforeAnythingIsMade(t *testing.T) {
	l := startLink(t)
	dir := filepath.Join(t.TempDir(), "new")
	for name, c := range map[string]struct {
		cfg  remote.Config
		want string
	}{
		"no ticket":     {remote.Config{HTTP: "127.0.0.1:0"}, "--join"},
		"no ticket but": {remote.Config{HTTP: "127.0.0.1:0", Join: "rhz1cut"}, "--join"},
		"another role":  {remote.Config{HTTP: "127.0.0.1:0", Join: ticketFor(t, l, join.RoleNode)}, "role operator"},
		"open address":  {remote.Config{HTTP: "0.0.0.0:0", Join: ticketFor(t, l, join.RoleOperator)}, "loopback"},
	} {
		c.cfg.DataDir = dir
		if _, err := remote.OpenProxy(t.Context(), c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a data directory was created: %v", err)
	}
}
