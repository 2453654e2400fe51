package doctor

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	identifypb "github.com/libp2p/go-libp2p/p2p/protocol/identify/pb"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
)

// TestServersThatSayNothing tries a server that accepts and is silent, one that talks nonsense,
// one that hangs up, and a link that proves a different id.
func TestServersThatSayNothing(t *testing.T) {
	t.Parallel()
	other := newTestLink(t, 0)
	serve := func(say func(net.Conn)) ma.Multiaddr {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		var open []net.Conn
		all.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				mu.Lock()
				open = append(open, c)
				mu.Unlock()
				say(c)
			}
		})
		t.Cleanup(func() {
			_ = l.Close()
			all.Wait()
			for _, c := range open {
				_ = c.Close()
			}
		})
		at := l.Addr().(*net.TCPAddr).AddrPort()
		return ma.StringCast("/ip4/127.0.0.1/tcp/" + strconv.Itoa(int(at.Port())))
	}
	silent := serve(func(net.Conn) {})
	nonsense := serve(func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
	hangsUp := serve(func(c net.Conn) { _ = c.Close() })
	link := testIdentity(t).ID
	began := time.Now()
	r, err := Examine(t.Context(), Config{NewHost: newHost, Link: link, Addrs: append([]ma.Multiaddr{silent, nonsense, hangsUp}, other.Network().ListenAddresses()...)})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > MaxTime {
		t.Errorf("it took %v", took)
	}
	want := []Failure{FailTimeout, "", "", FailWrongPeer, FailWrongPeer} // for nonsense any failure will do
	for i, a := range r.Addresses {
		if a.Handshake.State != Failed || want[i] != "" && a.Handshake.Failure != want[i] {
			t.Errorf("%s: %+v, want %q", a.Address, a.Handshake, want[i])
		}
	}
}

func TestNothingToExamine(t *testing.T) {
	for name, cfg := range map[string]Config{
		"nothing":                   {},
		"a circuit without a relay": {Link: testIdentity(t).ID, Addrs: []ma.Multiaddr{ma.StringCast("/p2p-circuit")}},
	} {
		if r, err := Examine(t.Context(), cfg); err == nil {
			t.Errorf("%s: %+v", name, r.Verdict)
		}
	}
}

// saidBy is a stream on which the other side has already said something.
type saidBy struct {
	network.MuxedStream
	io.Reader
}

func (s saidBy) Read(b []byte) (int, error) { return s.Reader.Read(b) }

func FuzzIdentify(f *testing.F) {
	var good bytes.Buffer
	if _, err := protodelim.MarshalTo(&good, &identifypb.Identify{
		AgentVersion: proto.String("rhizome"), Protocols: []string{"/ipfs/ping/1.0.0"}, ObservedAddr: ma.StringCast("/ip4/11.0.0.1/tcp/1").Bytes(),
	}); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add(append(good.Bytes(), good.Bytes()...))
	f.Fuzz(func(t *testing.T, said []byte) {
		a := new(asked)
		if err := a.identify(saidBy{Reader: bytes.NewReader(said)}); err != nil {
			return
		}
		if len([]rune(a.agent)) > maxDetail+3 || a.standing == "" {
			t.Errorf("agent %q, standing %q", a.agent, a.standing)
		}
		if a.observed != nil {
			if _, ok := addressOf(a.observed); !ok {
				t.Errorf("observed %s has no IP address", a.observed)
			}
		}
	})
}
