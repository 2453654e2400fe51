package relay

import (
	"io"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/identity"
)

// BenchmarkThroughput sends over one stream: as stock libp2p does over TCP, as our hosts do,
// and as they do through our relay. All ends share this machine's processors, and a relayed
// byte is encrypted three times and decrypted three times on its way.
func BenchmarkThroughput(b *testing.B) {
	b.Run("stock", func(b *testing.B) {
		link, node := newHost(b), newHost(b)
		connect(b, node, link)
		pour(b, node, link)
	})
	b.Run("direct", func(b *testing.B) {
		link, node := newOwnHost(b, p2p.Hub), newOwnHost(b, p2p.Leaf)
		connect(b, node, link)
		pour(b, node, link)
	})
	b.Run("relayed", func(b *testing.B) {
		link, node := newOwnHost(b, p2p.Hub), newOwnHost(b, p2p.Leaf)
		l := newLabOn(b, newOwnHost(b, p2p.RelayHost), Options{Links: []peer.ID{link.ID()}})
		l.join(link)
		l.join(node)
		l.vouch(link, node)
		l.mustReserve(link)
		l.ctx = b.Context() // as long as it takes
		if err := l.circuit(node, link); err != nil {
			b.Fatal(err)
		}
		pour(b, node, link)
	})
}

// newOwnHost is a host as the daemons have it, on TCP.
func newOwnHost(t testing.TB, kind p2p.Kind) host.Host {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	h, err := p2p.NewHost(p2p.Config{Identity: id, Kind: kind, Overlay: p2p.Overlay{Listen: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0")}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func connect(t testing.TB, from, to host.Host) {
	t.Helper()
	if err := from.Connect(t.Context(), peer.AddrInfo{ID: to.ID(), Addrs: to.Addrs()}); err != nil {
		t.Fatal(err)
	}
}

// pour measures one stream.
func pour(b *testing.B, from, to host.Host) {
	b.Helper()
	to.SetStreamHandler("/test/sink", func(s network.Stream) {
		_, _ = io.CopyBuffer(io.Discard, onlyReader{s}, make([]byte, 64<<10))
	})
	s, err := from.NewStream(b.Context(), to.ID(), "/test/sink")
	if err != nil {
		b.Fatal(err)
	}
	chunk := make([]byte, 1<<20)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if _, err := s.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	_ = s.Reset()
}

// onlyReader hides a stream's other methods from io.Copy.
type onlyReader struct{ io.Reader }
