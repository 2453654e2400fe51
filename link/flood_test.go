package link

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/rhizome-fl/rhizome/link/membership"
	"github.com/rhizome-fl/rhizome/link/remote"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/join"
)

const (
	// floodPeers are more than a lobby has places.
	floodPeers = 700
	// floodJoins are peers that come with a ticket meanwhile.
	floodJoins = 8
	// floodHold is how long a lobby lets a join take, and let strangers stay. If most joins wait
	// for that, they wait for the flood to let go. They take a second or two, on a machine that is
	// busy with both sides of the flood.
	floodHold = 20 * time.Second
	// floodPatience with all joins.
	floodPatience = 4 * time.Minute
	// floodAgain: peers that were put out are back after that.
	floodAgain = time.Second
)

// flood is what one attacker does from one address: many peers that sit in the lobby for as long
// as they are let, with a stream of the join protocol on which half a request was said, and come
// back when they are put out.
type flood struct {
	target peer.AddrInfo
	inside atomic.Int64 // with a connection now
	tried  atomic.Int64 // peers that have tried to come in at least once
	tries  atomic.Int64
}

func startFlood(t *testing.T, target peer.AddrInfo) *flood {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &flood{target: target}
	var peers sync.WaitGroup
	for range floodPeers {
		peers.Go(func() { f.run(t, ctx) })
	}
	t.Cleanup(func() {
		cancel()
		peers.Wait()
	})
	return f
}

// run is one peer of the flood.
func (f *flood) run(t *testing.T, ctx context.Context) {
	h, err := libp2p.New(libp2p.NoListenAddrs, libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(libp2ptls.ID, libp2ptls.New), libp2p.DisableRelay())
	if err != nil {
		t.Error(err)
		return
	}
	defer h.Close()
	gone := make(chan struct{}, 1)
	h.Network().Notify(&network.NotifyBundle{DisconnectedF: func(network.Network, network.Conn) {
		select {
		case gone <- struct{}{}:
		default:
		}
	}})
	for first := true; ctx.Err() == nil; first = false {
		err := h.Connect(ctx, f.target)
		f.tries.Add(1)
		if first {
			f.tried.Add(1)
		}
		if err == nil {
			f.inside.Add(1)
			for range 4 {
				if s, err := h.NewStream(network.WithNoDial(ctx, "flood"), f.target.ID, admission.JoinProtocol); err == nil {
					_, _ = s.Write([]byte{100, 10}) // of a request of 100 bytes
				}
			}
			for len(h.Network().Conns()) > 0 && ctx.Err() == nil {
				select {
				case <-gone:
				case <-ctx.Done():
				}
			}
			f.inside.Add(-1)
		}
		select {
		case <-time.After(floodAgain):
		case <-ctx.Done():
		}
	}
}

// Hundreds of peers from one address sit in the lobby for as long as they can. Others that have a
// ticket, from that very address, join meanwhile, and a member goes on working.
func TestFloodOfOneAddressKeepsNobodyOut(t *testing.T) {
	if testing.Short() {
		t.Skip("starts hundreds of libp2p hosts")
	}
	l, _ := startLink(t, testConfig(t.TempDir()))
	made, err := l.Tickets().Create(t.Context(), membership.TicketRequest{MaxUses: floodJoins})
	must(t, err)
	target, parsed := targetOf(t, made.Text)
	member := l.memberFor(t, join.RoleObserver)

	f := startFlood(t, peer.AddrInfo{ID: target.Peer, Addrs: target.Addrs})
	for f.tried.Load() < floodPeers && !t.Failed() {
		time.Sleep(10 * time.Millisecond) // between looks at a condition that has no bell
	}
	t.Logf("when the first joins, %d peers of the flood are inside, after %d tries", f.inside.Load(), f.tries.Load())

	ctx, cancel := context.WithTimeout(t.Context(), floodPatience)
	defer cancel()
	var joins sync.WaitGroup
	took := make([]time.Duration, floodJoins)
	for i := range took {
		leaf := newLeaf(t, newIdentity(t))
		joins.Go(func() {
			began := time.Now()
			_, err := join.Ask(ctx, leaf, target, join.Request{TokenID: parsed.TokenID, Secret: parsed.Secret})
			took[i] = time.Since(began)
			if err != nil {
				t.Errorf("a peer with a ticket has not joined after %s: %v", took[i], err)
			}
		})
	}
	joined := make(chan struct{})
	go func() {
		joins.Wait()
		close(joined)
	}()
	var worked int
	var slowest time.Duration
	for over := false; !over; worked++ {
		began := time.Now()
		if status, _ := get(t, member, l.PeerID(), remote.StatusProtocol, "/status"); status != http.StatusOK {
			t.Errorf("a member that works meanwhile is answered with %d", status)
		}
		slowest = max(slowest, time.Since(began))
		select {
		case <-joined:
			over = true
		default:
		}
	}
	slices.Sort(took)
	t.Logf("%d joined in %s to %s; %d requests of a member took %s at most; %d peers of the flood inside, %d tries",
		floodJoins, took[0].Round(time.Millisecond), took[floodJoins-1].Round(time.Millisecond),
		worked, slowest.Round(time.Millisecond), f.inside.Load(), f.tries.Load())
	// Where a member's request takes seconds, the machine is too busy for a join to be quick.
	limit := max(floodHold, 10*slowest)
	if median := took[floodJoins/2]; median > limit {
		t.Errorf("half of the joins took longer than %s: they came in only when the flood had to let go", limit)
	}
}
