package doctor

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Cause is the verdict in a form for programs.
type Cause string

const (
	// The site reaches its link:
	CauseDirect     Cause = "direct"      // directly, as it should be
	CauseRelayed    Cause = "relayed"     // through relays, since the link has no address of its own
	CauseNoUDP      Cause = "udp-blocked" // without UDP, which does not get out of this site
	CauseLinkNoUDP  Cause = "link-no-udp" // without UDP, which does not get in at the link
	CauseOnlyWeb    Cause = "only-443"    // only ports 443 and 80 get out of this site
	CauseOnlyProxy  Cause = "proxy-only"  // only the HTTP proxy gets out of this site
	CauseLinkClosed Cause = "link-closed" // through relays, since the link's own addresses do not answer
	CauseRefused    Cause = "refused"     // but is not let in
	// It does not:
	CauseLinkDown    Cause = "link-down"   // relays answer, or the link's machine; the link does not
	CauseBlocked     Cause = "blocked"     // nothing that was tried answers
	CauseNoNetwork   Cause = "no-network"  // this machine has no route to anybody
	CauseName        Cause = "name"        // names have no address
	CauseWrongPeer   Cause = "wrong-peer"  // somebody else answers
	CauseIntercepted Cause = "intercepted" // TCP connects, but handshakes are cut
	CauseProxyRefuse Cause = "proxy-refuses"
	CauseOnlyPrivate Cause = "only-private" // all addresses are on another LAN
	CauseRelayDenies Cause = "relay-denies" // a relay answers, but does not let the site through
	// The site is a link:
	CauseLinkOpen     Cause = "link-open"    // others reach it directly
	CauseLinkRelayed  Cause = "link-relayed" // others reach it through its relays
	CauseLinkAlone    Cause = "link-alone"   // no relay can be used
	CauseUndetermined Cause = "undetermined" // it could not be found out
)

// Verdict is what to make of the findings.
type Verdict struct {
	Cause    Cause  `json:"cause"`
	User     string `json:"user"`     // one sentence
	Firewall string `json:"firewall"` // one sentence: host, port, protocol
}

// Judge makes the verdict. It depends on nothing but the findings.
func Judge(r Report) Verdict {
	f := factsOf(r)
	refused, joining, member := f.standings()
	var v Verdict
	switch {
	case f.OwnLink:
		v = f.judgeLink()
	case !some(f.link, works) && len(f.circuits) == 0:
		v = f.judgeLost()
	case refused && !joining && !member && !(f.Running && f.Temporary): // that says nothing about the daemon's own peer id
		v = f.judgeRefused()
	case some(f.link, works):
		v = f.judgeDirect()
	default:
		v = f.judgeRelayed()
	}
	v.User += f.clockClause() + "."
	v.Firewall += "."
	return v
}

func (f facts) judgeRefused() Verdict {
	what := "it was revoked, or no ticket is out and the id is not in the member list"
	if f.Temporary {
		what = "this examination used a peer id of its own, and no ticket is out that would let it ask"
	}
	return Verdict{
		Cause:    CauseRefused,
		User:     fmt.Sprintf("The link is reached and refuses peer id %s: %s; ask the link's operator for a ticket, or to run: rhizome member add %s", f.Self, what, f.Self),
		Firewall: "Nothing needs to be changed: the network lets this site reach the link",
	}
}

// judgeDirect: the link answers at one of its own addresses.
func (f facts) judgeDirect() Verdict {
	good := which(f.link, works)
	udp, tcp := which(good, overUDP), which(good, overTCP, not(viaProxy))
	noUDP := which(f.link, overUDP, public, fails)
	switch {
	case len(udp) == 0 && len(tcp) == 0:
		return f.proxied(fmt.Sprintf("This site reaches the link only through the HTTP proxy %s, over WebSocket", f.Proxy))
	case every(good, not(public)):
		return Verdict{CauseDirect,
			fmt.Sprintf("This site reaches the link directly in its own network, by %s", transports(udp, tcp)),
			fmt.Sprintf("Nothing needs to be changed: %s are open", listed(endpoints(good), "and"))}
	case len(udp) > 0:
		return Verdict{CauseDirect,
			fmt.Sprintf("This site reaches the link directly, by %s, and %s", transports(udp, tcp), f.NAT.clause()),
			fmt.Sprintf("Nothing needs to be changed: %s can be reached from this site", listed(endpoints(good), "and"))}
	case len(noUDP) == 0:
		return Verdict{CauseDirect,
			fmt.Sprintf("This site reaches the link directly by TCP, was given no address to try UDP at, and %s", f.NAT.clause()),
			fmt.Sprintf("Nothing needs to be changed: %s can be reached from this site", listed(endpoints(good), "and"))}
	case some(f.relay, overUDP, works):
		return Verdict{CauseLinkNoUDP,
			"This site reaches the link directly by TCP, but not by UDP, although UDP gets out of this site: the link's side does not let it in",
			fmt.Sprintf("On the link's side, allow incoming %s; nothing needs to be changed on this side", listed(endpoints(noUDP), "and"))}
	}
	return Verdict{CauseNoUDP,
		"This site reaches the link directly by TCP, but UDP gets no answer, so that no hole can be punched by QUIC to others behind a NAT and lossy lines will be slower",
		fmt.Sprintf("Allow outgoing %s, and the answers; %s already works", listed(endpoints(noUDP), "and"), listed(endpoints(tcp), "and"))}
}

func transports(udp, tcp []Address) string {
	switch {
	case len(udp) > 0 && len(tcp) > 0:
		return "QUIC and TCP"
	case len(udp) > 0:
		return "QUIC"
	}
	return "TCP"
}

func (f facts) proxied(user string) Verdict {
	good := which(f.all(), works)
	wanted := which(f.link, public, not(works))
	if len(wanted) == 0 {
		wanted = which(f.link, public)
	}
	v := Verdict{CauseOnlyProxy, user, ""}
	if len(wanted) > 0 {
		v.Firewall = fmt.Sprintf("To have a direct and faster path, allow outgoing %s past the proxy; CONNECT to %s already works and is enough to take part",
			listed(endpoints(wanted), "and"), listed(endpoints(good), "and"))
	} else {
		v.Firewall = fmt.Sprintf("To have a direct path to others, allow outgoing UDP past the proxy; CONNECT to %s already works and is enough to take part", listed(endpoints(good), "and"))
	}
	return v
}

// judgeRelayed: the link answers through relays only.
func (f facts) judgeRelayed() Verdict {
	good := which(f.relay, works)
	relays := f.relayNames(f.circuits)
	unanswered := which(f.link, public, not(works))
	head := fmt.Sprintf("This site reaches the link only through the relay %s", relays)
	if len(f.circuits) > 1 {
		head = fmt.Sprintf("This site reaches the link only through the relays %s", relays)
	}
	blocked := which(f.all(), not(webPort), stopped)
	switch {
	case every(good, viaProxy) && every(which(f.all(), overTCP), stopped):
		return f.proxied(fmt.Sprintf("%s and the HTTP proxy %s, over WebSocket, since nothing else gets out", head, f.Proxy))
	case every(good, overTCP, webPort) && len(blocked) > 0 && !some(f.all(), overUDP, works):
		wanted := unanswered
		if len(wanted) == 0 {
			wanted = blocked
		}
		return Verdict{CauseOnlyWeb,
			head + ", since only TCP to port 443 gets out of this site: it works, and all data goes through the relay",
			fmt.Sprintf("To have a direct and faster path, allow outgoing %s; %s already works and is enough to take part",
				listed(endpoints(wanted), "and"), listed(endpoints(good), "and"))}
	case len(unanswered) > 0 && some(good, overUDP):
		where := "it sits behind a NAT or a firewall"
		if !some(good, portOf(unanswered)) {
			where += ", or a rule of this site is about their ports"
		}
		return Verdict{CauseLinkClosed,
			fmt.Sprintf("%s, since the link's own addresses do not answer: %s; %s", head, where, f.punching()),
			fmt.Sprintf("Nothing needs to be changed, since %s can be reached from this site; for a direct path, allow outgoing UDP to any port here, or have the link's side let in %s",
				listed(endpoints(good), "and"), listed(endpoints(unanswered), "and"))}
	case !some(good, overUDP) && some(f.relay, overUDP, fails):
		noUDP := which(f.relay, overUDP, fails)
		return Verdict{CauseNoUDP,
			head + ", and UDP gets no answer, so that it is unlikely to get a direct path: no address of the link itself answers",
			fmt.Sprintf("Allow outgoing UDP to all, and the answers, at least %s; %s already works", listed(endpoints(noUDP), "and"), listed(endpoints(good), "and"))}
	}
	return Verdict{CauseRelayed,
		fmt.Sprintf("%s, since the link has no address that everybody can dial; %s", head, f.punching()),
		fmt.Sprintf("Nothing needs to be changed: %s can be reached from this site; a direct path also needs outgoing UDP to any port", listed(endpoints(good), "and"))}
}

// clause says what stands between this site and others.
func (n NAT) clause() string {
	filter := n.UDPFilter
	if filter == FilterUnknown {
		filter = n.TCPFilter
	}
	switch {
	case n.Translated == Unknown:
		return "what NAT it sits behind could not be determined"
	case n.Translated == No && filter == FilterOpen:
		return "has a public address at which others reach it too"
	case n.Translated == No && filter == FilterUnknown:
		return "has a public address; whether others reach it there could not be determined"
	case n.Translated == No:
		return "has a public address behind a firewall that lets only answers in, which hole punching gets through"
	case filter == FilterOpen:
		return fmt.Sprintf("sits behind a NAT that lets others in at its port %d", n.Port)
	case n.UDP == MappingDependent:
		return "sits behind a symmetric NAT, which uses a different port for each destination, so that other peers behind a NAT reach it only through a relay"
	case n.UDP == MappingIndependent:
		return "sits behind a NAT that hole punching gets through"
	}
	return "sits behind a NAT whose kind could not be determined"
}

// punching says whether a direct path may come, or has come: examinations punch no holes.
func (f facts) punching() string {
	if slices.ContainsFunc(f.Daemon, func(p Path) bool { return p.Way == "direct" }) {
		return "its daemon has punched a hole all the same, and has a direct path"
	}
	return f.NAT.punching()
}

// punching says whether a hole can be punched in it.
func (n NAT) punching() string {
	switch {
	case n.Translated == Unknown || n.Translated == Yes && n.UDP == MappingUnknown:
		return "whether hole punching can make a direct path could not be determined"
	case n.Translated == Yes && n.UDP == MappingDependent:
		return "this site sits behind a symmetric NAT, which uses a different port for each destination, so that it will stay on the relay unless the link's side is open"
	}
	return "hole punching will make a direct path if the link's NAT allows it, and this site's does"
}

func (f facts) clockClause() string {
	skew := time.Duration(f.Clock.Ahead * float64(time.Second))
	if !f.Clock.Known || math.Abs(f.Clock.Ahead)-f.Clock.Within < skewWorthTelling.Seconds() {
		return ""
	}
	if skew > 0 {
		return fmt.Sprintf("; its clock is %s ahead of the other side's, so set it", skew.Round(time.Second))
	}
	return fmt.Sprintf("; its clock is %s behind the other side's, so set it", (-skew).Round(time.Second))
}
