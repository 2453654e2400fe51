//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Kind is what stands between a site's hosts and the internet.
type Kind string

const (
	Public     Kind = "public"     // each host has a public address that anybody may contact
	Firewalled Kind = "firewalled" // public addresses, unsolicited inbound is dropped
	// Cone is the usual home router: it keeps ports, and lets in answers only from those who were spoken to.
	Cone       Kind = "cone"
	ConeReject Kind = "cone-reject" // Cone that refuses strangers (RST, ICMP) instead of dropping
	FullCone   Kind = "fullcone"    // Cone that forwards Site.Forward to the first host, as by UPnP
	Symmetric  Kind = "symmetric"   // a fresh random port for every destination
	CGNAT      Kind = "cgnat"       // Cone behind a carrier's Cone (100.64/10 between)
	CGNATSym   Kind = "cgnat-sym"   // Cone behind a carrier's Symmetric
	UDPBlocked Kind = "udpblocked"  // Cone that lets only TCP to port 443 out
	// Proxy has no route out at all, only an HTTP CONNECT proxy at its gateway's inside
	// address, port [ProxyPort], that connects to port 443 of numeric addresses.
	Proxy Kind = "proxy"
)

// ProxyPort is where the gateway of a Proxy site listens.
const ProxyPort = 3128

// Link is the line between a site and the internet. A zero value means no such limit; a
// Link that is zero altogether is ideal and costs nothing.
type Link struct {
	Delay  time.Duration // one way
	Jitter time.Duration // uniform, added to Delay; frames are never reordered
	Loss   float64       // probability for each frame, in each direction
	Rate   int64         // bits per second, each direction
	Queue  int           // bytes that wait for a Rate before frames are dropped; default 256 KiB
	MTU    int           // bytes; default 1500
	// GSO carries TCP and UDP super-frames, which is six times faster. It has no effect
	// together with Loss, since losing one would be a burst of up to 45 losses.
	GSO bool
}

func (l Link) ideal() bool { return l == Link{} }

// Site is one place: a gateway and the hosts behind it.
type Site struct {
	Name    string // part of interface and namespace names
	Kind    Kind
	Hosts   []string // default: one with the site's name
	Uplink  Link
	Forward []int // ports that a FullCone forwards, TCP and UDP
}

// Topology is what [Build] builds.
type Topology struct {
	// Prefix of the names of namespaces; default "nl". Two labs at the same time need different ones.
	Prefix string
	Sites  []Site
	// TCP is the hosts' congestion control; default "cubic", which most of the world runs.
	TCP string
}

const (
	// maxSites is what fits into the third byte of the addresses.
	maxSites = 250
	// maxHosts of a site: .10 to .209 of its network.
	maxHosts = 200
)

// names are used in file and interface names.
var names = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func (t Topology) withDefaults() Topology {
	if t.Prefix == "" {
		t.Prefix = "nl"
	}
	if t.TCP == "" {
		t.TCP = "cubic"
	}
	sites := make([]Site, len(t.Sites))
	for i, s := range t.Sites {
		if len(s.Hosts) == 0 {
			s.Hosts = []string{s.Name}
		}
		sites[i] = s
	}
	t.Sites = sites
	return t
}

func (t Topology) validate() error {
	if len(t.Sites) > maxSites {
		return fmt.Errorf("%d sites: at most %d", len(t.Sites), maxSites)
	}
	var errs []error
	taken := map[string]string{"inet": "the router"}
	take := func(name, who string) {
		if !names.MatchString(name) {
			errs = append(errs, fmt.Errorf("%s: a name is lower-case letters, digits and dashes", who))
		}
		if owner, clash := taken[name]; clash {
			errs = append(errs, fmt.Errorf("%s has the same name as %s", who, owner))
		}
		taken[name] = who
	}
	take(t.Prefix, fmt.Sprintf("prefix %q", t.Prefix))
	delete(taken, t.Prefix)
	for _, s := range t.Sites {
		take(s.Name+"-gw", fmt.Sprintf("gateway of site %q", s.Name))
		take(s.Name+"-isp", fmt.Sprintf("carrier of site %q", s.Name))
		for _, h := range s.Hosts {
			take(h, fmt.Sprintf("host %q", h))
		}
		errs = append(errs, s.validate())
	}
	return errors.Join(errs...)
}

func (s Site) validate() error {
	if _, err := s.gateways("0.0.0.0"); err != nil {
		return fmt.Errorf("site %q: %w", s.Name, err)
	}
	if len(s.Hosts) > maxHosts {
		return fmt.Errorf("site %q: %d hosts, at most %d", s.Name, len(s.Hosts), maxHosts)
	}
	if len(s.Forward) > 0 && s.Kind != FullCone {
		return fmt.Errorf("site %q: only a %s forwards ports", s.Name, FullCone)
	}
	for _, port := range s.Forward {
		if port < 1 || port > 65535 {
			return fmt.Errorf("site %q: forwarded port %d", s.Name, port)
		}
	}
	l := s.Uplink
	if l.Loss < 0 || l.Loss > 1 || l.Delay < 0 || l.Jitter < 0 || l.Rate < 0 || l.Queue < 0 {
		return fmt.Errorf("site %q: link settings out of range: %+v", s.Name, l)
	}
	if l.MTU != 0 && (l.MTU < 576 || l.MTU > 65535) {
		return fmt.Errorf("site %q: MTU %d, want 576 to 65535", s.Name, l.MTU)
	}
	return nil
}

// private tells whether the hosts have private addresses.
func (s Site) private() bool { return s.Kind != Public && s.Kind != Firewalled }
