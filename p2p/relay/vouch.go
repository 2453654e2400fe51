package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/printable"
	"github.com/rhizome-fl/rhizome/p2p/relay/relaypb"
	"github.com/rhizome-fl/rhizome/p2p/streams"
	"github.com/rhizome-fl/rhizome/protocol/delimited"
)

// VouchProtocol is how a link tells a relay who its members are. See [Members].
const VouchProtocol = "/rhizome/vouch/1"

// vouchVersion is the version of the messages; a link that speaks another is refused.
const vouchVersion = 1

// vouchStream is the relay's end of a link's stream. The newest of a link counts.
//
//	opened ──Hello──► attached ──Update──► acknowledged ──┐
//	   │ │               │  ▲                             │
//	   │ └──► refused ◄──┘  └─────────────────────────────┘
//	   └─Hello─► not needed: of no known link, at a relay for anybody
type vouchStream struct {
	network.Stream
	begun   func() // the hello is here
	link    peer.ID
	pending change // parts of an update that has not come whole yet
	started bool   // pending has parts
}

func (v *vouchStream) close() { _ = v.Reset() }

// serveVouch runs until the link's stream ends or is replaced.
func (r *Relay) serveVouch(ctx context.Context, s *streams.Stream) error {
	v := &vouchStream{Stream: s, begun: s.Begun, link: s.Conn().RemotePeer()}
	defer r.leaveVouch(v)
	err := r.vouch(v)
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return nil
	case ctx.Err() != nil:
		return err
	}
	log.Info("vouch stream ended", "link", v.link, "err", err)
	return v.refuse(err)
}

func (r *Relay) leaveVouch(v *vouchStream) {
	r.roster.detach(v.link, v, func(removed []peer.ID) {
		if r.enter() {
			defer r.work.Done()
			log.Info("a link stayed away: its members are strangers now", "link", v.link, "members", len(removed))
			r.cutOff(removed)
		}
	})
}

func (r *Relay) vouch(v *vouchStream) error {
	role := r.roster.role(v.link)
	if role != Link && !r.options.Open {
		return fmt.Errorf("%s is no link of this relay: have its operator allow it", v.link)
	}
	in := bufio.NewReader(v)
	var first relaypb.ToRelay
	if err := delimited.Read(in, maxVouchMessage, &first); err != nil {
		return fmt.Errorf("read hello: %w", err)
	}
	v.begun() // from here on a quiet link is no dead one; the connection has keepalives
	hello := first.GetHello()
	if hello == nil {
		return errors.New("the first message is no hello")
	}
	if hello.GetVersion() != vouchVersion {
		return fmt.Errorf("version %d of the vouch protocol: this relay speaks %d", hello.GetVersion(), vouchVersion)
	}
	if role != Link {
		return v.notNeeded()
	}
	if !r.roster.attach(v.link, v, printable.Name(hello.GetFederation(), maxFederationName)) {
		return fmt.Errorf("%s is no link of this relay any more", v.link)
	}
	log.Info("a link vouches", "link", v.link, "federation", printable.Name(hello.GetFederation(), maxFederationName))
	for {
		var msg relaypb.ToRelay
		if err := delimited.Read(in, maxVouchMessage, &msg); err != nil {
			return fmt.Errorf("read update: %w", err)
		}
		if err := r.update(v, msg.GetUpdate()); err != nil {
			return err
		}
	}
}

// notNeeded lets a link that nobody has allowed here wait for the end of an open relay.
func (v *vouchStream) notNeeded() error {
	if err := delimited.Write(v, &relaypb.FromRelay{Body: &relaypb.FromRelay_NotNeeded{NotNeeded: &relaypb.VouchNotNeeded{}}}); err != nil {
		return fmt.Errorf("answer hello: %w", err)
	}
	// What the link had sent before it read the answer is not of interest.
	n, err := io.Copy(io.Discard, io.LimitReader(v, maxUnneeded))
	if n == maxUnneeded {
		return errors.New("the link goes on to send what is not needed")
	}
	return err
}

// update takes one part, and puts the update into force with the last.
func (r *Relay) update(v *vouchStream, u *relaypb.VouchUpdate) error {
	if u == nil {
		return errors.New("message is no update")
	}
	if err := v.collect(u); err != nil {
		return err
	}
	if u.GetMore() {
		return nil
	}
	whole := v.pending
	v.pending, v.started = change{}, false
	removed, ok := r.roster.apply(v.link, v, whole)
	if !ok {
		return fmt.Errorf("more than %d members, or another stream of this link took over", maxMembers)
	}
	r.books.promote(v.link, whole.add)
	r.cutOff(removed)
	err := delimited.Write(v, &relaypb.FromRelay{Body: &relaypb.FromRelay_Ack{Ack: &relaypb.VouchAck{Seq: u.GetSeq()}}})
	if err != nil {
		return fmt.Errorf("acknowledge update: %w", err)
	}
	return nil
}

func (v *vouchStream) collect(u *relaypb.VouchUpdate) error {
	if !v.started {
		v.pending.replace, v.started = u.GetReplace(), true
	}
	var err error
	if v.pending.add, err = appendIDs(v.pending.add, u.GetAdd()); err != nil {
		return err
	}
	v.pending.remove, err = appendIDs(v.pending.remove, u.GetRemove())
	return err
}

func appendIDs(to []peer.ID, raw [][]byte) ([]peer.ID, error) {
	if len(to)+len(raw) > maxMembers {
		return nil, fmt.Errorf("update names more than %d peers", maxMembers)
	}
	for _, b := range raw {
		id, err := peer.IDFromBytes(b)
		if err != nil {
			return nil, fmt.Errorf("update names a malformed peer id: %w", err)
		}
		to = append(to, id)
	}
	return to, nil
}

// refuse tells the link why its stream ends.
func (v *vouchStream) refuse(reason error) error {
	return delimited.Write(v, &relaypb.FromRelay{Body: &relaypb.FromRelay_Refused{Refused: &relaypb.VouchRefused{Detail: reason.Error()}}})
}
