package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/object"
)

// SpareObjects implements state.Runs.
func (s *Store) SpareObjects(ctx context.Context, runID uint64, before time.Time) ([]string, error) {
	var spare []string
	err := s.read(ctx, func(tx *sql.Tx) error {
		if err := runUnfinished(tx, runID); err != nil {
			return err
		}
		needed, err := neededObjects(tx, runID)
		if err != nil {
			return err
		}
		keys, err := column[[]byte](tx, `SELECT object_id FROM run_objects WHERE run_id = ? AND used < ? ORDER BY used`,
			int64(runID), sqldb.Micro(before))
		for _, key := range keys {
			if id := hex.EncodeToString(key); !needed[id] {
				spare = append(spare, id)
			}
		}
		return err
	})
	return spare, runErr("list spare objects of", runID, err)
}

// neededObjects are the app bundle and the objects that a run's messages consist of. It fails rather
// than miss one.
func neededObjects(tx *sql.Tx, runID uint64) (map[string]bool, error) {
	needed := make(map[string]bool)
	var fab string
	if err := tx.QueryRow(`SELECT fab_hash FROM runs WHERE run_id = ?`, int64(runID)).Scan(&fab); err != nil {
		return nil, notFound(err)
	}
	needed[fab] = true
	note := func(id string) error { needed[id] = true; return nil }
	err := each(tx, func(scan func(...any) error) error {
		var packed []byte
		if err := scan(&packed); err != nil || len(packed) == 0 {
			return err
		}
		var tree flwrpb.ObjectTree
		if err := proto.Unmarshal(packed, &tree); err != nil {
			return fmt.Errorf("objects of a message: %w", err)
		}
		return object.Walk(&tree, object.TreeLimits{}, note)
	}, `SELECT tree FROM instructions WHERE run_id = ?1
		UNION ALL SELECT r.tree FROM replies r JOIN instructions i ON i.seq = r.instruction WHERE i.run_id = ?1`, int64(runID))
	return needed, err
}

// ReleaseSpareObjects implements state.Runs. Like ReleaseObjects it removes an object before the
// commit that forgets it.
func (s *Store) ReleaseSpareObjects(ctx context.Context, runID uint64, before time.Time, objectIDs []string, remove func(objectID string) error) error {
	for rest := objectIDs; len(rest) > 0; {
		batch := rest[:min(len(rest), releaseBatch)]
		rest = rest[len(batch):]
		var removeErr error
		err := s.write(ctx, func(c *change) error {
			if err := runUnfinished(c.tx, runID); err != nil {
				return err
			}
			// What was registered since then has a later time, and may be needed again.
			found, err := references(c.tx, `WHERE run_id = ? AND used < ? AND object_id IN (SELECT unhex(value) FROM json_each(?))`,
				int64(runID), sqldb.Micro(before), listOf(batch))
			if err != nil {
				return err
			}
			_, removeErr, err = dropReferences(c.tx, runID, found, remove)
			return err
		})
		if err == nil {
			err = removeErr
		}
		if err != nil {
			return runErr("release spare objects of", runID, err)
		}
	}
	return nil
}

var _ state.Runs = (*Store)(nil)
