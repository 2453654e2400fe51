package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/internal/tasktable"
	"github.com/rhizome-fl/rhizome/link/state"
)

// Expire implements state.Store.
func (s *Store) Expire(ctx context.Context, now time.Time) (time.Time, error) {
	var next time.Time
	err := s.writeThen(ctx, func(c *change) error {
		c.now = now
		for _, expire := range []func(*change) error{expireTasks, expireInstructions, expireLeases, expireNodes} {
			if err := expire(c); err != nil {
				return err
			}
		}
		var err error
		next, err = nextDeadline(c.tx)
		return err
	}, func(*change) { s.next = next }) // from here on, any earlier deadline rings
	if err != nil {
		return time.Time{}, fmt.Errorf("apply deadlines: %w", err)
	}
	return next, nil
}

func expireTasks(c *change) error {
	requeued, failed, err := tasktable.Expire(c.tx, c.now)
	if err != nil {
		return err
	}
	for _, t := range requeued {
		c.ring(state.KeyPendingTask(), state.KeyRun(t.RunID), state.KeyTask(t.ID))
	}
	for _, t := range failed {
		log.Info("task showed no life and was given up", "run", t.RunID, "task", t.ID)
		if err := endRun(c, t.RunID, t.ID); err != nil {
			return err
		}
	}
	return nil
}

func expireInstructions(c *change) error {
	err := dropInstructions(c, `expires_at <= ?`, sqldb.Micro(c.now))
	if err != nil {
		return fmt.Errorf("expire messages: %w", err)
	}
	return nil
}

func expireLeases(c *change) error {
	nodes, err := column[int64](c.tx, `UPDATE instructions SET state = 'waiting', lease_until = 0
		WHERE lease_until > 0 AND lease_until <= ? AND state = 'leased' RETURNING node_id`, sqldb.Micro(c.now))
	if err != nil {
		return fmt.Errorf("expire leases: %w", err)
	}
	for _, id := range nodes {
		c.ring(state.KeyNode(uint64(id)))
	}
	return nil
}

func expireNodes(c *change) error {
	nodes, err := column[int64](c.tx, `UPDATE nodes SET status = 'offline', last_deactivated_at = online_until
		WHERE status = 'online' AND online_until <= ? RETURNING node_id`, sqldb.Micro(c.now))
	if err != nil {
		return fmt.Errorf("expire nodes: %w", err)
	}
	for _, id := range nodes {
		if err := nodeGone(c, uint64(id)); err != nil {
			return err
		}
	}
	return nil
}

// nextDeadline is the earliest deadline of all; each kind's is the first entry of an index.
func nextDeadline(tx *sql.Tx) (time.Time, error) {
	next, err := tasktable.NextDeadline(tx)
	if err != nil {
		return time.Time{}, err
	}
	for _, query := range []string{
		`SELECT MIN(expires_at) FROM instructions`,
		`SELECT MIN(lease_until) FROM instructions WHERE lease_until > 0`,
		`SELECT MIN(online_until) FROM nodes WHERE status = 'online'`,
	} {
		var us sql.NullInt64
		if err := tx.QueryRow(query).Scan(&us); err != nil {
			return time.Time{}, fmt.Errorf("find next deadline: %w", err)
		}
		if at := sqldb.FromMicro(us.Int64); us.Valid && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, nil
}
