package doctor

import (
	"fmt"

	"github.com/rhizome-fl/rhizome/p2p/relay"
)

// judgeLost: the link was not reached in any way.
func (f facts) judgeLost() Verdict {
	all := f.all()
	switch {
	case !some(f.Addresses, fails) && len(all) == 0:
		return Verdict{CauseUndetermined,
			"Whether this site reaches the link could not be determined, since none of the addresses could be tried by this version of Rhizome",
			"Nothing can be said about the firewall, since no address was tried"}
	case len(all) == 0:
		return f.onlyPrivate()
	case some(all, ofFailure(FailWrongPeer)) && !some(f.relay, works):
		at := which(all, ofFailure(FailWrongPeer))
		return Verdict{CauseWrongPeer,
			fmt.Sprintf("A peer other than the expected one answers at %s: the ticket belongs to a link that has moved, or somebody is intercepting the connection; ask for a new ticket", listed(endpoints(at), "and")),
			fmt.Sprintf("Check that %s leads to the link itself, without inspection or redirection", listed(endpoints(at), "and"))}
	case some(f.relay, works):
		return f.linkGone()
	case some(all, viaProxy):
		return f.proxyFails()
	case every(all, ofFailure(FailName, FailNameTimeout)):
		return Verdict{CauseName,
			fmt.Sprintf("No address could be found for the name %s: check the name servers of this machine, or ask for a ticket with addresses instead of names", all[0].Host),
			fmt.Sprintf("Let this machine resolve %s (DNS, UDP and TCP port 53 of its name servers), and allow outgoing %s", all[0].Host, listed(endpoints(all), "and"))}
	case every(all, ofFailure(FailUnreachable)):
		return Verdict{CauseNoNetwork,
			"This machine has no network that leads to the link: connect it, or give it a default route",
			fmt.Sprintf("This machine has no route to %s", listed(endpoints(all), "and"))}
	case some(all, connectedOnly):
		at := which(all, connectedOnly)
		return Verdict{CauseIntercepted,
			fmt.Sprintf("TCP connects to %s, but the encrypted handshake is cut or not answered: a firewall inspects it, or another program answers there", listed(endpoints(at), "and")),
			fmt.Sprintf("Let %s pass without inspection of its content", listed(endpoints(at), "and"))}
	case some(f.link, ofFailure(FailRefused)):
		at := which(f.link, ofFailure(FailRefused))
		return Verdict{CauseLinkDown,
			fmt.Sprintf("Nobody listens at %s: the link is not running there, or a firewall refuses the connection; ask the link's operator", listed(endpoints(at), "and")),
			fmt.Sprintf("Check that outgoing %s is not refused by a rule", listed(endpoints(which(all, public)), "and"))}
	}
	return Verdict{CauseBlocked,
		"Nothing answers, neither the link nor a relay: a firewall of this site drops what goes out, or the addresses are old; ask the firewall team, name an HTTP proxy with --proxy if there is one, or ask for a new ticket",
		fmt.Sprintf("Allow outgoing %s, and the answers; one of them over TCP is enough to take part", listed(endpoints(all), "and"))}
}

func ofFailure(kinds ...Failure) func(Address) bool {
	return func(a Address) bool {
		for _, k := range kinds {
			if a.failure() == k {
				return true
			}
		}
		return false
	}
}

// connectedOnly: TCP got through and the handshake did not.
func connectedOnly(a Address) bool {
	return overTCP(a) && !a.ViaProxy && a.Connect.State == OK && a.Handshake.State == Failed && a.failure() != FailWrongPeer
}

func (f facts) onlyPrivate() Verdict {
	var tried []endpoint
	for _, a := range f.Addresses {
		tried = append(tried, a.endpoint())
	}
	return Verdict{CauseOnlyPrivate,
		fmt.Sprintf("Only addresses of a local network are known, %s, and none answers: join from that network, or have the link use a relay or announce a public address", listed(tried, "and")),
		fmt.Sprintf("Nothing can be opened here that would help, unless this site is in the network of the link: then allow outgoing %s", listed(tried, "and"))}
}

// linkGone: relays answer, but the link does not answer through them.
func (f facts) linkGone() Verdict {
	good := which(f.relay, works)
	reason := "it is not running, or has lost its way to the relay"
	cause := CauseLinkDown
	for _, r := range f.Relays {
		switch {
		case r.LastRefusal != "" && r.Circuit.State == Failed:
			reason = "the relay says: " + r.LastRefusal
			if r.Role == relay.Stranger.String() {
				cause = CauseRelayDenies
			}
		case r.Circuit.State == Failed && r.Circuit.Failure == FailWrongPeer:
			return Verdict{CauseWrongPeer, "A peer other than the link answers through the relay: ask for a new ticket", "Nothing needs to be changed: " + listed(endpoints(good), "and") + " can be reached from this site"}
		}
	}
	return Verdict{cause,
		fmt.Sprintf("A relay answers at %s, but the link does not answer through it: %s; ask the link's operator", listed(endpoints(good), "and"), reason),
		fmt.Sprintf("Nothing needs to be changed for the relay: %s can be reached from this site", listed(endpoints(good), "and"))}
}

// proxyFails: there is a proxy, and nothing came through it.
func (f facts) proxyFails() Verdict {
	asked := which(f.all(), viaProxy)
	v := Verdict{CauseProxyRefuse, "", fmt.Sprintf("Have the HTTP proxy %s allow CONNECT to %s, without inspection of the content", f.Proxy, listed(endpoints(asked), "and"))}
	switch {
	case some(asked, ofFailure(FailProxyAuth)):
		v.User = fmt.Sprintf("The HTTP proxy %s wants a user and a password: put them into its URL; nothing gets out without it", f.Proxy)
	case some(asked, ofFailure(FailProxy)):
		v.User = fmt.Sprintf("The HTTP proxy %s does not connect to the link or a relay (%s), and nothing gets out without it", f.Proxy, which(asked, ofFailure(FailProxy))[0].Proxy.Detail)
	case every(asked, not(proxyAnswers)):
		v.User = fmt.Sprintf("The HTTP proxy %s does not answer like a proxy, and nothing gets out without it: check its address", f.Proxy)
	default:
		v.User = fmt.Sprintf("The HTTP proxy %s connects, but the handshake behind it fails (%s): it inspects the content, or the other side is not running", f.Proxy, which(asked, proxyAnswers)[0].Handshake.Detail)
	}
	return v
}

func proxyAnswers(a Address) bool { return a.Proxy.State == OK }
