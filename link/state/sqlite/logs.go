package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/link/state"
)

// logKept is how much is left of a log after it has grown beyond state.MaxLogBytes; the gap between
// the two makes cutting rare.
const logKept = state.MaxLogBytes * 3 / 4

// AppendLogs implements state.Runs.
func (s *Store) AppendLogs(ctx context.Context, runID uint64, at time.Time, lines []string) error {
	text := strings.ToValidUTF8(strings.Join(lines, ""), "\uFFFD")
	if text == "" {
		return nil
	}
	if cut := len(text) - logKept; cut > 0 {
		text = fmt.Sprintf("[%d bytes of this output were dropped]\n%s", cut, strings.ToValidUTF8(text[cut:], "\uFFFD"))
	}
	return runErr("append to the log of", runID, s.write(ctx, func(c *change) error {
		var seq, bytes int64
		err := c.tx.QueryRow(`UPDATE runs SET log_seq = log_seq + 1, log_bytes = log_bytes + ? WHERE run_id = ?
			RETURNING log_seq, log_bytes`, len(text), int64(runID)).Scan(&seq, &bytes)
		if err != nil {
			return notFound(err)
		}
		_, err = c.tx.Exec(`INSERT INTO run_logs (run_id, seq, at, text, bytes) VALUES (?, ?, ?, ?, ?)`,
			int64(runID), seq, sqldb.Micro(at), text, len(text))
		if err != nil {
			return err
		}
		c.ring(state.KeyLogs(runID))
		if bytes <= state.MaxLogBytes {
			return nil
		}
		return trimLogs(c.tx, runID, seq, bytes-logKept)
	}))
}

// trimLogs drops the oldest rows until at least surplus bytes are gone; the last row stays.
func trimLogs(tx *sql.Tx, runID uint64, last, surplus int64) error {
	var through, dropped int64
	err := tx.QueryRow(`SELECT seq, total FROM (SELECT seq, SUM(bytes) OVER (ORDER BY seq) AS total FROM run_logs WHERE run_id = ?) AS sums
		WHERE total >= ? OR seq = ? ORDER BY seq LIMIT 1`, int64(runID), surplus, last-1).Scan(&through, &dropped)
	if err != nil {
		return fmt.Errorf("find the end of old log text: %w", err)
	}
	if _, err := tx.Exec(`DELETE FROM run_logs WHERE run_id = ? AND seq <= ?`, int64(runID), through); err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE runs SET log_bytes = log_bytes - ?, log_dropped = log_dropped + ? WHERE run_id = ?`,
		dropped, dropped, int64(runID))
	return err
}

// Logs implements state.Runs.
func (s *Store) Logs(ctx context.Context, runID uint64, afterSeq int64) (text string, last time.Time, lastSeq int64, err error) {
	lastSeq = afterSeq
	err = s.read(ctx, func(tx *sql.Tx) error {
		var dropped int64
		err := tx.QueryRow(`SELECT log_dropped FROM runs WHERE run_id = ?`, int64(runID)).Scan(&dropped)
		if err != nil {
			return notFound(err)
		}
		var out strings.Builder
		err = each(tx, func(scan func(...any) error) error {
			var seq, at int64
			var part string
			if err := scan(&seq, &at, &part); err != nil {
				return err
			}
			if seq > lastSeq+1 { // the rows between were dropped
				fmt.Fprintf(&out, "[older log text was dropped: %d bytes so far]\n", dropped)
			}
			out.WriteString(part)
			last, lastSeq = sqldb.FromMicro(at), seq
			return nil
		}, `SELECT seq, at, text FROM run_logs WHERE run_id = ? AND seq > ? ORDER BY seq`, int64(runID), afterSeq)
		text = out.String()
		return err
	})
	if err != nil {
		return "", time.Time{}, afterSeq, runErr("read the log of", runID, err)
	}
	return text, last, lastSeq, nil
}
