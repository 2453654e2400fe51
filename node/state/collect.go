package state

import (
	"context"
	"database/sql"
	"fmt"
)

// Collect removes the objects that have lost their last reference. What a kill leaves undone,
// the next call does.
func (s *Store) Collect(ctx context.Context) error {
	for {
		n, err := s.collectSome(ctx)
		if err != nil {
			return fmt.Errorf("remove unused objects: %w", err)
		}
		if n < collectBatch {
			return nil
		}
	}
}

func (s *Store) collectSome(ctx context.Context) (n int, err error) {
	s.refs.Lock()
	defer s.refs.Unlock()
	var all, unused []string
	err = s.db.Read(ctx, func(tx *sql.Tx) error {
		all, err = column[string](tx, `SELECT object_id FROM garbage LIMIT ?`, collectBatch)
		if err != nil || len(all) == 0 {
			return err
		}
		unused, err = column[string](tx, `SELECT value FROM json_each(?)
			WHERE value NOT IN (SELECT object_id FROM message_objects) AND value NOT IN (SELECT fab_hash FROM runs)`, jsonList(all))
		return err
	})
	if err != nil || len(all) == 0 {
		return 0, err
	}
	for _, id := range unused {
		if err := s.objects.Remove(id); err != nil {
			return 0, err
		}
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`DELETE FROM garbage WHERE object_id IN (SELECT value FROM json_each(?))`, jsonList(all))
		return err
	})
	return len(all), err
}
