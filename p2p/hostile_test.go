package p2p

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	circuitpb "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/util"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	identifypb "github.com/libp2p/go-libp2p/p2p/protocol/identify/pb"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/reach"
)

// hostile is a relay that takes every reservation and every circuit, and does harm.
type hostile struct {
	t    *testing.T
	host host.Host
	// carry treats what comes from one end of a circuit as the relay does, until it ends the
	// circuit.
	carry func(r *hostile, to io.Writer, from io.Reader)
	// itself: callers are connected to the relay, which claims to be the peer they want.
	itself bool
	// circuits counts those that it was asked for, trusted the streams that peers opened to it as
	// if to their hub.
	circuits, trusted atomic.Int32

	ended chan struct{} // the test is over
	work  sync.WaitGroup
}

// wrong is what a relay may claim about where it is and where others are: somebody else's machine.
// libp2p takes answers of up to 4 KiB, so more would be no danger.
var wrong = func() (addrs [][]byte) {
	for port := range 200 {
		addrs = append(addrs, ma.StringCast("/ip4/11.66.66.66/tcp/"+itoa(1000+port)).Bytes())
	}
	return addrs
}()

func newHostile(t *testing.T, r *hostile) *hostile {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrs(loopback[0]), libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		t.Fatal(err)
	}
	r.t, r.host, r.ended = t, h, make(chan struct{})
	t.Cleanup(func() {
		close(r.ended)
		h.Close()
		r.work.Wait()
	})
	h.SetStreamHandler(circuit.ProtoIDv2Hop, func(s network.Stream) {
		r.work.Add(1)
		defer r.work.Done()
		r.serve(s)
	})
	h.SetStreamHandler(identify.ID, r.introduce)
	h.SetStreamHandler(echoProtocol, func(s network.Stream) {
		r.trusted.Add(1)
		s.Reset()
	})
	return r
}

func (r *hostile) info() peer.AddrInfo { return peer.AddrInfo{ID: r.host.ID(), Addrs: r.host.Addrs()} }

// introduce lies about its own addresses and about the caller's.
func (r *hostile) introduce(s network.Stream) {
	defer s.Close()
	_, _ = protodelim.MarshalTo(s, &identifypb.Identify{
		ListenAddrs: wrong, ObservedAddr: wrong[0], Protocols: []string{string(circuit.ProtoIDv2Hop)},
	})
}

func (r *hostile) serve(s network.Stream) {
	defer s.Close()
	var asked circuitpb.HopMessage
	if util.NewDelimitedReader(s, 4<<10).ReadMsg(&asked) != nil {
		return
	}
	status, ok := circuitpb.HopMessage_STATUS, circuitpb.Status_OK
	answer := &circuitpb.HopMessage{Type: &status, Status: &ok}
	if asked.GetType() == circuitpb.HopMessage_RESERVE {
		until := uint64(time.Now().Add(time.Hour).Unix())
		answer.Reservation = &circuitpb.Reservation{Expire: &until, Addrs: wrong}
		_ = util.NewDelimitedWriter(s).WriteMsg(answer)
		return
	}
	r.circuits.Add(1)
	if r.itself {
		_ = util.NewDelimitedWriter(s).WriteMsg(answer)
		r.impersonate(s)
		return
	}
	target, err := r.stop(s.Conn().RemotePeer(), asked.GetPeer().GetId())
	if err != nil {
		s.Reset()
		return
	}
	_ = util.NewDelimitedWriter(s).WriteMsg(answer)
	r.both(s, target, func() {
		s.Reset()
		target.Reset()
	})
}

// stop opens the second half of a circuit.
func (r *hostile) stop(caller peer.ID, target []byte) (network.Stream, error) {
	to, err := peer.IDFromBytes(target)
	if err != nil {
		return nil, err
	}
	s, err := r.host.NewStream(network.WithNoDial(r.t.Context(), "relay"), to, circuit.ProtoIDv2Stop)
	if err != nil {
		return nil, err
	}
	connect := circuitpb.StopMessage_CONNECT
	err = util.NewDelimitedWriter(s).WriteMsg(&circuitpb.StopMessage{Type: &connect, Peer: &circuitpb.Peer{Id: []byte(caller)}})
	if err == nil {
		err = util.NewDelimitedReader(s, 4<<10).ReadMsg(&circuitpb.StopMessage{})
	}
	return s, err
}

// impersonate connects a caller to the relay's own port.
func (r *hostile) impersonate(s network.Stream) {
	_, own, err := manet.DialArgs(r.host.Addrs()[0])
	if err != nil {
		return
	}
	c, err := net.Dial("tcp4", own)
	if err != nil {
		return
	}
	r.both(s, c, func() {
		s.Reset()
		c.Close()
	})
}

// both carries bytes in both directions until one of them ends, and then ends the other.
func (r *hostile) both(a, b io.ReadWriter, end func()) {
	var ways sync.WaitGroup
	var once sync.Once
	for _, way := range []struct{ from, to io.ReadWriter }{{a, b}, {b, a}} {
		ways.Go(func() {
			r.carry(r, way.to, way.from)
			once.Do(end)
		})
	}
	ways.Wait()
}

func lies(_ *hostile, to io.Writer, from io.Reader) { _, _ = io.Copy(to, from) }

// drops cuts a circuit after some bytes.
func drops(_ *hostile, to io.Writer, from io.Reader) { _, _ = io.CopyN(to, from, 16<<10) }

// delays holds back every bit of it for so long that nobody waits for the handshake to finish.
func delays(r *hostile, to io.Writer, from io.Reader) {
	for b := make([]byte, 4<<10); ; {
		n, err := from.Read(b)
		select {
		case <-time.After(reach.DialTimeout / 4):
		case <-r.ended:
			return
		}
		if _, failed := to.Write(b[:n]); failed != nil || err != nil {
			return
		}
	}
}

// A hub is behind NAT, and a leaf's ticket names a hostile relay and a good one: the session comes
// about, and it carries what the hostile relay would not have let through.
func TestHostileRelayBesideAGoodOne(t *testing.T) {
	for name, r := range map[string]*hostile{"lies": {itself: true, carry: lies}, "drops": {carry: drops}, "delays": {carry: delays}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad, good := newHostile(t, r), newRelay(t, loopback[:1], nil)
			hub := newHost(t, Config{Kind: Hub, Overlay: Overlay{NoListen: true, Relays: []peer.AddrInfo{bad.info(), relayInfo(good)}}})
			hub.HandleMembers(echoProtocol, echo)
			eventually(t, hub, "two reservations", func() bool { return len(relaysOf(hub)) == 2 })
			leaf := newHost(t, Config{})
			if err := leaf.Connect(testContext(t), bad.info()); err != nil { // so that it wins every race
				t.Fatal(err)
			}
			target := via(hub, good)
			target.Addrs = append([]ma.Multiaddr{addr.Circuit(bad.host.ID(), bad.host.Addrs()[0])}, target.Addrs...)
			k := keepEcho(t, leaf, target)
			k.carries(t, leaf, good.ID())
			checkLies(t, hub, bad)
		})
	}
}

// carries waits until the kept stream carries a megabyte, which takes the good relay.
func (k *kept) carries(t *testing.T, leaf *Host, good peer.ID) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case s := <-k.streams:
			err := echoOf(leaf, s.Conn().RemotePeer(), 1<<20)
			if err == nil {
				if relay := addr.RelayOf(s.Conn()); relay != good {
					t.Errorf("relay %s carried it", relay)
				}
				return
			}
			t.Logf("through relay %s: %v", addr.RelayOf(s.Conn()), err)
			s.Conn().Close() // as a session that gets nothing done would
		case <-deadline:
			t.Fatal("no session carries what it has to")
		}
	}
}

// With only the hostile relay there is no session, or none that lasts; the reason is reported, and
// nobody has taken the relay for the hub.
func TestHostileRelayAlone(t *testing.T) {
	t.Parallel()
	bad := newHostile(t, &hostile{itself: true, carry: lies})
	hub := newHost(t, Config{Kind: Hub, Overlay: Overlay{NoListen: true, Relays: []peer.AddrInfo{bad.info()}}})
	eventually(t, hub, "a reservation", func() bool { return len(relaysOf(hub)) == 1 })
	leaf := newHost(t, Config{})
	k := keepEcho(t, leaf, reach.Target{Peer: hub.ID(), Addrs: []ma.Multiaddr{addr.Circuit(bad.host.ID(), bad.host.Addrs()[0])}})
	eventually(t, leaf, "a third attempt", func() bool { return bad.circuits.Load() >= 3 })
	failure := leaf.Ways(hub.ID()).Failure
	if failure == nil || !strings.Contains(failure.Err.Error(), "peer id mismatch") || !strings.Contains(failure.Err.Error(), bad.host.ID().String()) {
		t.Errorf("the failure is reported as: %+v", failure)
	}
	if n := bad.trusted.Load(); n > 0 || len(k.streams) > 0 {
		t.Errorf("the relay was taken for the hub %d times", n)
	}
	checkLies(t, hub, bad)
}

// checkLies checks that a relay's claims about addresses stay few, and do not crowd out those that
// the user named.
func checkLies(t *testing.T, hub *Host, bad *hostile) {
	t.Helper()
	named, told := 0, 0
	for _, a := range hub.Addresses() {
		if relay, ok := addr.SplitCircuit(a); ok && relay.ID == bad.host.ID() {
			told++
			if ma.Contains(bad.host.Addrs(), relay.Addrs[0]) {
				named++
			}
		}
	}
	if told > 4 || named != len(bad.host.Addrs()) {
		t.Errorf("the hub names %d addresses of the relay, and %d of the %d that it was given: %s", told, named, len(bad.host.Addrs()), hub.Addresses())
	}
	if n := len(hub.Addresses()); n > 12 {
		t.Errorf("the hub names %d addresses", n)
	}
}

// relaysOf returns the relays through which a hub can be reached.
func relaysOf(hub *Host) map[peer.ID]bool {
	via := make(map[peer.ID]bool)
	for _, a := range circuitsOf(hub) {
		if relay, ok := addr.SplitCircuit(a); ok {
			via[relay.ID] = true
		}
	}
	return via
}

// echoOf sends bytes to a peer and back on a stream of their own.
func echoOf(h *Host, to peer.ID, n int64) error {
	s, err := h.NewStream(network.WithNoDial(h.ctx, "already connected"), to, echoProtocol)
	if err != nil {
		return err
	}
	defer s.Reset()
	_ = s.SetDeadline(time.Now().Add(time.Minute))
	sent := make(chan error, 1)
	go func() {
		_, err := io.CopyN(s, zeros{}, n)
		sent <- err
	}()
	if _, err = io.CopyN(io.Discard, s, n); err != nil {
		s.Reset()
		<-sent
		return err
	}
	return <-sent
}

// zeros is an endless reader of zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
