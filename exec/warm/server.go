package warm

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	osexec "os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/rhizome-fl/rhizome/exec/process"
	"github.com/rhizome-fl/rhizome/protocol/task"
)

// errLost: the fork server is gone or does not answer. Starts go cold.
var errLost = errors.New("the fork server is lost")

// server is one running fork server.
type server struct {
	cmd  *osexec.Cmd
	conn *net.UnixConn

	ready chan struct{}    // closed when it serves; watch and err are set before
	watch map[string]int64 // packages folders, with the time of their last change
	err   error            // why it never served

	requests sync.Mutex // one request at a time is on its way
	answers  chan answer
	lost     chan struct{} // closed when its socket has ended and it was reaped

	mu     sync.Mutex
	exits  map[int]chan task.Exit // of the apps that run
	asking bool                   // an app may be starting at this moment
}

// read is the server's only reader; it ends when the server does, and then reaps it.
func (s *server) read() {
	lines := bufio.NewScanner(s.conn)
	lines.Buffer(make([]byte, 0, 4096), maxEvent)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			log.Warn("a fork server sent an unreadable line; giving it up", "err", err)
			break
		}
		s.handle(e)
	}
	_ = s.conn.Close()
	select {
	case <-s.ready:
	default:
		s.err = errLost
		close(s.ready)
	}
	s.reap()
	s.mu.Lock()
	for _, exit := range s.exits {
		close(exit)
	}
	s.exits = nil
	s.mu.Unlock()
	close(s.lost)
}

func (s *server) handle(e event) {
	switch e.Event {
	case "ready":
		if len(e.Failed) > 0 {
			log.Debug("a fork server could not preload all modules", "failed", e.Failed)
		}
		if e.Threads != 0 {
			s.err = fmt.Errorf("preloading has started %d threads, which a fork does not copy", e.Threads)
		}
		s.watch = e.Watch
		close(s.ready)
	case "started":
		exit := make(chan task.Exit, 1)
		s.mu.Lock()
		s.exits[e.PID], s.asking = exit, false
		s.mu.Unlock()
		s.answers <- answer{pid: e.PID, exit: exit}
	case "failed":
		s.ask(false)
		s.answers <- answer{detail: e.Detail}
	case "exited":
		s.mu.Lock()
		exit := s.exits[e.PID]
		delete(s.exits, e.PID)
		s.mu.Unlock()
		if exit != nil {
			exit <- process.ExitOfStatus(e.Status)
		}
	}
}

// fork asks for one app. An error means that no app was started.
func (s *server) fork(r request, output *os.File) (process.Identity, <-chan task.Exit, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return process.Identity{}, nil, fmt.Errorf("ask the fork server: %w", err)
	}
	s.requests.Lock()
	defer s.requests.Unlock()
	s.ask(true)
	deadline := time.Now().Add(answerLimit)
	_ = s.conn.SetWriteDeadline(deadline)
	if err := s.send(append(line, '\n'), output); err != nil {
		s.close()
		return process.Identity{}, nil, fmt.Errorf("%w: %v", errLost, err)
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case got := <-s.answers:
		if got.exit == nil {
			return process.Identity{}, nil, fmt.Errorf("the fork server refused: %s", got.detail)
		}
		id, err := process.Of(got.pid)
		if err != nil { // it has already ended; its exit is reported
			id = process.Identity{PID: got.pid}
		}
		return id, got.exit, nil
	case <-s.lost:
	case <-timer.C:
		_ = s.cmd.Process.Kill()
		<-s.lost // so that the app cannot start after we have said that it did not
	}
	return process.Identity{}, nil, errLost
}

// serves tells whether the server can still be used.
func (s *server) serves() bool {
	select {
	case <-s.lost:
		return false
	default:
		return true
	}
}

// stale tells whether packages were installed or removed since the server began to load. While
// it loads, that is unknown.
func (s *server) stale() bool {
	if !isReady(s) {
		return false
	}
	for path, changed := range s.watch {
		if changeTime(path) != changed {
			return true
		}
	}
	return false
}

func (s *server) ask(asking bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking = asking
}

// close lets the server end once its last app has ended; until then it reports the exits. A
// server without apps is idle and has to be ended now: while it imports, it does not look at its
// socket.
func (s *server) close() (idle bool) {
	_ = s.conn.CloseWrite()
	s.mu.Lock()
	defer s.mu.Unlock()
	idle = len(s.exits) == 0 && !s.asking
	if idle {
		_ = s.cmd.Process.Kill()
	}
	return idle
}

// changeTime returns the change time of a folder in Unix nanoseconds; 0 if it does not exist.
func changeTime(path string) int64 {
	info, err := os.Stat(filepath.Clean(path))
	if err != nil {
		return 0
	}
	return info.ModTime().UnixNano()
}
