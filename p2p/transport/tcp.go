package transport

import (
	"context"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/tcpreuse"
	ma "github.com/multiformats/go-multiaddr"
)

// TCP is libp2p's TCP transport, which dials from the port that it listens on, so that holes can
// be punched. It does not do so in order to join: a joining connection is closed and made anew at
// once, and a NAT on the way would see a late RST of the old connection under the ports of the new
// one, and drop all that follows.
type TCP struct {
	*tcp.TcpTransport
	brief *tcp.TcpTransport // dials from a port of its own
	joins func(peer.ID) bool
}

var _ transport.DialUpdater = (*TCP)(nil)

// NewTCP returns the constructor that libp2p calls with its parts. joins reports whether a peer is
// dialled only to join its federation.
func NewTCP(joins func(peer.ID) bool) func(transport.Upgrader, network.ResourceManager, *tcpreuse.ConnMgr) (*TCP, error) {
	return func(u transport.Upgrader, r network.ResourceManager, shared *tcpreuse.ConnMgr) (*TCP, error) {
		lasting, err := tcp.NewTCPTransport(u, r, shared)
		if err != nil {
			return nil, err
		}
		brief, err := tcp.NewTCPTransport(u, r, nil, tcp.DisableReuseport())
		if err != nil {
			return nil, err
		}
		return &TCP{lasting, brief, joins}, nil
	}
}

// Dial is DialWithUpdates without the updates.
func (t *TCP) Dial(ctx context.Context, raddr ma.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	return t.DialWithUpdates(ctx, raddr, p, nil)
}

// DialWithUpdates dials from the port that fits the purpose.
func (t *TCP) DialWithUpdates(ctx context.Context, raddr ma.Multiaddr, p peer.ID, updates chan<- transport.DialUpdate) (transport.CapableConn, error) {
	if t.joins(p) {
		return t.brief.DialWithUpdates(ctx, raddr, p, updates)
	}
	return t.TcpTransport.DialWithUpdates(ctx, raddr, p, updates)
}
