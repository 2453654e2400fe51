package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/link/state"
)

// RegisterObjects implements state.Runs.
func (s *Store) RegisterObjects(ctx context.Context, runID uint64, objectIDs []string) error {
	for _, id := range objectIDs {
		if _, ok := objectKey(id); !ok {
			return runErr("register objects of", runID, fmt.Errorf("malformed object id %.80q", id))
		}
	}
	return runErr("register objects of", runID, s.write(ctx, func(c *change) error {
		if err := runUnfinished(c.tx, runID); err != nil {
			return err
		}
		return registerObjects(c, runID, objectIDs)
	}))
}

func registerObjects(c *change, runID uint64, objectIDs []string) error {
	now, list := sqldb.Micro(c.now), listOf(objectIDs)
	result, err := c.tx.Exec(`INSERT INTO run_objects (run_id, object_id, held, used) SELECT ?, unhex(value), 0, ? FROM json_each(?)
		WHERE TRUE ON CONFLICT DO NOTHING`, int64(runID), now, list)
	if err != nil {
		return err
	}
	added, err := result.RowsAffected()
	if err == nil && added < int64(len(objectIDs)) {
		_, err = c.tx.Exec(`UPDATE run_objects SET used = ? WHERE run_id = ? AND object_id IN (SELECT unhex(value) FROM json_each(?))`,
			now, int64(runID), list)
	}
	if err != nil || added == 0 {
		return err
	}
	var objects int
	err = c.tx.QueryRow(`UPDATE runs SET objects = objects + ? WHERE run_id = ? RETURNING objects`, added, int64(runID)).Scan(&objects)
	if err != nil {
		return notFound(err)
	}
	if objects > state.MaxRunObjects {
		return fmt.Errorf("%w: %d objects of one run", state.ErrTooMany, objects)
	}
	return nil
}

// HoldObjects implements state.Runs.
func (s *Store) HoldObjects(ctx context.Context, runID uint64, objectIDs []string) error {
	return runErr("record objects that came for", runID, s.write(ctx, func(c *change) error {
		if err := runUnfinished(c.tx, runID); err != nil {
			return err
		}
		return holdObjects(c.tx, runID, objectIDs)
	}))
}

func holdObjects(tx *sql.Tx, runID uint64, objectIDs []string) error {
	for _, id := range objectIDs {
		key, ok := objectKey(id)
		if !ok {
			continue
		}
		if _, err := tx.Exec(`UPDATE run_objects SET held = 1 WHERE run_id = ? AND object_id = ? AND held = 0`, int64(runID), key); err != nil {
			return err
		}
	}
	return nil
}

// UnheldObjects implements state.Runs.
func (s *Store) UnheldObjects(ctx context.Context, runID uint64, objectIDs []string) ([]string, error) {
	var unheld []string
	err := s.read(ctx, func(tx *sql.Tx) error {
		for _, id := range objectIDs {
			held := false
			if key, ok := objectKey(id); ok {
				err := tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM run_objects WHERE run_id = ? AND object_id = ? AND held = 1)`,
					int64(runID), key).Scan(&held)
				if err != nil {
					return err
				}
			}
			if !held {
				unheld = append(unheld, id)
			}
		}
		return nil
	})
	return unheld, runErr("look up objects of", runID, err)
}

// RunHasObject implements state.Runs.
func (s *Store) RunHasObject(ctx context.Context, runID uint64, objectID string) (bool, error) {
	key, ok := objectKey(objectID)
	if !ok {
		return false, nil
	}
	var has bool
	err := s.read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM run_objects WHERE run_id = ? AND object_id = ?)`,
			int64(runID), key).Scan(&has)
	})
	return has, runErr("look up an object of", runID, err)
}

// ReleaseObjects implements state.Runs.
//
// An object is removed before the commit that forgets it: a crash in between leaves a finished run's
// reference to nothing, for the next call to drop. The other order would leave a file that nobody
// knows of.
func (s *Store) ReleaseObjects(ctx context.Context, runID uint64, remove func(objectID string) error) error {
	for {
		var released int
		var removeErr error
		err := s.write(ctx, func(c *change) error {
			if err := runUnfinished(c.tx, runID); err == nil {
				return fmt.Errorf("%w: the run is not finished", state.ErrNotAllowed)
			} else if !errors.Is(err, state.ErrRunFinished) {
				return err
			}
			var err error
			released, removeErr, err = releaseSome(c.tx, runID, remove)
			return err
		})
		if err == nil {
			err = removeErr
		}
		if err != nil || released == 0 {
			return runErr("release objects of", runID, err)
		}
	}
}

// releaseSome releases a batch. An error of remove ends it; what was removed before stays released.
func releaseSome(tx *sql.Tx, runID uint64, remove func(string) error) (released int, removeErr, err error) {
	batch, err := references(tx, `WHERE run_id = ? LIMIT ?`, int64(runID), releaseBatch)
	if err != nil {
		return 0, nil, err
	}
	return dropReferences(tx, runID, batch, remove)
}

// reference is a row of run_objects.
type reference struct {
	key    []byte
	shared bool // another run has the object, too
}

func references(tx *sql.Tx, where string, args ...any) (found []reference, err error) {
	err = each(tx, func(scan func(...any) error) error {
		var r reference
		if err := scan(&r.key, &r.shared); err != nil {
			return err
		}
		found = append(found, r)
		return nil
	}, `SELECT object_id, EXISTS (SELECT 1 FROM run_objects o WHERE o.object_id = mine.object_id AND o.run_id <> mine.run_id)
		FROM run_objects mine `+where, args...)
	return found, err
}

// dropReferences removes the objects that no other run has, and forgets the references.
func dropReferences(tx *sql.Tx, runID uint64, batch []reference, remove func(string) error) (released int, removeErr, err error) {
	for _, r := range batch {
		if !r.shared {
			if err := remove(hex.EncodeToString(r.key)); err != nil {
				removeErr = fmt.Errorf("remove object %x: %w", r.key, err)
				break
			}
		}
		if _, err := tx.Exec(`DELETE FROM run_objects WHERE run_id = ? AND object_id = ?`, int64(runID), r.key); err != nil {
			return 0, nil, err
		}
		released++
	}
	_, err = tx.Exec(`UPDATE runs SET objects = objects - ? WHERE run_id = ?`, released, int64(runID))
	return released, removeErr, err
}

// FinishedRunsHoldingObjects implements state.Runs.
func (s *Store) FinishedRunsHoldingObjects(ctx context.Context) ([]uint64, error) {
	var runs []uint64
	err := s.read(ctx, func(tx *sql.Tx) error {
		ids, err := column[int64](tx, `SELECT r.run_id FROM runs r JOIN tasks t ON t.task_id = r.primary_task_id
			WHERE r.objects > 0 AND t.status = 'finished' ORDER BY r.created_at`)
		for _, id := range ids {
			runs = append(runs, uint64(id))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list finished runs with objects: %w", err)
	}
	return runs, nil
}
