//go:build linux

package natlab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMappingAndFiltering(t *testing.T) {
	sites := []Site{{Name: "r1", Kind: Public}, {Name: "r2", Kind: Public}}
	kinds := []struct {
		kind        Kind
		udp         bool // gets out at all
		independent bool // one mapping for all destinations
		keepsPort   bool
		strangers   bool // may send to the mapping
	}{
		{Public, true, true, true, true},
		{Firewalled, true, true, true, false},
		{Cone, true, true, true, false},
		{ConeReject, true, true, true, false},
		{FullCone, true, true, true, true},
		{Symmetric, true, false, false, false},
		{CGNAT, true, true, true, false},
		{CGNATSym, true, false, false, false},
		{UDPBlocked, false, false, false, false},
		{Proxy, false, false, false, false},
	}
	for _, k := range kinds {
		s := Site{Name: string(k.kind), Kind: k.kind}
		if k.kind == FullCone {
			s.Forward = []int{4001}
		}
		sites = append(sites, s)
	}
	l := build(t, sites...)
	mirror(t, l, "r1", 9000)
	mirror(t, l, "r2", 9000)
	stranger := udp(t, l, "r2", 9001)
	for _, k := range kinds {
		host := string(k.kind)
		wait := patience
		if !k.udp {
			wait = silence
		}
		c := udp(t, l, host, 4001)
		first, second := mapping(c, endpoint(l.Addr("r1"), 9000), wait), mapping(c, endpoint(l.Addr("r2"), 9000), wait)
		if !k.udp {
			if first != "" || second != "" {
				t.Errorf("%s: UDP gets out as %s, %s", host, first, second)
			}
			continue
		}
		if first == "" || second == "" || (first == second) != k.independent {
			t.Errorf("%s: mappings %q and %q, want one for all: %v", host, first, second, k.independent)
			continue
		}
		if keeps := first == fmt.Sprintf("%s:4001", l.PublicAddr(host)); keeps != k.keepsPort {
			t.Errorf("%s: mapped to %s, want its port kept: %v", host, first, k.keepsPort)
		}
		to, err := net.ResolveUDPAddr("udp4", first)
		if err != nil {
			t.Fatal(err)
		}
		wait = silence
		if k.strangers {
			wait = patience
		}
		if got := reaches(stranger, to, c, wait); got != k.strangers {
			t.Errorf("%s: a stranger gets in: %v, want %v", host, got, k.strangers)
		}
	}
}

func TestTwoHostsBehindOneNATDoNotMeetOutside(t *testing.T) {
	l := build(t, Site{Name: "r", Kind: Public}, Site{Name: "home", Kind: Cone, Hosts: []string{"a", "b"}})
	mirror(t, l, "r", 9000)
	a, b := udp(t, l, "a", 4001), udp(t, l, "b", 4002)
	seenA, seenB := mapping(a, endpoint(l.Addr("r"), 9000), patience), mapping(b, endpoint(l.Addr("r"), 9000), patience)
	if seenA == "" || seenB == "" {
		t.Fatal("the hosts do not reach the internet")
	}
	toA, err := net.ResolveUDPAddr("udp4", seenA)
	if err != nil {
		t.Fatal(err)
	}
	toB, err := net.ResolveUDPAddr("udp4", seenB)
	if err != nil {
		t.Fatal(err)
	}
	// Both speak first, as in hole punching, and still nothing is hairpinned.
	if reaches(b, toA, a, silence) || reaches(a, toB, b, silence) || reaches(b, toA, a, silence) {
		t.Error("the NAT hairpins")
	}
	if !reaches(b, endpoint(l.Addr("a"), 4001), a, patience) {
		t.Error("the hosts do not reach each other in their own network")
	}
}

func TestOnlyPort443GetsOut(t *testing.T) {
	l := build(t, Site{Name: "r", Kind: Public}, Site{Name: "office", Kind: UDPBlocked})
	listen(t, l, "r", 443)
	listen(t, l, "r", 444)
	if err := dial(l, "office", l.Addr("r"), 443, patience); err != nil {
		t.Errorf("port 443: %v", err)
	}
	if err := dial(l, "office", l.Addr("r"), 444, silence); err == nil {
		t.Error("port 444 gets out")
	}
}

func TestRejectAndDropTellApart(t *testing.T) {
	l := build(t, Site{Name: "r", Kind: Public}, Site{Name: "rejects", Kind: ConeReject}, Site{Name: "drops", Kind: Cone})
	if err := dial(l, "r", l.PublicAddr("rejects"), 4001, patience); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial to a rejecting gateway: %v", err)
	}
	var timeout net.Error
	if err := dial(l, "r", l.PublicAddr("drops"), 4001, silence); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("dial to a dropping gateway: %v", err)
	}
}

func TestProxyIsTheOnlyWayOut(t *testing.T) {
	l := build(t, Site{Name: "r", Kind: Public}, Site{Name: "office", Kind: Proxy})
	listen(t, l, "r", 443)
	if err := dial(l, "office", l.Addr("r"), 443, silence); err == nil {
		t.Error("the office gets out past its proxy")
	}
	ask := func(method, target string) (int, string) {
		t.Helper()
		var c net.Conn
		err := l.In("office", func() (err error) {
			c, err = net.DialTimeout("tcp4", fmt.Sprintf("%s:%d", l.Gateway("office"), ProxyPort), patience)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: proxy\r\n\r\n", method, target)
		in := bufio.NewReader(c)
		response, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusOK {
			return response.StatusCode, ""
		}
		said, _ := io.ReadAll(in)
		return response.StatusCode, string(said)
	}
	if code, said := ask("CONNECT", l.Addr("r")+":443"); code != http.StatusOK || said != "hello" {
		t.Errorf("CONNECT to port 443: %d, %q", code, said)
	}
	for _, c := range []struct {
		method, target string
		want           int
	}{
		{"CONNECT", l.Addr("r") + ":444", http.StatusForbidden},
		{"CONNECT", "example.org:443", http.StatusBadGateway},
		{"GET", "http://" + l.Addr("r") + "/", http.StatusMethodNotAllowed},
	} {
		if code, _ := ask(c.method, c.target); code != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.target, code, c.want)
		}
	}
}

func TestTopologyRefusesNonsense(t *testing.T) {
	for name, topology := range map[string]Topology{
		"unknown kind":        {Sites: []Site{{Name: "a", Kind: "wormhole"}}},
		"two of one name":     {Sites: []Site{{Name: "a", Kind: Cone}, {Name: "a", Kind: Cone}}},
		"host like a gateway": {Sites: []Site{{Name: "a", Kind: Cone, Hosts: []string{"a-gw"}}}},
		"path as a name":      {Sites: []Site{{Name: "../a", Kind: Cone}}},
		"prefix with a space": {Prefix: "a b"},
		"forwarding cone":     {Sites: []Site{{Name: "a", Kind: Cone, Forward: []int{1}}}},
		"loss of 2":           {Sites: []Site{{Name: "a", Kind: Cone, Uplink: Link{Loss: 2}}}},
	} {
		if l, err := Build(topology); err == nil {
			_ = l.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

func TestParseSite(t *testing.T) {
	got, err := ParseSite("a=fullcone,hosts=b+c,rtt=60ms,jitter=1ms,loss=0.5,rate=20M,queue=256k,mtu=1400,gso,fwd=1+2")
	if err != nil {
		t.Fatal(err)
	}
	want := Site{
		Name: "a", Kind: FullCone, Hosts: []string{"b", "c"}, Forward: []int{1, 2},
		Uplink: Link{Delay: 30 * time.Millisecond, Jitter: time.Millisecond, Loss: 0.5, Rate: 20e6, Queue: 256 << 10, MTU: 1400, GSO: true},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, word := range []string{"", "a", "a=b", "a=cone,x=1", "a=cone,rtt=fast", "a=cone,rate=9999999999999G", "a=cone,fwd=0", "a=fullcone,fwd=x"} {
		if _, err := ParseSite(word); err == nil || !strings.Contains(err.Error(), "site") {
			t.Errorf("%q: %v", word, err)
		}
	}
}
