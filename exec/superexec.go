package exec

import (
	"context"
	"errors"
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
	"github.com/rhizome-fl/rhizome/internal/daemon"
	"github.com/rhizome-fl/rhizome/internal/datadir"
)

// Run is the life of a SuperExec. It takes back the apps of its predecessor on the same data
// folder and runs tasks until ctx ends; then it ends all apps, tells the host, and returns
// nil. Anything else it returns is an error that a new attempt with the same configuration
// would run into again. To leave the apps alone, kill the process.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	env, err := findPython(ctx, cfg.Python)
	if err != nil {
		return err
	}
	s := &superExec{cfg: cfg, env: env, slots: make(chan struct{}, cfg.MaxApps), byTask: make(map[uint64]*app)}
	err = s.daemon.Open(ctx,
		daemon.Step{Name: "data", Open: s.openData},
		daemon.Step{Name: "Runtime API", Open: s.openHost},
		daemon.Step{Name: "executor", Open: s.openExecutor},
		daemon.Step{Name: "card", Open: s.openCard},
	)
	if err != nil {
		return err
	}
	s.daemon.Part("tasks", s.run)
	return errors.Join(s.daemon.Run(ctx), s.daemon.Close())
}

// run takes back apps and runs tasks until ctx ends; it returns once all apps have ended.
func (s *superExec) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.apps.Wait()
	defer cancel() // before the wait: no more work is done for a host that refuses us
	if err := s.takeBack(ctx); err != nil {
		return err
	}
	if s.cfg.OnReady != nil {
		s.cfg.OnReady()
	}
	return s.work(ctx)
}

// superExec is the state that all apps share.
type superExec struct {
	cfg      Config
	env      python.Env
	daemon   daemon.Daemon
	dir      *datadir.Dir
	home     string // FLWR_HOME of the apps
	api      *client
	executor executor.Executor
	journal  *journal
	logs     *output.Logs
	gate     *install.Gate

	slots chan struct{} // holds a value for each app that counts against MaxApps
	apps  sync.WaitGroup

	mu     sync.Mutex
	byTask map[uint64]*app // the latest launch of each task that runs here
}

// openData takes over the data folder with whatever a predecessor left in it.
func (s *superExec) openData(context.Context) (err error) {
	if s.dir, err = datadir.Open(s.cfg.DataDir, "exec"); err != nil {
		return err
	}
	s.daemon.Opened(s.dir.Close)
	home, isUsers := os.LookupEnv("FLWR_HOME")
	if !isUsers {
		home = s.dir.Path("flwr-home")
		if err := os.MkdirAll(home, 0o700); err != nil {
			return fmt.Errorf("FLWR_HOME of the apps: %w", err)
		}
	}
	s.home, s.gate = home, install.New(home, !isUsers)
	if s.journal, err = openJournal(s.dir.Path("apps")); err != nil {
		return err
	}
	if s.logs, err = output.OpenLogs(s.dir.Path("logs")); err != nil {
		return err
	}
	return nil
}

// openCard records what this SuperExec was started with, for whoever starts the next one here.
func (s *superExec) openCard(context.Context) error {
	return launch.WriteCard(s.cfg.DataDir, os.Args[1:])
}

// openHost prepares to talk to the Runtime API; it does not connect yet.
func (s *superExec) openHost(context.Context) (err error) {
	if s.api, err = newClient(s.cfg); err != nil {
		return err
	}
	s.daemon.Opened(func() error { s.api.close(); return nil })
	return nil
}

// openExecutor prepares what runs apps, with warm starts where they are possible and wanted.
func (s *superExec) openExecutor(context.Context) error {
	cold, err := subprocess.New(s.env, s.cfg.Limits)
	if err != nil {
		return err
	}
	s.executor = cold
	if !s.cfg.Cold {
		s.warmUp(cold)
	}
	return nil
}

// warmUp puts an executor with warm starts in front of the cold one, where that is possible.
func (s *superExec) warmUp(cold *subprocess.Executor) {
	executor, err := warm.New(warm.Config{
		Dir: s.dir.Path("warm"), Python: s.env, Cold: cold,
		Preload: s.cfg.Preload, Env: s.cfg.appEnv(s.home), Output: os.Stderr,
	})
	if err != nil {
		log.Info("every app will start cold", "err", err)
		return
	}
	s.executor = executor
	s.daemon.Opened(func() error { executor.Close(); return nil })
}
