package join

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"

	"github.com/rhizome-fl/rhizome/internal/printable"
	"github.com/rhizome-fl/rhizome/p2p/join/joinpb"
	"github.com/rhizome-fl/rhizome/p2p/reach"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

// Asker goes to a peer for one question, as described at [reach.Manager.Ask].
type Asker interface {
	Ask(ctx context.Context, t reach.Target, proto protocol.ID, ask func(network.Stream) error) error
}

// errNoLink is permanent: another attempt would find the same.
var errNoLink = errors.New("it is not a SuperLink: it does not speak " + string(Protocol))

// Ask asks the link at a target to make this peer a member, and tries again while the link is busy
// or not there, until ctx ends. Whatever the answer, the connections to the link are then closed:
// they belong to a peer that may only join. The error is a [*Refusal] or [admission.ErrRefused]
// when the link said no.
func Ask(ctx context.Context, by Asker, t reach.Target, req Request) (Answer, error) {
	if err := checkName(req.Name); err != nil {
		return Answer{}, err
	}
	var answer Answer
	err := by.Ask(ctx, t, Protocol, func(s network.Stream) (err error) {
		answer, err = ask(s, req)
		return err
	})
	if err == nil || errors.As(err, new(*Refusal)) {
		return answer, err
	}
	if errors.Is(err, multistream.ErrNotSupported[protocol.ID]{}) {
		err = errNoLink
	}
	return Answer{}, fmt.Errorf("join %s: %w", t.Peer, err)
}

// ask is one exchange.
func ask(s network.Stream, req Request) (Answer, error) {
	_ = s.SetDeadline(time.Now().Add(timeout))
	var answer joinpb.Answer
	err := delimited.Write(s, &joinpb.Request{TokenId: req.TokenID, Secret: req.Secret, Name: req.Name})
	if err == nil {
		err = delimited.Read(bufio.NewReader(s), maxMessage, &answer)
	}
	if err != nil {
		return Answer{}, err
	}
	switch result := answer.GetResult().(type) {
	case *joinpb.Answer_Accepted:
		a := result.Accepted
		return Answer{Role: Role(a.GetRole()), Name: a.GetName(), Federation: a.GetFederation()}, nil
	case *joinpb.Answer_Refused:
		reason := printable.Line(result.Refused.GetReason(), 0)
		if result.Refused.GetTemporary() {
			return Answer{}, errors.New(reason)
		}
		return Answer{}, reach.Permanent(&Refusal{reason})
	}
	return Answer{}, errors.New("the answer says neither yes nor no")
}
