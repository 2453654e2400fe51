package admission

import (
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/internal/logs"
)

var log = logs.For("p2p/admission")

// Peers knows what admission cannot know about peers. It is asked for each connection and stream,
// and must answer from memory.
type Peers interface {
	// Keeps reports whether the host holds a path to p, which is a member for that long.
	Keeps(p peer.ID) bool
	// Expects reports whether the host is reaching for p.
	Expects(p peer.ID) bool
	// IsRelay reports whether p is a relay of the host.
	IsRelay(p peer.ID) bool
	// MayDial reports whether the host wants a connection with p by this address.
	MayDial(p peer.ID, at ma.Multiaddr) bool
}

// Network is what the lobby stands in front of: libp2p's swarm, for example.
type Network interface {
	Conns() []network.Conn
	ConnsToPeer(peer.ID) []network.Conn
	StreamHandler() network.StreamHandler
	SetStreamHandler(network.StreamHandler)
}

// Config of a [Controller].
type Config struct {
	Key      crypto.PubKey // of the host, as strangers are told
	Gate     Gate          // nil: everybody is a member
	Peers    Peers
	MaxPeers int // beyond this, strangers are trimmed
	// Background runs a function that may wait, on a goroutine that is waited for.
	Background func(func())
}

// Controller decides for one host who may do what. It is made before the host, whose parts
// [Controller.Gater], [Controller.Resources] and [Controller.Connections] are, and put to work by
// [Controller.Guard] before the host listens. All methods may be called from any goroutine.
type Controller struct {
	key        crypto.PubKey
	gate       Gate
	peers      Peers
	background func(func())

	limits network.ResourceManager
	conns  connmgr.ConnManager

	net   Network // set by Guard
	lobby *lobby
}

// New makes the controller of a host that has yet to be made. What it makes is closed by libp2p
// with the host, or by [Controller.Discard].
func New(cfg Config) (*Controller, error) {
	limits, err := newResourceManager(cfg.MaxPeers)
	if err != nil {
		return nil, err
	}
	conns, err := newConnManager(cfg.MaxPeers)
	if err != nil {
		limits.Close()
		return nil, err
	}
	c := &Controller{
		key: cfg.Key, gate: cfg.Gate, peers: cfg.Peers, background: cfg.Background, limits: limits, conns: conns,
	}
	return c, nil
}

// Discard closes what New made, if the host was never made.
func (c *Controller) Discard() {
	c.limits.Close()
	c.conns.Close()
}

// Standing returns the standing of a peer on this host.
func (c *Controller) Standing(p peer.ID) Standing {
	if c.gate == nil || c.peers.Keeps(p) {
		return Member
	}
	return c.gate.Admit(p)
}

// Guard puts the lobby between the network and the host's protocols. It must be called before the
// host listens on its first address, so that no stream can slip past.
func (c *Controller) Guard(net Network, protocols protocol.Switch) {
	c.net = net
	c.lobby = newLobby(c, protocols, net.StreamHandler())
	net.SetStreamHandler(c.lobby.handle)
}

// Arrived must be called when the network has announced that a connection came, and Gone when it
// went, for each once and in this order. They do not wait.
func (c *Controller) Arrived(conn network.Conn) {
	if c.Standing(conn.RemotePeer()) == Member {
		c.conns.Protect(conn.RemotePeer(), "member")
	}
	c.lobby.arrived(conn)
}

// Gone forgets a connection.
func (c *Controller) Gone(conn network.Conn) {
	c.lobby.guests.gone(conn)
	if len(c.net.ConnsToPeer(conn.RemotePeer())) == 0 {
		c.conns.Unprotect(conn.RemotePeer(), "member")
	}
}

// ShowedTicket says that the peer at the other end of a connection has shown a ticket that lets
// peers in. The peer may stay for as long as a join takes, and need not make room for others.
func (c *Controller) ShowedTicket(conn network.Conn) { c.lobby.guests.showed(conn) }

// ForMembers restricts a handler's protocol to members. Streams of others are reset: by the lobby,
// and again here, since a standing may have changed in between.
func (c *Controller) ForMembers(handler network.StreamHandler) network.StreamHandler {
	return func(s network.Stream) {
		if c.Standing(s.Conn().RemotePeer()) != Member {
			_ = s.ResetWithError(network.StreamProtocolNegotiationFailed)
			return
		}
		handler(s)
	}
}

// Close stops the clocks of peers that may not stay. The host must already be closed.
func (c *Controller) Close() {
	if c.lobby != nil {
		c.lobby.guests.close()
	}
}
