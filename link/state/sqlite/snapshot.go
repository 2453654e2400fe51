package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
)

// Snapshot writes a copy of the store, as of one moment, to a file that must not exist, and lists the
// objects that the unfinished runs in it hold. The store can be used meanwhile.
func (s *Store) Snapshot(ctx context.Context, path string) (objectIDs []string, err error) {
	if err := s.db.Snapshot(ctx, path); err != nil {
		return nil, err
	}
	err = sqldb.ReadFile(ctx, path, func(tx *sql.Tx) error {
		keys, err := column[[]byte](tx, `SELECT DISTINCT object_id FROM run_objects WHERE held = 1 AND run_id IN (`+unfinishedRuns+`)`)
		for _, key := range keys {
			objectIDs = append(objectIDs, hex.EncodeToString(key))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the objects of the copy: %w", err)
	}
	return objectIDs, nil
}
