package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/link/state"
)

// InsertInstructions implements state.Messages.
func (s *Store) InsertInstructions(ctx context.Context, msgs []state.Message) ([]error, error) {
	var results []error
	err := s.write(ctx, func(c *change) error {
		in := inserter{c: c, store: s, runs: make(map[uint64]error), nodes: make(map[uint64]error), added: make(map[uint64]int)}
		results = make([]error, len(msgs))
		for i, m := range msgs {
			refused, err := in.insert(m)
			if err != nil {
				return err
			}
			if refused != nil {
				results[i] = fmt.Errorf("message %s to node %d: %w", m.ID, m.NodeID, refused)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store instructions: %w", err)
	}
	return results, nil
}

// inserter looks up each run and node once for a batch of messages.
type inserter struct {
	c     *change
	store *Store
	runs  map[uint64]error
	nodes map[uint64]error
	added map[uint64]int // by run
}

// insert stores one instruction, or says why it is refused.
func (in *inserter) insert(m state.Message) (refused, err error) {
	expires := m.ExpiresAt()
	if !expires.After(in.c.now) {
		return fmt.Errorf("%w: it has expired", state.ErrNotAllowed), nil
	}
	if m.State != state.Gathering {
		m.State = state.Waiting
	}
	if refused, err := in.checkRun(m.RunID); refused != nil || err != nil {
		return refused, err
	}
	if refused, err := in.checkNode(m.NodeID); refused != nil || err != nil {
		return refused, err
	}
	result, err := in.c.tx.Exec(`INSERT INTO instructions (message_id, run_id, node_id, state, lease_until, proto, tree, created_at, ttl, expires_at)
		VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?) ON CONFLICT (message_id) DO NOTHING`, m.ID, int64(m.RunID), int64(m.NodeID),
		string(m.State), blob(m.Proto), blob(m.Tree), m.CreatedAt, m.TTL, sqldb.Micro(expires))
	if err != nil {
		return nil, err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return nil, err // stored before
	}
	in.added[m.RunID]++
	in.c.then(func(b *board) { b.open(m.RunID, m.ID, m.NodeID) })
	in.c.due(expires)
	if m.State == state.Waiting {
		in.c.ring(state.KeyNode(m.NodeID))
	}
	return nil, nil
}

func (in *inserter) checkRun(runID uint64) (refused, err error) {
	if open := in.store.board.count(runID) + in.added[runID]; open >= state.MaxInstructions {
		return fmt.Errorf("%w: %d unanswered instructions in run %d", state.ErrTooMany, open, runID), nil
	}
	return remember(in.runs, runID, func() error { return runUnfinished(in.c.tx, runID) })
}

// checkNode refuses nodes that were never activated: nobody has heard of them yet.
func (in *inserter) checkNode(nodeID uint64) (refused, err error) {
	return remember(in.nodes, nodeID, func() error {
		status, err := nodeStatus(in.c.tx, nodeID)
		if err == nil && status != state.NodeOnline && status != state.NodeOffline {
			return fmt.Errorf("%w: it is %s", state.ErrNotFound, status)
		}
		return err
	})
}

// remember asks once for each id. It keeps answers that the rules give, and returns errors of the
// database.
func remember(known map[uint64]error, id uint64, ask func() error) (refused, err error) {
	if refused, ok := known[id]; ok {
		return refused, nil
	}
	answer := ask()
	if answer != nil && !errors.Is(answer, state.ErrNotFound) && !errors.Is(answer, state.ErrRunFinished) {
		return nil, answer
	}
	known[id] = answer
	return answer, nil
}

// MarkComplete implements state.Messages.
func (s *Store) MarkComplete(ctx context.Context, messageIDs []string) error {
	if len(messageIDs) == 0 {
		return nil
	}
	err := s.write(ctx, func(c *change) error {
		nodes, err := column[int64](c.tx, `UPDATE instructions SET state = 'waiting'
			WHERE message_id`+inList+`AND state = 'gathering' RETURNING node_id`, listOf(messageIDs))
		if err != nil {
			return err
		}
		for _, id := range nodes {
			c.ring(state.KeyNode(uint64(id)))
		}
		completed, err := column[int64](c.tx, `UPDATE replies SET complete = 1 WHERE message_id`+inList+`AND complete = 0
			RETURNING instruction`, listOf(messageIDs))
		if err != nil {
			return err
		}
		for _, seq := range completed {
			if err := replyComplete(c, seq); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("mark messages as complete: %w", err)
	}
	return nil
}

// LeaseInstructions implements state.Messages.
func (s *Store) LeaseInstructions(ctx context.Context, nodeID uint64, limit int, until time.Time) ([]state.Message, error) {
	if limit <= 0 {
		return nil, nil
	}
	var msgs []state.Message
	err := s.write(ctx, func(c *change) error {
		var err error
		msgs, err = instructions(c.tx, `UPDATE instructions SET state = 'leased', lease_until = ? WHERE seq IN
			(SELECT seq FROM instructions WHERE node_id = ? AND state = 'waiting' AND replied = 0 AND expires_at > ? ORDER BY seq LIMIT ?)
			RETURNING `+instructionColumns, sqldb.Micro(until), int64(nodeID), sqldb.Micro(c.now), limit)
		if len(msgs) > 0 {
			c.due(until)
		}
		return err
	})
	return msgs, nodeErr("lease instructions to", nodeID, err)
}

// LeasedInstructions implements state.Messages.
func (s *Store) LeasedInstructions(ctx context.Context, nodeID uint64) ([]state.Message, error) {
	return s.instructionsOf(ctx, nodeID, `state = 'leased' AND replied = 0`)
}

// UnansweredInstructions implements state.Messages.
func (s *Store) UnansweredInstructions(ctx context.Context, nodeID uint64) ([]state.Message, error) {
	return s.instructionsOf(ctx, nodeID, `replied = 0`)
}

func (s *Store) instructionsOf(ctx context.Context, nodeID uint64, where string) ([]state.Message, error) {
	var msgs []state.Message
	err := s.read(ctx, func(tx *sql.Tx) error {
		var err error
		msgs, err = instructions(tx, `SELECT `+instructionColumns+` FROM instructions WHERE node_id = ? AND `+where, int64(nodeID))
		return err
	})
	return msgs, nodeErr("list instructions of", nodeID, err)
}

// ExtendLeases implements state.Messages.
func (s *Store) ExtendLeases(ctx context.Context, nodeID uint64, until time.Time) error {
	return nodeErr("extend leases of", nodeID, s.write(ctx, func(c *change) error {
		c.due(until)
		_, err := c.tx.Exec(`UPDATE instructions SET lease_until = ? WHERE node_id = ? AND state = 'leased' AND replied = 0`,
			sqldb.Micro(until), int64(nodeID))
		return err
	}))
}

// Unlease implements state.Messages.
func (s *Store) Unlease(ctx context.Context, messageIDs []string) error {
	if len(messageIDs) == 0 {
		return nil
	}
	err := s.write(ctx, func(c *change) error {
		var dropped []int64
		err := each(c.tx, func(scan func(...any) error) error {
			var seq, node int64
			if err := scan(&seq, &node); err != nil {
				return err
			}
			dropped = append(dropped, seq)
			c.ring(state.KeyNode(uint64(node)))
			return nil
		}, `UPDATE instructions SET state = 'waiting', lease_until = 0
			WHERE message_id`+inList+`AND state IN ('leased', 'delivered') AND replied = 0 RETURNING seq, node_id`, listOf(messageIDs))
		if err != nil {
			return err
		}
		for _, seq := range dropped {
			if _, err := c.tx.Exec(`DELETE FROM replies WHERE instruction = ?`, seq); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("end leases: %w", err)
	}
	return nil
}

// MarkDelivered implements state.Messages. It also accepts a confirmation that comes after its lease
// has ended: the node has the message.
func (s *Store) MarkDelivered(ctx context.Context, nodeID uint64, messageIDs []string) error {
	if len(messageIDs) == 0 {
		return nil
	}
	err := s.write(ctx, func(c *change) error {
		// The plus keeps the planner from going through all instructions of the node.
		_, err := c.tx.Exec(`UPDATE instructions SET state = 'delivered', lease_until = 0
			WHERE message_id`+inList+`AND +node_id = ? AND state IN ('leased', 'waiting')`, listOf(messageIDs), int64(nodeID))
		return err
	})
	if err != nil {
		return fmt.Errorf("mark instructions as delivered: %w", err)
	}
	return nil
}

// UnansweredByNode implements state.Messages.
func (s *Store) UnansweredByNode(ctx context.Context, runID uint64) (map[uint64]int, error) {
	counts := make(map[uint64]int)
	err := s.read(ctx, func(tx *sql.Tx) error {
		return each(tx, func(scan func(...any) error) error {
			var node int64
			var n int
			if err := scan(&node, &n); err != nil {
				return err
			}
			counts[uint64(node)] = n
			return nil
		}, `SELECT node_id, COUNT(*) FROM instructions WHERE run_id = ? AND replied = 0 GROUP BY node_id`, int64(runID))
	})
	if err != nil {
		return nil, runErr("count what nodes owe", runID, err)
	}
	return counts, nil
}

// instructionColumns are in the order in which instructions reads them.
const instructionColumns = `seq, message_id, run_id, node_id, state, proto, tree, created_at, ttl`

// instructions reads messages in the order of their arrival.
func instructions(tx *sql.Tx, query string, args ...any) ([]state.Message, error) {
	type row struct {
		seq int64
		m   state.Message
	}
	var found []row
	err := each(tx, func(scan func(...any) error) error {
		var r row
		var run, node int64
		if err := scan(&r.seq, &r.m.ID, &run, &node, &r.m.State, &r.m.Proto, &r.m.Tree, &r.m.CreatedAt, &r.m.TTL); err != nil {
			return err
		}
		r.m.RunID, r.m.NodeID = uint64(run), uint64(node)
		found = append(found, r)
		return nil
	}, query, args...)
	if err != nil {
		return nil, err
	}
	// A statement that changes rows returns them in any order.
	slices.SortFunc(found, func(a, b row) int { return cmp.Compare(a.seq, b.seq) })
	msgs := make([]state.Message, len(found))
	for i, r := range found {
		msgs[i] = r.m
	}
	return msgs, nil
}

// blob distinguishes an empty value from a missing one.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
