package p2p

import (
	"errors"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// Standing is what a peer may do on this host.
type Standing int

const (
	// Refused peers are cut off as soon as they have proven who they are; through a relay,
	// after they could ask why.
	Refused Standing = iota
	// Joining peers may use the join protocol, for as long as one join takes.
	Joining
	// Member peers may open streams of any protocol.
	Member
)

func (s Standing) String() string { return [...]string{"refused", "joining", "member"}[s] }

// Gate tells the standing of a peer. It is asked for each connection and each stream that
// a peer opens, from many goroutines, and must answer from memory. Who changes a peer's
// standing to less calls [Host.Disconnect] after that.
//
// Targets of [Host.Keep] are members and relays of the [Config] may do what relays must,
// whatever the gate says.
type Gate interface {
	Admit(peer.ID) Standing
}

// GateFunc is a function as a Gate.
type GateFunc func(peer.ID) Standing

// Admit calls the function.
func (f GateFunc) Admit(p peer.ID) Standing { return f(p) }

// ErrRefused is the error of a peer that does not let this one in: it is not a member, or
// not any longer.
var ErrRefused = errors.New("refused: not a member of this federation")

// Standing of a peer on this host.
func (h *Host) Standing(p peer.ID) Standing {
	if h.gate == nil || h.keeps(p) {
		return Member
	}
	return h.gate.Admit(p)
}

// gater cuts off refused peers. It asks when the connection is whole, and not earlier, so
// that the other side is told by a code (network.ConnGated) instead of a broken handshake.
type gater struct{ h *Host }

// InterceptPeerDial lets this host dial whom it has a reason to dial. libp2p would also dial
// strangers back at whatever addresses they claim, before it punches a hole.
func (g *gater) InterceptPeerDial(p peer.ID) bool {
	return g.h.Standing(p) == Member || g.h.isRelay(p) || g.h.expects(p)
}

func (g *gater) InterceptAddrDial(p peer.ID, a ma.Multiaddr) bool {
	return g.h.role != Hub || !g.h.isTCPRelay(p) || !addr.IsUDP(a)
}

func (g *gater) InterceptAccept(network.ConnMultiaddrs) bool { return true }

func (g *gater) InterceptSecured(network.Direction, peer.ID, network.ConnMultiaddrs) bool {
	return true
}

func (g *gater) InterceptUpgraded(c network.Conn) (bool, control.DisconnectReason) {
	return g.h.mayConnect(c), 0
}

func (h *Host) mayConnect(c network.Conn) bool {
	p := c.RemotePeer()
	return c.Stat().Direction == network.DirOutbound || h.Standing(p) != Refused || h.isRelay(p) ||
		addr.Relayed(c) || h.mayBeDialBack(c)
}

// mayBeDialBack tells whether a stranger's connection can be the answer of an AutoNAT
// server, which comes from a one-time peer id but from the address of a peer that we asked.
func (h *Host) mayBeDialBack(c network.Conn) bool {
	if !manet.IsPublicAddr(c.RemoteMultiaddr()) {
		return false // only public addresses are probed
	}
	from, err := manet.ToIP(c.RemoteMultiaddr())
	if err != nil {
		return false
	}
	for _, known := range h.Network().Conns() {
		p := known.RemotePeer()
		if ip, err := manet.ToIP(known.RemoteMultiaddr()); err == nil && ip.Equal(from) &&
			(h.isRelay(p) || h.Standing(p) == Member) {
			return true
		}
	}
	return false
}

// refusal turns the error of a stream on c into ErrRefused if that is what it means.
func (h *Host) refusal(c network.Conn, proto protocol.ID, err error) error {
	if errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}) {
		// In the lobby of a link, all but joining is unknown; and that too to those it refuses.
		marks := []protocol.ID{refusedProtocol}
		if proto != JoinProtocol {
			marks = append(marks, JoinProtocol)
		}
		if known, _ := h.Peerstore().SupportsProtocols(c.RemotePeer(), marks...); len(known) > 0 {
			return ErrRefused
		}
		return err
	}
	if gated(err) || c.IsClosed() && gated(closeReason(c)) {
		return ErrRefused
	}
	return err
}

func gated(err error) bool {
	var closed *network.ConnError
	return errors.As(err, &closed) && closed.Remote && closed.ErrorCode == network.ConnGated
}
