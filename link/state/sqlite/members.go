package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/link/state"
)

// AddMember implements state.Membership.
func (s *Store) AddMember(ctx context.Context, m state.Member) error {
	err := s.write(ctx, func(c *change) error { return addMember(c, m) })
	if err != nil {
		return fmt.Errorf("add member %s: %w", m.PeerID, err)
	}
	return nil
}

func addMember(c *change, m state.Member) error {
	if m.PeerID == "" {
		return fmt.Errorf("%w: no peer id", state.ErrNotAllowed)
	}
	var revoked bool
	var members int
	err := c.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM members WHERE peer_id = ? AND revoked_at > 0), (SELECT COUNT(*) FROM members)`,
		m.PeerID).Scan(&revoked, &members)
	switch {
	case err != nil:
		return err
	case revoked:
		return fmt.Errorf("%w: it was removed", state.ErrNotAllowed)
	case members >= state.MaxMembers:
		return fmt.Errorf("%w: %d members", state.ErrTooMany, members)
	}
	_, err = c.tx.Exec(`INSERT INTO members (peer_id, role, name, added_at, added_by, revoked_at) VALUES (?, ?, ?, ?, ?, 0)
		ON CONFLICT (peer_id) DO UPDATE SET role = excluded.role, name = excluded.name`,
		m.PeerID, string(m.Role), short(m.Name), sqldb.Micro(c.now), short(m.AddedBy))
	c.ring(state.KeyMembers())
	return err
}

// RemoveMember implements state.Membership.
func (s *Store) RemoveMember(ctx context.Context, peerID string) error {
	err := s.write(ctx, func(c *change) error {
		m, err := readMember(c.tx, peerID)
		if err != nil {
			return err
		}
		revoked, err := revoke(c, peerID)
		if err != nil {
			return err
		}
		if !revoked {
			return fmt.Errorf("%w: it was already removed", state.ErrNotAllowed)
		}
		if m.NodeID == 0 {
			return nil
		}
		return unregister(c, m.NodeID)
	})
	if err != nil {
		return fmt.Errorf("remove member %s: %w", peerID, err)
	}
	return nil
}

// revoke bars a member forever; it returns false for one that was already barred or never a member.
func revoke(c *change, peerID string) (bool, error) {
	result, err := c.tx.Exec(`UPDATE members SET revoked_at = ? WHERE peer_id = ? AND revoked_at = 0`, sqldb.Micro(c.now), peerID)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	c.ring(state.KeyMembers())
	return n > 0, err
}

// Member implements state.Membership.
func (s *Store) Member(ctx context.Context, peerID string) (state.Member, error) {
	var m state.Member
	err := s.read(ctx, func(tx *sql.Tx) error {
		var err error
		m, err = readMember(tx, peerID)
		return err
	})
	if err != nil {
		return state.Member{}, fmt.Errorf("read member %s: %w", peerID, err)
	}
	return m, nil
}

// ListMembers implements state.Membership.
func (s *Store) ListMembers(ctx context.Context) ([]state.Member, error) {
	var members []state.Member
	err := s.read(ctx, func(tx *sql.Tx) error {
		return each(tx, func(scan func(...any) error) error {
			m, err := scanMember(scan)
			members = append(members, m)
			return err
		}, selectMembers+` ORDER BY m.added_at, m.peer_id`)
	})
	if err != nil {
		return nil, fmt.Errorf("list members: %w", err)
	}
	return members, nil
}

const selectMembers = `SELECT m.peer_id, m.role, m.name, n.node_id, m.added_at, m.added_by, m.revoked_at
	FROM members m LEFT JOIN nodes n ON n.peer_id = m.peer_id`

func readMember(tx *sql.Tx, peerID string) (state.Member, error) {
	m, err := scanMember(tx.QueryRow(selectMembers+` WHERE m.peer_id = ?`, peerID).Scan)
	return m, notFound(err)
}

func scanMember(scan func(...any) error) (state.Member, error) {
	var m state.Member
	var node sql.NullInt64
	var added, revoked int64
	err := scan(&m.PeerID, &m.Role, &m.Name, &node, &added, &m.AddedBy, &revoked)
	m.NodeID, m.AddedAt, m.RevokedAt = uint64(node.Int64), sqldb.FromMicro(added), sqldb.FromMicro(revoked)
	return m, err
}
