package apps_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhizome-fl/rhizome/node/internal/nodetest"
	"github.com/rhizome-fl/rhizome/protocol/flwr"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

func TestAcquireWaits(t *testing.T) {
	f, run := newFixture(t, nil), nodetest.NewRun(t, 7)
	got := make(chan *flwrpb.AcquireTaskResponse, 1)
	go func() {
		res, err := f.AcquireTask(context.Background(), clientApp)
		if err != nil {
			t.Error(err)
		}
		got <- res
	}()
	m := f.accept(run, 1)
	res := <-got
	if res.GetTask().GetRunId() != 7 || res.GetTask().GetType() != task.TypeClientApp || res.GetTask().GetFabHash() != run.FABHash ||
		res.GetTask().GetStartingAt() == "" {
		t.Errorf("task = %v", res.GetTask())
	}

	// The slot is taken: another request waits until it is free, or until its client leaves.
	f.accept(run, 2)
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		res, err := f.AcquireTask(ctx, clientApp)
		if err != nil {
			t.Error(err)
		}
		got <- res
	}()
	leave()
	if res := <-got; res.GetToken() != "" {
		t.Fatal("two tasks for one slot")
	}
	go func() {
		res, err := f.AcquireTask(t.Context(), clientApp)
		if err != nil {
			t.Error(err)
		}
		got <- res
	}()
	tk := f.authenticate(res.GetToken())
	f.input(tk)
	f.answer(tk, m)
	f.output(tk, nil)
	if res := <-got; res.GetToken() == "" {
		t.Error("no task although the slot is free")
	}
}

func TestNothingForOtherExecutors(t *testing.T) {
	f := newFixture(t, nil)
	f.accept(nodetest.NewRun(t, 7), 1)
	ctx, leave := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer leave()
	res, err := f.AcquireTask(ctx, &flwrpb.AcquireTaskRequest{SupportedTaskTypes: []string{task.TypeServerApp}})
	if err != nil || res.GetToken() != "" {
		t.Errorf("acquired %v, %v", res, err)
	}
}

func TestAwaitTaskEnd(t *testing.T) {
	f, run := newFixture(t, nil), nodetest.NewRun(t, 7)
	m := f.accept(run, 1)
	tk := f.acquire()
	f.input(tk)
	ended := make(chan error, 1)
	ctx, leave := context.WithCancel(t.Context())
	go func() { ended <- f.AwaitTaskEnd(ctx, tk) }()
	f.answer(tk, m)
	f.output(tk, nil)
	leave()
	if err := <-ended; err == nil {
		t.Error("the app's own end was reported as somebody else's")
	}

	f.accept(run, 2)
	tk = f.acquire()
	go func() { ended <- f.AwaitTaskEnd(t.Context(), tk) }()
	if _, err := f.store.DropRun(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("await-task-end = %v", err)
	}
	if _, err := f.PullTaskInput(t.Context(), tk); err == nil {
		t.Error("a task of a dropped run was started")
	} else {
		wantCode(t, err, flwr.CodeRunIDNotFound)
	}
	f.output(tk, nil)
}

func TestSilentApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, run := newFixture(t, nil), nodetest.NewRun(t, 7)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { f.Run(ctx); close(done) }()
		f.accept(run, 1)
		f.accept(run, 2)
		tk := f.acquire()
		f.input(tk)
		for range 5 {
			<-time.After(20 * time.Second)
			if alive, err := f.Heartbeat(t.Context(), tk); err != nil || !alive {
				t.Fatalf("heartbeat = %v, %v", alive, err)
			}
		}
		next := make(chan task.Task)
		go func() { next <- f.acquire() }()
		began := time.Now()
		started := <-next // the slot is free once the silent app has been given up
		if waited := time.Since(began); waited > task.HeartbeatLimit {
			t.Errorf("given up after %s", waited)
		}
		f.onlyCrash()

		// The next one is claimed and never started, so it can be claimed again.
		again := f.acquire()
		if again.MessageID != started.MessageID || again.ID == started.ID {
			t.Errorf("claimed %+v, then %+v", started, again)
		}
		stop()
		<-done
	})
}
