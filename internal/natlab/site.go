//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"io/fs"
)

// uplink holds the addresses at the two ends of a site's line, in a network with a mask of
// 30 bits. The site's end is its public address.
type uplink struct{ site, router string }

// uplinkOf returns the addresses of a site's n-th uplink, counted from 0.
func uplinkOf(site, n int) uplink {
	network := fmt.Sprintf("11.%d.%d", 255-n, site)
	return uplink{site: network + ".2", router: network + ".1"}
}

// gateway returns the address to which a site's hosts send everything.
func (s *builtSite) gateway() string { return s.inside + ".1" }

// edge returns the name of the box that faces the internet.
func (s *builtSite) edge() string {
	if len(s.gateways) == 2 {
		return s.Name + "-isp"
	}
	return s.Name + "-gw"
}

// addSite builds the i-th site, from the router inwards. It owns 11.0.i.0/24, and its
// uplink is 11.255.i.0/30.
func (l *Lab) addSite(i int, s Site) error {
	built := &builtSite{Site: s, number: i, inside: fmt.Sprintf("11.0.%d", i), device: fmt.Sprintf("s%d", i), uplink: uplinkOf(i, 0)}
	if s.private() {
		built.inside = homeNet
	}
	gateways, err := s.gateways(built.uplink.site)
	if err != nil {
		return err
	}
	l.sites[s.Name] = built
	gw := s.Name + "-gw"
	if err := l.addNS(gw); err != nil {
		return err
	}
	built.gateways = []string{l.Namespace(gw)}
	if len(gateways) == 2 {
		isp := s.Name + "-isp"
		if err := l.addCarrier(gw, isp); err != nil {
			return err
		}
		built.gateways = append(built.gateways, l.Namespace(isp))
	}
	if err := l.addUplink(built); err != nil {
		return err
	}
	if err := l.addHosts(built); err != nil {
		return err
	}
	for k, g := range gateways {
		if err := tool(built.gateways[k], g.rules(), "nft", "-f", "-"); err != nil {
			return err
		}
	}
	if s.Kind == Proxy {
		return l.addProxy(gw, built.gateway())
	}
	return nil
}

// addUplink joins a site to the internet.
func (l *Lab) addUplink(s *builtSite) (err error) {
	edge, up := s.edge(), s.uplink
	if s.wan, err = l.join(s.Uplink, end{edge, "wan", up.site + "/30"}, end{"inet", s.device, up.router + "/30"}); err != nil {
		return err
	}
	if err := ip(l.Namespace("inet"), fmt.Sprintf("link set %s alias %s", s.device, s.Name)); err != nil {
		return err
	}
	if err := ip(l.Namespace(edge), "route add default via "+up.router); err != nil {
		return err
	}
	if s.private() {
		return nil
	}
	return ip(l.Namespace("inet"), fmt.Sprintf("route add %s.0/24 via %s", s.inside, up.site))
}

// addCarrier puts a carrier between a home's gateway and the internet.
func (l *Lab) addCarrier(gw, isp string) error {
	if err := l.addNS(isp); err != nil {
		return err
	}
	if _, err := l.join(Link{}, end{gw, "wan", carrierHome + "/24"}, end{isp, "lan", carrierGate + "/24"}); err != nil {
		return err
	}
	return ip(l.Namespace(gw), "route add default via "+carrierGate)
}

// addHosts puts hosts on a bridge of the gateway.
func (l *Lab) addHosts(s *builtSite) error {
	g := s.gateways[0]
	if err := letBridge(g); err != nil {
		return err
	}
	err := ip(g, "link add br0 type bridge", fmt.Sprintf("addr add %s/24 dev br0", s.gateway()), "link set br0 up")
	if err != nil {
		return err
	}
	for _, host := range s.Hosts {
		if err := l.addNS(host); err != nil {
			return err
		}
		if err := l.plug(host, s); err != nil {
			return err
		}
	}
	return nil
}

// plug gives a host a device on the bridge of a site, and the site's next address. The
// caller holds mu, unless the lab is being built.
func (l *Lab) plug(host string, s *builtSite) error {
	if s.plugged == maxHosts {
		return fmt.Errorf("site %s has no addresses left", s.Name)
	}
	n, g, port := l.Namespace(host), s.gateways[0], fmt.Sprintf("h%d", s.plugged)
	addr := fmt.Sprintf("%s.%d", s.inside, 10+s.plugged)
	s.plugged++
	if err := ip(n, fmt.Sprintf("link add eth0 type veth peer name %s netns %s", port, g)); err != nil {
		return err
	}
	if err := ip(g, fmt.Sprintf("link set %s master br0 up", port)); err != nil {
		return err
	}
	err := ip(n, fmt.Sprintf("addr add %s/24 dev eth0", addr), "link set eth0 up",
		fmt.Sprintf("route add default via %s congctl %s", s.gateway(), l.topology.TCP))
	if err != nil {
		return err
	}
	l.hosts[host] = place{site: s, own: addr}
	return nil
}

// letBridge keeps a gateway's rules away from what its hosts send to each other, if the kernel
// has br_netfilter loaded: a real router does not see that traffic.
func letBridge(ns string) error {
	err := sysctl(ns, map[string]string{"net.bridge.bridge-nf-call-iptables": "0"})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (l *Lab) addNS(name string) error {
	ns := l.Namespace(name)
	if err := createNS(ns); err != nil {
		return err
	}
	l.ns = append(l.ns, ns)
	if err := ip(ns, "link set lo up"); err != nil {
		return err
	}
	return sysctl(ns, map[string]string{
		"net.ipv4.ip_forward":             "1",
		"net.ipv4.conf.all.rp_filter":     "0",
		"net.ipv4.conf.default.rp_filter": "0",
		// These are enough for a fast line of 100 ms; a machine's defaults may be small.
		"net.ipv4.tcp_rmem": "4096 131072 33554432",
		"net.ipv4.tcp_wmem": "4096 65536 33554432",
		// Routers refuse every packet, not just some per second.
		"net.ipv4.icmp_ratelimit": "0",
	})
}

// end is one end of a link.
type end struct{ host, device, addr string }

// join links two namespaces: by veth if the link is ideal, otherwise through this process.
func (l *Lab) join(link Link, a, b end) (*wan, error) {
	nsA, nsB := l.Namespace(a.host), l.Namespace(b.host)
	var w *wan
	if link.ideal() {
		if err := ip(nsA, fmt.Sprintf("link add %s type veth peer name %s netns %s", a.device, b.device, nsB)); err != nil {
			return nil, err
		}
	} else {
		var err error
		if w, err = startWAN(link, nsA, a.device, nsB, b.device); err != nil {
			return nil, err
		}
		l.closers = append(l.closers, w.close)
	}
	for ns, e := range map[string]end{nsA: a, nsB: b} {
		lines := []string{fmt.Sprintf("addr add %s dev %s", e.addr, e.device)}
		if link.MTU != 0 {
			lines = append(lines, fmt.Sprintf("link set %s mtu %d", e.device, link.MTU))
		}
		if err := ip(ns, append(lines, fmt.Sprintf("link set %s up txqueuelen 10000", e.device))...); err != nil {
			return nil, err
		}
	}
	return w, nil
}
