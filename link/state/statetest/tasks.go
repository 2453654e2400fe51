package statetest

import (
	"strings"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func testTasks(t *testing.T, e *env) {
	if _, _, ok, err := e.ClaimTask(e.ctx, []string{task.TypeServerApp}); ok || err != nil {
		t.Fatalf("claimed nothing: %v, %v", ok, err)
	}
	run := e.newRun()
	e.pass(time.Second)
	second := e.newRun()
	var token string
	e.rings("ClaimTask", func() {
		claimed, tok, ok, err := e.ClaimTask(e.ctx, []string{task.TypeServerApp})
		if token = tok; !ok || err != nil || claimed.ID != run.PrimaryTask.ID || claimed.Status != task.Starting {
			t.Fatalf("claim: %+v, %v, %v", claimed, ok, err)
		}
	}, state.KeyRun(run.ID), state.KeyDeadline())
	e.reopen()
	if got, err := e.TaskByToken(e.ctx, token); err != nil || got.RunID != run.ID {
		t.Errorf("by token after a restart: %+v, %v", got, err)
	}
	_, err := e.TaskByToken(e.ctx, strings.Repeat("0", 256))
	e.want("foreign token", err, task.ErrUnknownToken)
	e.rings("ActivateTask", func() { e.ok(e.ActivateTask(e.ctx, run.PrimaryTask.ID)) }, state.KeyRun(run.ID))
	e.silent("ActivateTask again", func() { e.ok(e.ActivateTask(e.ctx, run.PrimaryTask.ID)) }, state.KeyRun(run.ID))
	e.want("activate a pending task", e.ActivateTask(e.ctx, second.PrimaryTask.ID), task.ErrNotClaimed)
	if alive, err := e.HeartbeatTask(e.ctx, run.PrimaryTask.ID); !alive || err != nil {
		t.Errorf("heartbeat: %v, %v", alive, err)
	}
	e.ok(e.FinishRun(e.ctx, run.ID, task.Completed, ""))
	_, err = e.TaskByToken(e.ctx, token)
	e.want("token of a finished task", err, task.ErrUnknownToken)
	if alive, err := e.HeartbeatTask(e.ctx, run.PrimaryTask.ID); alive || err != nil {
		t.Errorf("heartbeat of a finished task: %v, %v", alive, err)
	}
	e.want("activate a finished task", e.ActivateTask(e.ctx, run.PrimaryTask.ID), task.ErrFinished)
	_, err = e.Task(e.ctx, 7)
	e.want("Task", err, task.ErrNotFound)
}

func testTaskExpiry(t *testing.T, e *env) {
	run, node := e.newRun(), e.onlineNode("a")
	_, token, _, err := e.ClaimTask(e.ctx, []string{task.TypeServerApp})
	e.ok(err)
	e.pass(task.ClaimLimit - time.Second)
	if _, err := e.TaskByToken(e.ctx, token); err != nil {
		t.Error("the claim ended early: ", err)
	}
	e.rings("expired claim", func() { e.pass(time.Second) }, state.KeyPendingTask(), state.KeyRun(run.ID), state.KeyTask(run.PrimaryTask.ID))
	_, err = e.TaskByToken(e.ctx, token)
	e.want("token of an expired claim", err, task.ErrUnknownToken)
	_, token, _, err = e.ClaimTask(e.ctx, []string{task.TypeServerApp})
	e.ok(err)
	e.rings("released claim", func() { e.ok(e.ReleaseTask(e.ctx, run.PrimaryTask.ID)) }, state.KeyPendingTask(), state.KeyRun(run.ID), state.KeyTask(run.PrimaryTask.ID))
	_, err = e.TaskByToken(e.ctx, token)
	e.want("token of a released claim", err, task.ErrUnknownToken)
	e.want("release what is not claimed", e.ReleaseTask(e.ctx, run.PrimaryTask.ID), task.ErrNotFound)
	e.want("release what is unknown", e.ReleaseTask(e.ctx, 7), task.ErrNotFound)
	_, _, ok, err := e.ClaimTask(e.ctx, []string{task.TypeServerApp})
	if e.ok(err); !ok {
		t.Fatal("an expired claim cannot be claimed again")
	}
	e.ok(e.ActivateTask(e.ctx, run.PrimaryTask.ID))
	e.want("release what runs", e.ReleaseTask(e.ctx, run.PrimaryTask.ID), task.ErrNotFound)
	e.insert(e.instruction("i", run.ID, node.ID))
	e.pass(task.HeartbeatLimit - time.Second)
	if alive, err := e.HeartbeatTask(e.ctx, run.PrimaryTask.ID); !alive || err != nil {
		t.Fatalf("heartbeat: %v, %v", alive, err)
	}
	e.pass(task.HeartbeatLimit - time.Second)
	e.rings("silent task", func() { e.pass(time.Second) }, state.KeyRun(run.ID), state.KeyTask(run.PrimaryTask.ID), state.KeyRunEnds())
	got, err := e.Task(e.ctx, run.PrimaryTask.ID)
	if e.ok(err); got.SubStatus != task.Failed || got.Details != "No heartbeat received from the task" {
		t.Errorf("silent task: %+v", got)
	}
	e.wantKind(run.ID, "i", state.InstructionUnknown)
}

func testDeadlines(t *testing.T, e *env) {
	if next := e.pass(0); !next.IsZero() {
		t.Errorf("nothing is due, and the next deadline is %v", next)
	}
	run := e.runningRun()
	node, err := e.RegisterNode(e.ctx, state.Node{PublicKey: []byte("k")})
	e.ok(err)
	if next, want := e.pass(0), e.now().Add(task.HeartbeatLimit); !next.Equal(want) {
		t.Errorf("next is %v, want the task's %v", next, want)
	}
	far, near := e.now().Add(time.Hour), e.now().Add(time.Second)
	e.silent("a later deadline", func() { e.ok(e.ActivateNode(e.ctx, node.ID, time.Second, far, false)) }, state.KeyDeadline())
	e.rings("an earlier deadline", func() {
		known, err := e.TouchNode(e.ctx, node.ID, time.Second, near)
		if e.ok(err); !known {
			t.Error("the node is unknown")
		}
	}, state.KeyDeadline())
	if next := e.pass(0); !next.Equal(near) {
		t.Errorf("next is %v, want the node's %v", next, near)
	}
	_, err = e.TouchNode(e.ctx, node.ID, time.Second, far)
	e.ok(err)
	e.insert(e.instruction("i", run.ID, node.ID))
	lease := e.now().Add(5 * time.Second)
	e.pass(0)
	e.rings("a lease", func() { _, err := e.LeaseInstructions(e.ctx, node.ID, 1, lease); e.ok(err) }, state.KeyDeadline())
	if next := e.pass(0); !next.Equal(lease) {
		t.Errorf("next is %v, want the lease's %v", next, lease)
	}
}

func testRestart(t *testing.T, e *env) {
	run := e.runningRun()
	node := e.onlineNode("a")
	i, j := e.instruction("i", run.ID, node.ID), e.instruction("j", run.ID, node.ID)
	i.TTL, j.TTL = 1e6, 1e6
	e.insert(i, j)
	e.ok(e.InsertReply(e.ctx, e.reply("r", j), 0))
	_, err := e.LeaseInstructions(e.ctx, node.ID, 1, time.Time{})
	e.ok(err)
	e.mu.Lock()
	e.clock = e.clock.Add(24 * time.Hour) // the link was down
	e.mu.Unlock()
	e.reopen()
	e.pass(state.RestartGrace - time.Second)
	got, err := e.Run(e.ctx, run.ID)
	if e.ok(err); got.PrimaryTask.Status != task.Running {
		t.Errorf("the task had no time to come back: %+v", got.PrimaryTask)
	}
	e.wantKind(run.ID, "i", state.NoAnswerYet)
	msgs, err := e.LeasedInstructions(e.ctx, node.ID)
	e.wantIDs("leases without an end", msgs, err, "i")
	e.pass(time.Second)
	if got, err = e.Run(e.ctx, run.ID); err != nil || got.PrimaryTask.Status != task.Finished {
		t.Errorf("a task that did not come back: %+v, %v", got.PrimaryTask, err)
	}
	if n, err := e.Node(e.ctx, node.ID); err != nil || n.Status != state.NodeOffline {
		t.Errorf("a node that did not come back: %+v, %v", n, err)
	}
}
