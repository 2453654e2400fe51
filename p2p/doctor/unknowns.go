package doctor

import "fmt"

// unknowns lists what the findings leave open, with the reason.
func (r Report) unknowns() []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	sawUDP, sawTCP := 0, 0
	for _, o := range r.NAT.Observations {
		if o.UDP {
			sawUDP++
		} else {
			sawTCP++
		}
	}
	if r.NAT.Translated == Unknown {
		add("whether there is a NAT: no peer on the internet was reached past a proxy")
	}
	if r.NAT.UDP == MappingUnknown {
		add("how the NAT maps UDP: it takes two peers on the internet that see one socket, and %d did", sawUDP)
	}
	if r.NAT.TCP == MappingUnknown {
		add("how the NAT maps TCP: it takes two peers on the internet that see one port, and %d did", sawTCP)
	}
	if r.NAT.Translated == Yes && r.NAT.Hairpin == Unknown {
		add("hairpin: the public address of a UDP socket was not learnt")
	}
	if r.NAT.UPnP == Unknown {
		add("UPnP: this machine could not send to its network's multicast group")
	}
	if r.NAT.PMP == Unknown {
		add("NAT-PMP: no gateway is known")
	}
	if !r.Clock.Known {
		add("clock skew: %s", r.Clock.Why)
	}
	if r.MTU.Bytes == 0 {
		add("MTU: %s", r.MTU.How)
	}
	for _, p := range r.Paths {
		if p.Why != "" {
			add("throughput of %s by %s: %s", p.Way, p.Transport, p.Why)
		}
	}
	if len(r.Paths) == 0 && !r.OwnLink {
		add("throughput: there is no path to the link")
	}
	return list
}
