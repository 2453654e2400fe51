package admission

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	manager "github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/x/rate"
	"github.com/pbnjay/memory"
)

// newResourceManager makes limits of our own. libp2p's defaults let in 8 connections of one IPv4
// address, 64 circuits over one peer and some 250 peers, by three mechanisms that have to be set
// separately: the scopes, the connections per subnet, and the rate of new ones.
//
// Members are known only after the handshake, so what is limited here is what an address or a peer
// can take; strangers are held down by the lobby, and members have the rest.
func newResourceManager(maxPeers int) (network.ResourceManager, error) {
	total := int64(memory.TotalMemory() / memoryShare)
	total = max(total, minMemory)
	conns := rcmgr.LimitVal(maxPeers * 4) // each may replace a relayed pair by a direct pair
	perSubnet := connsPerAddress
	if maxPeers > DefaultMaxPeers {
		perSubnet = maxPeers // a host that wants more than usual may have them all at one address
	}
	handshakes := rcmgr.LimitVal(perSubnet * transientConns / connsPerAddress)
	free := rcmgr.ResourceLimits{
		Streams: rcmgr.Unlimited, StreamsInbound: rcmgr.Unlimited, StreamsOutbound: rcmgr.Unlimited,
		Conns: rcmgr.Unlimited, ConnsInbound: rcmgr.Unlimited, ConnsOutbound: rcmgr.Unlimited,
		FD: rcmgr.Unlimited, Memory: rcmgr.Unlimited64,
	}
	system := free
	system.Conns, system.ConnsInbound, system.Memory = conns, conns, rcmgr.LimitVal64(total)
	transient := free
	transient.Conns, transient.ConnsInbound = handshakes+conns/4, handshakes
	transient.Memory = rcmgr.LimitVal64(total / 2)
	perPeer := free
	perPeer.Conns, perPeer.ConnsInbound = 2*connsPerPeer, connsPerPeer
	perPeer.StreamsInbound = streamsPerPeer
	perPeer.Memory = rcmgr.LimitVal64(min(memoryPerPeer, total/2))
	// A stream counts towards its service once that service has been named on it.
	perService := perPeer
	perService.StreamsInbound = streamsPerService

	limits := rcmgr.PartialLimitConfig{
		System: system, Transient: transient, PeerDefault: perPeer,
		AllowlistedSystem: free, AllowlistedTransient: free,
		ServiceDefault: free, ServicePeerDefault: perService,
		ProtocolDefault: free, ProtocolPeerDefault: perPeer,
		Conn: free, Stream: free,
	}
	perAddress := rate.Limit{RPS: newConnsPerAddress, Burst: burstPerAddress}
	m, err := rcmgr.NewResourceManager(
		rcmgr.NewFixedLimiter(limits.Build(rcmgr.InfiniteLimits)),
		rcmgr.WithMetricsDisabled(),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: perSubnet}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: perSubnet}}),
		rcmgr.WithConnRateLimiters(&rate.Limiter{SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: []rate.SubnetLimit{{PrefixLength: 32, Limit: perAddress}},
			IPv6SubnetLimits: []rate.SubnetLimit{{PrefixLength: 56, Limit: perAddress}},
		}}))
	if err != nil {
		return nil, fmt.Errorf("resource manager: %w", err)
	}
	return m, nil
}

// Connections returns libp2p's connection manager for the host.
func (c *Controller) Connections() connmgr.ConnManager { return c.conns }

// newConnManager makes the manager that closes connections when there are too many. Those of
// members are protected, so it can only ever hit others.
func newConnManager(maxPeers int) (*manager.BasicConnMgr, error) {
	m, err := manager.NewConnManager(maxPeers, maxPeers+maxPeers/8, manager.WithGracePeriod(lobbyTime))
	if err != nil {
		return nil, fmt.Errorf("connection manager: %w", err)
	}
	return m, nil
}
