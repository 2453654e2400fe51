//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"io/fs"
)

// addSite builds the i-th site, from the router inwards. It owns 11.0.i.0/24, and its
// uplink is 11.255.i.0/30.
func (l *Lab) addSite(i int, s Site) error {
	up, router := fmt.Sprintf("11.255.%d.2", i), fmt.Sprintf("11.255.%d.1", i)
	public := up
	inside := fmt.Sprintf("11.0.%d", i)
	if s.private() {
		inside = homeNet
	}
	gateways, err := s.gateways(public)
	if err != nil {
		return err
	}
	built := &builtSite{}
	l.sites[s.Name] = built
	gw := s.Name + "-gw"
	if err := l.addNS(gw); err != nil {
		return err
	}
	built.gateways = []string{l.Namespace(gw)}
	edge := gw // the box that faces the internet
	if len(gateways) == 2 {
		edge = s.Name + "-isp"
		if err := l.addCarrier(gw, edge); err != nil {
			return err
		}
		built.gateways = append(built.gateways, l.Namespace(edge))
	}
	device := fmt.Sprintf("s%d", i)
	if built.wan, err = l.join(s.Uplink, end{edge, "wan", up + "/30"}, end{"inet", device, router + "/30"}); err != nil {
		return err
	}
	if err := ip(l.Namespace("inet"), fmt.Sprintf("link set %s alias %s", device, s.Name)); err != nil {
		return err
	}
	if err := ip(l.Namespace(edge), "route add default via "+router); err != nil {
		return err
	}
	if !s.private() {
		if err := ip(l.Namespace("inet"), fmt.Sprintf("route add %s.0/24 via %s", inside, up)); err != nil {
			return err
		}
	}
	if err := l.addHosts(gw, inside, up, s); err != nil {
		return err
	}
	for k, g := range gateways {
		if err := tool(built.gateways[k], g.rules(), "nft", "-f", "-"); err != nil {
			return err
		}
	}
	if s.Kind == Proxy {
		return l.addProxy(gw, inside+".1")
	}
	return nil
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
func (l *Lab) addHosts(gw, inside, up string, s Site) error {
	g := l.Namespace(gw)
	if err := letBridge(g); err != nil {
		return err
	}
	err := ip(g, "link add br0 type bridge", fmt.Sprintf("addr add %s.1/24 dev br0", inside), "link set br0 up")
	if err != nil {
		return err
	}
	for k, host := range s.Hosts {
		if err := l.addNS(host); err != nil {
			return err
		}
		n, port := l.Namespace(host), fmt.Sprintf("h%d", k)
		addr := fmt.Sprintf("%s.%d", inside, 10+k)
		if err := ip(n, fmt.Sprintf("link add eth0 type veth peer name %s netns %s", port, g)); err != nil {
			return err
		}
		if err := ip(g, fmt.Sprintf("link set %s master br0 up", port)); err != nil {
			return err
		}
		err := ip(n, fmt.Sprintf("addr add %s/24 dev eth0", addr), "link set eth0 up",
			fmt.Sprintf("route add default via %s.1 congctl %s", inside, l.topology.TCP))
		if err != nil {
			return err
		}
		l.hosts[host] = hostAddrs{own: addr, public: addr, gateway: inside + ".1"}
		if s.private() {
			l.hosts[host] = hostAddrs{own: addr, public: up, gateway: inside + ".1"}
		}
	}
	return nil
}

// letBridge keeps a gateway's rules off what its hosts send to each other, where the kernel
// has br_netfilter loaded: a router does not see it.
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
		// Enough for a fast line of 100 ms; a machine's defaults may be small.
		"net.ipv4.tcp_rmem": "4096 131072 33554432",
		"net.ipv4.tcp_wmem": "4096 65536 33554432",
		// Routers refuse every packet, not some a second.
		"net.ipv4.icmp_ratelimit": "0",
	})
}

// end of a link.
type end struct{ host, device, addr string }

// join links two namespaces: by veth when the link is ideal, else through this process.
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
