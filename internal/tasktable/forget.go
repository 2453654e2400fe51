package tasktable

import (
	"database/sql"
	"fmt"
)

// Forget removes the tasks of a run. The caller knows that they are finished.
func Forget(tx *sql.Tx, runID uint64) error {
	if _, err := tx.Exec(`DELETE FROM tasks WHERE run_id = ?`, int64(runID)); err != nil {
		return fmt.Errorf("forget tasks of run %d: %w", runID, err)
	}
	return nil
}
