package exec

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/install"
	"github.com/rhizome-fl/rhizome/exec/launch"
	"github.com/rhizome-fl/rhizome/exec/output"
	"github.com/rhizome-fl/rhizome/exec/python"
	"github.com/rhizome-fl/rhizome/exec/subprocess"
	"github.com/rhizome-fl/rhizome/exec/warm"
	"github.com/rhizome-fl/rhizome/internal/datadir"
	"github.com/rhizome-fl/rhizome/protocol/flwr/flwrpb"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// taskTypes are the tasks that a SuperExec can run.
var taskTypes = []string{task.TypeServerApp, task.TypeClientApp}

// Run is a SuperExec's life. It takes back the apps of its predecessor on the same data
// folder and runs tasks until ctx ends; then it ends all apps, tells the host, and returns
// nil. Any other return is an error that a new attempt with the same configuration would
// meet again. To leave the apps alone, kill the process.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	env, err := findPython(ctx, cfg.Python)
	if err != nil {
		return err
	}
	dir, err := datadir.Open(cfg.DataDir, "exec")
	if err != nil {
		return err
	}
	defer dir.Close()
	s, err := newSuperExec(cfg, env, dir)
	if err != nil {
		return err
	}
	defer s.api.close()
	defer s.closeExecutor()
	if err := launch.WriteCard(cfg.DataDir, os.Args[1:]); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer s.apps.Wait()
	defer cancel() // before the wait: a host that refuses us gets no more work done
	if err := s.takeBack(ctx); err != nil {
		return err
	}
	if cfg.OnReady != nil {
		cfg.OnReady()
	}
	return s.work(ctx)
}

// superExec is the state that all apps share.
type superExec struct {
	cfg      Config
	home     string // FLWR_HOME of the apps
	api      *client
	executor executor.Executor
	journal  *journal
	logs     *output.Logs
	gate     *install.Gate
	// closeExecutor ends what the executor keeps besides the apps.
	closeExecutor func()

	slots chan struct{} // holds a value for each app that counts against MaxApps
	apps  sync.WaitGroup

	mu     sync.Mutex
	byTask map[uint64]*app // the latest launch of each task that runs here
}

// CheckPython says what is missing in the Python environment of a setting (Config.Python)
// for a SuperExec to run apps in it.
func CheckPython(ctx context.Context, setting string) error {
	_, err := findPython(ctx, setting)
	return err
}

// findPython finds an environment with all programs that tasks need.
func findPython(ctx context.Context, setting string) (python.Env, error) {
	env, err := python.Find(ctx, setting)
	if err != nil {
		return python.Env{}, err
	}
	for _, program := range taskTypes {
		if _, err := env.Program(program); err != nil {
			return python.Env{}, err
		}
	}
	return env, nil
}

func newSuperExec(cfg Config, env python.Env, dir *datadir.Dir) (*superExec, error) {
	api, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	s := &superExec{
		cfg:    cfg,
		api:    api,
		slots:  make(chan struct{}, cfg.MaxApps),
		byTask: make(map[uint64]*app),
	}
	home, isUsers := os.LookupEnv("FLWR_HOME")
	if !isUsers {
		home = dir.Path("flwr-home")
		if err := os.MkdirAll(home, 0o700); err != nil {
			return nil, fmt.Errorf("FLWR_HOME of the apps: %w", err)
		}
	}
	s.home, s.gate = home, install.New(home, !isUsers)
	cold, err := subprocess.New(env, cfg.Limits)
	if err != nil {
		return nil, err
	}
	s.executor, s.closeExecutor = cold, func() {}
	if !cfg.Cold {
		s.warmUp(cold, env, dir)
	}
	if s.journal, err = openJournal(dir.Path("apps")); err != nil {
		return nil, err
	}
	if s.logs, err = output.OpenLogs(dir.Path("logs")); err != nil {
		return nil, err
	}
	return s, nil
}

// warmUp puts the executor with warm starts before the one without, where that is possible.
func (s *superExec) warmUp(cold *subprocess.Executor, env python.Env, dir *datadir.Dir) {
	executor, err := warm.New(warm.Config{
		Dir: dir.Path("warm"), Python: env, Cold: cold,
		Preload: s.cfg.Preload, Env: s.cfg.appEnv(s.home), Output: os.Stderr,
	})
	if err != nil {
		log.Infof("every app starts cold: %v", err)
		return
	}
	s.executor, s.closeExecutor = executor, executor.Close
}

// work asks for tasks and starts an app for each, until ctx ends.
func (s *superExec) work(ctx context.Context) error {
	for {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		claimed, token, err := s.acquire(ctx)
		if ctx.Err() != nil {
			return nil // a task that was given to us this moment goes back when its claim expires
		}
		if err != nil {
			return err
		}
		s.apps.Go(func() {
			defer func() { <-s.slots }()
			s.serve(ctx, claimed, token)
		})
	}
}

// acquire returns the next task. Errors are permanent; what may pass is tried again.
func (s *superExec) acquire(ctx context.Context) (*flwrpb.Task, string, error) {
	var retry retrier
	for {
		began := time.Now()
		claimed, token, err := s.api.acquire(ctx, taskTypes)
		switch {
		case ctx.Err() != nil:
			return nil, "", ctx.Err()
		case isPermanent(err):
			return nil, "", s.explain(err)
		case err != nil:
			log.Infof("no answer from the Runtime API, trying on: %v", err)
			retry.wait(ctx)
			continue
		case claimed != nil:
			return claimed, token, nil
		}
		retry.reset()
		// A host that holds requests has used up this time already.
		sleep(ctx, pollInterval-time.Since(began))
	}
}

// explain adds what the user can do about a refusal.
func (s *superExec) explain(err error) error {
	var status *statusError
	if !errors.As(err, &status) {
		return fmt.Errorf("request to the Runtime API at %s: %w", s.cfg.RuntimeAddress, err)
	}
	switch status.status {
	case http.StatusUnauthorized:
		return fmt.Errorf("the Runtime API at %s refuses this SuperExec; do both have the same secret? %w", s.cfg.RuntimeAddress, err)
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return fmt.Errorf("what listens at %s is no Runtime API of Flower: %w", s.cfg.RuntimeAddress, err)
	default:
		return fmt.Errorf("request to the Runtime API at %s: %w", s.cfg.RuntimeAddress, err)
	}
}

// serve is the life of one task here, from claim to report.
func (s *superExec) serve(ctx context.Context, claimed *flwrpb.Task, token string) {
	a := &app{
		s: s, name: launchName(claimed.GetTaskId(), token), token: token,
		rec: record{TaskID: claimed.GetTaskId(), RunID: claimed.GetRunId(), Type: claimed.GetType(), FABHash: claimed.GetFabHash()},
	}
	s.enter(a)
	defer s.leave(a)
	waiting, cancel := context.WithTimeout(ctx, installWait)
	turn, err := s.gate.Enter(waiting, a.rec.FABHash)
	cancel()
	if err != nil {
		log.Warnf("task %d of run %d goes back to its host: %v", a.rec.TaskID, a.rec.RunID, err)
		return
	}
	a.turn = turn
	if err := a.start(); err != nil {
		log.Errorf("start the app of task %d of run %d: %v", a.rec.TaskID, a.rec.RunID, err)
		a.fail(ctx, err)
		return
	}
	a.follow(ctx)
}

// takeBack goes on with the apps that outlived the SuperExec before us.
func (s *superExec) takeBack(ctx context.Context) error {
	found, err := s.journal.load()
	if err != nil {
		return err
	}
	for _, e := range found {
		a := &app{s: s, name: e.name, token: e.token, rec: e.record, turn: &install.Turn{}}
		if !a.attach() {
			// No app has failed, so none is reported: the claim expires, and the host gives the
			// task out again.
			log.Infof("task %d of run %d was not started before its SuperExec died; it goes back to its host", a.rec.TaskID, a.rec.RunID)
			if err := a.forget(); err != nil {
				log.Warnf("clean up after task %d: %v", a.rec.TaskID, err)
			}
			continue
		}
		s.enter(a)
		counted := false
		select {
		case s.slots <- struct{}{}:
			counted = true
		default: // the bound was lowered meanwhile
		}
		s.apps.Go(func() {
			defer s.leave(a)
			if counted {
				defer func() { <-s.slots }()
			}
			a.follow(ctx)
		})
	}
	return nil
}

// enter ends an earlier launch of the same task: its claim must have expired.
func (s *superExec) enter(a *app) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.byTask[a.rec.TaskID]; before != nil {
		before.supersede()
	}
	s.byTask[a.rec.TaskID] = a
}

func (s *superExec) leave(a *app) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byTask[a.rec.TaskID] == a {
		delete(s.byTask, a.rec.TaskID)
	}
}
