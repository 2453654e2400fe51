package admission

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/autonatv2"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/multiformats/go-multistream"

	"github.com/rhizome-fl/rhizome/p2p/addr"
)

// lobby stands between the swarm and the host's protocols. Streams of members pass; those
// of others meet a switch that knows only what their kind may use.
//
//	          inbound stream
//	                │ standing
//	Member ─────────┼──────────► the host's own switch: every protocol
//	relay of ours ──┼──────────► identify, ping, circuits that it brings, dial-back
//	Joining ────────┼──────────► identify, join, observe
//	whom we dialled ┴──────────► identify, dial-back
//	or may be a dial-back
//
// identify is the short one of identify.go. A peer whose standing changes is judged anew at
// its next stream.
type lobby struct {
	c         *Controller
	protocols protocol.Switch       // of the host
	through   network.StreamHandler // the host's own

	relay, joining, refused, stranger *doors

	guests *guestList
}

type doors struct {
	mux   *multistream.MultistreamMuxer[protocol.ID]
	names []string
}

func newLobby(c *Controller, protocols protocol.Switch, through network.StreamHandler) *lobby {
	l := &lobby{c: c, protocols: protocols, through: through, guests: newGuestList(c.Standing, c.background)}
	l.relay = l.doors(ping.ID, identify.IDPush, circuit.ProtoIDv2Stop, autonatv2.DialBackProtocol)
	l.joining = l.doors(JoinProtocol, ObserveProtocol)
	l.refused = l.doors(refusedProtocol)
	l.stranger = l.doors(autonatv2.DialBackProtocol)
	return l
}

// doors makes a switch that hands streams of some protocols to the host, and answers
// identify itself.
func (l *lobby) doors(protos ...protocol.ID) *doors {
	d := &doors{mux: multistream.NewMultistreamMuxer[protocol.ID]()}
	for _, proto := range protos {
		d.names = append(d.names, string(proto))
		served := func(asked protocol.ID) bool {
			return asked == proto && slices.Contains(l.protocols.Protocols(), proto)
		}
		d.mux.AddHandlerWithFunc(proto, served, func(proto protocol.ID, rwc io.ReadWriteCloser) error {
			handle, err := handlerOf(l.protocols, proto)
			if err != nil {
				return rwc.(network.Stream).ResetWithError(network.StreamProtocolNegotiationFailed)
			}
			return handle(proto, rwc)
		})
	}
	d.names = append(d.names, identify.ID)
	d.mux.AddHandler(identify.ID, func(_ protocol.ID, rwc io.ReadWriteCloser) error {
		return l.c.identifyBriefly(rwc.(network.Stream), l.open(d))
	})
	return d
}

// open names the protocols of d that the host serves: whoever is told of one speaks it
// without asking first.
func (l *lobby) open(d *doors) (names []string) {
	served := l.protocols.Protocols()
	for _, name := range d.names {
		if slices.Contains(served, protocol.ID(name)) || name == string(refusedProtocol) {
			names = append(names, name)
		}
	}
	return names
}

// doorsFor tells which switch a peer meets; nil: that of the host.
func (l *lobby) doorsFor(c network.Conn) *doors {
	p := c.RemotePeer()
	switch standing := l.c.Standing(p); {
	case standing == Member:
		return nil
	case l.c.peers.IsRelay(p):
		return l.relay
	case c.Stat().Direction == network.DirOutbound:
		return l.stranger
	case standing == Joining:
		return l.joining
	case addr.Relayed(c):
		return l.refused
	}
	return l.stranger
}

// handle is the swarm's stream handler. It runs on the stream's own goroutine.
func (l *lobby) handle(s network.Stream) {
	d := l.doorsFor(s.Conn())
	if d == nil {
		l.through(s)
		return
	}
	if d != l.relay {
		if !l.guests.enter(s.Conn()) {
			s.ResetWithError(network.StreamResourceLimitExceeded)
			return
		}
		defer l.guests.leave(s.Conn())
	}
	s.SetDeadline(time.Now().Add(negotiateTime))
	proto, handle, err := d.mux.Negotiate(s)
	if err != nil {
		s.ResetWithError(network.StreamProtocolNegotiationFailed)
		return
	}
	s.SetDeadline(time.Time{})
	if err := s.SetProtocol(proto); err != nil {
		s.ResetWithError(network.StreamResourceLimitExceeded)
		return
	}
	if err := handle(proto, s); err != nil {
		log.Debug("stream of a non-member failed", "peer", s.Conn().RemotePeer(), "protocol", proto, "err", err)
	}
}

// arrived gives a connection that may not stay a place, and starts its clock. It is called when
// the swarm has announced the connection, and judges it a second time: a peer that was revoked
// since the gater let it in is among those that Disconnect could not see yet.
func (l *lobby) arrived(c network.Conn) {
	if !l.c.mayConnect(c) {
		l.c.background(func() { c.CloseWithError(network.ConnGated) })
		return
	}
	if c.Stat().Direction == network.DirOutbound || l.c.peers.IsRelay(c.RemotePeer()) || l.c.Standing(c.RemotePeer()) == Member {
		return
	}
	l.guests.admit(c)
}

// handlerOf finds the handler of a protocol in a switch, by asking as a peer would.
func handlerOf(mux protocol.Switch, proto protocol.ID) (protocol.HandlerFunc, error) {
	lines := []string{"/multistream/1.0.0", string(proto)}
	var ask strings.Builder
	for _, line := range lines {
		if len(line) > 126 {
			return nil, fmt.Errorf("protocol %q: name too long", proto)
		}
		ask.WriteByte(byte(len(line) + 1)) // a varint below 128
		ask.WriteString(line + "\n")
	}
	_, handle, err := mux.Negotiate(question{strings.NewReader(ask.String())})
	return handle, err
}

type question struct{ io.Reader }

func (question) Write(p []byte) (int, error) { return len(p), nil }
func (question) Close() error                { return nil }
