package objects

import (
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// overlay is what a fetch needs of the network.
type overlay interface {
	// open opens a stream of the exchange on the best path.
	open(ctx context.Context, to Provider) (network.Stream, error)
	// outdated tells that the stream is relayed and its peer is connected directly now.
	outdated(stream network.Stream) bool
	// connects has a value each time the peer connects, until stop is called.
	connects(p peer.ID) (c <-chan struct{}, stop func())
}

// hostOverlay is a libp2p host.
type hostOverlay struct {
	host   host.Host
	noDial bool
}

func (o hostOverlay) open(ctx context.Context, to Provider) (network.Stream, error) {
	if len(to.Addrs) > 0 {
		o.host.Peerstore().AddAddrs(to.Peer, to.Addrs, peerstore.TempAddrTTL)
	}
	if !to.Direct {
		// A relay's limits end a transfer at worst, and it goes on from there.
		ctx = network.WithAllowLimitedConn(ctx, "objects")
	}
	if o.noDial || to.Direct {
		ctx = network.WithNoDial(ctx, "objects")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, openLimit, errors.New("opening a stream takes too long"))
	defer cancel()
	stream, err := o.host.NewStream(ctx, to.Peer, ProtocolID)
	if err == nil && to.Direct && addr.Relayed(stream.Conn()) {
		_ = stream.Reset()
		return nil, errors.New("there is no direct connection")
	}
	return stream, err
}

func (o hostOverlay) outdated(stream network.Stream) bool {
	if !addr.Relayed(stream.Conn()) {
		return false
	}
	for _, conn := range o.host.Network().ConnsToPeer(stream.Conn().RemotePeer()) {
		if !addr.Relayed(conn) && !conn.IsClosed() {
			return true
		}
	}
	return false
}

func (o hostOverlay) connects(p peer.ID) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	bundle := &network.NotifyBundle{ConnectedF: func(_ network.Network, conn network.Conn) {
		if conn.RemotePeer() != p {
			return
		}
		select {
		case c <- struct{}{}:
		default:
		}
	}}
	o.host.Network().Notify(bundle)
	return c, func() { o.host.Network().StopNotify(bundle) }
}
