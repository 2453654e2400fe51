package transport

import (
	"net"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
)

// Muxer is yamux, but more patient where a connection runs through a relay: a slow line beyond the
// relay takes half a minute to carry what is queued there and in the muxer of the connection to
// it, and for all that time nothing may move here.
type Muxer struct{ direct, circuit *yamux.Transport }

var _ network.Multiplexer = (*Muxer)(nil)

// NewMuxer makes the muxer of a relay, which takes little in advance, or of any other host.
func NewMuxer(relay bool) *Muxer {
	direct := *yamux.DefaultTransport.Config()
	direct.InitialStreamWindowSize = yamuxInitialWindow
	if relay {
		direct.InitialStreamWindowSize, direct.MaxStreamWindowSize = yamuxRelayWindow, yamuxMaxRelayWindow
	}
	direct.KeepAliveInterval = yamuxKeepAlive
	circuit := direct
	circuit.ConnectionWriteTimeout = yamuxCircuitTimeout
	return &Muxer{direct: (*yamux.Transport)(&direct), circuit: (*yamux.Transport)(&circuit)}
}

// NewConn implements network.Multiplexer.
func (m *Muxer) NewConn(c net.Conn, isServer bool, scope network.PeerScope) (network.MuxedConn, error) {
	if isCircuit(c) {
		return m.circuit.NewConn(c, isServer, scope)
	}
	return m.direct.NewConn(c, isServer, scope)
}

// isCircuit reports whether a connection runs through a relay, whether secured yet or not.
func isCircuit(c net.Conn) bool {
	return c.RemoteAddr().Network() == (&circuit.NetAddr{}).Network()
}
