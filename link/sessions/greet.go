package sessions

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/internal/printable"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/join"
	"github.com/rhizome-fl/rhizome/protocol/session/sessionpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// greet reads the Hello and decides whether its sender may have a session. A stranger learns
// only that it is refused.
func (ps *peerSession) greet() (*sessionpb.Hello, error) {
	member, err := ps.server.cfg.Store.Member(ps.ctx, ps.peer.String())
	switch {
	case errors.Is(err, state.ErrNotFound):
		return nil, ps.refuse(sessionpb.Refused_NOT_A_MEMBER, "this peer is not a member of the federation")
	case err != nil:
		return nil, ps.refuse(sessionpb.Refused_BUSY, "the SuperLink cannot look up its members now")
	case !member.RevokedAt.IsZero():
		return nil, ps.refuse(sessionpb.Refused_REVOKED, "the membership of this peer was revoked")
	case member.Role != join.RoleNode:
		return nil, ps.refuse(sessionpb.Refused_NOT_A_MEMBER, fmt.Sprintf("the role of this peer is %s, not node", member.Role))
	}
	frame, err := ps.conn.ReadFrame()
	if err != nil {
		return nil, fmt.Errorf("read the Hello: %w", err)
	}
	ps.stream.Begun()
	hello := frame.GetHello()
	if hello == nil {
		return nil, ps.refuse(sessionpb.Refused_UNKNOWN, "the first frame must be Hello")
	}
	if hello.GetVersion() != version {
		return nil, ps.refuse(sessionpb.Refused_VERSION, fmt.Sprintf("this SuperLink speaks session version %d, the node %d", version, hello.GetVersion()))
	}
	if ps.node, err = ps.server.nodeOf(ps.ctx, ps.peer, member, hello); err != nil {
		if errors.Is(err, state.ErrNotAllowed) {
			return nil, ps.refuse(sessionpb.Refused_REVOKED, "the node was unregistered")
		}
		log.Error("a node could not be looked up", "peer", ps.peer, "err", err)
		return nil, ps.refuse(sessionpb.Refused_BUSY, "the SuperLink cannot take sessions now")
	}
	return hello, nil
}

// refuse tells the node why it gets no session.
func (ps *peerSession) refuse(reason sessionpb.Refused_Reason, detail string) error {
	_ = ps.stream.SetWriteDeadline(time.Now().Add(goodbyeLimit))
	if err := ps.send(refusedFrame(reason, detail)); err != nil {
		return fmt.Errorf("%s (and the node could not be told: %w)", detail, err)
	}
	return errors.New(detail)
}

func refusedFrame(reason sessionpb.Refused_Reason, detail string) *sessionpb.Frame {
	return &sessionpb.Frame{Body: &sessionpb.Frame_Refused{Refused: &sessionpb.Refused{Reason: reason, Detail: detail}}}
}

// nodeOf finds or creates the node of a peer. A peer is given its node id once and keeps it.
func (s *Server) nodeOf(ctx context.Context, p peer.ID, member state.Member, hello *sessionpb.Hello) (state.Node, error) {
	name := printable.Name(hello.GetName(), maxName)
	if name == "" {
		name = member.Name
	}
	location := printable.Name(hello.GetLocation(), maxName)
	node, err := s.cfg.Store.NodeByPeer(ctx, p.String())
	if errors.Is(err, state.ErrNotFound) {
		publicKey, err := publicKeyPEM(p)
		if err != nil {
			return state.Node{}, err
		}
		node, err = s.cfg.Store.RegisterNode(ctx, state.Node{
			PeerID: p.String(), PublicKey: publicKey, Name: name, Location: location, OwnerID: state.AccountNone,
		})
		if errors.Is(err, state.ErrKeyInUse) { // a second stream of the peer was faster
			node, err = s.cfg.Store.NodeByPeer(ctx, p.String())
		}
		if err != nil {
			return state.Node{}, fmt.Errorf("register the node of peer %s: %w", p, err)
		}
	} else if err != nil {
		return state.Node{}, fmt.Errorf("look up the node of peer %s: %w", p, err)
	}
	if node.Status == state.NodeUnregistered {
		return state.Node{}, fmt.Errorf("node %d is unregistered: %w", node.ID, state.ErrNotAllowed)
	}
	if node.Name != name || node.Location != location {
		if err := s.cfg.Store.RenameNode(ctx, node.ID, name, location); err != nil {
			return state.Node{}, fmt.Errorf("rename node %d: %w", node.ID, err)
		}
		node.Name, node.Location = name, location
	}
	return node, nil
}

// publicKeyPEM is the key of a peer in the form in which Flower shows the keys of nodes.
func publicKeyPEM(p peer.ID) ([]byte, error) {
	key, err := p.ExtractPublicKey()
	if err != nil {
		return nil, fmt.Errorf("public key of peer %s: %w", p, err)
	}
	standard, err := crypto.PubKeyToStdKey(key)
	if err != nil {
		return nil, fmt.Errorf("public key of peer %s: %w", p, err)
	}
	encoded, err := x509.MarshalPKIXPublicKey(standard)
	if err != nil {
		return nil, fmt.Errorf("public key of peer %s: %w", p, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: encoded}), nil
}

// begin makes the node online, reconciles what both sides have, and welcomes it.
func (ps *peerSession) begin(hello *sessionpb.Hello) error {
	cfg := ps.server.cfg
	if err := cfg.Store.ActivateNode(ps.ctx, ps.node.ID, cfg.Heartbeat, time.Now().Add(online), true); err != nil {
		if errors.Is(err, state.ErrNotAllowed) || errors.Is(err, state.ErrNotFound) {
			return ps.refuse(sessionpb.Refused_REVOKED, "the node was unregistered")
		}
		return fmt.Errorf("activate node %d: %w", ps.node.ID, err)
	}
	ps.meetOthers(hello)
	welcome := &sessionpb.Welcome{
		Swarm:  ps.swarm,
		NodeId: ps.node.ID, Federation: cfg.Federation, Relays: cfg.Relays(),
		HeartbeatMillis: uint32(cfg.Heartbeat.Milliseconds()), GraceMillis: uint32(cfg.Grace.Milliseconds()),
	}
	err := ps.send(&sessionpb.Frame{Body: &sessionpb.Frame_Welcome{Welcome: welcome}})
	if err == nil {
		err = ps.reconcile(hello)
	}
	if err != nil {
		ps.cancel(err)
		ps.end() // the node was online for a moment, so its grace period begins
	}
	return err
}

// reconcile compares the node's inventory with what the link thinks the node owes:
//
//	node has it, link does not know    the Accept was lost: delivered
//	link gave it, node does not have   the Offer was lost, or the node's disk: waiting again
//	node has it, nobody wants it       dropped at the node
//	run is over                        cancelled at the node
func (ps *peerSession) reconcile(hello *sessionpb.Hello) error {
	office := ps.server.cfg.Office
	owed, err := office.Owed(ps.ctx, ps.node.ID)
	if err != nil {
		return fmt.Errorf("list what node %d owes: %w", ps.node.ID, err)
	}
	has := make(map[string]bool)
	for _, id := range hello.GetAccepted() {
		has[id] = true
	}
	for _, id := range hello.GetUnsentReplies() {
		has[id] = true
	}
	wanted := make(map[string]bool, len(owed))
	var delivered, again []string
	for _, m := range owed {
		wanted[m.ID] = true
		switch {
		case has[m.ID]:
			ps.outbox.touch(m.RunID)
			if m.State != state.Delivered {
				delivered = append(delivered, m.ID)
			}
		case m.State == state.Leased || m.State == state.Delivered:
			again = append(again, m.ID)
		}
	}
	if err := office.Deliver(ps.ctx, ps.node.ID, delivered); err != nil {
		return fmt.Errorf("record what node %d has: %w", ps.node.ID, err)
	}
	if err := office.Release(ps.ctx, again); err != nil {
		return fmt.Errorf("take back what node %d lacks: %w", ps.node.ID, err)
	}
	for _, id := range hello.GetAccepted() {
		if !wanted[id] {
			if err := ps.ack(id, "", true, "nobody is waiting for this message any more"); err != nil {
				return err
			}
		}
	}
	return ps.cancelDeadRuns(hello.GetRunIds())
}

// cancelDeadRuns tells the node which of the runs that it holds something for are over. Each run
// is looked up, so only so many of a Hello are; the next Hello names the rest again.
func (ps *peerSession) cancelDeadRuns(runIDs []uint64) error {
	if len(runIDs) > maxHelloRuns {
		log.Warn("a node named more runs than are looked up at a time", "node", ps.node.ID, "named", len(runIDs), "most", maxHelloRuns)
		runIDs = runIDs[:maxHelloRuns]
	}
	for _, id := range runIDs {
		run, err := ps.server.cfg.Store.Run(ps.ctx, id)
		detail := ""
		switch {
		case errors.Is(err, state.ErrNotFound):
			detail = "the SuperLink does not know this run"
		case err != nil:
			return fmt.Errorf("look up run %d: %w", id, err)
		case run.PrimaryTask.Status == task.Finished:
			detail = runEnd(run)
		default:
			continue
		}
		if err := ps.send(cancelFrame(id, detail)); err != nil {
			return err
		}
	}
	return nil
}

func runEnd(run state.Run) string {
	return "the run is finished: " + string(run.PrimaryTask.SubStatus)
}

func cancelFrame(runID uint64, detail string) *sessionpb.Frame {
	return &sessionpb.Frame{Body: &sessionpb.Frame_Cancel{Cancel: &sessionpb.Cancel{RunId: runID, Detail: detail}}}
}
