package localpeer

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

func TestHeadersOfWebPages(t *testing.T) {
	guard := &Guard{Names: []string{"hub.example"}}
	for _, test := range []struct {
		host, origin, site string
		pass               bool
	}{
		{host: "127.0.0.1:8000", pass: true},
		{host: "localhost:8000", pass: true},
		{host: "LOCALHOST", pass: true},
		{host: "[::1]:8000", pass: true},
		{host: "10.0.0.7:8000", pass: true}, // an address cannot be rebound
		{host: "hub.example:8000", pass: true},
		{host: "127.0.0.1:8000", origin: "http://127.0.0.1:8000", site: "same-origin", pass: true},
		{host: "127.0.0.1:8000", site: "none", pass: true}, // typed into the address line
		{host: "evil.example:8000"},                        // rebound to 127.0.0.1
		{host: "127.0.0.1.evil.example"},
		{host: ""},
		{host: "127.0.0.1:8000", origin: "http://evil.example"},
		{host: "127.0.0.1:8000", origin: "http://127.0.0.1:9999"},
		{host: "127.0.0.1:8000", origin: "null"},
		{host: "127.0.0.1:8000", origin: "http://localhost:8000"},
		{host: "127.0.0.1:8000", site: "cross-site"},
		{host: "127.0.0.1:8000", site: "same-site"},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Host = test.host
			for name, value := range map[string]string{"Origin": test.origin, "Sec-Fetch-Site": test.site} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			if err := guard.CheckRequest(r); (err == nil) != test.pass || err != nil && !errors.Is(err, ErrForeign) {
				t.Errorf("verdict %v", err)
			}
		})
	}
}

func TestUsers(t *testing.T) {
	addr := func(text string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(text)) }
	local, peer := addr("127.0.0.1:8000"), addr("127.0.0.1:4567")
	unknown := errors.New("no such socket")
	for name, test := range map[string]struct {
		guard  Guard
		from   net.Addr
		uid    uint32
		err    error
		pass   bool
		reason error
	}{
		"own":                  {uid: uint32(os.Geteuid()), pass: true},
		"root":                 {uid: 0, pass: true},
		"another":              {uid: 4321, reason: ErrForeign},
		"another, allowed":     {guard: Guard{Users: []uint32{4321}}, uid: 4321, pass: true},
		"anybody":              {guard: Guard{AnyUser: true}, uid: 4321, pass: true},
		"cannot be found out":  {err: unknown, reason: unknown},
		"from another machine": {from: addr("192.0.2.7:4567"), err: unknown, pass: true},
		"not TCP":              {from: &net.UnixAddr{Name: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			if !Supported {
				t.Skip("this system does not say whose socket it is")
			}
			test.guard.owner = func(l, r netip.AddrPort) (uint32, error) {
				if l.String() != local.String() || r.String() != peer.String() {
					t.Errorf("asked for %s of %s", r, l)
				}
				return test.uid, test.err
			}
			if test.from == nil {
				test.from = peer
			}
			err := test.guard.checkAddrs(local, test.from)
			if (err == nil) != test.pass || test.reason != nil && !errors.Is(err, test.reason) {
				t.Errorf("verdict %v", err)
			}
		})
	}
}

// TestOneQuestionAConnection serves real requests over one connection.
func TestOneQuestionAConnection(t *testing.T) {
	if !Supported {
		t.Skip("this system does not say whose socket it is")
	}
	var asked atomic.Int32
	guard := &Guard{owner: func(l, r netip.AddrPort) (uint32, error) {
		asked.Add(1)
		return ownerOf(l, r)
	}}
	served := guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), refuseWith403)
	server := httptest.NewUnstartedServer(served)
	server.Config.ConnContext = ConnContext
	server.Start()
	defer server.Close()
	for range 3 {
		response, err := server.Client().Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatalf("own request: %s", response.Status)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the kernel was asked %d times", n)
	}
}

func refuseWith403(w http.ResponseWriter, _ *http.Request, err error) {
	http.Error(w, strings.TrimSpace(err.Error()), http.StatusForbidden)
}
