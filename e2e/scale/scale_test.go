// Package scale tests a SuperLink with many nodes. Their sessions and libp2p hosts are real, what
// is behind them is imitated (e2e/lightnode), and everything runs in this process.
package scale

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"github.com/rhizome-fl/rhizome/e2e/lightnode"
	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/link"
	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/join/ticket"
)

const (
	// sessions is a quarter of what p2p.defaultMaxPeers allows.
	sessions = 1000
	// joining is how many nodes join at a time: each join is two TLS handshakes on both sides,
	// on this machine's cores.
	joining = 32
	// patience bounds all of it, on a machine that does other things too.
	patience = 3 * time.Minute
)

// TestThousandSessions has a thousand nodes join one link, gives each of them an instruction in
// one push, and expects every reply in one pull and nothing left behind. docs/performance.md
// explains what bounds a link.
func TestThousandSessions(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a thousand libp2p hosts")
	}
	logs.Quiet()
	leaks := goleak.IgnoreCurrent()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	hub := startLink(t)
	idle := heap()
	fleet := startFleet(t, ctx, hub.ticket(t), sessions)
	fleet.awaitSessions(ctx)
	t.Logf("%d sessions, both ends in one process: %d goroutines, %d KiB of heap each",
		sessions, runtime.NumGoroutine()/sessions, (heap()-idle)/sessions>>10)

	app := startServerApp(t, ctx, hub.HTTPAddress())
	nodes := app.nodes()
	if len(nodes) != sessions {
		t.Fatalf("the ServerApp sees %d nodes, want %d", len(nodes), sessions)
	}
	sent := app.push(nodes)
	replies := app.pull(sent)
	slices.Sort(sent)
	slices.Sort(replies)
	if !slices.Equal(sent, replies) {
		t.Errorf("%d replies to %d instructions", len(replies), len(sent))
	}
	app.finish()

	fleet.stop()
	hub.stop()
	if t.Failed() {
		return
	}
	goleak.VerifyNone(t, leaks)
}

// heap is how much memory is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// hub is a running link.
type hub struct {
	*link.Link
	stop func()
}

func startLink(t *testing.T) *hub {
	t.Helper()
	l, err := link.Open(t.Context(), link.Config{
		DataDir: t.TempDir(), HTTP: "127.0.0.1:0", Software: "rhizome test",
		Overlay: p2p.Overlay{Listen: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	h := &hub{l, sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-ended, l.Close()); err != nil {
			t.Error(err)
		}
	})}
	t.Cleanup(h.stop)
	return h
}

func (h *hub) ticket(t *testing.T) ticket.Ticket {
	t.Helper()
	made, err := h.Tickets().Create(t.Context(), membership.TicketRequest{})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ticket.Parse(made.Text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// fleet is many light nodes.
type fleet struct {
	t    *testing.T
	want int64
	open atomic.Int64
	full chan struct{} // closed when all have a session
	stop func()
}

func startFleet(t *testing.T, ctx context.Context, join ticket.Ticket, count int) *fleet {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	f := &fleet{t: t, want: int64(count), full: make(chan struct{})}
	slots := make(chan struct{}, joining)
	var nodes sync.WaitGroup
	for i := range count {
		nodes.Go(func() { f.run(ctx, join, i, slots) })
	}
	f.stop = sync.OnceFunc(func() { cancel(); nodes.Wait() })
	t.Cleanup(f.stop)
	return f
}

// run is one node's life; it holds a slot until its first session.
func (f *fleet) run(ctx context.Context, join ticket.Ticket, index int, slots chan struct{}) {
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	leave := sync.OnceFunc(func() { <-slots })
	defer leave()
	opened := sync.OnceFunc(func() {
		leave()
		if f.open.Add(1) == f.want {
			close(f.full)
		}
	})
	node, err := lightnode.New(lightnode.Config{Ticket: join, Name: fmt.Sprintf("node%d", index), Opened: opened})
	if err != nil {
		f.t.Error(err)
		return
	}
	defer node.Close()
	if err := node.Run(ctx); ctx.Err() == nil {
		f.t.Errorf("node %d ended: %v", index, err)
	}
}

func (f *fleet) awaitSessions(ctx context.Context) {
	f.t.Helper()
	select {
	case <-f.full:
	case <-ctx.Done():
		f.t.Fatalf("%d of %d nodes have a session", f.open.Load(), f.want)
	}
}
