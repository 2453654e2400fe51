package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	ma "github.com/multiformats/go-multiaddr"
	madns "github.com/multiformats/go-multiaddr-dns"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/p2p/admission"
)

// way is a secured connection to a peer that answers.
type way struct {
	transport.CapableConn
	*asked
	address *Address // nil for a circuit
	relay   peer.ID  // the relay of a circuit
}

func (w *way) open() opener { return w.OpenStream }

// checkAddress tries one address of a peer from h. It returns a way if the handshake worked; the
// caller closes it.
func (s *site) checkAddress(ctx context.Context, h host.Host, p peer.ID, isRelay bool, a ma.Multiaddr) (Address, *way) {
	found := describe(p, isRelay, a)
	at := []ma.Multiaddr{a}
	if madns.Matches(a) {
		at = s.resolve(ctx, h, p, a, &found)
	}
	if len(at) == 0 {
		return found, nil
	}
	// A name may have several addresses: the one that works best stands for all of them.
	results := make([]Address, len(at))
	ways := make([]*way, len(at))
	var all sync.WaitGroup
	for i, resolved := range at {
		results[i] = found
		all.Go(func() { ways[i] = s.try(ctx, h, resolved, &results[i]) })
	}
	all.Wait()
	best := 0
	for i := range at {
		if better(results[i], results[best]) {
			best = i
		}
	}
	for i, w := range ways {
		if w != nil && i != best {
			_ = w.Close()
		}
	}
	found = results[best]
	if ways[best] != nil {
		ways[best].address = &found
	}
	return found, ways[best]
}

func better(a, b Address) bool {
	if (a.Handshake.State == OK) != (b.Handshake.State == OK) {
		return a.Handshake.State == OK
	}
	return a.Connect.State == OK && b.Connect.State != OK
}

func describe(p peer.ID, isRelay bool, a ma.Multiaddr) Address {
	found := Address{Peer: p, Relay: isRelay, Address: a.String(), Private: manet.IsPrivateAddr(a) || manet.IsIPLoopback(a)}
	ma.ForEach(a, func(c ma.Component) bool {
		switch c.Protocol().Code {
		case ma.P_IP4, ma.P_IP6, ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR:
			found.Host = c.Value()
		case ma.P_TCP, ma.P_UDP:
			found.Port, _ = strconv.Atoi(c.Value())
			if found.Transport == "" {
				found.Transport = c.Protocol().Name
			}
		case ma.P_QUIC_V1:
			found.Transport = transportQUIC
		case ma.P_WS, ma.P_WSS:
			found.Transport = transportWebSocket
		}
		return true
	})
	return found
}

const (
	transportTCP       = "tcp"
	transportQUIC      = "quic-v1"
	transportWebSocket = "websocket"
)

// resolve finds the addresses of a name, as the swarm does.
func (s *site) resolve(ctx context.Context, h host.Host, p peer.ID, a ma.Multiaddr, found *Address) []ma.Multiaddr {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	began := time.Now()
	if tpt, err := transportFor(h, a); err == nil {
		if r, ok := tpt.(transport.Resolver); ok { // WebSocket keeps the name for TLS
			if kept, err := r.Resolve(ctx, a); err == nil && len(kept) > 0 {
				a = kept[0]
			}
		}
	}
	all, err := madns.Resolve(ctx, a)
	var usable []ma.Multiaddr
	for _, resolved := range all {
		bare, id := peer.SplitAddr(resolved)
		if len(bare) > 0 && (id == "" || id == p) && len(usable) < maxResolved {
			usable = append(usable, bare)
		}
	}
	if err == nil && len(usable) == 0 {
		err = &net.DNSError{Err: "it has no address of that peer", Name: found.Host, IsNotFound: true}
	}
	found.Resolve = done(began, err)
	if found.Resolve.Failure == FailTimeout {
		found.Resolve.Failure = FailNameTimeout
	}
	return usable
}

// try goes through the steps for one address without a name.
func (s *site) try(ctx context.Context, h host.Host, a ma.Multiaddr, found *Address) *way {
	tpt, err := transportFor(h, a)
	if err != nil {
		found.Handshake = skipped(err.Error())
		return nil
	}
	if found.Transport != transportQUIC && !s.connect(ctx, a, found) {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	began := time.Now()
	conn, err := tpt.Dial(limited, a, found.Peer)
	found.Handshake = done(began, err)
	if err != nil {
		return nil
	}
	began = time.Now()
	asked, err := askPeer(ctx, conn.OpenStream, found.Peer)
	found.Identify = done(began, err)
	w := &way{CapableConn: conn, asked: asked}
	found.dialled = a
	found.Local = conn.LocalMultiaddr().String()
	if err != nil {
		if found.Identify.Failure == FailGated {
			found.Standing = admission.Refused.String()
		}
		return w
	}
	found.Standing, found.Agent, found.RTT = asked.standing, asked.agent, millis(asked.rtt)
	if asked.observed != nil {
		found.Observed = asked.observed.String()
	}
	return w
}

// connect makes the plain connection that the transport will make, or the proxy's, and reports
// whether there is any point in going on.
func (s *site) connect(ctx context.Context, a ma.Multiaddr, found *Address) bool {
	network, at, err := dialArgs(a)
	if err != nil {
		found.Connect = done(time.Now(), err)
		return false
	}
	var both sync.WaitGroup
	both.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		began := time.Now()
		c, err := new(net.Dialer).DialContext(ctx, network, at)
		found.Connect = done(began, err)
		if err == nil {
			found.MTU = pathMTU(c)
			_ = c.Close()
		}
	})
	if found.Transport == transportWebSocket {
		if proxy := s.proxyFor(net.JoinHostPort(found.Host, strconv.Itoa(found.Port))); proxy != nil {
			found.ViaProxy = true
			found.Proxy = s.tryProxy(ctx, proxy, at)
		}
	}
	both.Wait()
	ok := found.Connect.State == OK
	if found.ViaProxy {
		// For a proxy that could not be tried alone, the handshake is the test.
		ok = found.Proxy.State != Failed
	}
	if !ok {
		found.Handshake = skipped("there is no connection to make it on")
	}
	return ok
}

// dialArgs returns the TCP part of an address.
func dialArgs(a ma.Multiaddr) (network, address string, err error) {
	bare, _ := ma.SplitFunc(a, func(c ma.Component) bool {
		switch c.Protocol().Code {
		case ma.P_TLS, ma.P_WS, ma.P_WSS, ma.P_SNI:
			return true
		}
		return false
	})
	if bare == nil {
		return "", "", errors.New("the address names no port")
	}
	network, address, err = manet.DialArgs(bare)
	if err != nil {
		return "", "", fmt.Errorf("address %s: %w", a, err)
	}
	return network, address, nil
}
