package sqlite

import (
	"database/sql"
	"fmt"
	"sync"
)

// board answers from memory which instructions have an answer: it holds the instructions that are
// open and the nodes that are online. It follows the rows: it is loaded at open and changed after
// each commit, in the order of the commits.
//
// It may be a moment behind the rows, but never ahead; a caller that was told "no answer yet" in
// that moment is rung right after it.
type board struct {
	mu     sync.Mutex
	runs   map[uint64]map[string]slot
	online map[uint64]struct{}
}

// slot is an open instruction.
type slot struct {
	node    uint64
	replied bool // there is a complete reply
}

func newBoard() *board {
	return &board{runs: make(map[uint64]map[string]slot), online: make(map[uint64]struct{})}
}

// load fills an empty board.
func (b *board) load(tx *sql.Tx) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := each(tx, func(scan func(...any) error) error {
		var run, node int64
		var id string
		var replied bool
		if err := scan(&run, &id, &node, &replied); err != nil {
			return err
		}
		b.open(uint64(run), id, uint64(node))
		b.replied(uint64(run), id, replied)
		return nil
	}, `SELECT run_id, message_id, node_id, replied FROM instructions`)
	if err != nil {
		return fmt.Errorf("load open instructions: %w", err)
	}
	nodes, err := column[int64](tx, `SELECT node_id FROM nodes WHERE status = 'online'`)
	if err != nil {
		return fmt.Errorf("load online nodes: %w", err)
	}
	for _, id := range nodes {
		b.online[uint64(id)] = struct{}{}
	}
	return nil
}

func (b *board) apply(effects []func(*board)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, effect := range effects {
		effect(b)
	}
}

// answered filters the instructions for those that have an answer of any kind.
func (b *board) answered(runID uint64, ids []string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	open := b.runs[runID]
	var answered []string
	for _, id := range ids {
		s, known := open[id]
		if _, online := b.online[s.node]; known && online && !s.replied {
			continue
		}
		answered = append(answered, id)
	}
	return answered
}

// count is how many instructions of a run are open.
func (b *board) count(runID uint64) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.runs[runID])
}

// The rest are effects: they run with the lock held.

func (b *board) open(runID uint64, id string, nodeID uint64) {
	if b.runs[runID] == nil {
		b.runs[runID] = make(map[string]slot)
	}
	b.runs[runID][id] = slot{node: nodeID}
}

func (b *board) replied(runID uint64, id string, replied bool) {
	if s, known := b.runs[runID][id]; known {
		s.replied = replied
		b.runs[runID][id] = s
	}
}

func (b *board) close(runID uint64, id string) {
	delete(b.runs[runID], id)
	if len(b.runs[runID]) == 0 {
		delete(b.runs, runID)
	}
}

func (b *board) endRun(runID uint64) { delete(b.runs, runID) }

func (b *board) up(nodeID uint64) { b.online[nodeID] = struct{}{} }

func (b *board) down(nodeID uint64) { delete(b.online, nodeID) }
