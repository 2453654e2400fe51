package state_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/node/state"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// expected is what the model knows about one message.
type expected struct {
	run     *nodetest.Run
	message nodetest.Message
	state   state.State
	replyID string // once it has been seen among the unsent
}

// model drives a store with whatever a SuperLink, apps and an executor may do, kills it at
// any moment, and keeps track of what was promised.
type model struct {
	*fixture
	rt       *rapid.T
	runs     map[uint64]*nodetest.Run
	messages map[string]*expected
	tasks    map[uint64]task.Task // handed out and not ended yet
	next     int
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := open(t)
		m := &model{fixture: f, rt: rt, runs: map[uint64]*nodetest.Run{}, messages: map[string]*expected{}, tasks: map[uint64]task.Task{}}
		rt.Repeat(map[string]func(*rapid.T){
			"offer":   m.offer,
			"accept":  m.accept,
			"reject":  m.reject,
			"claim":   m.claim,
			"finish":  m.finish,
			"lost":    m.lost,
			"ack":     m.ack,
			"drop":    m.drop,
			"collect": func(*rapid.T) { m.must(m.Collect(t.Context())) },
			"kill":    func(*rapid.T) { m.kill() },
			"":        m.check,
		})
		m.end()
		m.must(m.Close())
	})
}

func (m *model) offer(rt *rapid.T) {
	id := rapid.Uint64Range(1, 3).Draw(rt, "run")
	run := m.runs[id]
	if run == nil {
		run = nodetest.NewRunOf(m.t, id, 100+id%2, "[tool.flwr.app.config]\nrun = 1\n") // runs 1 and 3 belong to one series, and all share one bundle
		m.runs[id] = run
	}
	m.next++
	msg := run.Instruction(m.t, m.next, rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "model"))
	_, err := m.TakeIn(m.t.Context(), offer(run, msg))
	m.must(err)
	m.messages[msg.ID] = &expected{run: run, message: msg, state: state.Gathering}
}

func (m *model) accept(rt *rapid.T) {
	e := m.pick(rt, state.Gathering)
	nodetest.Put(m.t, m.objects, e.run.Objects, m.Missing(append(e.message.Objects, e.run.FABHash))...)
	m.allow(e.run)
	m.must(m.MarkComplete(m.t.Context(), e.message.ID))
	e.state = state.Waiting
}

func (m *model) reject(rt *rapid.T) {
	e := m.pick(rt, state.Gathering)
	m.must(m.Refuse(m.t.Context(), e.message.ID, 7, "no"))
	e.state = state.Answered
}

func (m *model) claim(rt *rapid.T) {
	slots := rapid.IntRange(1, 2).Draw(rt, "slots")
	claimed, _, ok, err := m.Lease(m.t.Context(), clientApp, slots, policy)
	m.must(err)
	busy, free := map[uint64]bool{}, false
	for _, t := range m.tasks {
		busy[m.messages[t.MessageID].run.SeriesID] = true
	}
	for _, e := range m.messages {
		free = free || e.state == state.Waiting && !busy[e.run.SeriesID]
	}
	if want := free && len(m.tasks) < slots; ok != want {
		rt.Fatalf("claimed %v, want %v", ok, want)
	}
	if !ok {
		return
	}
	e := m.messages[claimed.MessageID]
	if e == nil || e.state != state.Waiting || busy[e.run.SeriesID] {
		rt.Fatalf("claimed %+v of %+v", claimed, e)
	}
	e.state = state.Leased
	m.tasks[claimed.ID] = claimed
}

func (m *model) finish(rt *rapid.T) {
	t := m.pickTask(rt)
	e := m.messages[t.MessageID]
	m.must(m.Activate(m.t.Context(), t.ID))
	blobs := make(nodetest.Blobs)
	r := e.message.Reply(m.t, blobs, rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "result"))
	missing, err := m.InsertReply(m.t.Context(), t, storeReply(m.t, e.message, r))
	if errors.Is(err, state.ErrAnswered) {
		return // an earlier attempt of the same task pushed another
	}
	m.must(err)
	push := rapid.IntRange(0, len(missing)).Draw(rt, "pushed")
	nodetest.Put(m.t, m.objects, blobs, missing[:push]...)
	m.must(m.HoldObjects(m.t.Context(), t.MessageID, missing[:push]...))
	err = m.Answer(m.t.Context(), t, task.Completed, "", []byte("context"))
	if complete := push == len(missing); complete != (err == nil) || err != nil && !errors.Is(err, state.ErrNoReply) {
		rt.Fatalf("finish with %d of %d objects: %v", push, len(missing), err)
	}
	if err == nil {
		e.state, e.replyID = state.Answered, r.ID
		delete(m.tasks, t.ID)
	}
}

// lost ends a task without output; after a kill its message is queued again.
func (m *model) lost(rt *rapid.T) {
	t := m.pickTask(rt)
	e := m.messages[t.MessageID]
	m.must(m.Lost(m.t.Context(), t.ID, "gone"))
	delete(m.tasks, t.ID)
	e.state = state.Answered
	inv, err := m.Inventory(m.t.Context())
	m.must(err)
	if slices.Contains(inv.Accepted, e.message.ID) {
		e.state = state.Waiting
	}
}

func (m *model) ack(rt *rapid.T) {
	e := m.pick(rt, state.Answered)
	m.must(m.Confirm(m.t.Context(), e.message.ID, e.replyID))
	delete(m.messages, e.message.ID)
}

func (m *model) drop(rt *rapid.T) {
	m.dropRun(rapid.Uint64Range(1, 3).Draw(rt, "run"))
}

func (m *model) dropRun(id uint64) {
	_, err := m.DropRun(m.t.Context(), id)
	m.must(err)
	for msgID, e := range m.messages {
		if e.run.ID == id {
			delete(m.messages, msgID)
		}
	}
	for taskID, t := range m.tasks {
		if t.RunID == id {
			delete(m.tasks, taskID)
		}
	}
}

// check checks what must hold after every step.
func (m *model) check(rt *rapid.T) {
	inv, err := m.Inventory(m.t.Context())
	m.must(err)
	replies := map[string]string{}
	for _, r := range m.unsent() {
		if _, dup := replies[r.MessageID]; dup {
			rt.Fatalf("two replies to %s", r.MessageID)
		}
		replies[r.MessageID] = r.ReplyID
	}
	for id, e := range m.messages {
		needed := append(slices.Clone(e.message.Objects), e.run.FABHash)
		switch e.state {
		case state.Waiting, state.Leased:
			if !slices.Contains(inv.Accepted, id) {
				rt.Fatalf("%s message %s is lost", e.state, id)
			}
			if missing := m.Missing(needed); len(missing) > 0 {
				rt.Fatalf("%s message %s lacks objects %v", e.state, id, missing)
			}
		case state.Answered:
			replyID, ok := replies[id]
			if !ok || e.replyID != "" && e.replyID != replyID {
				rt.Fatalf("message %s was answered with %q, is now answered with %q", id, e.replyID, replyID)
			}
			e.replyID = replyID
			if !m.objects.Has(replyID) {
				rt.Fatalf("reply %s has no object", replyID)
			}
		}
		delete(replies, id)
	}
	if len(replies) > 0 {
		rt.Fatalf("unexpected replies: %v", replies)
	}
}

// end drops everything: nothing may stay on disk.
func (m *model) end() {
	for id := range m.runs {
		m.dropRun(id)
	}
	m.must(m.Collect(m.t.Context()))
	if ids := m.objects.IDs(); len(ids) > 0 {
		m.rt.Fatalf("%d objects remain for ever", len(ids))
	}
}

// pick chooses a message in a state, or skips the step.
func (m *model) pick(rt *rapid.T, state state.State) *expected {
	var ids []string
	for id, e := range m.messages {
		if e.state == state {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		rt.Skip("no message is", state)
	}
	slices.Sort(ids)
	return m.messages[rapid.SampledFrom(ids).Draw(rt, "message")]
}

func (m *model) pickTask(rt *rapid.T) task.Task {
	var ids []uint64
	for id := range m.tasks {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		rt.Skip("no task")
	}
	slices.Sort(ids)
	return m.tasks[rapid.SampledFrom(ids).Draw(rt, "task")]
}
