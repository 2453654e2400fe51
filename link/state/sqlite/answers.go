package sqlite

import (
	"context"
	"database/sql"

	"github.com/rhizome-fl/rhizome/internal/sqldb"
	"github.com/rhizome-fl/rhizome/link/state"
)

// Answered implements state.Messages.
func (s *Store) Answered(_ context.Context, runID uint64, instructionIDs []string) ([]string, error) {
	return s.board.answered(runID, instructionIDs), nil
}

// Answers implements state.Messages. Only what is answered according to the board is read, in one
// query.
func (s *Store) Answers(ctx context.Context, runID uint64, instructionIDs []string) ([]state.Answer, error) {
	found := make(map[string]state.Answer)
	candidates := s.board.answered(runID, instructionIDs)
	if len(candidates) > 0 {
		err := s.read(ctx, func(tx *sql.Tx) error { return readAnswers(tx, found, runID, candidates, sqldb.Micro(s.now())) })
		if err != nil {
			return nil, runErr("read answers of", runID, err)
		}
	}
	for _, id := range candidates {
		if _, ok := found[id]; !ok {
			found[id] = state.Answer{InstructionID: id, Kind: state.InstructionUnknown}
		}
	}
	answers := make([]state.Answer, len(instructionIDs))
	for i, id := range instructionIDs {
		answer, ok := found[id]
		if !ok {
			answer = state.Answer{InstructionID: id, Kind: state.NoAnswerYet}
		}
		answers[i] = answer
	}
	return answers, nil
}

func readAnswers(tx *sql.Tx, found map[string]state.Answer, runID uint64, ids []string, now int64) error {
	return each(tx, func(scan func(...any) error) error {
		var run, node int64
		var status state.NodeStatus
		var i, r state.Message
		var replyID sql.NullString
		var createdAt, ttl sql.NullFloat64
		var expires sql.NullInt64
		err := scan(&i.ID, &run, &node, &i.State, &i.Proto, &i.CreatedAt, &i.TTL, &status,
			&replyID, &r.Proto, &r.Tree, &createdAt, &ttl, &expires)
		if err != nil || uint64(run) != runID {
			return err
		}
		i.RunID, i.NodeID = runID, uint64(node)
		answer := state.Answer{InstructionID: i.ID, Instruction: i}
		switch {
		case replyID.Valid && expires.Int64 <= now:
			answer.Kind = state.ReplyExpired
		case replyID.Valid:
			answer.Kind = state.Replied
			r.ID, r.RunID, r.NodeID, r.ReplyTo, r.State = replyID.String, runID, i.NodeID, i.ID, state.Waiting
			r.CreatedAt, r.TTL = createdAt.Float64, ttl.Float64
			answer.Reply = r
		case status != state.NodeOnline:
			answer.Kind = state.NodeUnavailable
		default: // the node came back, or the reply was removed, since the board was asked
			answer.Kind, answer.Instruction = state.NoAnswerYet, state.Message{}
		}
		found[i.ID] = answer
		return nil
	}, `SELECT i.message_id, i.run_id, i.node_id, i.state, i.proto, i.created_at, i.ttl, n.status,
			r.message_id, r.proto, r.tree, r.created_at, r.ttl, r.expires_at
		FROM instructions i JOIN nodes n ON n.node_id = i.node_id
		LEFT JOIN replies r ON r.instruction = i.seq AND r.complete = 1
		WHERE i.message_id`+inList, listOf(ids))
}
