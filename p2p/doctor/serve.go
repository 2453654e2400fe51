package doctor

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/rhizome-fl/rhizome/internal/logs"
	"github.com/rhizome-fl/rhizome/p2p/addr"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/doctor/doctorpb"
	"github.com/rhizome-fl/rhizome/p2p/streams"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

var log = logs.For("p2p/doctor")

// KnockProtocol asks the other side to try ports of the address that the asker comes from.
const KnockProtocol protocol.ID = "/rhizome/knock/1"

// ThroughputProtocol moves bytes to measure the speed.
const ThroughputProtocol protocol.ID = "/rhizome/throughput/1"

// Server answers the doctors of others.
type Server struct{ servers []*streams.Server }

// Serve begins to answer on a host. The host decides who may do what, since it lets strangers
// reach [admission.ObserveProtocol] and nothing else of ours; throughput is for those that member
// also names. If member is nil, there is no throughput at all, as on relays. Close the server
// before the host.
func Serve(h streams.Host, member func(peer.ID) bool) *Server {
	s := new(Server)
	s.serve(h, admission.ObserveProtocol, observe, streams.Options{Places: maxObservers, Whole: streamTimeout})
	s.serve(h, KnockProtocol, knock, streams.Options{Places: maxKnocks, Queue: maxKnocking, Whole: streamTimeout})
	if member != nil {
		s.serve(h, ThroughputProtocol, transfer, streams.Options{
			Places: maxTransfers, Queue: maxWaiting, First: streamTimeout, Whole: transferWhole,
			Admit: func(c network.Conn) bool { return member(c.RemotePeer()) },
			Busy:  func(to io.Writer, _ error) error { return refuseTransfer(to) },
		})
	}
	return s
}

func (s *Server) serve(h streams.Host, proto protocol.ID, handle streams.Handler, opts streams.Options) {
	opts.PerPeer = maxPerPeer
	s.servers = append(s.servers, streams.Serve(h, proto, opts, handle))
}

// Close ends the service and whatever it is doing, and waits for that.
func (s *Server) Close() {
	for _, server := range s.servers {
		server.Close()
	}
}

func observe(_ context.Context, stream *streams.Stream) error {
	// Where a relayed peer is, only the relay knows, and not this host.
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

func knock(ctx context.Context, stream *streams.Stream) error {
	var req doctorpb.KnockRequest
	if err := readMessage(stream, &req); err != nil {
		return err
	}
	return delimited.Write(stream, answerKnock(ctx, stream.Conn().RemoteMultiaddr(), &req, stream.TryTurn))
}

// answerKnock knocks if there is a place.
func answerKnock(ctx context.Context, from ma.Multiaddr, req *doctorpb.KnockRequest, place func() bool) *doctorpb.KnockAnswer {
	// The handshake of the connection has proven the address, so that nobody can be knocked at
	// without having asked.
	at, ok := addressOf(from)
	switch {
	case !ok:
		return &doctorpb.KnockAnswer{Refused: "the connection is relayed: your own address is not known here"}
	case req.GetTcpPort() > maxPort || req.GetUdpPort() > maxPort:
		return &doctorpb.KnockAnswer{Refused: "there is no such port"}
	case !place():
		return &doctorpb.KnockAnswer{Refused: "too many others are asking at the moment; try again"}
	}
	ctx, cancel := context.WithTimeout(ctx, knockTimeout)
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

// addressOf extracts the IP address from a direct address.
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
