package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"

	"github.com/rhizome-fl/rhizome/p2p"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/doctor/doctorpb"
	"github.com/rhizome-fl/rhizome/p2p/identity"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

func testIdentity(t *testing.T) identity.Identity {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return identity.Identity{Key: key, ID: id}
}

// testLink is a host with the server, and a standing for everybody who comes.
type testLink struct {
	*p2p.Host
	standing atomic.Int32
	server   *Server
}

// newHost makes a host of the overlay, as cmd does.
func newHost(cfg HostConfig) (host.Host, error) {
	h, err := p2p.NewHost(p2p.Config{
		Identity: cfg.Identity, Gate: cfg.Gate, UserAgent: cfg.Software,
		Overlay: p2p.Overlay{NoListen: !cfg.Listen, Port: cfg.Port, Proxy: cfg.Proxy, RootCAs: cfg.RootCAs},
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

func newTestLink(t *testing.T, standing admission.Standing) *testLink {
	t.Helper()
	l := new(testLink)
	l.standing.Store(int32(standing))
	now := func() admission.Standing { return admission.Standing(l.standing.Load()) }
	h, err := p2p.NewHost(p2p.Config{
		Identity: testIdentity(t), Kind: p2p.Hub, Gate: admission.GateFunc(func(peer.ID) admission.Standing { return now() }),
		Overlay: p2p.Overlay{Listen: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/0"), ma.StringCast("/ip4/127.0.0.1/udp/0/quic-v1")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Host = h
	joins := join.Serve(h, func(join.Request) bool { return true }, func(context.Context, peer.ID, join.Request) (join.Answer, error) {
		t.Error("the doctor joined")
		return join.Answer{}, errors.New("not now")
	})
	l.server = Serve(h, func(peer.ID) bool { return now() == admission.Member })
	t.Cleanup(func() {
		l.server.Close()
		joins.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// reach returns a way to the link over each of its addresses.
func (l *testLink) reach(t *testing.T) []*way {
	t.Helper()
	s, err := newSite(Config{NewHost: newHost, Link: l.ID(), Addrs: l.Network().ListenAddresses()})
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.host(true, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	var ways []*way
	for _, a := range s.direct {
		found, w := s.checkAddress(t.Context(), h, l.ID(), false, a)
		if w == nil {
			t.Fatalf("%s: %+v", a, found)
		}
		t.Cleanup(func() { _ = w.Close() })
		ways = append(ways, w)
	}
	return ways
}

func TestWhoMayAskWhat(t *testing.T) {
	for standing, may := range map[admission.Standing]map[protocol.ID]bool{
		admission.Member:  {admission.ObserveProtocol: true, KnockProtocol: true, ThroughputProtocol: true},
		admission.Joining: {admission.ObserveProtocol: true, KnockProtocol: false, ThroughputProtocol: false},
	} {
		for _, w := range newTestLink(t, standing).reach(t) {
			if w.asked == nil || w.standing != standing.String() {
				t.Fatalf("standing %+v, want %s", w.asked, standing)
			}
			local, _, _ := endpointOf(w.LocalMultiaddr()) // QUIC's socket is bound to no address
			if seen, _, ok := endpointOf(w.observed); w.rtt <= 0 || !ok || seen.Port() != local.Port() {
				t.Errorf("%s: round trip %v, seen as %s, is %s", standing, w.rtt, w.observed, w.LocalMultiaddr())
			}
			for proto, allowed := range may {
				err := ask(t.Context(), w.OpenStream, proto, patience, func(network.MuxedStream) error { return nil })
				if (err == nil) != allowed || w.speaks(proto) != allowed {
					t.Errorf("%s asks %s: %v, told of it: %v, want %v", standing, proto, err, w.speaks(proto), allowed)
				}
			}
		}
	}
}

func TestRefusedPeersLearnThatTheyAre(t *testing.T) {
	l := newTestLink(t, admission.Refused)
	r, err := Examine(t.Context(), Config{NewHost: newHost, Link: l.ID(), Addrs: l.Network().ListenAddresses()})
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Cause != CauseRefused {
		t.Errorf("%+v\n%+v", r.Verdict, r.Addresses)
	}
}

func TestObserveEndsAStreamThatAsksForEver(t *testing.T) {
	w := newTestLink(t, admission.Joining).reach(t)[0]
	answers := 0
	err := ask(t.Context(), w.OpenStream, admission.ObserveProtocol, patience, func(s network.MuxedStream) error {
		for {
			if err := delimited.Write(s, new(doctorpb.ObserveRequest)); err != nil {
				return err
			}
			if err := readMessage(s, new(doctorpb.ObserveAnswer)); err != nil {
				return err
			}
			answers++
		}
	})
	if err == nil || answers != maxObserved {
		t.Errorf("%d answers, then %v", answers, err)
	}
}

func TestThroughputIsBoundedAndWaits(t *testing.T) {
	t.Parallel()
	l := newTestLink(t, admission.Member)
	w := l.reach(t)[0]
	err := ask(t.Context(), w.OpenStream, ThroughputProtocol, patience, func(s network.MuxedStream) error {
		granted, err := agree(s, &doctorpb.TransferRequest{Bytes: 1 << 62})
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, s)
		if granted != transferBytes || n > transferBytes {
			t.Errorf("%d bytes granted, %d came", granted, n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	var p Path
	var others []network.MuxedStream
	turnedAway := func() bool { return p.Down == 0 && strings.Contains(p.Why, "others measure") }
	// The server counts a stream after it has agreed on the protocol, and gives up on those that are silent.
	for until := time.Now().Add(patience); !turnedAway() && time.Now().Before(until); {
		resetAll(others)
		others = openSilent(t, w, maxTransfers+maxWaiting)
		p = Path{}
		measurePath(t.Context(), w.OpenStream, &p, true)
	}
	if !turnedAway() {
		t.Errorf("measured without a place: %+v", p)
	}
	resetAll(others)
	// One place is still taken, by somebody whose transfer stands still; another is free.
	if err := delimited.Write(openSilent(t, w, 1)[0], &doctorpb.TransferRequest{Upload: true, Bytes: 1}); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(patience); p.Why != "" && time.Now().Before(until); {
		p = Path{} // until the server has heard of the resets
		measurePath(t.Context(), w.OpenStream, &p, true)
	}
	if p.Down <= 0 || p.Up <= 0 || p.Why != "" {
		t.Errorf("not measured: %+v", p)
	}
}

// openSilent opens streams of peers that have not yet said what they want.
func openSilent(t *testing.T, w *way, n int) (all []network.MuxedStream) {
	t.Helper()
	for range n {
		s, err := w.OpenStream(t.Context())
		if err == nil {
			err = multistream.SelectProtoOrFail(ThroughputProtocol, s)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func resetAll(all []network.MuxedStream) {
	for _, s := range all {
		_ = s.Reset()
	}
}

func TestKnockTriesTheAskersOwnAddressOnly(t *testing.T) {
	l := newTestLink(t, admission.Member)
	place := func() bool { t.Error("it would have knocked"); return true }
	answer := answerKnock(t.Context(), ma.StringCast("/ip4/11.0.0.1/tcp/1/p2p/"+l.ID().String()+"/p2p-circuit"), &doctorpb.KnockRequest{TcpPort: 1}, place)
	if answer.GetRefused() == "" || answer.GetTcp() != doctorpb.KnockAnswer_NOT_TRIED {
		t.Errorf("through a relay: %v", answer)
	}
	if answer := answerKnock(t.Context(), ma.StringCast("/ip4/127.0.0.1/tcp/1"), &doctorpb.KnockRequest{TcpPort: 1 << 16}, place); answer.GetRefused() == "" {
		t.Errorf("port 65536: %v", answer)
	}
	full := func() bool { return false }
	if answer := answerKnock(t.Context(), ma.StringCast("/ip4/127.0.0.1/tcp/1"), &doctorpb.KnockRequest{TcpPort: 1}, full); answer.GetRefused() == "" {
		t.Errorf("without a place: %v", answer)
	}
	ports := make(map[bool]uint32)
	for _, a := range l.Network().ListenAddresses() {
		if at, udp, ok := endpointOf(a); ok {
			ports[udp] = uint32(at.Port())
		}
	}
	w := l.reach(t)[0]
	tcp, udp, err := askToKnock(t.Context(), w, &doctorpb.KnockRequest{TcpPort: ports[false], UdpPort: ports[true]})
	if err != nil || tcp != DoorOpen || udp != DoorOpen {
		t.Errorf("at a host that listens: %q, %q, %v", tcp, udp, err)
	}
}

func TestKnock(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if got := knockUDP(t.Context(), silent.LocalAddr().(*net.UDPAddr).AddrPort()); got != DoorSilent {
		t.Errorf("a socket that does not answer: %q", got)
	}
	port, err := identity.PickPort()
	if err != nil {
		t.Fatal(err)
	}
	nobody := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
	if tcp, udp := knockTCP(t.Context(), nobody), knockUDP(t.Context(), nobody); tcp != DoorRefused || udp != DoorRefused {
		t.Errorf("nobody listens: TCP %q, UDP %q", tcp, udp)
	}
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	l := newTestLink(t, admission.Member)
	w := l.reach(t)[0]
	s, err := w.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- ask(t.Context(), func(context.Context) (network.MuxedStream, error) { return s, nil }, admission.ObserveProtocol, patience, func(s network.MuxedStream) error {
			if err := delimited.Write(s, new(doctorpb.ObserveRequest)); err != nil {
				return err
			}
			if err := readMessage(s, new(doctorpb.ObserveAnswer)); err != nil {
				return err
			}
			close(began)
			_, err := io.ReadAll(s) // the server waits for another request
			return err
		})
	}()
	<-began
	l.server.Close()
	if err := <-ended; err == nil {
		t.Error("the stream ended well")
	}
}
