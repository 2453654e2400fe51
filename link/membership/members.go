package membership

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/p2p/join"
)

// Member is a member as its link shows it.
type Member struct {
	PeerID    string     `json:"peer_id"`
	Role      join.Role  `json:"role"`
	Name      string     `json:"name,omitempty"`
	NodeID    uint64     `json:"node_id,omitempty,string"`
	AddedAt   time.Time  `json:"added_at"`
	AddedBy   string     `json:"added_by"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	// Connected tells whether there is a connection now.
	Connected bool `json:"connected"`
}

// MemberRequest lets a peer in without a ticket.
type MemberRequest struct {
	PeerID string `json:"peer_id"`
	// Role of the new member; empty: node.
	Role join.Role `json:"role,omitempty"`
	Name string    `json:"name,omitempty"`
}

// Add lets a peer in. It returns state.ErrNotAllowed for one that was removed: that is final.
func (m *Members) Add(ctx context.Context, req MemberRequest) error {
	id, err := peer.Decode(req.PeerID)
	if err != nil {
		return fmt.Errorf("%w: peer id %q: %w", ErrBadRequest, req.PeerID, err)
	}
	if req.Role == "" {
		req.Role = join.RoleNode
	}
	if err := checkRole(req.Role); err != nil {
		return err
	}
	err = m.store.AddMember(ctx, state.Member{PeerID: id.String(), Role: req.Role, Name: req.Name, AddedAt: time.Now(), AddedBy: "admin"})
	if err != nil {
		return fmt.Errorf("add member %s: %w", id, err)
	}
	return m.Load(ctx)
}

// Remove revokes a membership, finally. When it returns, the peer's connections are
// cut and its node is unregistered.
func (m *Members) Remove(ctx context.Context, peerID string) error {
	id, err := peer.Decode(peerID)
	if err != nil {
		return fmt.Errorf("%w: peer id %q: %w", ErrBadRequest, peerID, err)
	}
	if err := m.store.RemoveMember(ctx, id.String()); err != nil {
		return fmt.Errorf("remove member %s: %w", id, err)
	}
	return m.Load(ctx)
}

// List gives all members, including those that were removed.
func (m *Members) List(ctx context.Context) ([]Member, error) {
	list, err := m.store.ListMembers(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the members: %w", err)
	}
	members := make([]Member, len(list))
	for i, member := range list {
		members[i] = Member{
			PeerID: member.PeerID, Role: member.Role, Name: member.Name, NodeID: member.NodeID,
			AddedAt: member.AddedAt, AddedBy: member.AddedBy, RevokedAt: pointer(member.RevokedAt),
		}
		if id, err := peer.Decode(member.PeerID); err == nil {
			members[i].Connected = m.cfg.Connected(id)
		}
	}
	return members, nil
}
