package state

import (
	"context"
	"database/sql"
	"fmt"
)

// Inventory is what a node tells the SuperLink about itself when a session begins.
type Inventory struct {
	// Accepted lists the messages that are waiting or leased.
	Accepted []string
	// Answered lists the messages whose reply the SuperLink has not confirmed.
	Answered []string
	// RunIDs lists all runs for which the node holds anything.
	RunIDs []uint64
}

// Inventory returns what the node has; see [Inventory].
func (s *Store) Inventory(ctx context.Context) (Inventory, error) {
	var inv Inventory
	err := s.db.Read(ctx, func(tx *sql.Tx) error {
		var err error
		if inv.Accepted, err = column[string](tx, `SELECT message_id FROM messages WHERE state IN ('waiting', 'leased') ORDER BY seq`); err != nil {
			return err
		}
		if inv.Answered, err = column[string](tx, `SELECT message_id FROM messages WHERE state = 'answered' ORDER BY seq`); err != nil {
			return err
		}
		ids, err := column[int64](tx, `SELECT run_id FROM runs ORDER BY run_id`)
		for _, id := range ids {
			inv.RunIDs = append(inv.RunIDs, uint64(id))
		}
		return err
	})
	if err != nil {
		return Inventory{}, fmt.Errorf("read inventory: %w", err)
	}
	return inv, nil
}
