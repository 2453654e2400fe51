package state

import (
	"context"
	"database/sql"
	"fmt"
)

// Summary counts what a run has on this node.
type Summary struct {
	RunID                                uint64
	Gathering, Waiting, Leased, Answered int
	// FailedTasks counts the processes of unacknowledged messages that ended badly.
	FailedTasks int
	// LastFailure is why the last of them did.
	LastFailure string
}

// Summaries returns the summaries of all runs, lowest id first.
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
			var summary Summary
			var id int64
			if err := rows.Scan(&id, &summary.Gathering, &summary.Waiting, &summary.Leased, &summary.Answered, &summary.FailedTasks, &summary.LastFailure); err != nil {
				return err
			}
			summary.RunID = uint64(id)
			all = append(all, summary)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("summarize runs: %w", err)
	}
	return all, nil
}
