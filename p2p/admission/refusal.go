package admission

import (
	"context"
	"errors"
	"slices"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/multiformats/go-multistream"
)

// The protocols of the lobby.
const (
	// JoinProtocol is how a peer becomes a member. Package join serves and uses it.
	JoinProtocol protocol.ID = "/rhizome/join/1"
	// ObserveProtocol is what a peer that may join can use besides joining: it returns the peer's
	// own address and the time. Package doctor serves and uses it.
	ObserveProtocol protocol.ID = "/rhizome/observe/1"
	// refusedProtocol is not a real protocol; a host names it to peers that it refuses.
	refusedProtocol protocol.ID = "/rhizome/refused/1"
)

// ProtocolBook knows which protocols peers have said they speak, as libp2p's peer store does.
type ProtocolBook interface {
	SupportsProtocols(peer.ID, ...protocol.ID) ([]protocol.ID, error)
}

// Refusal turns the error of a stream on a connection into [ErrRefused] if that is what it means:
// that the peer at the other end does not take this one as a member. proto is what was asked for.
func Refusal(book ProtocolBook, c network.Conn, proto protocol.ID, err error) error {
	if errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}) {
		// In the lobby of a link, everything but joining is unknown, and even joining to those it
		// refuses.
		marks := []protocol.ID{refusedProtocol}
		if proto != JoinProtocol {
			marks = append(marks, JoinProtocol)
		}
		if known, _ := book.SupportsProtocols(c.RemotePeer(), marks...); len(known) > 0 {
			return ErrRefused
		}
		return err
	}
	if gated(err) || c.IsClosed() && gated(CloseReason(c)) {
		return ErrRefused
	}
	return err
}

func gated(err error) bool {
	var closed *network.ConnError
	return errors.As(err, &closed) && closed.Remote && closed.ErrorCode == network.ConnGated
}

// CloseReason returns the error with which a connection was closed; nil for an open one.
func CloseReason(c network.Conn) error {
	if !c.IsClosed() {
		return nil
	}
	// On a closed connection this does not wait.
	s, err := c.NewStream(network.WithAllowLimitedConn(context.Background(), "reason"))
	if err == nil {
		s.Reset()
	}
	return err
}

// StandingAt infers how another host of ours sees this one from the protocols that it named in
// identify: it does not name protocols that a peer may not use.
func StandingAt(protocols []protocol.ID) Standing {
	switch {
	case slices.Contains(protocols, refusedProtocol):
		return Refused
	case slices.Contains(protocols, ping.ID):
		return Member
	case slices.Contains(protocols, JoinProtocol):
		return Joining
	}
	return Refused
}
