package transport

import (
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// Probe finds out whether another process holds a TCP port. libp2p would share it with that
// process (SO_REUSEPORT, which hole punching needs), and each would get some of the connections.
func Probe(a ma.Multiaddr) error {
	tcp := bare(a)
	if addr.IsUDP(a) || len(tcp) < len(a) {
		return nil // UDP is not shared; WebSocket uses the port of a TCP address, or fails by itself
	}
	l, err := manet.Listen(tcp)
	if err != nil {
		return err
	}
	return l.Close()
}
