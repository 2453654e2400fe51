//go:build linux

package natlab

import (
	"fmt"
	"strings"
)

// Addresses of gateways. The home side of a carrier NAT is the same everywhere, as are the
// homes' own networks.
const (
	homeNet     = "192.168.1"
	carrierHome = "100.64.0.2"
	carrierGate = "100.64.0.1"
)

// gateway is one translating box: what it filters, and how it rewrites addresses.
// Interface "wan" faces the internet (or the carrier), the rest faces the hosts.
type gateway struct {
	input, forward, prerouting, postrouting []string
}

// gateways returns the gateways of a site from the hosts outwards: one, or a home's and its
// carrier's. public is the address that the outermost one shows.
func (s Site) gateways(public string) ([]gateway, error) {
	switch s.Kind {
	case Public:
		return []gateway{{}}, nil
	case Firewalled:
		return []gateway{{input: dropStrangers, forward: dropStrangers}}, nil
	case Cone:
		return []gateway{cone(public)}, nil
	case ConeReject:
		g := cone(public)
		g.input = append(noHairpin(public), established,
			`iifname "wan" meta l4proto tcp reject with tcp reset`, `iifname "wan" reject`)
		return []gateway{g}, nil
	case FullCone:
		return []gateway{fullCone(public, s.Forward)}, nil
	case Symmetric:
		return []gateway{symmetric(public)}, nil
	case CGNAT:
		return []gateway{cone(carrierHome), cone(public)}, nil
	case CGNATSym:
		return []gateway{cone(carrierHome), symmetric(public)}, nil
	case UDPBlocked:
		g := cone(public)
		g.forward = []string{`ct state established,related accept`, `oifname "wan" tcp dport 443 accept`, `drop`}
		return []gateway{g}, nil
	case Proxy:
		return []gateway{{input: dropStrangers, forward: []string{"drop"}}}, nil
	}
	return nil, fmt.Errorf("unknown kind %q", s.Kind)
}

const established = `iifname "wan" ct state established,related accept`

var dropStrangers = []string{established, `iifname "wan" drop`}

// noHairpin drops what hosts send to their own public address: most routers do not turn
// it around, and do so silently.
func noHairpin(public string) []string {
	return []string{fmt.Sprintf(`iifname != "wan" iifname != "lo" ip daddr %s drop`, public)}
}

// cone keeps the port wherever it is free, so one inside port appears as one outside port to
// the whole world (endpoint-independent mapping); conntrack lets in answers only from those who
// were spoken to (address- and port-dependent filtering).
func cone(public string) gateway {
	return gateway{
		input:       append(noHairpin(public), dropStrangers...),
		forward:     dropStrangers,
		postrouting: []string{`oifname "wan" snat to ` + public},
	}
}

// symmetric picks a new port for every destination.
func symmetric(public string) gateway {
	g := cone(public)
	g.postrouting = []string{`oifname "wan" masquerade fully-random`}
	return g
}

func fullCone(public string, ports []int) gateway {
	g := cone(public)
	for _, port := range ports {
		for _, proto := range []string{"tcp", "udp"} {
			g.prerouting = append(g.prerouting, fmt.Sprintf(`iifname "wan" %s dport %d dnat to %s.10`, proto, port, homeNet))
		}
	}
	g.forward = []string{established, `iifname "wan" ct status dnat accept`, `iifname "wan" drop`}
	return g
}

// rules returns the rules in the language of nft.
func (g gateway) rules() string {
	var b strings.Builder
	chain := func(name, hook, rest string, rules []string) {
		fmt.Fprintf(&b, "  chain %s { type %s hook %s priority %s; policy accept;\n", name, hook, name, rest)
		for _, rule := range rules {
			fmt.Fprintf(&b, "    %s\n", rule)
		}
		b.WriteString("  }\n")
	}
	b.WriteString("table ip natlab {\n")
	chain("input", "filter", "0", g.input)
	chain("forward", "filter", "0", g.forward)
	chain("prerouting", "nat", "-100", g.prerouting)
	chain("postrouting", "nat", "100", g.postrouting)
	b.WriteString("}\n")
	return b.String()
}
