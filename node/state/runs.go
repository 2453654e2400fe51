package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
)

// Run is what the node knows of a run that it takes part in.
type Run struct {
	ID, SeriesID uint64
	FABHash      string
	// Proto is flwr.proto.Run as it came with the first message; empty while the run is only
	// announced. From then on the run stays what it is until it is dropped.
	Proto         []byte
	Verifications map[string]string
	// Config is the fused run configuration; nil until SetRunConfig.
	Config map[string]*flwrpb.Scalar
}

// AnnounceRun notes a run before its first message, so that its bundle may be fetched and
// is kept. It changes nothing of a run that is known. ErrTooMany; ErrOtherRun if that run has
// another bundle.
func (s *Store) AnnounceRun(ctx context.Context, r Run) error {
	s.refs.RLock()
	defer s.refs.RUnlock()
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := checkRoom(tx, r.ID); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT OR IGNORE INTO runs (run_id, series_id, fab_hash) VALUES (?, ?, ?)`,
			signed(r.ID), signed(r.SeriesID), r.FABHash); err != nil {
			return err
		}
		known, err := readRun(tx, r.ID)
		if err != nil {
			return err
		}
		if known.FABHash != r.FABHash {
			return otherRun(known, "bundle", known.FABHash, r.FABHash)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store announced run %d: %w", r.ID, err)
	}
	return nil
}

// Run reads a run. ErrNotFound.
func (s *Store) Run(ctx context.Context, runID uint64) (Run, error) {
	var r Run
	err := s.db.Read(ctx, func(tx *sql.Tx) error {
		var err error
		r, err = readRun(tx, runID)
		return err
	})
	if err != nil {
		return Run{}, fmt.Errorf("read run %d: %w", runID, err)
	}
	return r, nil
}

// SetRunConfig keeps the fused configuration of a run, which says that its bundle was
// read and may be used here.
func (s *Store) SetRunConfig(ctx context.Context, runID uint64, config map[string]*flwrpb.Scalar) error {
	blob, err := proto.Marshal(&flwrpb.Context{RunConfig: config})
	if err != nil {
		return fmt.Errorf("store configuration of run %d: %w", runID, err)
	}
	if blob == nil {
		blob = []byte{} // nil would be NULL
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec(`UPDATE runs SET config = ? WHERE run_id = ?`, blob, signed(runID))
		return err
	})
	if err != nil {
		return fmt.Errorf("store configuration of run %d: %w", runID, err)
	}
	return nil
}

// DropRun ends everything of a run: its tasks, messages and replies. The context of its
// series stays. It returns how many unanswered messages were dropped; dropping a run that
// is not there is no error. Rings KeyTask of each task, KeyWaiting.
func (s *Store) DropRun(ctx context.Context, runID uint64) (dropped int, err error) {
	return s.dropRun(ctx, runID, false)
}

// DropIdleRun is DropRun for a run that is said to have ended, if nothing is under way for it.
func (s *Store) DropIdleRun(ctx context.Context, runID uint64) error {
	_, err := s.dropRun(ctx, runID, true)
	return err
}

func (s *Store) dropRun(ctx context.Context, runID uint64, onlyIdle bool) (dropped int, err error) {
	var tasks []uint64
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		tasks = nil
		var unsent int
		if err := tx.QueryRow(`SELECT COUNT(*) FILTER (WHERE state IN ('gathering', 'waiting', 'leased')), COUNT(*) FILTER (WHERE state = 'answered')
			FROM messages WHERE run_id = ?`, signed(runID)).Scan(&dropped, &unsent); err != nil {
			return err
		}
		if onlyIdle && dropped+unsent > 0 {
			dropped = 0
			return nil
		}
		ids, err := column[int64](tx, `SELECT t.task_id FROM tasks t JOIN messages m USING (message_id) WHERE m.run_id = ?`, signed(runID))
		if err != nil {
			return err
		}
		for _, id := range ids {
			tasks = append(tasks, uint64(id))
		}
		if err := deleteMessages(tx, "run_id = ?", signed(runID)); err != nil {
			return err
		}
		for _, statement := range []string{
			`INSERT OR IGNORE INTO garbage SELECT fab_hash FROM runs WHERE run_id = ?`,
			`DELETE FROM runs WHERE run_id = ?`,
		} {
			if _, err := tx.Exec(statement, signed(runID)); err != nil {
				return err
			}
		}
		return forgetSeries(tx)
	})
	if err != nil {
		return 0, fmt.Errorf("drop run %d: %w", runID, err)
	}
	for _, id := range tasks {
		s.bell.Ring(KeyTask(id))
	}
	s.bell.Ring(KeyWaiting(), KeyGarbage())
	return dropped, nil
}

// SeriesContext is the context that the last ClientApp of a series left, and the run it
// belonged to; run 0 says that there is none.
func (s *Store) SeriesContext(ctx context.Context, seriesID uint64) (blob []byte, runID uint64, err error) {
	err = s.db.Read(ctx, func(tx *sql.Tx) error {
		var run int64
		err := tx.QueryRow(`SELECT context, run_id FROM contexts WHERE series_id = ?`, signed(seriesID)).Scan(&blob, &run)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		runID = uint64(run)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read context of series %d: %w", seriesID, err)
	}
	return blob, runID, nil
}

func setSeriesContext(tx *sql.Tx, runID uint64, blob []byte) error {
	turn, err := tick(tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO contexts (series_id, run_id, context, used)
		SELECT series_id, run_id, ?, ? FROM runs WHERE run_id = ?
		ON CONFLICT (series_id) DO UPDATE SET run_id = excluded.run_id, context = excluded.context, used = excluded.used`,
		blob, turn, signed(runID))
	return err
}

// forgetSeries drops the contexts of series that were not used for longest.
func forgetSeries(tx *sql.Tx) error {
	_, err := tx.Exec(`DELETE FROM contexts WHERE series_id IN
		(SELECT series_id FROM contexts WHERE series_id NOT IN (SELECT series_id FROM runs) ORDER BY used DESC LIMIT -1 OFFSET ?)`, keptSeries)
	return err
}

// insertRun keeps what a run is, as its first message says. What an announcement said of it
// was a hint only, and gives way.
func insertRun(tx *sql.Tx, r Run) error {
	verifications, err := json.Marshal(r.Verifications)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`INSERT OR IGNORE INTO garbage SELECT fab_hash FROM runs WHERE run_id = ? AND proto IS NULL AND fab_hash <> ?`,
		signed(r.ID), r.FABHash); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO runs (run_id, series_id, fab_hash, proto, verifications) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (run_id) DO UPDATE SET series_id = excluded.series_id, proto = excluded.proto, verifications = excluded.verifications,
			config = NULL, fab_hash = excluded.fab_hash WHERE runs.proto IS NULL`,
		signed(r.ID), signed(r.SeriesID), r.FABHash, r.Proto, string(verifications))
	return err
}

// checkSameRun refuses what contradicts a run that a message was taken in of. What changes
// while a run goes on, such as its status, is no contradiction.
func checkSameRun(tx *sql.Tx, r Run) error {
	known, err := readRun(tx, r.ID)
	if errors.Is(err, ErrNotFound) || err == nil && known.Proto == nil {
		return nil
	}
	if err != nil {
		return err
	}
	var was, is flwrpb.Run
	if err := errors.Join(proto.Unmarshal(known.Proto, &was), proto.Unmarshal(r.Proto, &is)); err != nil {
		return err
	}
	switch {
	case known.FABHash != r.FABHash:
		return otherRun(known, "bundle", known.FABHash, r.FABHash)
	case known.SeriesID != r.SeriesID:
		return otherRun(known, "series", known.SeriesID, r.SeriesID)
	case was.GetFabId() != is.GetFabId():
		return otherRun(known, "app", was.GetFabId(), is.GetFabId())
	case was.GetFabVersion() != is.GetFabVersion():
		return otherRun(known, "version", was.GetFabVersion(), is.GetFabVersion())
	case !proto.Equal(&flwrpb.Run{OverrideConfig: was.GetOverrideConfig()}, &flwrpb.Run{OverrideConfig: is.GetOverrideConfig()}):
		return fmt.Errorf("%w: the run configuration of run %d changed", ErrOtherRun, known.ID)
	}
	return nil
}

func otherRun(known Run, what string, was, is any) error {
	return fmt.Errorf("%w: the %s of run %d is %.80q, and not %.80q", ErrOtherRun, what, known.ID, fmt.Sprint(was), fmt.Sprint(is))
}

func readRun(tx *sql.Tx, runID uint64) (Run, error) {
	r := Run{ID: runID}
	var series int64
	var verifications string
	var config []byte
	var configured bool // an empty configuration is not a missing one
	err := tx.QueryRow(`SELECT series_id, fab_hash, proto, verifications, config, config IS NOT NULL FROM runs WHERE run_id = ?`, signed(runID)).
		Scan(&series, &r.FABHash, &r.Proto, &verifications, &config, &configured)
	if errors.Is(err, sql.ErrNoRows) {
		return Run{}, ErrNotFound
	}
	if err != nil {
		return Run{}, err
	}
	r.SeriesID = uint64(series)
	if err := json.Unmarshal([]byte(verifications), &r.Verifications); err != nil {
		return Run{}, fmt.Errorf("verifications: %w", err)
	}
	if !configured {
		return r, nil
	}
	var c flwrpb.Context
	if err := proto.Unmarshal(config, &c); err != nil {
		return Run{}, fmt.Errorf("configuration: %w", err)
	}
	r.Config = c.GetRunConfig()
	if r.Config == nil {
		r.Config = map[string]*flwrpb.Scalar{}
	}
	return r, nil
}
