package doctor

import (
	"fmt"
	"strings"

	"github.com/rhizome-fl/rhizome/p2p/relay"
)

// judgeLink: the site is the link, and the question is whether others reach it.
func (f facts) judgeLink() Verdict {
	good := which(f.relay, works)
	open := f.NAT.opens()
	usable, denied := f.usableRelays()
	switch {
	case len(open) > 0:
		return Verdict{CauseLinkOpen,
			fmt.Sprintf("Others reach this link directly at %s%s", joined(open, "and"), f.alsoThrough(usable)),
			fmt.Sprintf("Nothing needs to be changed: incoming %s gets through", joined(open, "and"))}
	case len(f.relay) > 0 && len(good) == 0:
		return Verdict{CauseLinkAlone,
			"This link reaches none of its relays, so that nobody outside its own network can reach it",
			fmt.Sprintf("Allow outgoing %s, and the answers; one of them over TCP is enough", listed(endpoints(f.relay), "and"))}
	case len(usable) == 0 && denied != "":
		return Verdict{CauseRelayDenies,
			fmt.Sprintf("This link reaches a relay at %s, which does not serve it: %s", listed(endpoints(good), "and"), denied),
			fmt.Sprintf("Nothing needs to be changed for the relay: %s can be reached from this site", listed(endpoints(good), "and"))}
	case len(usable) == 0 && len(good) == 0:
		return Verdict{CauseUndetermined,
			"Whether others reach this link could not be determined, since it has no relay that could look at it from outside",
			"Nothing can be said about the firewall, since nobody outside could be asked"}
	case len(usable) == 0:
		return Verdict{CauseUndetermined,
			"Whether others reach this link could not be determined, since no relay said whether it serves this link",
			fmt.Sprintf("Nothing needs to be changed for the relay: %s can be reached from this site", listed(endpoints(good), "and"))}
	}
	return Verdict{CauseLinkRelayed,
		fmt.Sprintf("Others reach this link through %s; %s", f.relays(usable), f.NAT.directly()),
		fmt.Sprintf("To let others in directly, which is faster, allow incoming TCP and UDP port %s and forward it to this machine; %s can be reached from this site, which is enough to take part",
			f.NAT.portName(), listed(endpoints(good), "and"))}
}

// usableRelays are those through which others reach the link, or could if it ran.
func (f facts) usableRelays() (usable []Relay, denied string) {
	for _, r := range f.Relays {
		switch {
		case !f.Temporary && (r.Role == relay.Stranger.String() || r.Role == relay.Member.String()):
			// A member may hold a reservation there, but nobody can reach it there to join.
			denied = fmt.Sprintf("have its operator allow the link (rhizome relay --allow-link %s)", f.Link)
		case r.Circuit.State == OK, r.Reservation.State == OK:
			usable = append(usable, r)
		case r.Reservation.State == Failed:
			denied = r.Reservation.Detail
		case r.Circuit.State == Failed:
			denied = "the link cannot be found through it now: " + r.Circuit.Detail
		}
	}
	return usable, denied
}

func (f facts) alsoThrough(usable []Relay) string {
	if len(usable) == 0 {
		return ""
	}
	return ", and through " + f.relays(usable)
}

func (f facts) relays(some []Relay) string {
	if len(some) == 1 {
		return "its relay " + f.relayNames(some)
	}
	return "its relays " + f.relayNames(some)
}

// opens lists the public endpoints of the site's own port at which strangers were let in.
func (n NAT) opens() []string {
	var open []string
	if !n.OwnPort {
		return nil
	}
	for _, door := range []struct {
		filter   Filtering
		protocol string
		seen     string
	}{{n.TCPFilter, "TCP", n.SeenTCP}, {n.UDPFilter, "UDP", n.SeenUDP}} {
		host, port, cut := cutPort(door.seen)
		if door.filter == FilterOpen && cut {
			open = append(open, fmt.Sprintf("%s port %s of %s", door.protocol, port, host))
		}
	}
	return open
}

func cutPort(at string) (host, port string, ok bool) {
	i := strings.LastIndexByte(at, ':')
	if i < 0 {
		return "", "", false
	}
	return at[:i], at[i+1:], true
}

// directly says whether others may get a direct path to the link.
func (n NAT) directly() string {
	switch {
	case n.Translated == Unknown || n.Translated == Yes && n.UDP == MappingUnknown:
		return "whether hole punching can make direct paths could not be determined"
	case n.Translated == Yes && n.UDP == MappingDependent:
		return "it sits behind a symmetric NAT, which uses a different port for each destination, so that nodes get a direct path only if their side is open"
	}
	return "hole punching will make direct paths to nodes whose NAT allows it"
}

func (n NAT) portName() string {
	if n.OwnPort && n.Port != 0 {
		return fmt.Sprint(n.Port)
	}
	return "of the link (see its file port)"
}
