//go:build linux

package natlab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFlushForgetsMappings(t *testing.T) {
	l := build(t, Site{Name: "r", Kind: Public}, Site{Name: "sym", Kind: Symmetric}, Site{Name: "home", Kind: CGNAT})
	mirror(t, l, "r", 9000)
	c := udp(t, l, "sym", 4001)
	first, again := mapping(c, endpoint(l.Addr("r"), 9000), patience), mapping(c, endpoint(l.Addr("r"), 9000), patience)
	if first == "" || first != again {
		t.Fatalf("mappings %q, %q without a flush", first, again)
	}
	if err := l.FlushNAT("sym"); err != nil {
		t.Fatal(err)
	}
	if after := mapping(c, endpoint(l.Addr("r"), 9000), patience); after == "" || after == first {
		t.Errorf("mapping %q before the flush, %q after", first, after)
	}

	// A peer that was spoken to may not answer after a flush until it is spoken to again.
	inside, outside := udp(t, l, "home", 4001), udp(t, l, "r", 9001)
	seen := mapping(inside, endpoint(l.Addr("r"), 9000), patience)
	to := endpoint(l.PublicAddr("home"), 4001)
	if seen != to.String() || !reaches(inside, endpoint(l.Addr("r"), 9001), outside, patience) || !reaches(outside, to, inside, patience) {
		t.Fatal("no conversation through the carrier's NAT")
	}
	if err := l.FlushNAT("home"); err != nil {
		t.Fatal(err)
	}
	if reaches(outside, to, inside, silence) {
		t.Error("a flushed NAT still lets the answer in")
	}
}

func TestCutIsSilent(t *testing.T) {
	for name, link := range map[string]Link{"ideal": {}, "shaped": {Delay: time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			l := build(t, Site{Name: "r", Kind: Public}, Site{Name: "home", Kind: Cone, Uplink: link})
			mirror(t, l, "r", 9000)
			c := udp(t, l, "home", 4001)
			before := mapping(c, endpoint(l.Addr("r"), 9000), patience)
			if err := l.Cut("home"); err != nil {
				t.Fatal(err)
			}
			if got := mapping(c, endpoint(l.Addr("r"), 9000), silence); got != "" {
				t.Error("an answer through a cut line")
			}
			if err := l.Restore("home"); err != nil {
				t.Fatal(err)
			}
			if after := mapping(c, endpoint(l.Addr("r"), 9000), patience); after == "" || after != before {
				t.Errorf("mapping %q before the cut, %q after", before, after)
			}
			if l.Cut("nowhere") == nil || l.Restore("home") == nil || l.FlushNAT("nowhere") == nil {
				t.Error("cutting a site that does not exist, or restoring one that is not cut, gives no error")
			}
		})
	}
}

func TestLinkDelays(t *testing.T) {
	const delay = 40 * time.Millisecond
	for _, gso := range []bool{false, true} {
		l := build(t, Site{Name: "r", Kind: Public}, Site{Name: "far", Kind: Cone, Uplink: Link{Delay: delay, GSO: gso}})
		mirror(t, l, "r", 9000)
		c := udp(t, l, "far", 4001)
		start := time.Now()
		if mapping(c, endpoint(l.Addr("r"), 9000), patience) == "" {
			t.Fatal("no answer over the link")
		}
		// There is no upper bound: a busy machine may take any length of time.
		if took := time.Since(start); took < 2*delay {
			t.Errorf("gso=%v: a round trip of %v over two delays of %v", gso, took, delay)
		}
		if l.Stats("far").Sent < 2 {
			t.Errorf("stats: %+v", l.Stats("far"))
		}
	}
}

func TestLinkLoses(t *testing.T) {
	l := build(t, Site{Name: "r", Kind: Public}, Site{Name: "lossy", Kind: Cone, Uplink: Link{Loss: 0.5}})
	c := udp(t, l, "lossy", 4001)
	udp(t, l, "r", 9000) // takes them; no ICMP comes back over the link
	const n = 1000
	for range n {
		if _, err := c.WriteToUDP([]byte("x"), endpoint(l.Addr("r"), 9000)); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(patience)
	for s := l.Stats("lossy"); s.Sent+s.Lost+s.Overflowed < n; s = l.Stats("lossy") {
		if time.Now().After(deadline) {
			t.Fatalf("only %+v of %d frames", s, n)
		}
		<-time.After(5 * time.Millisecond)
	}
	// The margin is 12 standard deviations: the test fails for a wrong probability, not by chance.
	if s := l.Stats("lossy"); s.Lost < n/2-200 || s.Lost > n/2+200 {
		t.Errorf("lost %d of %d at a loss of one half", s.Lost, n)
	}
}

func TestScheduleKeepsRateAndOrder(t *testing.T) {
	link := Link{Rate: 8_000_000, Queue: 100_000, Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond}
	var s schedule
	now := time.Unix(1000, 0)
	last, fitted := now, 0
	for range 200 { // 200 frames of 1000 bytes at once: a queue of 100 has room for half of them
		due, fits := s.next(link, now, 1000)
		if !fits {
			continue
		}
		fitted++
		if due.Before(last) {
			t.Fatal("a frame overtakes another")
		}
		last = due
		// At 1 MB/s, 1000 bytes take a millisecond.
		if least := now.Add(time.Duration(fitted)*time.Millisecond + link.Delay); due.Before(least) {
			t.Fatalf("frame %d arrives %v after the first was sent: faster than the rate", fitted, due.Sub(now))
		}
	}
	if fitted < 99 || fitted > 101 {
		t.Errorf("%d frames fitted a queue of 100", fitted)
	}
	if _, fits := s.next(link, now.Add(time.Second), 1000); !fits {
		t.Error("the queue does not drain")
	}
}

func TestCmdRunsOnItsHost(t *testing.T) {
	l := build(t, Site{Name: "a", Kind: Cone}, Site{Name: "b", Kind: Cone, Hosts: []string{"b1", "b2"}})
	for _, host := range l.Hosts() {
		out, err := l.Cmd(t.Context(), host, "ip", "-4", "-o", "addr", "show", "dev", "eth0").CombinedOutput()
		if err != nil || !strings.Contains(string(out), l.Addr(host)+"/24") {
			t.Errorf("%s: %v: %s", host, err, out)
		}
	}
}

func TestNothingReachesTheMachine(t *testing.T) {
	l := build(t, Site{Name: "a", Kind: Public}, Site{Name: "b", Kind: CGNAT})
	ours := regexp.MustCompile(`^(lo|br0|wan|lan|eth0|s[0-9]+|h[0-9]+)$`)
	for _, ns := range []string{"inet", "a", "a-gw", "b", "b-gw", "b-isp"} {
		err := l.In(ns, func() error {
			devices, err := net.Interfaces()
			for _, d := range devices {
				if !ours.MatchString(d.Name) {
					t.Errorf("%s has device %s, which does not belong to the lab", ns, d.Name)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// The router knows the sites' addresses, and no route to any others.
	err := l.In("inet", func() error {
		c, err := net.DialUDP("udp4", nil, endpoint("1.1.1.1", 53))
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	if !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("the lab's internet has a way out: %v", err)
	}
}

func TestCloseAndCleanLeaveNothing(t *testing.T) {
	link := Link{Delay: time.Millisecond}
	if Shapes() != nil {
		link = Link{}
	}
	l := build(t, Site{Name: "a", Kind: CGNAT, Uplink: link}, Site{Name: "p", Kind: Proxy})
	left := func() []string {
		found, err := filepath.Glob(filepath.Join(namespaces, l.topology.Prefix+"-*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if len(left()) != 6 {
		t.Fatalf("namespaces: %v", left())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if len(left()) != 0 {
		t.Errorf("left behind: %v", left())
	}
	if err := createNS(l.topology.Prefix + "-killed"); err != nil {
		t.Fatal(err)
	}
	if err := Clean(l.topology.Prefix); err != nil {
		t.Fatal(err)
	}
	if len(left()) != 0 {
		t.Errorf("left behind by Clean: %v", left())
	}
}

func TestBuildThatFailsLeavesNothing(t *testing.T) {
	if entered != nil {
		t.Skip("labs cannot be built here: ", entered)
	}
	p := prefix()
	if err := os.MkdirAll(namespaces, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := createNS(p + "-b"); err != nil { // in the way
		t.Fatal(err)
	}
	defer func() { _ = deleteNS(p + "-b") }()
	if l, err := Build(Topology{Prefix: p, Sites: []Site{{Name: "a", Kind: Cone}, {Name: "b", Kind: Cone}}}); err == nil {
		_ = l.Close()
		t.Fatal("built over another's namespace")
	}
	found, _ := filepath.Glob(filepath.Join(namespaces, p+"-*"))
	if fmt.Sprint(found) != fmt.Sprint([]string{filepath.Join(namespaces, p+"-b")}) {
		t.Errorf("left behind: %v", found)
	}
}
