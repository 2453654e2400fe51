//go:build linux

package natlab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Lab is a running topology. Its methods may be called from any goroutine, except Close.
type Lab struct {
	topology Topology
	ns       []string // to delete
	closers  []func() error

	mu    sync.Mutex // guards what Move and Renumber change
	hosts map[string]place
	sites map[string]*builtSite
}

// place is where a host is plugged in.
type place struct {
	site *builtSite
	own  string // its address there
}

// builtSite is what is needed to change a site later.
type builtSite struct {
	Site
	number   int
	inside   string   // the first three numbers of its hosts' addresses
	device   string   // the router's, towards the site
	gateways []string // namespaces, outermost last
	wan      *wan     // nil when the uplink is ideal

	uplink     uplink
	renumbered int // times
	plugged    int // hosts that were ever plugged in: each gets an address and a port of its own
}

// Build creates namespaces, links, routes and rules, which takes some 30 ms per host.
func Build(t Topology) (*Lab, error) {
	t = t.withDefaults()
	if err := t.validate(); err != nil {
		return nil, fmt.Errorf("natlab: %w", err)
	}
	l := &Lab{topology: t, hosts: map[string]place{}, sites: map[string]*builtSite{}}
	if err := l.build(); err != nil {
		return nil, errors.Join(fmt.Errorf("natlab: %w", err), l.Close())
	}
	return l, nil
}

func (l *Lab) build() error {
	if err := l.addNS("inet"); err != nil {
		return err
	}
	for i, s := range l.topology.Sites {
		if err := l.addSite(i+1, s); err != nil {
			return fmt.Errorf("site %s: %w", s.Name, err)
		}
	}
	return nil
}

// Close takes everything down. Processes in the lab must have ended.
func (l *Lab) Close() error {
	var errs []error
	for _, c := range slices.Backward(l.closers) {
		errs = append(errs, c())
	}
	for _, ns := range l.ns {
		errs = append(errs, deleteNS(ns))
	}
	l.closers, l.ns = nil, nil
	return errors.Join(errs...)
}

// Hosts lists all hosts, sorted.
func (l *Lab) Hosts() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.hosts))
}

// Addr returns a host's own address.
func (l *Lab) Addr(host string) string {
	own, _, _ := l.addrs(host)
	return own
}

// PublicAddr returns the address under which the internet sees a host.
func (l *Lab) PublicAddr(host string) string {
	_, public, _ := l.addrs(host)
	return public
}

// Gateway returns the inside address of a host's gateway.
func (l *Lab) Gateway(host string) string {
	_, _, gateway := l.addrs(host)
	return gateway
}

// addrs returns empty strings for a host that does not exist.
func (l *Lab) addrs(host string) (own, public, gateway string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.hosts[host]
	switch {
	case !ok:
		return "", "", ""
	case at.site.private():
		return at.own, at.site.uplink.site, at.site.gateway()
	}
	return at.own, at.own, at.site.gateway()
}

// Namespace returns the full name of a host's namespace, or of "SITE-gw", "SITE-isp" and "inet".
func (l *Lab) Namespace(host string) string { return l.topology.Prefix + "-" + host }

// Cmd prepares a command that runs on a host once it is started. Its process is the program
// itself, so signals reach it.
func (l *Lab) Cmd(ctx context.Context, host, program string, args ...string) *exec.Cmd {
	enter := []string{"--net=" + filepath.Join(namespaces, l.Namespace(host)), "--", program}
	return exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
}

// In runs f on a thread inside a host's namespace: sockets that f makes are the host's.
// Those made by goroutines that f starts are not.
func (l *Lab) In(host string, f func() error) error { return inNS(l.Namespace(host), f) }

// Cut pulls the plug between a site's uplink and the internet: silence in both
// directions, no RST, no ICMP, no carrier event. Cutting twice is an error.
func (l *Lab) Cut(site string) error { return Cut(l.topology.Prefix, site) }

// Restore ends a Cut.
func (l *Lab) Restore(site string) error { return Restore(l.topology.Prefix, site) }

// FlushNAT makes a site's gateways forget all mappings, as a router does when it restarts.
// A Cone hands out the same ports again; the hosts that had the mappings must speak first.
func (l *Lab) FlushNAT(site string) error { return FlushNAT(l.topology.Prefix, site) }

// SetUDPTimeout sets how long a site's gateways keep an idle UDP mapping, to the second.
// Linux has 30 s for one-way and 120 s for two-way traffic, cheap routers 30 s for both.
func (l *Lab) SetUDPTimeout(site string, d time.Duration) error {
	s, err := l.site(site)
	if err != nil {
		return err
	}
	seconds := fmt.Sprint(int(d.Seconds()))
	var errs []error
	for _, gateway := range s.gateways {
		errs = append(errs, sysctl(gateway, map[string]string{
			"net.netfilter.nf_conntrack_udp_timeout":        seconds,
			"net.netfilter.nf_conntrack_udp_timeout_stream": seconds,
		}))
	}
	return errors.Join(errs...)
}

// Stats returns the statistics of a site's uplink; zero if it is ideal.
func (l *Lab) Stats(site string) LinkStats {
	if s, err := l.site(site); err == nil && s.wan != nil {
		return s.wan.stats()
	}
	return LinkStats{}
}

func (l *Lab) site(name string) (*builtSite, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.sites[name]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("natlab: no site %q", name)
}
