package warm

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/exec/executor"
	"github.com/rhizome-fl/rhizome/exec/process"
	"github.com/rhizome-fl/rhizome/exec/python"
	"github.com/rhizome-fl/rhizome/exec/subprocess"
)

//go:embed forkserver.py
var script []byte

// alwaysPreloaded is what every app of Flower needs, whatever it trains with. Those of the
// second line are imported only when a connection is opened, a FAB is unpacked or something is
// drawn: a third of what an app did before it reached its handler. What nearly all apps use and
// is not here, each would get a server of its own for.
var alwaysPreloaded = []string{
	"flwr.supernode.cli", "flwr.superlink.cli", "flwr.clientapp", "flwr.serverapp", "numpy",
	"httpcore", "encodings.ascii", "encodings.cp437", "numpy.random",
}

// Config of an Executor.
type Config struct {
	// Dir keeps the script and what was learnt about apps.
	Dir string
	// Python is the environment of the apps.
	Python python.Env
	// Cold starts what can not be started warm, and takes processes back.
	Cold *subprocess.Executor
	// Preload names modules to import besides what is learnt.
	Preload []string
	// Env is added to the environment in which the fork servers import; it must hold all
	// that apps get in every Spec.Env, since modules read variables at import.
	Env []string
	// Output takes what imports print. It is not closed.
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

// kept is a server for one app; the empty hash is the one that knows only what all apps need.
type kept struct {
	fabHash string
	*server
}

// New makes an executor and begins to load the server that fits every app. The error says
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
	log.Infof("cold start of %s: %v", spec.Type, err)
	return e.Cold.Start(spec)
}

// Attach implements executor.Executor.
func (e *Executor) Attach(handle json.RawMessage) (executor.Process, error) {
	return e.Cold.Attach(handle)
}

// Find implements executor.Executor. A warm app has written its pid beside its token file.
func (e *Executor) Find(tokenFile string) (executor.Process, error) {
	text, err := os.ReadFile(markOf(tokenFile))
	if err != nil {
		return e.Cold.Find(tokenFile)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, os.ErrProcessDone // it died while it wrote
	}
	id, err := process.Of(pid)
	if err != nil {
		return nil, err
	}
	if !e.isFork(pid) {
		return nil, os.ErrProcessDone // the pid is somebody else's by now
	}
	handle, err := json.Marshal(id)
	if err != nil {
		return nil, err
	}
	return e.Cold.Attach(handle)
}

// Close lets each fork server end once its last app has, and waits for those that have
// none. Starts are cold from now on.
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

// choose gives a server that is ready: the one for this app, or the one for all while that
// loads. It begins to load what is missing.
func (e *Executor) choose(fabHash string) (*server, error) {
	if !e.knows(fabHash) {
		fabHash = ""
	}
	e.mu.Lock()
	own, err := e.usable(fabHash)
	if err != nil {
		e.mu.Unlock()
		return nil, err
	}
	use := own
	if fabHash != "" && !isReady(own.server) {
		if common := e.find(""); common != nil && isReady(common.server) && common.err == nil {
			use = common
		}
	}
	e.mu.Unlock()

	timer := time.NewTimer(loadLimit)
	defer timer.Stop()
	select {
	case <-use.ready:
	case <-timer.C:
		return nil, errors.New("the fork server is still loading")
	}
	if use.err != nil {
		e.drop(use)
		return nil, use.err
	}
	if use.stale() {
		return nil, errors.New("packages have changed while the fork server was loading")
	}
	return use.server, nil
}

// usable finds or loads the server of an app and marks it as used last. e.mu is held.
func (e *Executor) usable(fabHash string) (*kept, error) {
	if e.closed {
		return nil, errors.New("the executor is closed")
	}
	if k := e.find(fabHash); k != nil {
		if k.serves() && !k.stale() {
			e.toFront(k)
			return k, nil
		}
		if !k.serves() {
			e.retryAt = time.Now().Add(backOff)
		}
		e.remove(k)
		k.close()
	}
	return e.load(fabHash)
}

// load starts the server of an app. e.mu is held.
func (e *Executor) load(fabHash string) (*kept, error) {
	if time.Now().Before(e.retryAt) {
		return nil, errLost
	}
	modules := append(append([]string{}, alwaysPreloaded...), e.Preload...)
	if fabHash != "" {
		modules = append(modules, e.readLearned(fabHash)...)
	}
	list := filepath.Join(e.Dir, "preload-"+orCommon(fabHash)+".json")
	text, err := json.Marshal(modules)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(list, text, 0o600); err != nil {
		return nil, fmt.Errorf("write the list of modules: %w", err)
	}
	env := append(append(os.Environ(), e.Python.Environ()...), e.Env...)
	s, err := startServer(e.interpreter, filepath.Join(e.Dir, "forkserver.py"), list, env, e.Output)
	if err != nil {
		return nil, err
	}
	// What eats memory at its import would do so in the app.
	if err := e.Cold.Limit(s.cmd.Process.Pid); err != nil {
		log.Warnf("a fork server runs without the limits of its apps: %v", err)
	}
	k := &kept{fabHash: fabHash, server: s}
	e.servers = append([]*kept{k}, e.servers...)
	e.evict()
	return k, nil
}

// evict closes the servers that were used longest ago, but never the one for all apps.
func (e *Executor) evict() {
	for i := len(e.servers) - 1; i > 0 && len(e.servers) > maxServers; i-- {
		if k := e.servers[i]; k.fabHash != "" {
			e.remove(k)
			k.close()
		}
	}
}

func (e *Executor) find(fabHash string) *kept {
	for _, k := range e.servers {
		if k.fabHash == fabHash {
			return k
		}
	}
	return nil
}

func (e *Executor) toFront(k *kept) {
	e.remove(k)
	e.servers = append([]*kept{k}, e.servers...)
}

func (e *Executor) remove(k *kept) {
	for i, have := range e.servers {
		if have == k {
			e.servers = append(e.servers[:i:i], e.servers[i+1:]...)
			return
		}
	}
}

// drop forgets a server that can not serve. One that is unsafe because of what an app needs
// is not tried again for that app.
func (e *Executor) drop(k *kept) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.remove(k)
	k.close()
	if k.fabHash != "" {
		e.forget(k.fabHash)
		return
	}
	e.retryAt = time.Now().Add(backOff)
}

func isReady(s *server) bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// interpreterOf reads which interpreter the programs of the environment name.
func interpreterOf(env python.Env) (string, error) {
	program, err := env.Program("flwr-clientapp")
	if err != nil {
		return "", err
	}
	file, err := os.Open(program)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", program, err)
	}
	defer file.Close()
	head := make([]byte, 512)
	n, err := file.Read(head)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", program, err)
	}
	line, _, _ := strings.Cut(string(head[:n]), "\n")
	interpreter, ok := strings.CutPrefix(line, "#!")
	interpreter = strings.TrimSpace(interpreter)
	if !ok || !strings.Contains(filepath.Base(interpreter), "python") || strings.ContainsRune(interpreter, ' ') {
		return "", fmt.Errorf("%s does not begin with its interpreter: %q", program, line)
	}
	return interpreter, nil
}

func environment(lists ...[]string) map[string]string {
	env := make(map[string]string)
	for _, list := range lists {
		for _, entry := range list {
			if name, value, ok := strings.Cut(entry, "="); ok {
				env[name] = value
			}
		}
	}
	return env
}

func markOf(tokenFile string) string { return tokenFile + ".pid" }

func orCommon(fabHash string) string {
	if fabHash == "" {
		return "common"
	}
	return fabHash
}

// isFork says whether a process runs our script.
func (e *Executor) isFork(pid int) bool {
	found, err := process.FindByArgument(filepath.Join(e.Dir, "forkserver.py"))
	if err != nil {
		return false
	}
	for _, id := range found {
		if id.PID == pid {
			return true
		}
	}
	return false
}

var _ executor.Executor = (*Executor)(nil)
