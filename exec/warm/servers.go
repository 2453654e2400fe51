package warm

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// kept is a server for one app; the empty hash marks the one that knows only what all apps need.
type kept struct {
	fabHash string
	*server
}

// choose returns a server that is ready: the one for this app or, while that is loading, the one
// for all apps. It begins to load whatever is missing.
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

// usable finds or loads the server of an app and marks it as most recently used. e.mu is held.
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
	// A module that eats memory when it is imported here would do the same in the app.
	if err := e.Cold.Limit(s.cmd.Process.Pid); err != nil {
		log.Warn("a fork server runs without the limits of its apps", "err", err)
	}
	k := &kept{fabHash: fabHash, server: s}
	e.servers = append([]*kept{k}, e.servers...)
	e.evict()
	return k, nil
}

// evict closes the least recently used servers, but never the one for all apps.
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

// drop forgets a server that cannot serve. If it is unsafe because of what its app needs, it is
// not tried again for that app.
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

// alwaysPreloaded is what every Flower app needs, whatever it trains with. The modules in the
// second line are imported only when a connection is opened, a FAB is unpacked or a random number
// is drawn: a third of what an app did before it reached its handler. Anything that nearly all apps
// use and that is missing here would get each of them a server of its own.
var alwaysPreloaded = []string{
	"flwr.supernode.cli", "flwr.superlink.cli", "flwr.clientapp", "flwr.serverapp", "numpy",
	"httpcore", "encodings.ascii", "encodings.cp437", "numpy.random",
}

func orCommon(fabHash string) string {
	if fabHash == "" {
		return "common"
	}
	return fabHash
}
