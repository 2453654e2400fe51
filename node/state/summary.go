package state

import (
	"context"
	"database/sql"
	"fmt"
)

// Summary is how much a run has on this node.
type Summary struct {
	RunID                                uint64
	Gathering, Waiting, Leased, Answered int
	// FailedTasks counts processes of unacknowledged messages that ended badly.
	FailedTasks int
	// LastFailure is why the last of them did.
	LastFailure string
}

// Summaries tells of all runs, oldest id first.
func (s *Store) Summaries(ctx context.Context) ([]Summary, error) {
	var all []Summary
	err := s.db.Read(ctx, func(tx *sql.Tx) error {
		rows, err := tx.Query(`SELECT r.run_id,
				COUNT(m.seq) FILTER (WHERE m.state = 'gathering'), COUNT(m.seq) FILTER (WHERE m.state = 'waiting'),
				COUNT(m.seq) FILTER (WHERE m.state = 'leased'), COUNT(m.seq) FILTER (WHERE m.state = 'answered'),
				(SELECT COUNT(*) FROM tasks t WHERE t.run_id = r.run_id AND t.sub_status = 'failed'),
				COALESCE((SELECT t.details FROM tasks t WHERE t.run_id = r.run_id AND t.sub_status = 'failed'
					ORDER BY t.finished_at DESC LIMIT 1), '')
			FROM runs r LEFT JOIN messages m USING (run_id) GROUP BY r.run_id ORDER BY r.run_id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var one Summary
			var id int64
			if err := rows.Scan(&id, &one.Gathering, &one.Waiting, &one.Leased, &one.Answered, &one.FailedTasks, &one.LastFailure); err != nil {
				return err
			}
			one.RunID = uint64(id)
			all = append(all, one)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("summarize runs: %w", err)
	}
	return all, nil
}
