package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// HasObject tells whether the object is the bundle of the run, or one that a message of the run
// refers to and was given.
func (s *Store) HasObject(ctx context.Context, runID uint64, objectID string) (bool, error) {
	var has bool
	err := s.db.Read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT
			EXISTS (SELECT 1 FROM message_objects o JOIN messages m USING (message_id) WHERE o.object_id = ? AND m.run_id = ? AND o.held = 1)
			OR EXISTS (SELECT 1 FROM runs WHERE run_id = ? AND fab_hash = ?)`,
			objectID, signed(runID), signed(runID), objectID).Scan(&has)
	})
	if err != nil {
		return false, fmt.Errorf("look up object %s: %w", objectID, err)
	}
	return has, nil
}

// Missing returns those of ids that are not on disk, without duplicates, in the order given.
func (s *Store) Missing(ids []string) []string {
	var missing []string
	seen := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		if _, dup := seen[id]; dup {
			continue
		}
		seen[id] = struct{}{}
		if !s.objects.Has(id) {
			missing = append(missing, id)
		}
	}
	return missing
}

// HoldObjects records that the content of objects of a reply came from its app: only then do
// they count as present, whatever other runs have. Call it once they are on disk.
func (s *Store) HoldObjects(ctx context.Context, messageID string, objectIDs ...string) error {
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE message_objects SET held = 1
			WHERE message_id = ? AND reply = 1 AND object_id IN (SELECT value FROM json_each(?))`, messageID, jsonList(objectIDs))
		return err
	})
	if err != nil {
		return fmt.Errorf("note objects of the reply to message %s: %w", messageID, err)
	}
	return nil
}

// ReplyNeeds tells whether the object belongs to a pushed reply of the message.
func (s *Store) ReplyNeeds(ctx context.Context, messageID, objectID string) (needs bool, err error) {
	err = s.db.Read(ctx, func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM message_objects WHERE message_id = ? AND object_id = ? AND reply = 1)`,
			messageID, objectID).Scan(&needs)
	})
	if err != nil {
		return false, fmt.Errorf("look up object %s: %w", objectID, err)
	}
	return needs, nil
}

// replyComplete tells whether the pushed reply of a message has all its objects.
func (s *Store) replyComplete(ctx context.Context, messageID string) (bool, error) {
	lacks, all, err := s.replyLacks(ctx, messageID, nil)
	return all > 0 && len(lacks) == 0, err
}

// replyLacks returns the objects of a pushed reply that still have to be pushed, in the order of
// ids (nil: in any order); all is how many objects the reply has.
func (s *Store) replyLacks(ctx context.Context, messageID string, ids []string) (lacks []string, all int, err error) {
	held := make(map[string]bool)
	err = s.db.Read(ctx, func(tx *sql.Tx) error {
		rows, err := tx.Query(`SELECT object_id, held FROM message_objects JOIN replies USING (message_id) WHERE message_id = ? AND reply = 1`, messageID)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var is bool
			if err := rows.Scan(&id, &is); err != nil {
				return err
			}
			held[id] = is
		}
		return rows.Err()
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read reply to message %s: %w", messageID, err)
	}
	if ids == nil {
		ids = slices.Collect(maps.Keys(held))
	}
	seen := make(map[string]struct{}, len(ids))
	for _, id := range ids {
		if _, dup := seen[id]; !dup && (!held[id] || !s.objects.Has(id)) {
			lacks = append(lacks, id)
		}
		seen[id] = struct{}{}
	}
	return lacks, len(held), nil
}

// refer records that a message (reply 0) or its reply (1) needs objects.
func refer(tx *sql.Tx, messageID string, ids []string, reply int) error {
	_, err := tx.Exec(`INSERT OR IGNORE INTO message_objects (message_id, object_id, reply) SELECT ?, value, ? FROM json_each(?)`,
		messageID, reply, jsonList(ids))
	return err
}

// jsonList passes a list of ids to json_each.
func jsonList(ids []string) string {
	list, err := json.Marshal(ids)
	if err != nil {
		panic(fmt.Sprintf("marshal strings: %v", err)) // strings always marshal
	}
	return string(list)
}
