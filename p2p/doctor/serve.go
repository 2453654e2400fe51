package doctor

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/doctor/doctorpb"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

var log = logs.For("p2p/doctor")

// KnockProtocol has the other side try ports of the address that the asker comes from.
const KnockProtocol protocol.ID = "/rhizome/knock/1"

// ThroughputProtocol moves bytes, to see how fast it goes.
const ThroughputProtocol protocol.ID = "/rhizome/throughput/1"

// Server answers the doctors of others.
type Server struct {
	host   host.Host
	member func(peer.ID) bool

	observers, knocks, waiting, transfers chan struct{}

	ctx    context.Context // ends what is under way
	cancel context.CancelFunc
	mu     sync.Mutex
	closed bool
	work   sync.WaitGroup
}

// Serve begins to answer on a host. Who may do what is the host's to say, since it lets
// strangers reach [admission.ObserveProtocol] and nothing else of ours; throughput is for
// those that member also names. A nil member: no throughput at all, as on relays. Close
// the server before the host.
func Serve(h host.Host, member func(peer.ID) bool) *Server {
	s := &Server{
		host: h, member: member,
		observers: make(chan struct{}, maxObservers),
		knocks:    make(chan struct{}, maxKnocks),
		waiting:   make(chan struct{}, maxWaiting),
		transfers: make(chan struct{}, maxTransfers),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	h.SetStreamHandler(admission.ObserveProtocol, s.handler(s.observe))
	h.SetStreamHandler(KnockProtocol, s.handler(s.knock))
	if member != nil {
		h.SetStreamHandler(ThroughputProtocol, s.handler(s.transfer))
	}
	return s
}

// Close ends the service and what it is at, and waits for it.
func (s *Server) Close() {
	for _, proto := range []protocol.ID{admission.ObserveProtocol, KnockProtocol, ThroughputProtocol} {
		s.host.RemoveStreamHandler(proto)
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.work.Wait()
}

// handler bounds a stream in time, and ends it with the server.
func (s *Server) handler(serve func(network.Stream) error) network.StreamHandler {
	return func(stream network.Stream) {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			_ = stream.Reset()
			return
		}
		s.work.Add(1)
		s.mu.Unlock()
		defer s.work.Done()
		stop := context.AfterFunc(s.ctx, func() { _ = stream.Reset() })
		defer stop()
		_ = stream.SetDeadline(time.Now().Add(streamTimeout))
		if err := serve(stream); err != nil {
			log.Debug("stream", "protocol", stream.Protocol(), "peer", stream.Conn().RemotePeer(), "err", err)
			_ = stream.Reset()
			return
		}
		_ = stream.Close()
	}
}

// take gets a slot, or is false at once when there is none.
func take(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *Server) observe(stream network.Stream) error {
	if !take(s.observers) {
		return stream.ResetWithError(network.StreamResourceLimitExceeded)
	}
	defer func() { <-s.observers }()
	// Where a relayed peer is, the relay knows and this host does not.
	var seen []byte
	if a := stream.Conn().RemoteMultiaddr(); !addr.IsCircuit(a) {
		seen = a.Bytes()
	}
	for range maxObserved {
		if err := readMessage(stream, new(doctorpb.ObserveRequest)); err != nil {
			return ignoreEOF(err)
		}
		if err := delimited.Write(stream, &doctorpb.ObserveAnswer{UnixNanos: time.Now().UnixNano(), Address: seen}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) knock(stream network.Stream) error {
	var req doctorpb.KnockRequest
	if err := readMessage(stream, &req); err != nil {
		return err
	}
	return delimited.Write(stream, s.answerKnock(stream.Conn().RemoteMultiaddr(), &req))
}

func (s *Server) answerKnock(from ma.Multiaddr, req *doctorpb.KnockRequest) *doctorpb.KnockAnswer {
	// The address has been proven by the handshake of the connection, so that nobody can be
	// knocked at who did not ask.
	at, ok := addressOf(from)
	switch {
	case !ok:
		return &doctorpb.KnockAnswer{Refused: "the connection is relayed: your own address is not known here"}
	case req.GetTcpPort() > maxPort || req.GetUdpPort() > maxPort:
		return &doctorpb.KnockAnswer{Refused: "there is no such port"}
	case !take(s.knocks):
		return &doctorpb.KnockAnswer{Refused: "too many others ask at the moment"}
	}
	defer func() { <-s.knocks }()
	ctx, cancel := context.WithTimeout(s.ctx, knockTimeout)
	defer cancel()
	answer := new(doctorpb.KnockAnswer)
	var both sync.WaitGroup
	if port := req.GetTcpPort(); port > 0 {
		both.Go(func() { answer.Tcp = outcomes[knockTCP(ctx, netip.AddrPortFrom(at, uint16(port)))] })
	}
	if port := req.GetUdpPort(); port > 0 {
		both.Go(func() { answer.Udp = outcomes[knockUDP(ctx, netip.AddrPortFrom(at, uint16(port)))] })
	}
	both.Wait()
	return answer
}

const maxPort = 1<<16 - 1

// addressOf takes the IP address out of a direct address.
func addressOf(a ma.Multiaddr) (netip.Addr, bool) {
	if a == nil || addr.IsCircuit(a) {
		return netip.Addr{}, false
	}
	ip, err := manet.ToIP(a)
	if err != nil {
		return netip.Addr{}, false
	}
	addr, ok := netip.AddrFromSlice(ip)
	return addr.Unmap(), ok
}
