package reach

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/internal/retry"
	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/admission"
)

// puncher makes direct connections beside relayed ones, using libp2p's DCUtR. The side that was
// dialled starts; libp2p does that once, when the relayed connection comes up, and never again.
// The puncher keeps trying: soon, since the other side may not have known its own address yet, and
// then every few minutes for as long as the connection is only relayed.
type puncher struct {
	host       host.Host
	intents    *Intents
	standing   func(peer.ID) admission.Standing
	direct     func() []ma.Multiaddr // addresses of the host that are not circuits
	failed     func(peer.ID, error)
	background func(func())
	ctx        context.Context

	mu      sync.Mutex
	service *holepunch.Service // nil until this host has an address to offer
	known   []ma.Multiaddr     // the addresses that were offered last; never empty again
	retries map[network.Conn]context.CancelFunc
	closed  bool

	observed map[network.Conn]ma.Multiaddr // how trusted peers see this host
}

func newPuncher(m *Manager) *puncher {
	return &puncher{
		host: m.host, intents: m.intents, standing: m.standing, direct: m.directAddrs, failed: m.failed,
		background: m.background, ctx: m.ctx,
		retries: make(map[network.Conn]context.CancelFunc), observed: make(map[network.Conn]ma.Multiaddr),
	}
}

// start waits for the first address and then begins. libp2p's service polls for one, and waits up
// to 5 s longer than it must; and its methods wait for ever if there is none.
func (p *puncher) start() error {
	sub, err := p.host.EventBus().Subscribe([]any{new(event.EvtLocalAddressesUpdated), new(event.EvtPeerIdentificationCompleted)})
	if err != nil {
		return fmt.Errorf("watch own addresses: %w", err)
	}
	p.background(func() {
		defer sub.Close()
		began := p.begin()
		for {
			select {
			case <-p.ctx.Done():
				return
			case e := <-sub.Out():
				if seen, ok := e.(event.EvtPeerIdentificationCompleted); ok {
					p.observe(seen.Conn, seen.ObservedAddr)
				}
				began = began || p.begin()
			}
		}
	})
	return nil
}

// observe notes the address at which a peer sees this host. libp2p finds that out too, but takes
// up to 5 s to add it to the host's addresses, when the first attempt has long failed.
func (p *puncher) observe(c network.Conn, observed ma.Multiaddr) {
	from := c.RemotePeer()
	if observed == nil || !manet.IsPublicAddr(observed) || addr.IsCircuit(observed) ||
		!p.intents.IsRelay(from) && !p.intents.Expects(from) && p.standing(from) != admission.Member {
		return
	}
	// Only sockets that also listen can be reached.
	_, socket := ma.SplitFirst(c.LocalMultiaddr())
	if !p.listensOn(socket) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !c.IsClosed() {
		p.observed[c] = observed
	}
}

// listensOn reports whether this host listens on a socket such as /udp/4001/quic-v1.
func (p *puncher) listensOn(socket ma.Multiaddr) bool {
	for _, l := range p.host.Network().ListenAddresses() {
		if _, rest := ma.SplitFirst(l); len(rest) > 0 && rest.Equal(socket) {
			return true
		}
	}
	return false
}

// begin starts punching; it returns false while there is no address to offer.
func (p *puncher) begin() bool {
	ids, ok := p.host.(interface{ IDService() identify.IDService })
	if !ok || len(p.addresses()) == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return true
	}
	service, err := holepunch.NewService(p.host, ids.IDService(), p.addresses,
		holepunch.DirectDialTimeout(punchTimeout), holepunch.WithAddrFilter(p), holepunch.WithTracer(p))
	if err != nil {
		log.Error("no hole punching", "err", err)
		return true
	}
	p.service = service
	return true
}

func (p *puncher) close() error {
	p.mu.Lock()
	service := p.service
	p.closed, p.service = true, nil
	p.mu.Unlock()
	if service == nil {
		return nil
	}
	return service.Close()
}

// addresses returns what this host offers to be punched at: public addresses, and those on the
// LAN, since two hosts behind one NAT that does not hairpin can only meet there.
func (p *puncher) addresses() []ma.Multiaddr {
	candidates := p.direct()
	p.mu.Lock()
	for _, a := range p.observed {
		candidates = append(candidates, a)
	}
	p.mu.Unlock()
	var addrs []ma.Multiaddr
	for _, a := range candidates {
		if manet.IsIPLoopback(a) || manet.IsIPUnspecified(a) || manet.IsIP6LinkLocal(a) {
			continue
		}
		addrs = append(addrs, a)
		if guess := p.guessUDP(a); guess != nil {
			addrs = append(addrs, guess)
		}
	}
	addrs = ma.Unique(addrs)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(addrs) == 0 {
		return slices.Clone(p.known)
	}
	p.known = slices.Clone(addrs)
	return addrs
}

// guessUDP assumes that a NAT which kept the port of TCP also keeps that of UDP. A hub talks to
// its relays by TCP only, so nobody observes the address of its QUIC socket.
func (p *puncher) guessUDP(a ma.Multiaddr) ma.Multiaddr {
	port, err := a.ValueForProtocol(ma.P_TCP)
	if err != nil || !manet.IsPublicAddr(a) {
		return nil
	}
	ip, _ := ma.SplitFirst(a)
	quic := ma.StringCast("/udp/" + port + "/quic-v1")
	if !p.listensOn(quic) {
		return nil
	}
	return ip.Multiaddr().Encapsulate(quic)
}

// FilterLocal gives addresses to members only. It is part of holepunch.AddrFilter.
func (p *puncher) FilterLocal(to peer.ID, addrs []ma.Multiaddr) []ma.Multiaddr {
	if !p.may(to) {
		return nil
	}
	return addrs
}

// may reports whether a hole is worth punching: not to a peer that only lets this host join, since
// that connection ends at once.
func (p *puncher) may(with peer.ID) bool {
	return p.standing(with) == admission.Member && !p.intents.Joins(with)
}

// FilterRemote accepts addresses from members only.
func (p *puncher) FilterRemote(from peer.ID, addrs []ma.Multiaddr) []ma.Multiaddr {
	if !p.may(from) {
		return nil
	}
	return addrs
}

// Trace notes why there is no direct path. It is part of holepunch.EventTracer.
func (p *puncher) Trace(e *holepunch.Event) {
	switch end := e.Evt.(type) {
	case *holepunch.EndHolePunchEvt:
		log.Debug("hole punch", "peer", e.Remote, "success", end.Success, "err", end.Error)
		if !end.Success && !hasDirect(p.host.Network(), e.Remote) {
			p.failed(e.Remote, fmt.Errorf("hole punching: %s", end.Error))
		}
	case *holepunch.ProtocolErrorEvt:
		p.failed(e.Remote, fmt.Errorf("hole punching: %s", end.Error))
	}
}

// arrived starts the retries of a relayed connection of a member.
func (p *puncher) arrived(c network.Conn) {
	if c.Stat().Direction != network.DirInbound || !addr.Relayed(c) || p.standing(c.RemotePeer()) != admission.Member {
		return
	}
	ctx, cancel := context.WithCancel(p.ctx)
	p.mu.Lock()
	p.retries[c] = cancel
	p.mu.Unlock()
	p.background(func() { p.retry(ctx, c.RemotePeer()) })
}

func (p *puncher) gone(c network.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.observed, c)
	if cancel := p.retries[c]; cancel != nil {
		cancel()
		delete(p.retries, c)
	}
}

func (p *puncher) retry(ctx context.Context, to peer.ID) {
	for n := 0; ; n++ {
		pause := punchRetry
		if n < quickPunches {
			pause = firstPunchRetry << n
		}
		if !retry.Sleep(ctx, pause) {
			return
		}
		p.mu.Lock()
		service := p.service
		p.mu.Unlock()
		if service == nil || hasDirect(p.host.Network(), to) || p.standing(to) != admission.Member {
			continue
		}
		err := service.DirectConnect(to)
		if err != nil && !errors.Is(err, holepunch.ErrHolePunchActive) {
			log.Debug("no direct path", "peer", to, "err", err)
		}
	}
}
