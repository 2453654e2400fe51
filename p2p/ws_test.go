package p2p

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/reach"
	"github.com/rhizome-fl/rhizome/p2p/transport"
)

func TestWebSocketThroughProxy(t *testing.T) {
	certificate, roots := selfSigned(t)
	proxy, tunnels := connectProxy(t)
	for name, tc := range map[string]struct {
		listen string
		hub    Config
		leaf   Config
	}{
		"ws":  {"/ip4/127.0.0.1/tcp/0/ws", Config{}, Config{}},
		"wss": {"/ip4/127.0.0.1/tcp/0/tls/ws", Config{Overlay: Overlay{Certificate: &certificate}}, Config{Overlay: Overlay{RootCAs: roots}}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.hub.Kind, tc.hub.Listen = Hub, []ma.Multiaddr{ma.StringCast(tc.listen)}
			hub := newHost(t, tc.hub)
			hub.HandleMembers(echoProtocol, echo)
			for _, through := range []*url.URL{nil, proxy} {
				before := tunnels.Load()
				tc.leaf.Proxy = through
				leaf := newHost(t, tc.leaf)
				s := keepEcho(t, leaf, directTo(hub)).next(t)
				if got := pathOf(leaf, s.Conn()).Transport; got != "websocket" {
					t.Errorf("transport %q", got)
				}
				if used := tunnels.Load() > before; used != (through != nil) {
					t.Errorf("proxy %v, used: %v", through, used)
				}
			}
		})
	}
}

func TestBadProxyIsAnError(t *testing.T) {
	for _, text := range []string{"proxy.example:3128", "ftp://proxy.example", "http://"} {
		u, err := url.Parse(text)
		if err != nil {
			continue
		}
		if _, err := NewHost(Config{Identity: newIdentityOf(t), Overlay: Overlay{Proxy: u}}); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

// WebSocket shares the one TCP port.
func TestAllTransportsOnOnePort(t *testing.T) {
	port, err := identity.PickPort()
	if err != nil {
		t.Fatal(err)
	}
	hub := newHost(t, Config{Kind: Hub, Overlay: Overlay{Port: port, WebSocket: true, Listen: []ma.Multiaddr{}}})
	hub.HandleMembers(echoProtocol, echo)
	for suffix, want := range map[string]string{"/tcp/%/ws": "websocket", "/tcp/%": "tcp", "/udp/%/quic-v1": "quic-v1"} {
		a := "/ip4/127.0.0.1"
		for _, r := range suffix {
			if r == '%' {
				a += itoa(port)
			} else {
				a += string(r)
			}
		}
		leaf := newHost(t, Config{Overlay: Overlay{NoListen: true}})
		s := keepEcho(t, leaf, reach.Target{Peer: hub.ID(), Addrs: []ma.Multiaddr{ma.StringCast(a)}}).next(t)
		if got := pathOf(leaf, s.Conn()).Transport; got != want {
			t.Errorf("%s: transport %q", a, got)
		}
	}
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// connectProxy serves CONNECT, and counts tunnels.
func connectProxy(t *testing.T) (*url.URL, *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var tunnels atomic.Int64
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { tunnel(c, &tunnels) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return &url.URL{Scheme: "http", Host: l.Addr().String()}, &tunnels
}

func tunnel(c net.Conn, count *atomic.Int64) {
	defer c.Close()
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil || r.Method != http.MethodConnect {
		return
	}
	to, err := net.Dial("tcp", r.Host)
	if err != nil {
		return
	}
	defer to.Close()
	count.Add(1)
	io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	var both sync.WaitGroup
	both.Go(func() { io.Copy(to, c); to.Close() })
	both.Go(func() { io.Copy(c, to); c.Close() })
	both.Wait()
}

// Where TCP is known on the same port, the swarm drops the WebSocket address; its other name is
// dialled through the proxy.
func TestWebSocketBesideTCPBehindProxy(t *testing.T) {
	proxy, tunnels := connectProxy(t)
	port, err := identity.PickPort()
	if err != nil {
		t.Fatal(err)
	}
	hub := newHost(t, Config{Kind: Hub, Overlay: Overlay{Port: port, WebSocket: true, Listen: []ma.Multiaddr{}}})
	hub.HandleMembers(echoProtocol, echo)
	tcp := ma.StringCast("/ip4/127.0.0.1/tcp/" + itoa(port))
	ws := tcp.Encapsulate(ma.StringCast("/ws"))
	if got := new(transport.Proxy).Aliases([]ma.Multiaddr{tcp, ws}); len(got) != 2 {
		t.Errorf("without a proxy: %v", got)
	}
	through := transport.Proxy{URL: proxy}
	got := through.Aliases([]ma.Multiaddr{tcp, ws})
	if len(got) != 3 || !got[2].Equal(tcp.Encapsulate(ma.StringCast("/http"))) {
		t.Fatalf("behind a proxy: %v", got)
	}
	if again := ma.Unique(through.Aliases(got)); len(again) != 3 {
		t.Errorf("aliases of its own aliases: %v", again)
	}
	leaf := newHost(t, Config{Overlay: Overlay{NoListen: true, Proxy: proxy}})
	s := keepEcho(t, leaf, reach.Target{Peer: hub.ID(), Addrs: got[2:]}).next(t)
	if by := pathOf(leaf, s.Conn()).Transport; by != "websocket" || tunnels.Load() != 1 {
		t.Errorf("transport %s through %d tunnels", by, tunnels.Load())
	}
}
