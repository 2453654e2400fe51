package ticket

import (
	"fmt"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// ParseJoin reads what --join takes: a ticket, or one or more multiaddrs of one link, separated by
// commas, each ending in the link's peer id. Multiaddrs yield a Ticket with nothing but Link and
// Addrs, and no token: the peer id must be allowed at the link.
func ParseJoin(s string) (Ticket, error) {
	s = strings.TrimSpace(s)
	if !strings.HasPrefix(s, "/") {
		return Parse(s)
	}
	if len(s) > maxLine {
		return Ticket{}, fmt.Errorf("addresses of %d characters are too long", len(s))
	}
	var t Ticket
	for text := range strings.SplitSeq(s, ",") {
		text = strings.TrimSpace(text)
		link, addr, err := parseAddr(text)
		if err != nil {
			return Ticket{}, err
		}
		if t.Link != "" && t.Link != link {
			return Ticket{}, fmt.Errorf("addresses of two links: %s and %s", t.Link, link)
		}
		t.Link = link
		if t.Addrs = append(t.Addrs, addr); len(t.Addrs) > maxAddrs {
			return Ticket{}, fmt.Errorf("more than %d addresses", maxAddrs)
		}
	}
	return t, nil
}

func parseAddr(text string) (peer.ID, ma.Multiaddr, error) {
	whole, err := ma.NewMultiaddr(text)
	if err != nil {
		return "", nil, fmt.Errorf("address %q: %w", text, err)
	}
	addr, link := peer.SplitAddr(whole)
	switch {
	case link == "":
		return "", nil, fmt.Errorf("address %q: %w", text, ErrNoPeer)
	case len(addr) == 0:
		return "", nil, fmt.Errorf("address %q: %w", text, ErrNoAddress)
	}
	return link, addr, nil
}
