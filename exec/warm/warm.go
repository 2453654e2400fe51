package warm

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/python"
	"github.com/rhizome-fl/rhizome/exec/subprocess"
)

//go:embed forkserver.py
var script []byte

// Config is the configuration of an Executor.
type Config struct {
	// Dir holds the script and what was learnt about apps.
	Dir string
	// Python is the environment of the apps.
	Python python.Env
	// Cold starts what cannot be started warm, and takes processes back.
	Cold *subprocess.Executor
	// Preload names modules to import besides what is learnt.
	Preload []string
	// Env is added to the environment in which the fork servers import; it must contain everything
	// that apps get in every Spec.Env, since modules read variables at import.
	Env []string
	// Output receives what imports print. It is not closed.
	Output *os.File
}

// Executor implements executor.Executor.
type Executor struct {
	Config
	interpreter string

	mu      sync.Mutex
	servers []*kept // the one used last is first
	retryAt time.Time
	closed  bool
}

// New makes an executor and begins to load the server that suits every app. An error means
// that warm starts are not possible here; the caller then uses cold ones.
func New(cfg Config) (*Executor, error) {
	if goruntime.GOOS != "linux" {
		return nil, errors.New("warm starts work on Linux only")
	}
	interpreter, err := interpreterOf(cfg.Python)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "learned"), 0o700); err != nil {
		return nil, fmt.Errorf("folder for warm starts: %w", err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Dir, "forkserver.py"), script, 0o600); err != nil {
		return nil, fmt.Errorf("write the fork server: %w", err)
	}
	e := &Executor{Config: cfg, interpreter: interpreter}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.load(""); err != nil {
		return nil, err
	}
	return e, nil
}

// Start implements executor.Executor.
func (e *Executor) Start(spec executor.Spec) (executor.Process, error) {
	process, err := e.startWarm(spec)
	if err == nil {
		return process, nil
	}
	log.Info("starting an app cold", "type", spec.Type, "reason", err)
	return e.Cold.Start(spec)
}

// Close lets each fork server end once its last app has ended, and waits for those that have
// none. From now on, starts are cold.
func (e *Executor) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for _, k := range e.servers {
		if k.close() {
			<-k.lost
		}
	}
	e.servers = nil
}

func (e *Executor) startWarm(spec executor.Spec) (executor.Process, error) {
	s, err := e.choose(spec.FABHash)
	if err != nil {
		return nil, err
	}
	program, err := e.Python.Program(spec.Type)
	if err != nil {
		return nil, err
	}
	r := request{
		Entry: spec.Type,
		Argv:  append([]string{program}, spec.Args...),
		Env:   environment(os.Environ(), e.Python.Environ(), spec.Env),
		Mark:  markOf(spec.TokenFile),
	}
	if spec.FABHash != "" && !e.seen(spec.FABHash) {
		r.Learn = e.learned(spec.FABHash)
	}
	id, exit, err := s.fork(r, spec.Output)
	if err != nil {
		return nil, err
	}
	return e.Cold.Told(id, exit), nil
}

var _ executor.Executor = (*Executor)(nil)
