package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// RegisterNode implements state.Nodes.
func (s *Store) RegisterNode(ctx context.Context, n state.Node) (state.Node, error) {
	err := s.write(ctx, func(c *change) error {
		if err := checkNewNode(c.tx, n); err != nil {
			return err
		}
		n = state.Node{ID: task.NewID(), PeerID: n.PeerID, PublicKey: n.PublicKey, Name: short(n.Name), Location: short(n.Location),
			OwnerID: n.OwnerID, Status: state.NodeRegistered, RegisteredAt: sqldb.FromMicro(sqldb.Micro(c.now))}
		_, err := c.tx.Exec(`INSERT INTO nodes (node_id, peer_id, public_key, name, location, owner_id, status, heartbeat_interval,
				online_until, registered_at, last_activated_at, last_deactivated_at, unregistered_at)
			VALUES (?, ?, ?, ?, ?, ?, 'registered', 0, 0, ?, 0, 0, 0)`,
			int64(n.ID), nullable(n.PeerID), nullable(n.PublicKey), n.Name, n.Location, n.OwnerID, sqldb.Micro(c.now))
		c.ring(state.KeyNodes())
		return err
	})
	if err != nil {
		return state.Node{}, fmt.Errorf("register node %q: %w", n.Name, err)
	}
	return n, nil
}

func checkNewNode(tx *sql.Tx, n state.Node) error {
	var used, revoked bool
	var nodes int
	err := tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM nodes WHERE public_key = ? OR peer_id = ?),
			EXISTS (SELECT 1 FROM members WHERE peer_id = ? AND revoked_at > 0), (SELECT COUNT(*) FROM nodes)`,
		nullable(n.PublicKey), nullable(n.PeerID), n.PeerID).Scan(&used, &revoked, &nodes)
	switch {
	case err != nil:
		return err
	case used:
		return state.ErrKeyInUse
	case revoked:
		return fmt.Errorf("%w: peer %s was removed", state.ErrNotAllowed, n.PeerID)
	case nodes >= state.MaxNodes:
		return fmt.Errorf("%w: %d nodes", state.ErrTooMany, nodes)
	default:
		return nil
	}
}

// Node implements state.Nodes.
func (s *Store) Node(ctx context.Context, nodeID uint64) (state.Node, error) {
	n, err := s.findNode(ctx, `node_id = ?`, int64(nodeID))
	return n, nodeErr("read", nodeID, err)
}

// NodeByKey implements state.Nodes.
func (s *Store) NodeByKey(ctx context.Context, publicKey []byte) (state.Node, error) {
	n, err := s.findNode(ctx, `public_key = ?`, publicKey)
	if err != nil {
		return state.Node{}, fmt.Errorf("find node by public key: %w", err)
	}
	return n, nil
}

// NodeByPeer implements state.Nodes.
func (s *Store) NodeByPeer(ctx context.Context, peerID string) (state.Node, error) {
	n, err := s.findNode(ctx, `peer_id = ?`, peerID)
	if err != nil {
		return state.Node{}, fmt.Errorf("find node of peer %s: %w", peerID, err)
	}
	return n, nil
}

func (s *Store) findNode(ctx context.Context, where string, arg any) (state.Node, error) {
	nodes, err := s.listNodes(ctx, where, arg)
	if err != nil {
		return state.Node{}, err
	}
	if len(nodes) == 0 {
		return state.Node{}, state.ErrNotFound
	}
	return nodes[0], nil
}

// ListNodes implements state.Nodes.
func (s *Store) ListNodes(ctx context.Context) ([]state.Node, error) {
	nodes, err := s.listNodes(ctx, `TRUE`)
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	return nodes, nil
}

// OnlineNodes implements state.Nodes.
func (s *Store) OnlineNodes(ctx context.Context) ([]state.Node, error) {
	nodes, err := s.listNodes(ctx, `status = 'online'`)
	if err != nil {
		return nil, fmt.Errorf("list online nodes: %w", err)
	}
	return nodes, nil
}

func (s *Store) listNodes(ctx context.Context, where string, args ...any) ([]state.Node, error) {
	var nodes []state.Node
	err := s.read(ctx, func(tx *sql.Tx) error {
		return each(tx, func(scan func(...any) error) error {
			n, err := scanNode(scan)
			nodes = append(nodes, n)
			return err
		}, `SELECT node_id, peer_id, public_key, name, location, owner_id, status, heartbeat_interval, online_until,
				registered_at, last_activated_at, last_deactivated_at, unregistered_at
			FROM nodes WHERE `+where+` ORDER BY registered_at, node_id`, args...)
	})
	return nodes, err
}

func scanNode(scan func(...any) error) (state.Node, error) {
	var n state.Node
	var peerID sql.NullString
	var id, interval, until, registered, activated, deactivated, unregistered int64
	err := scan(&id, &peerID, &n.PublicKey, &n.Name, &n.Location, &n.OwnerID, &n.Status, &interval, &until,
		&registered, &activated, &deactivated, &unregistered)
	n.ID, n.PeerID, n.HeartbeatInterval = uint64(id), peerID.String, time.Duration(interval)*time.Microsecond
	n.OnlineUntil, n.RegisteredAt = sqldb.FromMicro(until), sqldb.FromMicro(registered)
	n.LastActivatedAt, n.LastDeactivatedAt = sqldb.FromMicro(activated), sqldb.FromMicro(deactivated)
	n.UnregisteredAt = sqldb.FromMicro(unregistered)
	return n, err
}

// RenameNode implements state.Nodes.
func (s *Store) RenameNode(ctx context.Context, nodeID uint64, name, location string) error {
	return nodeErr("rename", nodeID, s.write(ctx, func(c *change) error {
		c.ring(state.KeyNodes())
		return one(c.tx, `UPDATE nodes SET name = ?, location = ? WHERE node_id = ?`, short(name), short(location), int64(nodeID))
	}))
}
