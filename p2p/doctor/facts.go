package doctor

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/rhizome-fl/rhizome/p2p/admission"
)

// endpoint is what a firewall rule is about.
type endpoint struct {
	protocol string // TCP or UDP
	host     string
	port     int
}

func (e endpoint) String() string { return fmt.Sprintf("%s port %d of %s", e.protocol, e.port, e.host) }

func (a Address) endpoint() endpoint {
	e := endpoint{"TCP", a.Host, a.Port}
	if a.Transport == transportQUIC {
		e.protocol = "UDP"
	}
	return e
}

// works reports whether the intended peer was reached.
func (a Address) works() bool { return a.Handshake.State == OK }

// failure returns the failure of the first step that failed.
func (a Address) failure() Failure {
	for _, s := range []Step{a.Resolve, a.Proxy, a.Connect, a.Handshake} {
		if s.State == Failed && (!a.ViaProxy || s != a.Connect) {
			return s.Failure
		}
	}
	return ""
}

// facts are the findings in the form in which the verdict asks for them.
type facts struct {
	Report
	link, relay []Address // on the internet, and on the LAN only if they work
	circuits    []Relay   // relays through which the link was reached
}

func factsOf(r Report) facts {
	f := facts{Report: r}
	for _, a := range r.Addresses {
		switch {
		case !a.works() && (a.Private || a.failure() == ""): // on another LAN, or not tried
		case a.Relay:
			f.relay = append(f.relay, a)
		default:
			f.link = append(f.link, a)
		}
	}
	for _, relay := range r.Relays {
		if relay.Circuit.State == OK {
			f.circuits = append(f.circuits, relay)
		}
	}
	return f
}

func (f facts) all() []Address { return slices.Concat(f.link, f.relay) }

// is combines several conditions into one.
func is(all ...func(Address) bool) func(Address) bool {
	return func(a Address) bool {
		for _, holds := range all {
			if !holds(a) {
				return false
			}
		}
		return true
	}
}

func works(a Address) bool    { return a.works() }
func fails(a Address) bool    { return a.failure() != "" }
func overUDP(a Address) bool  { return a.Transport == transportQUIC }
func overTCP(a Address) bool  { return a.Transport != transportQUIC }
func viaProxy(a Address) bool { return a.ViaProxy }
func public(a Address) bool   { return !a.Private }
func webPort(a Address) bool  { return a.Port == 443 || a.Port == 80 }

// stopped: TCP itself did not get through, whatever a proxy does.
func stopped(a Address) bool { return overTCP(a) && a.Connect.State == Failed }

// portOf: the address has a port at which one of the others is.
func portOf(others []Address) func(Address) bool {
	return func(a Address) bool {
		return slices.ContainsFunc(others, func(o Address) bool { return o.Port == a.Port })
	}
}

func not(c func(Address) bool) func(Address) bool {
	return func(a Address) bool { return !c(a) }
}

func which(all []Address, holds ...func(Address) bool) []Address {
	var some []Address
	for _, a := range all {
		if is(holds...)(a) {
			some = append(some, a)
		}
	}
	return some
}

func some(all []Address, holds ...func(Address) bool) bool { return len(which(all, holds...)) > 0 }

// every returns false for an empty list.
func every(all []Address, holds ...func(Address) bool) bool {
	return len(all) > 0 && len(which(all, holds...)) == len(all)
}

// endpoints lists what the addresses stand for, each endpoint once.
func endpoints(all []Address) []endpoint {
	var list []endpoint
	for _, a := range all {
		if e := a.endpoint(); !slices.Contains(list, e) {
			list = append(list, e)
		}
	}
	return list
}

// listed puts endpoints into words; a host with several ports is named once.
func listed(list []endpoint, and string) string {
	var words []string
	for i, e := range list {
		if i == maxListed {
			words = append(words, fmt.Sprintf("%d more (see above)", len(list)-i))
			break
		}
		words = append(words, e.String())
	}
	return joined(words, and)
}

func joined(words []string, and string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + and + " " + words[len(words)-1]
}

// relayNames says by which address each relay was reached, or might be.
func (f facts) relayNames(relays []Relay) string {
	var names []string
	for _, r := range relays {
		name := r.Peer.String()
		for _, a := range f.relay {
			if a.Peer == r.Peer && (a.works() || name == r.Peer.String()) {
				name = net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
				if a.works() {
					break
				}
			}
		}
		names = append(names, name)
	}
	return joined(names, "and")
}

// standings returns those at the link, over all ways.
func (f facts) standings() (refused, joining, member bool) {
	count := func(s string) {
		refused = refused || s == admission.Refused.String()
		joining = joining || s == admission.Joining.String()
		member = member || s == admission.Member.String()
	}
	for _, a := range which(f.link, works) {
		count(a.Standing)
	}
	for _, r := range f.circuits {
		count(r.Standing)
	}
	return refused, joining, member
}
