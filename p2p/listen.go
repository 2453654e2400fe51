package p2p

import (
	"context"
	"net"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/streams"
)

// ListenMembers gives a listener of the streams that members open for a protocol, so that a
// net/http server serves them. It is closed with the host at the latest. See [streams.Listen].
func (h *Host) ListenMembers(proto protocol.ID) net.Listener {
	l := streams.Listen(h, h.ID(), proto, streams.Options{
		Places: maxMemberStreams, PerPeer: memberStreams,
		Admit: func(c network.Conn) bool { return h.Standing(c.RemotePeer()) == admission.Member },
	})
	context.AfterFunc(h.ctx, func() { _ = l.Close() })
	return l
}

// DialStream opens a stream of a protocol to a peer as a net.Conn. It uses the connection
// that there is, relayed or direct, or makes one to addresses that are known.
func (h *Host) DialStream(ctx context.Context, p peer.ID, proto protocol.ID) (net.Conn, error) {
	s, err := h.reach.Dial(ctx, p, proto)
	if err != nil {
		return nil, err
	}
	return streams.Conn(s), nil
}
