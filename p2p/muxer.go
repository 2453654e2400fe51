package p2p

import (
	"net"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
)

// muxer is yamux, which is more patient where a connection runs through a relay: what is queued
// there, and in the muxer of the connection to it, a slow line beyond carries in half a
// minute, and for all that time nothing may move here.
type muxer struct{ direct, circuit *yamux.Transport }

var _ network.Multiplexer = (*muxer)(nil)

func newMuxer(role Role) *muxer {
	direct := *yamux.DefaultTransport.Config()
	direct.InitialStreamWindowSize = yamuxInitialWindow
	if role == RelayHost {
		direct.InitialStreamWindowSize, direct.MaxStreamWindowSize = yamuxRelayWindow, yamuxMaxRelayWindow
	}
	direct.KeepAliveInterval = yamuxKeepAlive
	circuit := direct
	circuit.ConnectionWriteTimeout = yamuxCircuitTimeout
	return &muxer{direct: (*yamux.Transport)(&direct), circuit: (*yamux.Transport)(&circuit)}
}

// NewConn implements network.Multiplexer.
func (m *muxer) NewConn(c net.Conn, isServer bool, scope network.PeerScope) (network.MuxedConn, error) {
	if isCircuitConn(c) {
		return m.circuit.NewConn(c, isServer, scope)
	}
	return m.direct.NewConn(c, isServer, scope)
}
