package p2p

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"

	"github.com/rhizome-fl/rhizome/p2p/admission"
)

// startMDNS tells the LAN this host's peer id and LAN addresses, and listens to others.
func (h *Host) startMDNS(service string) error {
	s := mdns.NewMdnsService(h.Host, service, (*neighbours)(h))
	if err := s.Start(); err != nil {
		return fmt.Errorf("start mDNS: %w", err)
	}
	h.closers = append(h.closers, s.Close)
	return nil
}

// neighbours is the host as a listener of mDNS.
type neighbours Host

// HandlePeerFound notes the addresses of members for the next dial. Those of others are
// ignored: anybody in the LAN can claim anything.
func (n *neighbours) HandlePeerFound(found peer.AddrInfo) {
	h := (*Host)(n)
	if found.ID != h.ID() && h.Standing(found.ID) == admission.Member {
		h.Peerstore().AddAddrs(found.ID, found.Addrs, peerstore.RecentlyConnectedAddrTTL)
	}
}
