package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"

	"github.com/rhizome-fl/rhizome/internal/printable"
	"github.com/rhizome-fl/rhizome/p2p/relay/relaypb"
	"github.com/rhizome-fl/rhizome/p2p/streams"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

// StandingProtocol lets a peer ask how a relay sees it. See [Ask].
const StandingProtocol = "/rhizome/standing/1"

// ErrNotRhizome: the relay is none of ours, and cannot explain itself.
var ErrNotRhizome = errors.New("not a rhizome relay: it cannot say why it refuses")

// Standing is how a relay sees the peer that asks.
type Standing struct {
	Role Role
	// Limits that hold for this peer; 0 means none.
	BytesPerSecond int64
	Bytes          int64 // within one [Window]
	Circuits       int
	// Used of them now.
	BytesUsed    int64
	CircuitsUsed int
	// Refusal is the last "no" to this peer that the relay remembers, or nil.
	Refusal *Refusal
}

// Ask asks the relay that h is connected to, or has addresses of. Circuit v2 has a status
// for a refusal and no words; this is where the words are.
func Ask(ctx context.Context, h host.Host, relay peer.ID) (Standing, error) {
	s, err := h.NewStream(ctx, relay, StandingProtocol)
	if err != nil {
		if _, ok := errors.AsType[multistream.ErrNotSupported[protocol.ID]](err); ok {
			err = ErrNotRhizome
		}
		return Standing{}, fmt.Errorf("ask relay %s for our standing: %w", relay, err)
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	_ = s.SetDeadline(time.Now().Add(handshakeTimeout))
	if err := s.CloseWrite(); err != nil {
		return Standing{}, fmt.Errorf("ask relay %s for our standing: %w", relay, err)
	}
	var msg relaypb.Standing
	if err := delimited.Read(bufio.NewReader(s), maxStanding, &msg); err != nil {
		return Standing{}, fmt.Errorf("read our standing at relay %s: %w", relay, err)
	}
	return fromWire(&msg), nil
}

func (r *Relay) serveStanding(_ context.Context, s *streams.Stream) error {
	return delimited.Write(s, toWire(r.standing(s.Conn().RemotePeer())))
}

func (r *Relay) standing(p peer.ID) Standing {
	st := Standing{Role: r.roster.role(p), Refusal: r.refusals.of(p)}
	limits := r.options.Limits
	st.BytesPerSecond, st.Bytes, st.Circuits = limits.PeerRate, limits.PeerBytes, limits.PeerCircuits
	if st.Role == Stranger {
		st.Circuits = min(st.Circuits, StrangerCircuits)
	}
	st.BytesUsed, st.CircuitsUsed = r.books.usage(p)
	return st
}

func toWire(st Standing) *relaypb.Standing {
	msg := &relaypb.Standing{
		Role:               relaypb.Standing_Role(st.Role),
		PeerBytesPerSecond: uint64(st.BytesPerSecond),
		PeerBytes:          uint64(st.Bytes),
		PeerBytesUsed:      uint64(st.BytesUsed),
		PeerCircuits:       uint32(st.Circuits),
		PeerCircuitsUsed:   uint32(st.CircuitsUsed),
	}
	if r := st.Refusal; r != nil {
		msg.Refusal = &relaypb.Refusal{Reason: string(r.Reason), Detail: r.Detail, UnixMillis: r.At.UnixMilli()}
	}
	return msg
}

func fromWire(msg *relaypb.Standing) Standing {
	st := Standing{
		Role:           Role(msg.GetRole()),
		BytesPerSecond: int64(msg.GetPeerBytesPerSecond()),
		Bytes:          int64(msg.GetPeerBytes()),
		Circuits:       int(msg.GetPeerCircuits()),
		BytesUsed:      int64(msg.GetPeerBytesUsed()),
		CircuitsUsed:   int(msg.GetPeerCircuitsUsed()),
	}
	if r := msg.GetRefusal(); r != nil {
		st.Refusal = &Refusal{Reason: Reason(printable.Line(r.GetReason(), maxReason)), Detail: printable.Line(r.GetDetail(), maxDetail), At: time.UnixMilli(r.GetUnixMillis())}
	}
	return st
}
