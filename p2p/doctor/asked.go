package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	identifypb "github.com/libp2p/go-libp2p/p2p/protocol/identify/pb"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/printable"
	"github.com/rhizome-fl/rhizome/p2p/admission"
	"github.com/rhizome-fl/rhizome/p2p/doctor/doctorpb"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

// asked is what a peer says on one connection.
type asked struct {
	from      peer.ID
	agent     string
	protocols []protocol.ID
	standing  string
	observed  ma.Multiaddr // nil: it does not say

	// These are zero if the peer does not speak our protocol.
	rtt   time.Duration
	ahead time.Duration // how far this clock is ahead; off by up to half of rtt
}

func (a *asked) speaks(proto protocol.ID) bool {
	return a != nil && slices.Contains(a.protocols, proto)
}

// askPeer makes a peer identify itself, and tell its time if it can.
func askPeer(ctx context.Context, open opener, p peer.ID) (*asked, error) {
	a := &asked{from: p}
	if err := ask(ctx, open, identify.ID, askTimeout, a.identify); err != nil {
		return nil, err
	}
	if a.speaks(admission.ObserveProtocol) {
		if err := ask(ctx, open, admission.ObserveProtocol, askTimeout, a.observe); err != nil {
			log.Debug("clock and round trip are unknown", "peer", p, "err", err)
		}
	}
	return a, nil
}

// identify reads the message, which may come in parts.
func (a *asked) identify(s network.MuxedStream) error {
	in := bufio.NewReader(io.LimitReader(s, maxIdentify))
	var whole identifypb.Identify
	for parts := 0; ; parts++ {
		var part identifypb.Identify
		err := delimited.Read(in, maxIdentify, &part)
		if parts > 0 && errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		proto.Merge(&whole, &part)
	}
	for _, name := range whole.GetProtocols() {
		a.protocols = append(a.protocols, protocol.ID(name))
	}
	a.agent = printable.Line(whole.GetAgentVersion(), maxDetail)
	a.standing = admission.StandingAt(a.protocols).String()
	if raw := whole.GetObservedAddr(); len(raw) > 0 {
		observed, err := ma.NewMultiaddrBytes(raw)
		if err != nil {
			return fmt.Errorf("observed address: %w", err)
		}
		if _, isIP := addressOf(observed); isIP {
			a.observed = observed
		}
	}
	return nil
}

// observe compares clocks, as NTP does, and takes the quickest of several answers.
func (a *asked) observe(s network.MuxedStream) error {
	for range samples {
		began := time.Now()
		if err := delimited.Write(s, new(doctorpb.ObserveRequest)); err != nil {
			return err
		}
		var answer doctorpb.ObserveAnswer
		if err := readMessage(s, &answer); err != nil {
			return err
		}
		rtt := max(time.Since(began), 1)
		if a.rtt == 0 || rtt < a.rtt {
			middle := began.Add(rtt / 2)
			a.rtt, a.ahead = rtt, middle.Sub(time.Unix(0, answer.GetUnixNanos()))
		}
	}
	return nil
}
