package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/node"
	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/node/session"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/gossip"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
)

// running is a node at work.
type running struct {
	t testing.TB
	*node.Node
	stop  context.CancelFunc
	ended chan error
	over  bool
}

func config(t testing.TB, dataDir string) node.Config {
	return node.Config{
		DataDir: dataDir, Name: "site", NodeConfig: "partition-id=3", Software: "test",
		Overlay: p2p.Overlay{Listen: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}},
	}
}

func start(t testing.TB, cfg node.Config) *running {
	t.Helper()
	n, err := node.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, Node: n, stop: stop, ended: make(chan error, 1)}
	go func() { r.ended <- n.Run(ctx) }()
	t.Cleanup(func() { _ = r.end() })
	return r
}

// end stops the node and returns what Run said.
func (r *running) end() error {
	r.t.Helper()
	if r.over {
		return nil
	}
	r.over = true
	r.stop()
	err := errTimeout
	select {
	case err = <-r.ended:
	case <-time.After(patience):
		r.t.Error("the node does not stop")
	}
	if err := r.Close(); err != nil {
		r.t.Error(err)
	}
	return err
}

func leakFree(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t, leaks)
	})
}

func TestNodeWorks(t *testing.T) {
	leakFree(t)
	link, dir := newLink(t), filepath.Join(t.TempDir(), "node")
	cfg := config(t, dir)
	cfg.Join = link.ticket(nil)
	n := start(t, cfg)
	s := link.session()
	if s.hello.GetName() != "site" || s.hello.GetSlots() != 1 || s.hello.GetSoftware() != "test" {
		t.Errorf("hello = %v", s.hello)
	}

	run := nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	link.serve(run)
	s.offer(m)
	results := nodetest.Blobs{}
	a := acquire(t, n.RuntimeAddress())
	r := a.work(m, results)
	a.output([]byte{})
	reply := s.next().GetReply()
	var msg flwrpb.Message
	if err := proto.Unmarshal(reply.GetMessage(), &msg); err != nil || msg.GetMetadata().GetMessageId() != r.ID {
		t.Fatalf("reply = %v, %v", &msg, err)
	}
	if err := link.fetch(n.PeerID(), 7, r.Objects...); err != nil {
		t.Fatal(err)
	}
	if err := link.fetch(n.PeerID(), 8, run.FABHash); err == nil && !link.objects.Has(run.FABHash) {
		t.Error("fetched an object in the name of another run")
	}
	s.ack(m.ID, r.ID)

	status := n.await(func(s node.Status) bool { return len(s.Runs) == 1 && s.Runs[0].Unsent == 0 })
	if status.NodeID != nodetest.NodeID || !status.Link.Session.Open || status.Link.Path == nil || !status.Link.Path.Direct ||
		!strings.HasPrefix(status.State, "connected") || status.SuperExec == "" {
		t.Errorf("status = %+v", status)
	}

	s.write(&sessionpb.Frame{Body: &sessionpb.Frame_Cancel{Cancel: &sessionpb.Cancel{RunId: 7, Detail: "finished"}}})
	n.await(func(s node.Status) bool { return len(s.Runs) == 0 })
	n.stop()
	if bye := s.next().GetBye(); bye == nil {
		t.Error("no goodbye although nothing is owed")
	}
	_ = s.s.Close()
	if err := n.end(); err != nil {
		t.Errorf("run ended with %v", err)
	}
}

func TestNews(t *testing.T) {
	link := newLink(t)
	publisher, err := gossip.NewPublisher(link.host, gossip.Config{
		Link: link.host.ID(), Federation: "fed", Member: func(p peer.ID) bool { return link.standing(p) == admission.Member },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(publisher.Close)
	run := nodetest.NewRun(t, 7)
	link.serve(run)
	cfg := config(t, t.TempDir())
	cfg.Join = link.ticket(nil)
	n := start(t, cfg)
	s := link.session()
	announce := func(kind gossip.Kind) {
		t.Helper()
		raw, err := publisher.Publish(t.Context(), gossip.Announcement{Kind: kind, RunID: 7, SeriesID: 8, FabHash: run.FABHash})
		if err != nil {
			t.Fatal(err)
		}
		s.write(&sessionpb.Frame{Body: &sessionpb.Frame_RunHint{RunHint: &sessionpb.RunHint{Announcement: raw}}})
	}
	announce(gossip.Started)
	n.await(func(s node.Status) bool { return len(s.Runs) == 1 && link.wasAsked(run.FABHash) })
	announce(gossip.Finished)
	n.await(func(s node.Status) bool { return len(s.Runs) == 0 })
	announce(gossip.Started) // out of order: the run does not come back
	s.write(&sessionpb.Frame{Body: &sessionpb.Frame_Offer{Offer: nodetest.NewRun(t, 9).Instruction(t, 1, "model").Offer}})
	n.await(func(s node.Status) bool { return len(s.Runs) == 1 && s.Runs[0].ID == 9 })
}

// await waits until the status, as the admin socket tells it, satisfies ok.
func (r *running) await(ok func(node.Status) bool) node.Status {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		w := httptest.NewRecorder()
		r.AdminHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/status", nil))
		var s node.Status
		if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
			r.t.Fatalf("status %s: %v", w.Body, err)
		}
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("status = %s", w.Body)
		}
		time.Sleep(10 * time.Millisecond) // between looks, not instead of one
	}
}

func TestRestartContinues(t *testing.T) {
	leakFree(t)
	link, dir := newLink(t), filepath.Join(t.TempDir(), "node")
	cfg := config(t, dir)
	cfg.Join = link.ticket(nil)
	n := start(t, cfg)
	s := link.session()
	id, address := n.PeerID(), n.RuntimeAddress()

	run := nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	link.serve(run)
	s.offer(m)
	a := acquire(t, address)
	r := a.work(m, nodetest.Blobs{})
	if err := n.end(); err != nil {
		t.Errorf("run ended with %v", err)
	}

	// Without --join it is the same node at the same port, and its app goes on.
	cfg.Join = ""
	n = start(t, cfg)
	s = link.session()
	if n.PeerID() != id || n.RuntimeAddress() != address || n.Link() != link.host.ID() {
		t.Errorf("it is peer %s at %s of %s; it was %s at %s", n.PeerID(), n.RuntimeAddress(), n.Link(), id, address)
	}
	if !slices.Equal(s.hello.GetAccepted(), []string{m.ID}) || !slices.Equal(s.hello.GetRunIds(), []uint64{7}) {
		t.Errorf("hello = %v", s.hello)
	}
	a.output(nil)
	if reply := s.next().GetReply(); reply == nil {
		t.Fatal("no reply")
	}
	// The answer was not acknowledged, so the node sends it again in its next life.
	if err := n.end(); err != nil {
		t.Errorf("run ended with %v", err)
	}
	start(t, cfg)
	s = link.session()
	if !slices.Equal(s.hello.GetUnsentReplies(), []string{m.ID}) {
		t.Errorf("hello = %v", s.hello)
	}
	var msg flwrpb.Message
	if err := proto.Unmarshal(s.next().GetReply().GetMessage(), &msg); err != nil || msg.GetMetadata().GetMessageId() != r.ID {
		t.Errorf("reply = %v, %v", &msg, err)
	}
}

func TestCancelEndsTheApp(t *testing.T) {
	link := newLink(t)
	cfg := config(t, t.TempDir())
	cfg.Join = link.ticket(nil)
	n := start(t, cfg)
	s := link.session()
	run := nodetest.NewRun(t, 7)
	m := run.Instruction(t, 1, "model")
	link.serve(run)
	s.offer(m)
	a := acquire(t, n.RuntimeAddress())
	told := make(chan int, 1)
	go func() { told <- a.call("rhizome/await-task-end", &flwrpb.SendTaskHeartbeatRequest{}, nil) }()
	a.work(m, nodetest.Blobs{})
	s.write(&sessionpb.Frame{Body: &sessionpb.Frame_Cancel{Cancel: &sessionpb.Cancel{RunId: 7, Detail: "stopped"}}})
	if status := <-told; status != http.StatusNoContent {
		t.Errorf("await-task-end = %d", status)
	}
	if status := a.call("send-task-heartbeat", &flwrpb.SendTaskHeartbeatRequest{}, nil); status != http.StatusUnauthorized {
		t.Errorf("heartbeat of a cancelled task = %d", status)
	}
}

func TestRevoked(t *testing.T) {
	link := newLink(t)
	cfg := config(t, t.TempDir())
	cfg.Join = link.ticket(nil)
	n := start(t, cfg)
	link.hello().write(&sessionpb.Frame{Body: &sessionpb.Frame_Refused{Refused: &sessionpb.Refused{Reason: sessionpb.Refused_REVOKED, Detail: "removed"}}})
	select {
	case err := <-n.ended:
		if _, ok := errors.AsType[*session.RefusedError](err); !ok {
			t.Errorf("run ended with %v", err)
		}
		n.ended <- nil
	case <-time.After(patience):
		t.Error("a revoked node goes on working")
	}
}

func TestTicketThatIsRefused(t *testing.T) {
	link := newLink(t)
	cfg := config(t, t.TempDir())
	cfg.Join = link.ticket(func(t *ticket.Ticket) { t.Secret = []byte("wrong") })
	n := start(t, cfg)
	select {
	case err := <-n.ended:
		if !errors.Is(err, admission.ErrRefused) || !strings.Contains(err.Error(), "ticket") {
			t.Errorf("run ended with %v", err)
		}
		n.ended <- nil
	case <-time.After(patience):
		t.Error("a refused node goes on trying")
	}
}

func TestOpenRefuses(t *testing.T) {
	link, other := newLink(t), newLink(t)
	good := link.ticket(nil)
	used := filepath.Join(t.TempDir(), "node")
	cfg := config(t, used)
	cfg.Join = good
	n := start(t, cfg)
	link.session()

	for name, tc := range map[string]struct {
		change func(*node.Config)
		want   string
	}{
		"in use":          {func(c *node.Config) { c.DataDir = used }, datadir.ErrInUse.Error()},
		"no link":         {func(c *node.Config) { c.Join = "" }, "--join"},
		"cut ticket":      {func(c *node.Config) { c.Join = good[:len(good)-9] }, "cut or changed"},
		"no peer id":      {func(c *node.Config) { c.Join = "/ip4/127.0.0.1/tcp/1" }, "peer"},
		"expired":         {func(c *node.Config) { c.Join = link.ticket(func(t *ticket.Ticket) { t.Expires = time.Unix(1, 0) }) }, "expired"},
		"an operator":     {func(c *node.Config) { c.Join = link.ticket(func(t *ticket.Ticket) { t.Role = join.RoleOperator }) }, "operator"},
		"bad node config": {func(c *node.Config) { c.NodeConfig = "x=[1]" }, "configuration"},
		"no trust file":   {func(c *node.Config) { c.TrustedEntities = filepath.Join(used, "missing") }, "trusted entities"},
		"too many slots":  {func(c *node.Config) { c.Slots = 1 << 20 }, "slots"},
		"runtime port":    {func(c *node.Config) { c.RuntimePort = 1 << 20 }, "port"},
		"no data dir":     {func(c *node.Config) { c.DataDir = "" }, "data directory"},
		"long name":       {func(c *node.Config) { c.Name = strings.Repeat("x", 100) }, "name"},
		"port that is taken": {func(c *node.Config) {
			c.RuntimePort = portOf(t, n.RuntimeAddress())
		}, "Runtime API"},
	} {
		cfg := config(t, filepath.Join(t.TempDir(), "node"))
		cfg.Join = good
		tc.change(&cfg)
		opened, err := node.Open(t.Context(), cfg)
		if err == nil {
			_ = opened.Close()
			t.Errorf("%s: no error", name)
		} else if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %q does not say %q", name, err, tc.want)
		}
	}

	if err := n.end(); err != nil {
		t.Errorf("run ended with %v", err)
	}
	cfg.Join = other.ticket(nil)
	if opened, err := node.Open(t.Context(), cfg); err == nil {
		_ = opened.Close()
		t.Error("a node changed its SuperLink")
	}
	cfg.Join = link.ticket(func(t *ticket.Ticket) { t.Expires = time.Unix(1, 0) })
	opened, err := node.Open(t.Context(), cfg)
	if err != nil {
		t.Errorf("a member was refused because its ticket has expired: %v", err)
	} else if err := opened.Close(); err != nil {
		t.Error(err)
	}
}

func portOf(t testing.TB, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
