package statetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// model is what the interface promises about runs, nodes and messages, in the simplest form.
type model struct {
	e *env
	// serial makes ids that no other check has used: all checks share the store.
	serial *int
	runs   []*modelRun
	nodes  []*modelNode
	// msgs are all instructions ever made, in the order of insertion.
	msgs []*modelMsg
}

type modelRun struct {
	id       uint64
	finished bool
}

type modelNode struct {
	id     uint64
	status state.NodeStatus
	until  time.Time
}

type modelMsg struct {
	id      string
	run     *modelRun
	node    *modelNode
	gone    bool
	state   state.MessageState
	lease   time.Time
	expires time.Time
	reply   string
	whole   bool // the reply is complete
}

// testModel makes random calls on the store and on the model.
func testModel(t *testing.T, e *env) {
	var serial int
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{e: e, serial: &serial} // it ignores what earlier checks left in the store
		rt.Repeat(map[string]func(*rapid.T){
			"register":   m.register,
			"activate":   m.activate,
			"touch":      m.touch,
			"deactivate": m.deactivate,
			"unregister": m.unregister,
			"run":        m.createRun,
			"finish":     m.finishRun,
			"insert":     m.insert,
			"complete":   m.complete,
			"lease":      m.lease,
			"deliver":    m.deliver,
			"unlease":    m.unlease,
			"reply":      m.replyTo,
			"confirm":    m.confirm,
			"drop":       m.drop,
			"time":       m.time,
			"reopen":     m.reopen,
			"":           m.check,
		})
		for _, r := range m.runs { // so that the next check has room for its own
			if !r.finished {
				expect(rt, "FinishRun", e.FinishRun(e.ctx, r.id, task.Stopped, ""), nil)
			}
		}
	})
}

func pick[T any](rt *rapid.T, from []T, what string) T {
	if len(from) == 0 {
		rt.Skip("no " + what)
	}
	return rapid.SampledFrom(from).Draw(rt, what)
}

func expect(rt *rapid.T, what string, got, want error) {
	if !errors.Is(got, want) {
		rt.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func seconds(rt *rapid.T, lo, hi int) time.Duration {
	return time.Duration(rapid.IntRange(lo, hi).Draw(rt, "seconds")) * time.Second
}

func (m *model) register(rt *rapid.T) {
	n, err := m.e.RegisterNode(m.e.ctx, state.Node{})
	expect(rt, "RegisterNode", err, nil)
	m.nodes = append(m.nodes, &modelNode{id: n.ID, status: state.NodeRegistered})
}

func (m *model) activate(rt *rapid.T) {
	n, takeover := pick(rt, m.nodes, "node"), rapid.Bool().Draw(rt, "takeover")
	until := m.e.now().Add(seconds(rt, 1, 100))
	var want error
	if n.status == state.NodeUnregistered || (n.status == state.NodeOnline && !takeover) {
		want = state.ErrNotAllowed
	}
	expect(rt, "ActivateNode", m.e.ActivateNode(m.e.ctx, n.id, time.Second, until, takeover), want)
	if want == nil {
		n.status, n.until = state.NodeOnline, until
	}
}

func (m *model) touch(rt *rapid.T) {
	n := pick(rt, m.nodes, "node")
	until := m.e.now().Add(seconds(rt, 1, 100))
	known, err := m.e.TouchNode(m.e.ctx, n.id, time.Second, until)
	expect(rt, "TouchNode", err, nil)
	if known != (n.status != state.NodeUnregistered) {
		rt.Fatalf("a %s node: known %v", n.status, known)
	}
	if known {
		n.status, n.until = state.NodeOnline, until
	}
}

func (m *model) deactivate(rt *rapid.T) {
	n := pick(rt, m.nodes, "node")
	expect(rt, "DeactivateNode", m.e.DeactivateNode(m.e.ctx, n.id), nil)
	if n.status == state.NodeOnline {
		n.status = state.NodeOffline
	}
}

func (m *model) unregister(rt *rapid.T) {
	if len(m.nodes) < 3 {
		rt.Skip("few nodes")
	}
	n := pick(rt, m.nodes, "node")
	var want error
	if n.status == state.NodeUnregistered {
		want = state.ErrNotAllowed
	}
	expect(rt, "UnregisterNode", m.e.UnregisterNode(m.e.ctx, n.id), want)
	n.status = state.NodeUnregistered
}

func (m *model) createRun(rt *rapid.T) {
	run, err := m.e.CreateRun(m.e.ctx, state.NewRun{TaskType: task.TypeServerApp})
	expect(rt, "CreateRun", err, nil)
	m.runs = append(m.runs, &modelRun{id: run.ID})
}

func (m *model) finishRun(rt *rapid.T) {
	r := pick(rt, m.runs, "run")
	var want error
	if r.finished {
		want = state.ErrRunFinished
	}
	expect(rt, "FinishRun", m.e.FinishRun(m.e.ctx, r.id, task.Stopped, ""), want)
	r.finished = true
	m.forget(func(msg *modelMsg) bool { return msg.run == r })
}

func (m *model) forget(which func(*modelMsg) bool) {
	for _, msg := range m.msgs {
		msg.gone = msg.gone || which(msg)
	}
}

func (m *model) insert(rt *rapid.T) {
	var batch []state.Message
	var added []*modelMsg
	var want []error
	for range rapid.IntRange(1, 4).Draw(rt, "batch") {
		*m.serial++
		msg := &modelMsg{id: fmt.Sprint("message ", *m.serial),
			run: pick(rt, m.runs, "run"), node: pick(rt, m.nodes, "node"),
			state: rapid.SampledFrom([]state.MessageState{state.Gathering, state.Waiting}).Draw(rt, "state")}
		in := m.e.instruction(msg.id, msg.run.id, msg.node.id)
		in.State, in.TTL = msg.state, seconds(rt, 1, 100).Seconds()
		msg.expires = in.ExpiresAt()
		var refused error
		switch {
		case msg.run.finished:
			refused = state.ErrRunFinished
		case msg.node.status != state.NodeOnline && msg.node.status != state.NodeOffline:
			refused = state.ErrNotFound
		}
		msg.gone = refused != nil
		batch, added, want = append(batch, in), append(added, msg), append(want, refused)
	}
	got, err := m.e.InsertInstructions(m.e.ctx, batch)
	expect(rt, "InsertInstructions", err, nil)
	for i := range got {
		expect(rt, "instruction "+batch[i].ID, got[i], want[i])
	}
	m.msgs = append(m.msgs, added...)
}

func (m *model) complete(rt *rapid.T) {
	msg := pick(rt, m.msgs, "message")
	id := rapid.SampledFrom([]string{msg.id, replyID(msg.id)}).Draw(rt, "which")
	expect(rt, "MarkComplete", m.e.MarkComplete(m.e.ctx, []string{id}), nil)
	switch {
	case msg.gone:
	case id == msg.id && msg.state == state.Gathering:
		msg.state = state.Waiting
	case id == msg.reply:
		msg.whole = true
	}
}

func replyID(instruction string) string { return "reply to " + instruction }

func (m *model) lease(rt *rapid.T) {
	n, limit := pick(rt, m.nodes, "node"), rapid.IntRange(0, 3).Draw(rt, "limit")
	var until time.Time
	if rapid.Bool().Draw(rt, "with an end") {
		until = m.e.now().Add(seconds(rt, 1, 60))
	}
	var want []string
	for _, msg := range m.msgs {
		if len(want) < limit && !msg.gone && msg.node == n && msg.state == state.Waiting {
			want = append(want, msg.id)
			msg.state, msg.lease = state.Leased, until
		}
	}
	got, err := m.e.LeaseInstructions(m.e.ctx, n.id, limit, until)
	expect(rt, "LeaseInstructions", err, nil)
	sameIDs(rt, "leased", got, want)
}

func sameIDs(rt *rapid.T, what string, msgs []state.Message, want []string) {
	var got []string
	for _, msg := range msgs {
		got = append(got, msg.ID)
	}
	if !slices.Equal(got, want) {
		rt.Fatalf("%s: %v, want %v", what, got, want)
	}
}

func (m *model) deliver(rt *rapid.T) {
	msg := pick(rt, m.msgs, "message")
	expect(rt, "MarkDelivered", m.e.MarkDelivered(m.e.ctx, msg.node.id, []string{msg.id}), nil)
	if msg.state == state.Leased || msg.state == state.Waiting {
		msg.state = state.Delivered
	}
}

func (m *model) unlease(rt *rapid.T) {
	msg := pick(rt, m.msgs, "message")
	expect(rt, "Unlease", m.e.Unlease(m.e.ctx, []string{msg.id}), nil)
	if !msg.whole && (msg.state == state.Leased || msg.state == state.Delivered) {
		msg.state, msg.reply = state.Waiting, ""
	}
}

func (m *model) replyTo(rt *rapid.T) {
	msg := pick(rt, m.msgs, "message")
	reply := m.e.instruction(replyID(msg.id), msg.run.id, msg.node.id)
	reply.ReplyTo, reply.TTL = msg.id, 1e6
	if rapid.IntRange(0, 4).Draw(rt, "another") == 0 {
		reply.ID = "another " + reply.ID
	}
	reply.State = rapid.SampledFrom([]state.MessageState{state.Gathering, state.Waiting}).Draw(rt, "state")
	var want error
	switch {
	case msg.gone:
		want = state.ErrNotFound
	case msg.reply != "" && msg.reply != reply.ID:
		want = state.ErrNotAllowed
	}
	expect(rt, "InsertReply", m.e.InsertReply(m.e.ctx, reply, 0), want)
	if want == nil {
		msg.state, msg.reply, msg.whole = state.Delivered, reply.ID, msg.whole || reply.State == state.Waiting
	}
}

func (m *model) confirm(rt *rapid.T) {
	msg := pick(rt, m.msgs, "message")
	id := replyID(msg.id)
	expect(rt, "ConfirmReply", m.e.ConfirmReply(m.e.ctx, msg.run.id, id), nil)
	msg.gone = msg.gone || (msg.reply == id && msg.whole)
}

func (m *model) drop(rt *rapid.T) {
	msg := pick(rt, m.msgs, "message")
	if rapid.Bool().Draw(rt, "the reply") {
		expect(rt, "DropMessages", m.e.DropMessages(m.e.ctx, []string{replyID(msg.id)}, "test"), nil)
		if msg.reply == replyID(msg.id) {
			msg.reply, msg.whole = "", false
		}
		return
	}
	expect(rt, "DropMessages", m.e.DropMessages(m.e.ctx, []string{msg.id}, "test"), nil)
	msg.gone = true
}

func (m *model) time(rt *rapid.T) {
	m.e.pass(seconds(rt, 1, 40))
	now := m.e.now()
	for _, n := range m.nodes {
		if n.status == state.NodeOnline && !n.until.After(now) {
			n.status = state.NodeOffline
		}
	}
	for _, msg := range m.msgs {
		if msg.state == state.Leased && !msg.lease.IsZero() && !msg.lease.After(now) {
			msg.state = state.Waiting
		}
	}
	m.forget(func(msg *modelMsg) bool { return !msg.expires.After(now) })
}

func (m *model) reopen(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "seldom") > 0 {
		rt.Skip("not now")
	}
	m.e.reopen()
	for _, n := range m.nodes {
		if grace := m.e.now().Add(state.RestartGrace); n.status == state.NodeOnline && n.until.Before(grace) {
			n.until = grace
		}
	}
}
