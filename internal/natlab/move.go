//go:build linux

package natlab

import (
	"errors"
	"fmt"
)

// maxRenumbers keeps the addresses of uplinks away from those of sites.
const maxRenumbers = 200

// Move takes a host to another site, like somebody who carries a laptop from one network to
// another: its device disappears, and comes back with an address of the other network. Sockets
// stay open; those bound to the old address can no longer send.
func (l *Lab) Move(host, site string) error {
	s, err := l.site(site)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.hosts[host]; !ok {
		return fmt.Errorf("natlab: no host %q", host)
	}
	err = ip(l.Namespace(host), "link delete eth0") // and with it the port of the bridge
	if err == nil {
		err = l.plug(host, s)
	}
	if err != nil {
		return fmt.Errorf("natlab: move %s to %s: %w", host, site, err)
	}
	return nil
}

// Renumber gives a private site another public address, as providers do every other night. Its
// outermost gateway forgets all mappings of the old address, to which nothing gets through any more.
func (l *Lab) Renumber(site string) error {
	s, err := l.site(site)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.renumber(s); err != nil {
		return fmt.Errorf("natlab: renumber %s: %w", site, err)
	}
	return nil
}

func (l *Lab) renumber(s *builtSite) error {
	if !s.private() {
		return fmt.Errorf("the hosts of a %s site have public addresses of their own", s.Kind)
	}
	if s.renumbered == maxRenumbers {
		return errors.New("no addresses are left")
	}
	s.renumbered++
	old, up := s.uplink, uplinkOf(s.number, s.renumbered)
	s.uplink = up
	edge := l.Namespace(s.edge())
	// The default route disappears along with the address by which it is reached.
	err := ip(edge, fmt.Sprintf("addr del %s/30 dev wan", old.site), fmt.Sprintf("addr add %s/30 dev wan", up.site),
		"route add default via "+up.router)
	if err != nil {
		return err
	}
	err = ip(l.Namespace("inet"), fmt.Sprintf("addr del %s/30 dev %s", old.router, s.device),
		fmt.Sprintf("addr add %s/30 dev %s", up.router, s.device))
	if err != nil {
		return err
	}
	// The rules are made anew, since they contain the address.
	gateways, err := s.Site.gateways(up.site)
	if err != nil {
		return err
	}
	rules := "delete table ip natlab\n" + gateways[len(gateways)-1].rules()
	if err := tool(edge, rules, "nft", "-f", "-"); err != nil {
		return err
	}
	return flushConntrack(edge)
}
