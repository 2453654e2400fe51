package statetest

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/rhizome-fl/rhizome/link/state"
)

// check compares everything that can be seen.
func (m *model) check(rt *rapid.T) {
	for _, r := range m.runs {
		m.checkAnswers(rt, r)
	}
	for _, n := range m.nodes {
		got, err := m.e.Node(m.e.ctx, n.id)
		if err != nil || got.Status != n.status {
			rt.Fatalf("node is %s (%v), want %s", got.Status, err, n.status)
		}
		var owed, leased []string
		for _, msg := range m.msgs {
			if msg.gone || msg.node != n || msg.whole {
				continue
			}
			owed = append(owed, msg.id)
			if msg.state == state.Leased {
				leased = append(leased, msg.id)
			}
		}
		msgs, err := m.e.UnansweredInstructions(m.e.ctx, n.id)
		expect(rt, "UnansweredInstructions", err, nil)
		sameIDs(rt, "owed", msgs, owed)
		msgs, err = m.e.LeasedInstructions(m.e.ctx, n.id)
		expect(rt, "LeasedInstructions", err, nil)
		sameIDs(rt, "leased", msgs, leased)
	}
	for _, msg := range m.msgs {
		got, err := m.e.Message(m.e.ctx, msg.id)
		if msg.gone {
			expect(rt, "Message", err, state.ErrNotFound)
		} else if err != nil || got.State != msg.state {
			rt.Fatalf("%s is %s (%v), want %s", msg.id, got.State, err, msg.state)
		}
	}
}

func (m *model) checkAnswers(rt *rapid.T, r *modelRun) {
	ids := []string{"unknown"}
	want := []state.AnswerKind{state.InstructionUnknown}
	var replies []string
	answered := []string{"unknown"}
	owed := make(map[uint64]int)
	for _, msg := range m.msgs {
		if msg.run != r {
			continue
		}
		kind, reply := state.NoAnswerYet, ""
		switch {
		case msg.gone:
			kind = state.InstructionUnknown
		case msg.whole:
			kind, reply = state.Replied, msg.reply
		case msg.node.status != state.NodeOnline:
			kind = state.NodeUnavailable
		}
		if !msg.gone && !msg.whole {
			owed[msg.node.id]++
		}
		if kind != state.NoAnswerYet {
			answered = append(answered, msg.id)
		}
		ids, want, replies = append(ids, msg.id), append(want, kind), append(replies, reply)
	}
	got, err := m.e.Answers(m.e.ctx, r.id, ids)
	expect(rt, "Answers", err, nil)
	for i, a := range got {
		if a.InstructionID != ids[i] || a.Kind != want[i] || (i > 0 && a.Reply.ID != replies[i-1]) {
			rt.Fatalf("answer to %s: %+v, want kind %v", ids[i], a, want[i])
		}
	}
	named, err := m.e.Answered(m.e.ctx, r.id, ids)
	if err != nil || !slices.Equal(named, answered) {
		rt.Fatalf("answered: %v (%v), want %v", named, err, answered)
	}
	counts, err := m.e.UnansweredByNode(m.e.ctx, r.id)
	if err != nil || fmt.Sprint(counts) != fmt.Sprint(owed) {
		rt.Fatalf("owed: %v (%v), want %v", counts, err, owed)
	}
}
