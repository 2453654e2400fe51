package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
)

// Decision is what the site's policy said of an app, that is of a run with one bundle. It is
// made once for each policy and never changes; it goes with its run.
type Decision struct {
	RunID   uint64
	FABHash string
	// Policy is the fingerprint of the policy that decided.
	Policy  string
	Allowed bool
	// Rule is the name of the rule that decided, and Reason why the app may not run.
	Rule, Reason string
}

// Decide keeps a decision, unless there is one by the same policy already, and returns the one
// that holds. ErrNotFound if the run is not here, or has another bundle. Rings KeyWaiting.
func (s *Store) Decide(ctx context.Context, d Decision) (Decision, error) {
	var holds Decision
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT OR IGNORE INTO decisions (run_id, fab_hash, policy, allowed, rule, reason, decided_at)
			SELECT run_id, fab_hash, ?, ?, ?, ?, ? FROM runs WHERE run_id = ? AND fab_hash = ? AND proto IS NOT NULL`,
			d.Policy, d.Allowed, d.Rule, cut(d.Reason), sqldb.Micro(time.Now()), signed(d.RunID), d.FABHash)
		if err != nil {
			return err
		}
		holds, err = decision(tx, d.RunID, d.FABHash, d.Policy)
		return err
	})
	if err != nil {
		return Decision{}, fmt.Errorf("store decision about run %d: %w", d.RunID, err)
	}
	s.bell.Ring(KeyWaiting())
	return holds, nil
}

// Decision reads what a policy has decided about a run with this bundle. ErrNotFound.
func (s *Store) Decision(ctx context.Context, runID uint64, fabHash, policy string) (Decision, error) {
	var d Decision
	err := s.db.Read(ctx, func(tx *sql.Tx) error {
		var err error
		d, err = decision(tx, runID, fabHash, policy)
		return err
	})
	if err != nil {
		return Decision{}, fmt.Errorf("read decision about run %d: %w", runID, err)
	}
	return d, nil
}

func decision(tx *sql.Tx, runID uint64, fabHash, policy string) (Decision, error) {
	d := Decision{RunID: runID, FABHash: fabHash, Policy: policy}
	err := tx.QueryRow(`SELECT allowed, rule, reason FROM decisions WHERE run_id = ? AND fab_hash = ? AND policy = ?`,
		signed(runID), fabHash, policy).Scan(&d.Allowed, &d.Rule, &d.Reason)
	if errors.Is(err, sql.ErrNoRows) {
		return Decision{}, ErrNotFound
	}
	return d, err
}

// Unallowed lists the messages that wait for a ClientApp, or that one works on, although the
// policy has not allowed their app: it was refused, or not asked about.
func (s *Store) Unallowed(ctx context.Context, policy string) ([]Instruction, error) {
	var all []Instruction
	err := s.db.Read(ctx, func(tx *sql.Tx) error {
		ids, err := column[string](tx, `SELECT m.message_id FROM messages m JOIN runs r USING (run_id)
			WHERE m.state IN ('waiting', 'leased') AND NOT `+allowed+` ORDER BY m.seq`, policy)
		if err != nil {
			return err
		}
		all = make([]Instruction, len(ids))
		for i, id := range ids {
			if all[i], err = instruction(tx, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for messages of apps that are not allowed: %w", err)
	}
	return all, nil
}

// allowed is true of a run r whose bundle the policy (the one parameter) has allowed.
const allowed = `EXISTS (SELECT 1 FROM decisions d
	WHERE d.run_id = r.run_id AND d.fab_hash = r.fab_hash AND d.policy = ? AND d.allowed = 1)`

// cut bounds the reason of a decision.
func cut(reason string) string {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	return strings.ToValidUTF8(reason, "?")
}
