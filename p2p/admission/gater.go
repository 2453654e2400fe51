package admission

import (
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// Gater is what libp2p asks before it dials, and of each connection.
func (c *Controller) Gater() connmgr.ConnectionGater { return &gater{c} }

// gater cuts off refused peers. It asks when the connection is whole, and not earlier, so
// that the other side is told by a code (network.ConnGated) instead of a broken handshake.
type gater struct{ c *Controller }

// InterceptPeerDial lets this host dial whom it has a reason to dial. libp2p would also dial
// strangers back at whatever addresses they claim, before it punches a hole.
func (g *gater) InterceptPeerDial(p peer.ID) bool {
	return g.c.Standing(p) == Member || g.c.peers.IsRelay(p) || g.c.peers.Expects(p)
}

func (g *gater) InterceptAddrDial(p peer.ID, a ma.Multiaddr) bool { return g.c.peers.MayDial(p, a) }

func (g *gater) InterceptAccept(network.ConnMultiaddrs) bool { return true }

func (g *gater) InterceptSecured(network.Direction, peer.ID, network.ConnMultiaddrs) bool {
	return true
}

func (g *gater) InterceptUpgraded(conn network.Conn) (bool, control.DisconnectReason) {
	return g.c.mayConnect(conn), 0
}

func (c *Controller) mayConnect(conn network.Conn) bool {
	p := conn.RemotePeer()
	return conn.Stat().Direction == network.DirOutbound || c.Standing(p) != Refused || c.peers.IsRelay(p) ||
		addr.Relayed(conn) || c.mayBeDialBack(conn)
}

// mayBeDialBack tells whether a stranger's connection can be the answer of an AutoNAT
// server, which comes from a one-time peer id but from the address of a peer that we asked.
func (c *Controller) mayBeDialBack(conn network.Conn) bool {
	if !manet.IsPublicAddr(conn.RemoteMultiaddr()) {
		return false // only public addresses are probed
	}
	from, err := manet.ToIP(conn.RemoteMultiaddr())
	if err != nil {
		return false
	}
	for _, known := range c.net.Conns() {
		p := known.RemotePeer()
		if ip, err := manet.ToIP(known.RemoteMultiaddr()); err == nil && ip.Equal(from) &&
			(c.peers.IsRelay(p) || c.Standing(p) == Member) {
			return true
		}
	}
	return false
}
