package link

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"github.com/rhizome-fl/rhizome/link/admin"
	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/link/remote"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket"
	"github.com/rhizome-fl/rhizome/p2p/reach"
	"github.com/rhizome-fl/rhizome/p2p/relay"
	"github.com/rhizome-fl/rhizome/protocol/object"
	"github.com/rhizome-fl/rhizome/protocol/session"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

const patience = 10 * time.Second

// testConfig is a link on loopback without a SuperExec.
func testConfig(dir string) Config {
	return Config{
		DataDir: dir, HTTP: "127.0.0.1:0", Software: "rhizome test",
		Overlay: p2p.Overlay{Listen: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}},
	}
}

// startLink opens and runs a link; stop ends it and releases everything.
func startLink(t *testing.T, cfg Config) (l *Link, stop func()) {
	t.Helper()
	l, err := Open(t.Context(), cfg)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error("the link ended with ", err)
		}
		must(t, l.Close())
	}
	t.Cleanup(stop)
	once := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	await(t, "/health", func() bool {
		res, err := once.Get("http://" + l.HTTPAddress() + "/health")
		if err != nil {
			return false
		}
		must(t, res.Body.Close())
		return res.StatusCode == http.StatusOK
	})
	return l, stop
}

func await(t *testing.T, what string, there func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !there() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within %s", what, patience)
		}
		time.Sleep(5 * time.Millisecond) // between looks at a condition that has no bell
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newLeaf is the overlay host of a would-be node.
func newLeaf(t *testing.T, identity identity.Identity) *p2p.Host {
	t.Helper()
	h, err := p2p.NewHost(p2p.Config{Identity: identity, Overlay: p2p.Overlay{NoListen: true}})
	must(t, err)
	t.Cleanup(func() { must(t, h.Close()) })
	return h
}

func newIdentity(t *testing.T) identity.Identity {
	t.Helper()
	identity, err := identity.New()
	must(t, err)
	return identity
}

// greet opens one session and gives the first answer of the link.
func greet(ctx context.Context, h *p2p.Host, target reach.Target) (*sessionpb.Frame, error) {
	var answer *sessionpb.Frame
	err := h.Keep(ctx, target, session.ProtocolID, func(_ context.Context, s network.Stream) error {
		conn := session.NewConn(s, session.Limits{})
		hello := &sessionpb.Frame{Body: &sessionpb.Frame_Hello{Hello: &sessionpb.Hello{Version: 1, Name: "test"}}}
		if err := conn.WriteFrame(hello); err != nil {
			return err
		}
		frame, err := conn.ReadFrame()
		if err != nil {
			return err
		}
		answer = frame
		return reach.Permanent(errEnough)
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return answer, err
}

var errEnough = errors.New("seen enough")

func targetOf(t *testing.T, text string) (reach.Target, ticket.Ticket) {
	t.Helper()
	parsed, err := ticket.Parse(text)
	must(t, err)
	return reach.Target{Peer: parsed.Link, Addrs: parsed.Addrs}, parsed
}

func TestTicketSessionRestartRevoke(t *testing.T) {
	dir := t.TempDir()
	l, stop := startLink(t, testConfig(dir))
	id := l.PeerID()
	made, err := l.Tickets().Create(t.Context(), membership.TicketRequest{MaxUses: 1})
	must(t, err)
	target, parsed := targetOf(t, made.Text)
	if target.Peer != id || len(target.Addrs) == 0 || parsed.Federation != state.FederationDefault {
		t.Fatalf("the ticket names %v", parsed)
	}
	identity := newIdentity(t)
	node := newLeaf(t, identity)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	joined, err := join.Ask(ctx, node, target, join.Request{TokenID: parsed.TokenID, Secret: parsed.Secret, Name: "hospital"})
	must(t, err)
	if joined.Role != "node" || joined.Federation != parsed.Federation {
		t.Errorf("joined as %+v", joined)
	}
	first, err := greet(ctx, node, target)
	must(t, err)
	if first.GetWelcome().GetNodeId() == 0 {
		t.Fatalf("got %v instead of a welcome", first)
	}

	if _, err := join.Ask(ctx, newLeaf(t, newIdentity(t)), target, join.Request{TokenID: parsed.TokenID, Secret: parsed.Secret}); !errors.Is(err, admission.ErrRefused) {
		t.Errorf("a ticket for one use was used twice: %v", err)
	}

	stop()
	cfg := testConfig(dir)
	cfg.Listen = parsed.Addrs
	l, _ = startLink(t, cfg)
	if l.PeerID() != id {
		t.Fatal("the link has another identity after a restart")
	}
	again, err := greet(ctx, node, target)
	must(t, err)
	if again.GetWelcome().GetNodeId() != first.GetWelcome().GetNodeId() {
		t.Errorf("the node was %d and is %d", first.GetWelcome().GetNodeId(), again.GetWelcome().GetNodeId())
	}

	must(t, l.Members().Remove(ctx, identity.ID.String()))
	if frame, err := greet(ctx, node, target); !errors.Is(err, admission.ErrRefused) {
		t.Errorf("a removed member got %v, %v", frame, err)
	}
	status, err := l.Status(ctx)
	must(t, err)
	if len(status.Nodes) != 0 || len(status.Members) != 1 || status.Members[0].RevokedAt == nil {
		t.Errorf("status is %+v", status)
	}
}

func TestAdministration(t *testing.T) {
	l, _ := startLink(t, testConfig(t.TempDir()))
	server := httptest.NewServer(l.AdminHandler())
	defer server.Close()
	do := func(method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		must(t, err)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		must(t, err)
		return res.StatusCode, string(text)
	}
	stranger := newIdentity(t).ID.String()
	for _, step := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/status", "", 200, l.PeerID().String()},
		{"POST", "/tickets", `{"role":"operator","max_uses":3}`, 200, ticket.Prefix},
		{"GET", "/tickets", "", 200, `"role":"operator"`},
		{"POST", "/tickets", `{"role":"king"}`, 400, "king"},
		{"POST", "/tickets", `{"life_seconds":-1}`, 400, "-1"},
		{"POST", "/tickets", `{"max_uses":-1}`, 400, "-1"},
		{"POST", "/tickets", `{`, 400, "read the request"},
		{"DELETE", "/tickets/none", "", 404, "none"},
		{"POST", "/members", `{"peer_id":"` + stranger + `"}`, 200, ""},
		{"GET", "/members", "", 200, stranger},
		{"POST", "/members", `{"peer_id":"nobody"}`, 400, "nobody"},
		{"DELETE", "/members/" + stranger, "", 200, ""},
		{"POST", "/members", `{"peer_id":"` + stranger + `"}`, 409, stranger},
		{"DELETE", "/members/nobody", "", 400, "nobody"},
	} {
		status, text := do(step.method, step.path, step.body)
		if status != step.status || !strings.Contains(text, step.says) {
			t.Errorf("%s %s %s: %d %s; want %d with %q", step.method, step.path, step.body, status, text, step.status, step.says)
		}
	}
	if _, text := do("GET", "/tickets", ""); strings.Contains(text, ticket.Prefix) {
		t.Error("the list of tickets shows their secrets")
	}
}

func TestRevokedTicketLetsNobodyIn(t *testing.T) {
	l, _ := startLink(t, testConfig(t.TempDir()))
	made, err := l.Tickets().Create(t.Context(), membership.TicketRequest{})
	must(t, err)
	must(t, l.Tickets().Revoke(t.Context(), made.ID))
	target, parsed := targetOf(t, made.Text)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = join.Ask(ctx, newLeaf(t, newIdentity(t)), target, join.Request{TokenID: parsed.TokenID, Secret: parsed.Secret})
	if !errors.Is(err, admission.ErrRefused) {
		t.Errorf("a peer with a revoked ticket was not refused: %v", err)
	}
}

func TestJoinWithoutTicketNeedsTheOperator(t *testing.T) {
	l, _ := startLink(t, testConfig(t.TempDir()))
	stranger := newIdentity(t)
	_, err := l.members.Join(t.Context(), stranger.ID, join.Request{})
	var refusal *join.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, "rhizome member add "+stranger.ID.String()) {
		t.Errorf("a stranger was told %v", err)
	}
	must(t, l.Members().Add(t.Context(), membership.MemberRequest{PeerID: stranger.ID.String(), Name: "friend"}))
	answer, err := l.members.Join(t.Context(), stranger.ID, join.Request{})
	must(t, err)
	if answer.Name != "friend" || answer.Role != "node" {
		t.Errorf("a friend was told %+v", answer)
	}
}

func TestControlOverTheOverlayIsForOperators(t *testing.T) {
	l, _ := startLink(t, testConfig(t.TempDir()))
	for role, want := range map[join.Role]int{join.RoleOperator: http.StatusOK, join.RoleNode: http.StatusForbidden, join.RoleObserver: http.StatusForbidden} {
		identity := newIdentity(t)
		must(t, l.Members().Add(t.Context(), membership.MemberRequest{PeerID: identity.ID.String(), Role: role}))
		h := newLeaf(t, identity)
		must(t, h.Connect(t.Context(), peer.AddrInfo{ID: l.PeerID(), Addrs: l.host.Addresses()}))
		client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return h.DialStream(ctx, l.PeerID(), remote.ControlProtocol)
		}}}
		res, err := client.Get("http://link/health")
		must(t, err)
		must(t, res.Body.Close())
		client.CloseIdleConnections()
		if res.StatusCode != want {
			t.Errorf("%s got %d, want %d", role, res.StatusCode, want)
		}
	}
}

func TestTicketWaitsForTheRelay(t *testing.T) {
	relayHost, err := p2p.NewHost(p2p.Config{
		Identity: newIdentity(t), Kind: p2p.RelayHost, Overlay: p2p.Overlay{Listen: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}},
	})
	must(t, err)
	t.Cleanup(func() { must(t, relayHost.Close()) })
	service, err := relay.New(relayHost, relay.Options{Open: true})
	must(t, err)
	t.Cleanup(func() { must(t, service.Close()) })

	cfg := testConfig(t.TempDir())
	cfg.Listen, cfg.NoListen = nil, true
	cfg.Relays = []peer.AddrInfo{{ID: relayHost.ID(), Addrs: relayHost.Addresses()}}
	l, _ := startLink(t, cfg)
	made, err := l.Tickets().Create(t.Context(), membership.TicketRequest{})
	must(t, err)
	target, parsed := targetOf(t, made.Text)
	if len(target.Addrs) != 1 || !strings.Contains(target.Addrs[0].String(), relayHost.ID().String()) {
		t.Fatalf("the ticket names %v", target.Addrs)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	node := newLeaf(t, newIdentity(t))
	_, err = join.Ask(ctx, node, target, join.Request{TokenID: parsed.TokenID, Secret: parsed.Secret})
	must(t, err)
	welcome, err := greet(ctx, node, target)
	must(t, err)
	if relays := welcome.GetWelcome().GetRelays(); len(relays) != 1 || !strings.Contains(relays[0], relayHost.ID().String()) {
		t.Errorf("the node was told of relays %v", relays)
	}
}

func TestLinkThatNobodyCanReachMakesNoTicket(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Listen, cfg.NoListen = nil, true
	l, _ := startLink(t, cfg)
	if err := l.unreachable(); !strings.Contains(err.Error(), "has no relay") {
		t.Errorf("the reason is %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if made, err := l.Tickets().Create(ctx, membership.TicketRequest{}); err == nil {
		t.Errorf("made %+v", made)
	}
}

func TestStatusSaysWhatARunWaitsFor(t *testing.T) {
	l, _ := startLink(t, testConfig(t.TempDir()))
	run, err := l.store.CreateRun(t.Context(), state.NewRun{
		TaskType: task.TypeServerApp, FABID: "me/app", FABHash: object.Sum([]byte("app")),
		Federation: state.FederationDefault, AccountID: state.AccountNone,
	})
	must(t, err)
	waiting := func() admin.RunStatus {
		t.Helper()
		status, err := l.Status(t.Context())
		must(t, err)
		if len(status.Runs) != 1 || status.Runs[0].ID != run.ID {
			t.Fatalf("runs are %+v", status.Runs)
		}
		return status.Runs[0]
	}
	if r := waiting(); r.Status != "pending" || !strings.Contains(r.Waiting, "left to the user") {
		t.Errorf("a pending run is %+v", r)
	}
	app, _, _, err := l.store.ClaimTask(t.Context(), []string{task.TypeServerApp})
	must(t, err)
	must(t, l.store.ActivateTask(t.Context(), app.ID))
	if r := waiting(); r.Status != "running" || !strings.Contains(r.Waiting, "at work") {
		t.Errorf("a running run is %+v", r)
	}
	must(t, l.store.FinishRun(t.Context(), run.ID, task.Failed, "out of luck"))
	if r := waiting(); r.Status != "finished:failed" || r.Details != "out of luck" || r.Waiting != "" {
		t.Errorf("a failed run is %+v", r)
	}
}

func TestOpenFailsCleanly(t *testing.T) {
	dir := t.TempDir()
	l, stop := startLink(t, testConfig(dir))
	if _, err := Open(t.Context(), testConfig(dir)); err == nil {
		t.Error("a second link opened the same data directory")
	}
	taken := testConfig(t.TempDir())
	taken.HTTP = l.HTTPAddress()
	if _, err := Open(t.Context(), taken); err == nil || !strings.Contains(err.Error(), l.HTTPAddress()) {
		t.Errorf("a taken port: %v", err)
	}
	withoutCert := testConfig(t.TempDir())
	withoutCert.CertFile, withoutCert.KeyFile = "none.pem", "none.key"
	if _, err := Open(t.Context(), withoutCert); err == nil || !strings.Contains(err.Error(), "none.pem") {
		t.Errorf("a missing certificate: %v", err)
	}
	stop()
	again, err := Open(t.Context(), testConfig(dir))
	must(t, err)
	must(t, again.Close())
}

func TestLinkLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	_, stop := startLink(t, testConfig(t.TempDir()))
	stop()
}
