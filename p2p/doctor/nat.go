package doctor

import (
	"net"
	"net/netip"
	"slices"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// Answer is yes, no, or not known.
type Answer string

const (
	Unknown Answer = ""
	Yes     Answer = "yes"
	No      Answer = "no"
)

// Mapping is what a NAT makes of one local port that speaks to several others (RFC 4787).
type Mapping string

const (
	MappingUnknown     Mapping = ""
	MappingIndependent Mapping = "endpoint-independent" // one public port for all destinations
	MappingDependent   Mapping = "endpoint-dependent"   // a different one for each: symmetric
)

// Filtering is whom a NAT or firewall lets in at a port that has spoken to somebody.
type Filtering string

const (
	FilterUnknown Filtering = ""
	// FilterOpen: anybody, as with a port forward.
	FilterOpen Filtering = "open"
	// FilterAddress: other ports of an address that was spoken to, and perhaps anybody: there was
	// no third peer to try with.
	FilterAddress Filtering = "open to addresses that were spoken to, perhaps to all"
	// FilterClosed: nobody else.
	FilterClosed Filtering = "closed to others"
)

// NAT is what stands between the site and the internet.
type NAT struct {
	// Translated says whether there is a NAT at all.
	Translated Answer `json:"translated,omitempty"`
	// Public lists the addresses at which others see this site, without ports.
	Public []string `json:"public_addresses,omitempty"`
	// UDP and TCP are the mappings, each seen from its own sockets.
	UDP Mapping `json:"udp_mapping,omitempty"`
	TCP Mapping `json:"tcp_mapping,omitempty"`
	// UDPFilter and TCPFilter are those of Port, which is the site's own port if OwnPort.
	UDPFilter Filtering `json:"udp_filtering,omitempty"`
	TCPFilter Filtering `json:"tcp_filtering,omitempty"`
	Port      int       `json:"port,omitempty"`
	OwnPort   bool      `json:"own_port,omitempty"`
	// SeenUDP and SeenTCP are the public addresses of that port, as another peer saw them.
	SeenUDP string `json:"seen_udp,omitempty"`
	SeenTCP string `json:"seen_tcp,omitempty"`
	// Hairpin says whether hosts behind the same NAT can reach each other by public addresses.
	Hairpin Answer `json:"hairpin,omitempty"`
	// UPnP and PMP (NAT-PMP) say whether the router offers to forward ports.
	UPnP   Answer `json:"upnp,omitempty"`
	PMP    Answer `json:"nat_pmp,omitempty"`
	Router string `json:"router,omitempty"`
	// DoubleNAT says whether the router's own outside address differs from the public one.
	DoubleNAT Answer `json:"double_nat,omitempty"`

	Observations []Observation `json:"observations"`
}

// Observation is how one peer saw one connection of ours.
type Observation struct {
	By       netip.AddrPort `json:"by"`
	UDP      bool           `json:"udp,omitempty"`
	Local    netip.AddrPort `json:"local"`
	Observed netip.AddrPort `json:"observed"`
}

// observationOf returns what a way's peer saw; only peers on the internet see what the internet
// sees.
func observationOf(w *way) (Observation, bool) {
	if w == nil || w.asked == nil || w.observed == nil || addr.Relayed(w) || !manet.IsPublicAddr(w.RemoteMultiaddr()) {
		return Observation{}, false
	}
	if w.address != nil && w.address.ViaProxy {
		return Observation{}, false // that is the proxy's address
	}
	by, udp, ok := endpointOf(w.RemoteMultiaddr())
	local, _, ok2 := endpointOf(w.LocalMultiaddr())
	seen, _, ok3 := endpointOf(w.observed)
	return Observation{By: by, UDP: udp, Local: local, Observed: seen}, ok && ok2 && ok3
}

func endpointOf(a ma.Multiaddr) (at netip.AddrPort, udp, ok bool) {
	bare, _ := ma.SplitFunc(a, func(c ma.Component) bool {
		switch c.Protocol().Code {
		case ma.P_IP4, ma.P_IP6, ma.P_IP6ZONE, ma.P_TCP, ma.P_UDP:
			return false
		}
		return true
	})
	if bare == nil {
		return netip.AddrPort{}, false, false
	}
	addr, err := manet.ToNetAddr(bare)
	if err != nil {
		return netip.AddrPort{}, false, false
	}
	switch addr := addr.(type) {
	case *net.TCPAddr:
		at = addr.AddrPort()
	case *net.UDPAddr:
		at, udp = addr.AddrPort(), true
	default:
		return netip.AddrPort{}, false, false
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), udp, at.IsValid()
}

// mappingOf compares how different addresses saw the same local port. It needs two of them.
func mappingOf(all []Observation, udp bool) Mapping {
	type group struct {
		port uint16
		v6   bool
	}
	seen := make(map[group]map[netip.Addr]netip.AddrPort)
	for _, o := range all {
		if o.UDP != udp {
			continue
		}
		g := group{o.Local.Port(), o.By.Addr().Is6()}
		if seen[g] == nil {
			seen[g] = make(map[netip.Addr]netip.AddrPort)
		}
		seen[g][o.By.Addr()] = o.Observed
	}
	verdict := MappingUnknown
	for _, by := range seen {
		if len(by) < 2 {
			continue
		}
		var first netip.AddrPort
		for _, observed := range by {
			if !first.IsValid() {
				first = observed
			} else if observed != first {
				return MappingDependent
			}
		}
		verdict = MappingIndependent
	}
	return verdict
}

// translated compares what others see with the addresses of this machine.
func translated(all []Observation, own []netip.Addr) Answer {
	answer := Unknown
	for _, o := range all {
		if !slices.Contains(own, o.Observed.Addr()) {
			return Yes
		}
		answer = No
	}
	return answer
}

// publicOf lists the addresses that others see.
func publicOf(all []Observation) []string {
	var public []string
	for _, o := range all {
		if a := o.Observed.Addr().String(); !slices.Contains(public, a) {
			public = append(public, a)
		}
	}
	return public
}

// ownAddresses returns those of this machine's interfaces.
func ownAddresses() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, prefix.Addr().Unmap())
		}
	}
	return own, nil
}
