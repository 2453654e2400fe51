package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/link/state"
)

// ActivateNode implements state.Nodes.
func (s *Store) ActivateNode(ctx context.Context, nodeID uint64, interval time.Duration, until time.Time, takeover bool) error {
	return nodeErr("activate", nodeID, s.write(ctx, func(c *change) error {
		status, err := nodeStatus(c.tx, nodeID)
		if err != nil {
			return err
		}
		if status == state.NodeUnregistered || (status == state.NodeOnline && !takeover) {
			return fmt.Errorf("%w: it is %s", state.ErrNotAllowed, status)
		}
		return online(c, nodeID, interval, until, true)
	}))
}

// TouchNode implements state.Nodes.
func (s *Store) TouchNode(ctx context.Context, nodeID uint64, interval time.Duration, until time.Time) (bool, error) {
	known := false
	err := s.write(ctx, func(c *change) error {
		status, err := nodeStatus(c.tx, nodeID)
		if errors.Is(err, state.ErrNotFound) || status == state.NodeUnregistered {
			return nil
		}
		if err != nil {
			return err
		}
		known = true
		return online(c, nodeID, interval, until, status != state.NodeOnline)
	})
	return known && err == nil, nodeErr("touch", nodeID, err)
}

// online records a sign of life; anew says that the node becomes online by it.
func online(c *change, nodeID uint64, interval time.Duration, until time.Time, anew bool) error {
	c.due(until)
	_, err := c.tx.Exec(`UPDATE nodes SET status = 'online', heartbeat_interval = ?, online_until = ?,
			last_activated_at = CASE WHEN ? THEN ? ELSE last_activated_at END WHERE node_id = ?`,
		interval.Microseconds(), sqldb.Micro(until), anew, sqldb.Micro(c.now), int64(nodeID))
	if err != nil || !anew {
		return err
	}
	c.then(func(b *board) { b.up(nodeID) })
	c.ring(state.KeyNodes())
	return nil
}

// DeactivateNode implements state.Nodes.
func (s *Store) DeactivateNode(ctx context.Context, nodeID uint64) error {
	return nodeErr("deactivate", nodeID, s.write(ctx, func(c *change) error {
		status, err := nodeStatus(c.tx, nodeID)
		if err != nil || status != state.NodeOnline {
			return err
		}
		_, err = c.tx.Exec(`UPDATE nodes SET status = 'offline', online_until = ?, last_deactivated_at = ? WHERE node_id = ?`,
			sqldb.Micro(c.now), sqldb.Micro(c.now), int64(nodeID))
		if err != nil {
			return err
		}
		return nodeGone(c, nodeID)
	}))
}

// UnregisterNode implements state.Nodes.
func (s *Store) UnregisterNode(ctx context.Context, nodeID uint64) error {
	return nodeErr("unregister", nodeID, s.write(ctx, func(c *change) error {
		var peerID sql.NullString
		if err := c.tx.QueryRow(`SELECT peer_id FROM nodes WHERE node_id = ?`, int64(nodeID)).Scan(&peerID); err != nil {
			return notFound(err)
		}
		if err := unregister(c, nodeID); err != nil {
			return err
		}
		if !peerID.Valid {
			return nil
		}
		_, err := revoke(c, peerID.String)
		return err
	}))
}

// unregister ends a node forever. ErrNotAllowed if it was already unregistered.
func unregister(c *change, nodeID uint64) error {
	status, err := nodeStatus(c.tx, nodeID)
	if err != nil {
		return err
	}
	if status == state.NodeUnregistered {
		return fmt.Errorf("%w: it is unregistered", state.ErrNotAllowed)
	}
	now := sqldb.Micro(c.now)
	_, err = c.tx.Exec(`UPDATE nodes SET status = 'unregistered', unregistered_at = ?,
			last_deactivated_at = CASE WHEN status = 'online' THEN ? ELSE last_deactivated_at END,
			online_until = CASE WHEN status = 'online' THEN ? ELSE online_until END WHERE node_id = ?`, now, now, now, int64(nodeID))
	if err != nil {
		return err
	}
	return nodeGone(c, nodeID)
}

// nodeGone tells the runs that the node owes an answer to.
func nodeGone(c *change, nodeID uint64) error {
	runs, err := column[int64](c.tx, `SELECT DISTINCT run_id FROM instructions WHERE node_id = ? AND replied = 0`, int64(nodeID))
	if err != nil {
		return fmt.Errorf("find the runs that node %d owes replies: %w", nodeID, err)
	}
	for _, id := range runs {
		c.ring(state.KeyReplies(uint64(id)))
	}
	c.then(func(b *board) { b.down(nodeID) })
	c.ring(state.KeyNodes())
	return nil
}

func nodeStatus(tx *sql.Tx, nodeID uint64) (state.NodeStatus, error) {
	var status state.NodeStatus
	err := tx.QueryRow(`SELECT status FROM nodes WHERE node_id = ?`, int64(nodeID)).Scan(&status)
	return status, notFound(err)
}
