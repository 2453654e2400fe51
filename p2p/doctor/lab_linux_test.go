//go:build linux

package doctor

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/rhizome-fl/rhizome/internal/natlab"
)

// sitePort is where a node's own host would be, and what the fullcone site forwards.
const sitePort = 4001

func newKey(t *testing.T) ([]byte, peer.ID) {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw, id
}

// labCase is a site, and what the doctor should say there.
type labCase struct {
	host           string
	joining        bool
	named          bool // the ticket has a name instead of addresses
	proxy          bool
	ticket         string // home: the link sits behind a NAT
	own            ownLink
	cause          Cause
	user, firewall string // $LINK, $WEB and $FAR stand for the addresses of link and relays
	udp            Mapping
	filter         Filtering
}

// ownLink: the site is itself a link.
type ownLink int

const (
	notLink ownLink = iota
	running         // the link of the ticket, which runs on this host
	halted          // a link that the relays serve, but that is not running
	unknown         // a link that the relays do not serve
)

const (
	nothingToChange = "Nothing needs to be changed: TCP port 4001 of $LINK and UDP port 4001 of $LINK can be reached from this site."
	directly        = "This site reaches the link directly, by QUIC and TCP, and "
	punchable       = directly + "sits behind a NAT that hole punching gets through."
	symmetric       = directly + "sits behind a symmetric NAT, which uses a different port for each destination, so that other peers behind a NAT reach it only through a relay."
)

var labCases = []labCase{
	{host: "public", cause: CauseDirect, user: directly + "has a public address at which others reach it too.", firewall: nothingToChange, udp: MappingIndependent, filter: FilterOpen},
	{host: "firewalled", cause: CauseDirect, user: directly + "has a public address behind a firewall that lets only answers in, which hole punching gets through.", firewall: nothingToChange, udp: MappingIndependent, filter: FilterClosed},
	{host: "cone", cause: CauseDirect, user: punchable, firewall: nothingToChange, udp: MappingIndependent, filter: FilterClosed},
	{host: "cone-reject", cause: CauseDirect, user: punchable, firewall: nothingToChange, udp: MappingIndependent, filter: FilterClosed},
	{host: "cone", joining: true, cause: CauseDirect, user: punchable, firewall: nothingToChange, udp: MappingIndependent, filter: FilterClosed},
	{host: "fullcone", cause: CauseDirect, user: directly + "sits behind a NAT that lets others in at its port 4001.", firewall: nothingToChange, udp: MappingIndependent, filter: FilterOpen},
	{host: "symmetric", cause: CauseDirect, user: symmetric, firewall: nothingToChange, udp: MappingDependent, filter: FilterClosed},
	{host: "cgnat", cause: CauseDirect, user: punchable, firewall: nothingToChange, udp: MappingIndependent, filter: FilterClosed},
	{host: "cgnat-sym", cause: CauseDirect, user: symmetric, firewall: nothingToChange, udp: MappingDependent, filter: FilterClosed},
	{
		host: "udpblocked", cause: CauseOnlyWeb,
		user:     "This site reaches the link only through the relay $WEB:443, since only TCP to port 443 gets out of this site: it works, and all data goes through the relay.",
		firewall: "To have a direct and faster path, allow outgoing TCP port 4001 of $LINK and UDP port 4001 of $LINK; TCP port 443 of $WEB already works and is enough to take part.",
	},
	{
		host: "proxy", proxy: true, cause: CauseOnlyProxy,
		user:     "This site reaches the link only through the relay $WEB:443 and the HTTP proxy http://192.168.1.1:3128, over WebSocket, since nothing else gets out.",
		firewall: "To have a direct and faster path, allow outgoing TCP port 4001 of $LINK and UDP port 4001 of $LINK past the proxy; CONNECT to TCP port 443 of $WEB already works and is enough to take part.",
	},
	{
		host: "proxy", cause: CauseBlocked, // it was not told of the proxy
		user:     "Nothing answers, neither the link nor a relay: a firewall of this site drops what goes out, or the addresses are old; ask the firewall team, name an HTTP proxy with --proxy if there is one, or ask for a new ticket.",
		firewall: "Allow outgoing TCP port 4001 of $LINK, UDP port 4001 of $LINK, TCP port 443 of $WEB, UDP port 443 of $WEB and 2 more (see above), and the answers; one of them over TCP is enough to take part.",
	},
	{
		host: "proxy", named: true, cause: CauseName, // whose name servers do not answer either
		user:     "No address could be found for the name link.example: check the name servers of this machine, or ask for a ticket with addresses instead of names.",
		firewall: "Let this machine resolve link.example (DNS, UDP and TCP port 53 of its name servers), and allow outgoing TCP port 4001 of link.example and UDP port 4001 of link.example.",
	},
	{
		host: "home-b", ticket: "home", cause: CauseDirect, // beside the link, behind one NAT
		user:     "This site reaches the link directly in its own network, by QUIC and TCP.",
		firewall: "Nothing needs to be changed: TCP port 4001 of 192.168.1.10 and UDP port 4001 of 192.168.1.10 are open.",
		udp:      MappingIndependent, filter: FilterClosed,
	},
	{
		host: "flat", ticket: "home", cause: CauseLinkClosed, // the link is behind a NAT, where relays saw it
		user:     "This site reaches the link only through the relays $WEB:443 and $FAR:4001, since the link's own addresses do not answer: it sits behind a NAT or a firewall; hole punching will make a direct path if the link's NAT allows it, and this site's does.",
		firewall: "Nothing needs to be changed, since TCP port 443 of $WEB, UDP port 443 of $WEB, TCP port 4001 of $FAR and UDP port 4001 of $FAR can be reached from this site; for a direct path, allow outgoing UDP to any port here, or have the link's side let in TCP port 4001 of $HOME.",
		udp:      MappingIndependent, filter: FilterClosed,
	},
	{
		host: "link", own: running, joining: true, cause: CauseLinkOpen,
		user:     "Others reach this link directly at UDP port 4001 of $LINK, and through its relays $WEB:443 and $FAR:4001.",
		firewall: "Nothing needs to be changed: incoming UDP port 4001 of $LINK gets through.",
		udp:      MappingIndependent, filter: FilterOpen,
	},
	{
		host: "home-a", own: running, ticket: "home", joining: true, cause: CauseLinkRelayed,
		user:     "Others reach this link through its relays $WEB:443 and $FAR:4001; hole punching will make direct paths to nodes whose NAT allows it.",
		firewall: "To let others in directly, which is faster, allow incoming TCP and UDP port 4001 and forward it to this machine; TCP port 443 of $WEB, UDP port 443 of $WEB, TCP port 4001 of $FAR and UDP port 4001 of $FAR can be reached from this site, which is enough to take part.",
		udp:      MappingIndependent, filter: FilterUnknown, // its relays saw it by TCP only
	},
	{
		host: "fullcone", own: halted, cause: CauseLinkOpen,
		user:     "Others reach this link directly at TCP port 4001 of $FULL and UDP port 4001 of $FULL, and through its relays $WEB:443 and $FAR:4001.",
		firewall: "Nothing needs to be changed: incoming TCP port 4001 of $FULL and UDP port 4001 of $FULL gets through.",
		udp:      MappingIndependent, filter: FilterOpen,
	},
	{
		host: "symmetric", own: unknown, cause: CauseRelayDenies,
		user:     "This link reaches a relay at TCP port 443 of $WEB, UDP port 443 of $WEB, TCP port 4001 of $FAR and UDP port 4001 of $FAR, which does not serve it: have its operator allow the link (rhizome relay --allow-link $SELF).",
		firewall: "Nothing needs to be changed for the relay: TCP port 443 of $WEB, UDP port 443 of $WEB, TCP port 4001 of $FAR and UDP port 4001 of $FAR can be reached from this site.",
		udp:      MappingDependent, filter: FilterClosed,
	},
}

// TestNamesTheCauseInEachSite is the table of the issue: site, expected sentence.
func TestNamesTheCauseInEachSite(t *testing.T) {
	t.Parallel()
	c := newClinic(t,
		natlab.Site{Name: "link", Kind: natlab.Public}, natlab.Site{Name: "web", Kind: natlab.Public}, natlab.Site{Name: "far", Kind: natlab.Public},
		natlab.Site{Name: "public", Kind: natlab.Public}, natlab.Site{Name: "firewalled", Kind: natlab.Firewalled},
		natlab.Site{Name: "cone", Kind: natlab.Cone}, natlab.Site{Name: "cone-reject", Kind: natlab.ConeReject},
		natlab.Site{Name: "fullcone", Kind: natlab.FullCone, Forward: []int{sitePort}},
		natlab.Site{Name: "symmetric", Kind: natlab.Symmetric}, natlab.Site{Name: "cgnat", Kind: natlab.CGNAT}, natlab.Site{Name: "cgnat-sym", Kind: natlab.CGNATSym},
		natlab.Site{Name: "udpblocked", Kind: natlab.UDPBlocked}, natlab.Site{Name: "proxy", Kind: natlab.Proxy},
		natlab.Site{Name: "home", Kind: natlab.Cone, Hosts: []string{"home-a", "home-b"}}, natlab.Site{Name: "flat", Kind: natlab.Cone},
	)
	links := make(map[string]party) // by ticket
	keys := make([][]byte, len(labCases))
	var members []peer.ID
	for i := range labCases {
		key, id := newKey(t)
		keys[i], members = key, append(members, id)
	}
	homeKey, homeID := newKey(t)
	linkKey, linkID := newKey(t)
	spareKey, spareID := newKey(t)
	var relays []peer.AddrInfo
	for _, r := range []party{{Port: 443, WebSocket: true}, {Port: sitePort}} {
		r.Role, r.AllowLinks = "relay", []peer.ID{linkID, homeID, spareID}
		r.Key, _ = newKey(t)
		relays = append(relays, c.start(map[int]string{443: "web", sitePort: "far"}[r.Port], r))
	}
	for ticket, l := range map[string]struct {
		host string
		key  []byte
		id   peer.ID
	}{"": {"link", linkKey, linkID}, "home": {"home-a", homeKey, homeID}} {
		info := c.start(l.host, party{Role: "link", Key: l.key, Port: sitePort, Relays: relays, Members: members})
		p := party{Link: l.id, Port: sitePort}
		for _, a := range info.Addrs {
			p.Addrs = append(p.Addrs, a.String())
		}
		if ticket == "home" { // the relays tell it sooner or later
			p.Addrs = append(p.Addrs, fmt.Sprintf("/ip4/%s/tcp/%d", c.lab.PublicAddr(l.host), sitePort))
		}
		links[ticket] = p
	}
	reports, errs := make([]Report, len(labCases)), make([]error, len(labCases))
	var all errgroup.Group
	all.SetLimit(atATime)
	for i, k := range labCases {
		p := links[k.ticket]
		p.Key, p.Joining = keys[i], k.joining
		if k.named {
			p.Addrs = []string{"/dns4/link.example/tcp/4001", "/dns4/link.example/udp/4001/quic-v1"}
		}
		switch k.own {
		case running:
			p.OwnLink, p.PortHeld = true, true
		case halted, unknown:
			p.OwnLink, p.Link, p.Addrs, p.Relays = true, spareID, nil, relays
			if k.own == halted {
				p.Key = spareKey
			} else {
				p.Link = members[i]
			}
		}
		if k.proxy {
			p.Proxy = fmt.Sprintf("http://%s:%d", c.lab.Gateway(k.host), natlab.ProxyPort)
		}
		all.Go(func() error { reports[i], errs[i] = c.examine(k.host, p); return nil })
	}
	_ = all.Wait()
	for i, k := range labCases {
		t.Run(fmt.Sprintf("%s,joining=%v,proxy=%v,name=%v,link=%v", k.host, k.joining, k.proxy, k.named, k.own), func(t *testing.T) {
			if errs[i] != nil {
				t.Fatal(errs[i])
			}
			k.check(t, c, reports[i])
		})
	}
}

// atATime is how many doctors run: they mostly wait.
const atATime = 6

func (k labCase) check(t *testing.T, c *clinic, r Report) {
	names := strings.NewReplacer("$LINK", c.lab.Addr("link"), "$WEB", c.lab.Addr("web"), "$FAR", c.lab.Addr("far"), "$HOME", c.lab.PublicAddr("home-a"),
		"$FULL", c.lab.PublicAddr("fullcone"), "$SELF", r.Self.String())
	if r.Verdict.Cause != k.cause {
		t.Errorf("cause %q, want %q", r.Verdict.Cause, k.cause)
	}
	if want := names.Replace(k.user); r.Verdict.User != want {
		t.Errorf("the user is told\n  %s\nwant\n  %s", r.Verdict.User, want)
	}
	if want := names.Replace(k.firewall); r.Verdict.Firewall != want {
		t.Errorf("the firewall team is told\n  %s\nwant\n  %s", r.Verdict.Firewall, want)
	}
	if r.NAT.UDP != k.udp || r.NAT.UDPFilter != k.filter {
		t.Errorf("UDP mapping %q and filtering %q, want %q and %q", r.NAT.UDP, r.NAT.UDPFilter, k.udp, k.filter)
	}
	k.checkMeasured(t, r)
	if r.Took > MaxTime.Seconds()+1 {
		t.Errorf("it took %v s", r.Took)
	}
	if t.Failed() {
		text, _ := json.MarshalIndent(r, "", " ")
		t.Logf("%s", text)
	}
}

// checkMeasured looks at what a verdict does not mention.
func (k labCase) checkMeasured(t *testing.T, r Report) {
	translated := r.NAT.Translated == Yes
	if translated && k.udp != MappingUnknown && r.NAT.SeenUDP != "" && r.NAT.Hairpin != No {
		t.Errorf("hairpin %q, but no NAT of the lab does that", r.NAT.Hairpin)
	}
	for _, relay := range r.Relays {
		reserves := k.cause != CauseBlocked && k.own != running && k.own != unknown && !k.joining
		if reserves && relay.Connect.State == OK && relay.Reservation.State != OK {
			t.Errorf("reservation at %s: %+v", relay.Peer, relay.Reservation)
		}
	}
	if k.cause == CauseBlocked || k.cause == CauseName || k.own != notLink {
		return
	}
	if ahead := r.Clock.Ahead; !r.Clock.Known || ahead-r.Clock.Within > 0 || ahead+r.Clock.Within < 0 {
		t.Errorf("clock %+v, but it is the same clock", r.Clock)
	}
	if len(r.Paths) == 0 {
		t.Fatal("no path")
	}
	best := r.Paths[0]
	switch {
	case best.RTT <= 0:
		t.Errorf("no round trip: %+v", best)
	case k.joining && (best.Down > 0 || best.Why == ""):
		t.Errorf("a stranger measured the link: %+v", best)
	case !k.joining && (best.Down <= 0 || best.Up <= 0):
		t.Errorf("no throughput: %+v", best)
	}
}
