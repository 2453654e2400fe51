// Package statetest is the conformance suite of state.Store: every implementation runs it
// against itself with [Run].
//
// It sees an implementation only from outside, through the interface, the bell and a reopened store.
// It is not responsible for anything that only one implementation has, such as damaged files.
package statetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rhizome-fl/rhizome/internal/wake"
	"github.com/rhizome-fl/rhizome/link/state"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// Open opens the store that lives in a directory, or creates it there. now is its clock.
type Open func(ctx context.Context, dir string, now func() time.Time) (state.Store, error)

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, *env){
		"run":                  testRun,
		"run rules":            testRunRules,
		"run series":           testSeries,
		"run list":             testRunList,
		"a run in a list":      testRunListIsWhole,
		"run bound":            testRunBound,
		"run end":              testRunEndsEverything,
		"forget":               testForget,
		"forget by size":       testForgetBySize,
		"logs":                 testLogs,
		"logs are bounded":     testLogsAreBounded,
		"objects":              testObjects,
		"objects, holders":     testHolders,
		"objects, concurrent":  testReleaseAgainstRegister,
		"objects, failing":     testReleaseThatFails,
		"objects, spare":       testSpareObjects,
		"objects, unreadable":  testSpareObjectsOfUnreadable,
		"tasks":                testTasks,
		"task expiry":          testTaskExpiry,
		"instruction rules":    testInstructionRules,
		"instruction life":     testInstructionLife,
		"leases":               testLeases,
		"replies":              testReplies,
		"answers":              testAnswers,
		"answers to strangers": testAnswersOfOtherRuns,
		"message lifetimes":    testMessageLifetimes,
		"unlease":              testUnlease,
		"drop":                 testDrop,
		"nodes":                testNodes,
		"node keys":            testNodeKeys,
		"node liveness":        testNodeLiveness,
		"members":              testMembers,
		"join tokens":          testJoinTokens,
		"join race":            testJoinRace,
		"deadlines":            testDeadlines,
		"restart":              testRestart,
		"model":                testModel,
	} {
		t.Run(name, func(t *testing.T) { test(t, newEnv(t, open)) })
	}
}

// env is a store with a clock that the test moves.
type env struct {
	state.Store
	t    testing.TB
	ctx  context.Context
	open Open
	dir  string

	mu    sync.Mutex
	clock time.Time
}

func newEnv(t testing.TB, open Open) *env {
	t.Helper()
	e := &env{t: t, ctx: t.Context(), open: open, dir: t.TempDir(), clock: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)}
	e.reopen()
	t.Cleanup(func() { _ = e.Store.Close() })
	return e
}

// reopen closes the store and opens it again, as after a restart of the link.
func (e *env) reopen() {
	e.t.Helper()
	if e.Store != nil {
		e.ok(e.Store.Close())
	}
	store, err := e.open(e.ctx, e.dir, e.now)
	if err != nil {
		e.t.Fatal(err)
	}
	e.Store = store
}

func (e *env) now() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.clock
}

// pass moves the clock and applies deadlines.
func (e *env) pass(d time.Duration) (next time.Time) {
	e.t.Helper()
	e.mu.Lock()
	e.clock = e.clock.Add(d)
	e.mu.Unlock()
	next, err := e.Expire(e.ctx, e.now())
	e.ok(err)
	if !next.IsZero() && !next.After(e.now()) {
		e.t.Errorf("the next deadline %v is not after %v", next, e.now())
	}
	return next
}

func (e *env) ok(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// want checks an error against a sentinel, or nil.
func (e *env) want(what string, got, want error) {
	e.t.Helper()
	if !errors.Is(got, want) {
		e.t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// rings fails unless the change wakes each of the keys.
func (e *env) rings(what string, change func(), keys ...wake.Key) {
	e.t.Helper()
	e.heard(what, true, change, keys...)
}

// silent fails if the change wakes any of the keys.
func (e *env) silent(what string, change func(), keys ...wake.Key) {
	e.t.Helper()
	e.heard(what, false, change, keys...)
}

func (e *env) heard(what string, want bool, change func(), keys ...wake.Key) {
	e.t.Helper()
	watches := make([]*wake.Watch, len(keys))
	for i, key := range keys {
		watches[i] = e.Bell().Watch(key)
		defer watches[i].Close()
	}
	change()
	for i, key := range keys {
		if got := len(watches[i].C) == 1; got != want {
			e.t.Errorf("%s: rang %v is %v, want %v", what, key, got, want)
		}
	}
}

// newRun creates a run.
func (e *env) newRun() state.Run {
	e.t.Helper()
	run, err := e.CreateRun(e.ctx, state.NewRun{TaskType: task.TypeServerApp, FABID: "pub/app", FABVersion: "1.0.0",
		FABHash: objectID("fab"), Federation: state.FederationDefault, AccountID: state.AccountNone})
	e.ok(err)
	return run
}

// runningRun creates a run and starts its primary task.
func (e *env) runningRun() state.Run {
	e.t.Helper()
	run := e.newRun()
	_, _, ok, err := e.ClaimTask(e.ctx, []string{task.TypeServerApp})
	if err != nil || !ok {
		e.t.Fatal("claim: ", ok, err)
	}
	e.ok(e.ActivateTask(e.ctx, run.PrimaryTask.ID))
	return run
}

// onlineNode registers and activates a node for an hour.
func (e *env) onlineNode(name string) state.Node {
	e.t.Helper()
	node, err := e.RegisterNode(e.ctx, state.Node{PeerID: "peer-" + name, PublicKey: []byte("key-" + name), Name: name})
	e.ok(err)
	e.ok(e.ActivateNode(e.ctx, node.ID, 30*time.Second, e.now().Add(time.Hour), false))
	return node
}

// instruction is a message that lives for ten minutes.
func (e *env) instruction(id string, run, node uint64) state.Message {
	return state.Message{ID: id, RunID: run, NodeID: node, State: state.Waiting, Proto: []byte("proto of " + id),
		Tree: []byte("tree of " + id), CreatedAt: float64(e.now().UnixMicro()) / 1e6, TTL: 600}
}

func (e *env) reply(id string, to state.Message) state.Message {
	m := e.instruction(id, to.RunID, to.NodeID)
	m.ReplyTo = to.ID
	return m
}

// insert stores instructions that must be accepted.
func (e *env) insert(msgs ...state.Message) {
	e.t.Helper()
	refused, err := e.InsertInstructions(e.ctx, msgs)
	e.ok(err)
	if err := errors.Join(refused...); err != nil {
		e.t.Fatal(err)
	}
}

// answer asks for a single answer and checks Answered on the way.
func (e *env) answer(run uint64, id string) state.Answer {
	e.t.Helper()
	answers, err := e.Answers(e.ctx, run, []string{id})
	e.ok(err)
	if len(answers) != 1 || answers[0].InstructionID != id {
		e.t.Fatalf("asked for %s, got %+v", id, answers)
	}
	answered, err := e.Answered(e.ctx, run, []string{id})
	e.ok(err)
	if (len(answered) == 1) != (answers[0].Kind != state.NoAnswerYet) {
		e.t.Errorf("Answered names %v, and Answers says %v", answered, answers[0].Kind)
	}
	return answers[0]
}

func (e *env) wantKind(run uint64, id string, want state.AnswerKind) {
	e.t.Helper()
	if got := e.answer(run, id); got.Kind != want {
		e.t.Errorf("answer to %s is of kind %v, want %v", id, got.Kind, want)
	}
}

// wantIDs compares messages with ids, in order.
func (e *env) wantIDs(what string, msgs []state.Message, err error, ids ...string) {
	e.t.Helper()
	e.ok(err)
	got := make([]string, len(msgs))
	for i, m := range msgs {
		got[i] = m.ID
	}
	if fmt.Sprint(got) != fmt.Sprint(ids) {
		e.t.Errorf("%s: got %v, want %v", what, got, ids)
	}
}
