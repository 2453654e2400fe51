package reach

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"

	"github.com/rhizome-fl/rhizome/p2p/admission"
)

// startMDNS tells the LAN this host's peer id and LAN addresses, and listens to other hosts.
func (m *Manager) startMDNS(service string) error {
	s := mdns.NewMdnsService(m.host, service, (*neighbours)(m))
	if err := s.Start(); err != nil {
		return fmt.Errorf("start mDNS: %w", err)
	}
	m.closers = append(m.closers, s.Close)
	return nil
}

// neighbours is the manager as a listener of mDNS.
type neighbours Manager

// HandlePeerFound notes the addresses of members for the next dial. Those of others are ignored:
// anybody on the LAN can claim anything.
func (n *neighbours) HandlePeerFound(found peer.AddrInfo) {
	m := (*Manager)(n)
	if found.ID != m.host.ID() && m.standing(found.ID) == admission.Member {
		m.host.Peerstore().AddAddrs(found.ID, found.Addrs, peerstore.RecentlyConnectedAddrTTL)
	}
}
