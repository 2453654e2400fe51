package exec

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/install"
	"github.com/rhizome-fl/rhizome/exec/launch"
	"github.com/rhizome-fl/rhizome/exec/output"
	"github.com/rhizome-fl/rhizome/exec/python"
	"github.com/rhizome-fl/rhizome/exec/subprocess"
	"github.com/rhizome-fl/rhizome/exec/warm"
	"github.com/rhizome-fl/rhizome/internal/datadir"
)

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
