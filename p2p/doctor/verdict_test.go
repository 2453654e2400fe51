package doctor

import (
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	linkPeer  = peer.ID("link")
	relayPeer = peer.ID("relay")
)

// finding builds an address; its first failing step has that failure.
type finding struct {
	host      string
	port      int
	transport string
	relay     bool
	private   bool
	failure   Failure
	standing  string
	proxy     bool
}

func (f finding) address() Address {
	a := Address{Peer: linkPeer, Relay: f.relay, Transport: f.transport, Host: f.host, Port: f.port, Private: f.private, ViaProxy: f.proxy, Standing: f.standing}
	if f.relay {
		a.Peer = relayPeer
	}
	ok, bad := Step{State: OK}, Step{State: Failed, Failure: f.failure, Detail: "the details"}
	a.Connect, a.Handshake = ok, ok
	if f.transport == transportQUIC {
		a.Connect = Step{}
	}
	if f.proxy { // past it, nothing gets out
		a.Connect, a.Proxy = Step{State: Failed, Failure: FailTimeout}, ok
	}
	switch f.failure {
	case "":
	case FailName, FailNameTimeout:
		a.Resolve, a.Connect, a.Handshake = bad, Step{}, Step{}
	case FailTimeout, FailRefused, FailUnreachable:
		if f.transport == transportQUIC {
			a.Handshake = bad
		} else {
			a.Connect, a.Handshake = bad, Step{}
		}
	case FailProxy, FailProxyAuth:
		a.Proxy, a.Handshake = bad, Step{}
	default:
		a.Handshake = bad
	}
	return a
}

var (
	coneNAT      = NAT{Translated: Yes, UDP: MappingIndependent, UDPFilter: FilterClosed, Port: 4001, OwnPort: true}
	symmetricNAT = NAT{Translated: Yes, UDP: MappingDependent, UDPFilter: FilterClosed}
)

func TestJudge(t *testing.T) {
	tcp := func(failure Failure) finding {
		return finding{host: "h", port: 4001, transport: transportTCP, failure: failure, standing: "member"}
	}
	quic := func(failure Failure) finding {
		return finding{host: "h", port: 4001, transport: transportQUIC, failure: failure, standing: "member"}
	}
	relayed := func(f finding, host string, port int) finding {
		f.relay, f.host, f.port = true, host, port
		return f
	}
	circuitOK := []Relay{{Peer: relayPeer, Circuit: Step{State: OK}, Standing: "member"}}
	circuitBad := func(refusal, role string) []Relay {
		return []Relay{{Peer: relayPeer, Role: role, LastRefusal: refusal, Circuit: Step{State: Failed, Failure: FailOther}}}
	}
	for name, k := range map[string]struct {
		found  []finding
		relays []Relay
		nat    NAT
		edit   func(*Report)
		cause  Cause
		user   string // part of it
		rule   string
	}{
		"all well":                 {found: []finding{tcp(""), quic("")}, nat: coneNAT, cause: CauseDirect, user: "by QUIC and TCP, and sits behind a NAT that hole punching", rule: "Nothing needs to be changed: TCP port 4001 of h and UDP port 4001 of h"},
		"NAT not known":            {found: []finding{tcp(""), quic("")}, cause: CauseDirect, user: "what NAT it sits behind could not be determined"},
		"no QUIC in the ticket":    {found: []finding{tcp("")}, nat: coneNAT, cause: CauseDirect, user: "no address to try UDP at"},
		"UDP blocked here":         {found: []finding{tcp(""), quic(FailTimeout)}, nat: coneNAT, cause: CauseNoUDP, user: "UDP gets no answer", rule: "Allow outgoing UDP port 4001 of h, and the answers; TCP port 4001 of h already works"},
		"UDP blocked there":        {found: []finding{tcp(""), quic(FailTimeout), relayed(quic(""), "r", 443)}, nat: coneNAT, cause: CauseLinkNoUDP, user: "the link's side", rule: "On the link's side, allow incoming UDP port 4001 of h"},
		"symmetric, relayed":       {found: []finding{relayed(tcp(""), "r", 443), relayed(quic(""), "r", 443)}, relays: circuitOK, nat: symmetricNAT, cause: CauseRelayed, user: "it will stay on the relay unless"},
		"relayed, UDP blocked":     {found: []finding{relayed(tcp(""), "r", 4001), relayed(quic(FailTimeout), "r", 4001)}, relays: circuitOK, nat: coneNAT, cause: CauseNoUDP, user: "unlikely to get a direct path", rule: "Allow outgoing UDP to all, and the answers, at least UDP port 4001 of r"},
		"only 443":                 {found: []finding{tcp(FailTimeout), quic(FailTimeout), relayed(tcp(""), "r", 443), relayed(quic(FailTimeout), "r", 443)}, relays: circuitOK, cause: CauseOnlyWeb, user: "only TCP to port 443", rule: "allow outgoing TCP port 4001 of h and UDP port 4001 of h; TCP port 443 of r already works"},
		"port rule or link closed": {found: []finding{tcp(FailTimeout), relayed(tcp(""), "r", 443), relayed(quic(""), "r", 443)}, relays: circuitOK, nat: coneNAT, cause: CauseLinkClosed, user: "or a rule of this site is about their ports"},
		"link closed":              {found: []finding{tcp(FailTimeout), relayed(quic(""), "r", 4001)}, relays: circuitOK, nat: coneNAT, cause: CauseLinkClosed, user: "it sits behind a NAT or a firewall; hole punching will"},
		"proxy to the link": {
			found: []finding{{host: "h", port: 443, transport: transportWebSocket, proxy: true, standing: "member"}}, edit: func(r *Report) { r.Proxy = "http://p:3128" },
			cause: CauseOnlyProxy, user: "only through the HTTP proxy http://p:3128", rule: "CONNECT to TCP port 443 of h already works",
		},
		"proxy refuses": {
			found: []finding{{host: "h", port: 4001, transport: transportWebSocket, proxy: true, failure: FailProxy}}, edit: func(r *Report) { r.Proxy = "http://p:3128" },
			cause: CauseProxyRefuse, user: "does not connect to the link or a relay (the details)", rule: "Have the HTTP proxy http://p:3128 allow CONNECT to TCP port 4001 of h",
		},
		"proxy wants a password": {
			found: []finding{{host: "h", port: 443, transport: transportWebSocket, proxy: true, failure: FailProxyAuth}}, edit: func(r *Report) { r.Proxy = "http://p:3128" },
			cause: CauseProxyRefuse, user: "wants a user and a password",
		},
		"refused":                       {found: []finding{{host: "h", port: 4001, transport: transportTCP, standing: "refused"}}, cause: CauseRefused, user: "rhizome member add"},
		"refused while the daemon runs": {found: []finding{{host: "h", port: 4001, transport: transportTCP, standing: "refused"}}, edit: func(r *Report) { r.Running, r.Temporary = true, true }, cause: CauseDirect, user: "reaches the link directly"},
		"name":                          {found: []finding{tcp(FailName), quic(FailNameTimeout)}, cause: CauseName, user: "for the name h", rule: "DNS"},
		"no network":                    {found: []finding{tcp(FailUnreachable), quic(FailUnreachable)}, cause: CauseNoNetwork, user: "no network"},
		"wrong peer":                    {found: []finding{tcp(FailWrongPeer), quic(FailTimeout)}, cause: CauseWrongPeer, user: "A peer other than the expected one answers at TCP port 4001 of h"},
		"intercepted":                   {found: []finding{tcp(FailCut), quic(FailTimeout)}, cause: CauseIntercepted, user: "the encrypted handshake is cut"},
		"nobody listens":                {found: []finding{tcp(FailRefused), quic(FailRefused)}, cause: CauseLinkDown, user: "Nobody listens at TCP port 4001 of h and UDP port 4001 of h"},
		"all dropped":                   {found: []finding{tcp(FailTimeout), quic(FailTimeout)}, cause: CauseBlocked, user: "Nothing answers", rule: "Allow outgoing TCP port 4001 of h and UDP port 4001 of h"},
		"link not at relay":             {found: []finding{relayed(tcp(""), "r", 443)}, relays: circuitBad("", "member"), cause: CauseLinkDown, user: "it is not running, or has lost its way"},
		"relay denies":                  {found: []finding{relayed(tcp(""), "r", 443)}, relays: circuitBad("not-allowed: you are not", "stranger"), cause: CauseRelayDenies, user: "the relay says: not-allowed: you are not"},
		"another LAN":                   {found: []finding{{host: "192.168.1.2", port: 1, transport: transportTCP, private: true, failure: FailTimeout}}, cause: CauseOnlyPrivate, user: "Only addresses of a local network are known, TCP port 1 of 192.168.1.2, and none answers"},
		"the same LAN":                  {found: []finding{{host: "192.168.1.2", port: 1, transport: transportTCP, private: true, standing: "member"}, tcp(FailTimeout)}, cause: CauseDirect, user: "in its own network, by TCP"},
		"nothing at all":                {cause: CauseUndetermined},
		"own link, no relay":            {found: []finding{relayed(tcp(FailTimeout), "r", 443)}, edit: ownLinkReport, cause: CauseLinkAlone, user: "none of its relays", rule: "Allow outgoing TCP port 443 of r"},
		"own link, not known":           {edit: ownLinkReport, cause: CauseUndetermined, user: "could not be determined"},
		"own link, not let in":          {found: []finding{relayed(tcp(""), "r", 443)}, relays: []Relay{{Peer: relayPeer, Role: "stranger"}}, edit: ownLinkReport, cause: CauseRelayDenies, user: "--allow-link"},
		"own link, relayed":             {found: []finding{relayed(tcp(""), "r", 443)}, relays: []Relay{{Peer: relayPeer, Role: "link", Reservation: Step{State: OK}}}, nat: coneNAT, edit: ownLinkReport, cause: CauseLinkRelayed, user: "through its relay r:443; hole punching will", rule: "allow incoming TCP and UDP port 4001"},
		"clock":                         {found: []finding{tcp(""), quic("")}, nat: coneNAT, edit: func(r *Report) { r.Clock = Clock{Known: true, Ahead: -90, Within: 0.1} }, cause: CauseDirect, user: "; its clock is 1m30s behind the other side's, so set it."},
	} {
		t.Run(name, func(t *testing.T) {
			r := Report{Link: linkPeer, Self: peer.ID("self"), NAT: k.nat, Relays: k.relays}
			for _, f := range k.found {
				r.Addresses = append(r.Addresses, f.address())
			}
			if k.edit != nil {
				k.edit(&r)
			}
			v := Judge(r)
			if v.Cause != k.cause || !strings.Contains(v.User, k.user) || !strings.Contains(v.Firewall, k.rule) {
				t.Errorf("%+v\nwant %s: %q, %q", v, k.cause, k.user, k.rule)
			}
			for _, sentence := range []string{v.User, v.Firewall} {
				if !isOneSentence(sentence) {
					t.Errorf("not one sentence: %q", sentence)
				}
			}
		})
	}
}

func ownLinkReport(r *Report) { r.OwnLink = true }

// isOneSentence reports whether s is one line with one full stop and no missing value.
func isOneSentence(s string) bool {
	return strings.HasSuffix(s, ".") && !strings.Contains(s, ". ") && !strings.ContainsAny(s, "\n%") &&
		!strings.Contains(s, "  ") && !strings.Contains(s, " ,") && !strings.Contains(s, " .")
}
