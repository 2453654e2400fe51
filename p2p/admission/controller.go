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

// Peers tells of peers what admission cannot know. It is asked for each connection and stream,
// and must answer from memory.
type Peers interface {
	// Keeps reports whether the host holds a path to p, which is a member for as long.
	Keeps(p peer.ID) bool
	// Expects reports whether the host is reaching for p.
	Expects(p peer.ID) bool
	// IsRelay reports whether p is a relay of the host.
	IsRelay(p peer.ID) bool
	// MayDial reports whether the host wants a connection with p by this address.
	MayDial(p peer.ID, at ma.Multiaddr) bool
}

// Network is what the lobby stands before: libp2p's swarm, for example.
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
	MaxPeers int // trims strangers beyond
	// Background runs a function that may wait, on a goroutine that somebody waits for.
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

// New makes the controller of a host that is yet to be made. What it makes is closed by libp2p
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

// Discard closes what New made, if no host came to be.
func (c *Controller) Discard() {
	c.limits.Close()
	c.conns.Close()
}

// Standing of a peer on this host.
func (c *Controller) Standing(p peer.ID) Standing {
	if c.gate == nil || c.peers.Keeps(p) {
		return Member
	}
	return c.gate.Admit(p)
}

// Guard puts the lobby between the network and the host's protocols. It must be called before the
// first address is listened on, so that no stream can slip past.
func (c *Controller) Guard(net Network, protocols protocol.Switch) {
	c.net = net
	c.lobby = newLobby(c, protocols, net.StreamHandler())
	net.SetStreamHandler(c.lobby.handle)
}

// Arrived and Gone are to be called when the network has announced that a connection came or
// went, for each once and in this order. They do not wait.
func (c *Controller) Arrived(conn network.Conn) {
	if c.Standing(conn.RemotePeer()) == Member {
		c.conns.Protect(conn.RemotePeer(), "member")
	}
	c.lobby.arrived(conn)
}

// Gone forgets a connection.
func (c *Controller) Gone(conn network.Conn) {
	c.lobby.gone(conn)
	if len(c.net.ConnsToPeer(conn.RemotePeer())) == 0 {
		c.conns.Unprotect(conn.RemotePeer(), "member")
	}
}

// ForMembers lets only members have a handler's protocol. Streams of others are reset: by the
// lobby, and again here, since a standing may have changed in between.
func (c *Controller) ForMembers(handler network.StreamHandler) network.StreamHandler {
	return func(s network.Stream) {
		if c.Standing(s.Conn().RemotePeer()) != Member {
			_ = s.ResetWithError(network.StreamProtocolNegotiationFailed)
			return
		}
		handler(s)
	}
}

// Close stops the clocks of those that may not stay. The host must be closed already.
func (c *Controller) Close() {
	if c.lobby != nil {
		c.lobby.close()
	}
}
