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
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/exec/process"
	"github.com/rhizome-fl/rhizome/internal/runtimeapi"
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
	exits  map[int]chan runtimeapi.Exit // of the apps that run
	asking bool                         // an app may be started this moment
}

type answer struct {
	pid    int
	exit   <-chan runtimeapi.Exit
	detail string
}

type event struct {
	Event   string           `json:"event"`
	Failed  []string         `json:"failed"`
	Watch   map[string]int64 `json:"watch"`   // Unix nanoseconds; 0: no such folder
	Threads int              `json:"threads"` // that forks do not have
	PID     int              `json:"pid"`
	Status  int              `json:"status"`
	Detail  string           `json:"detail"`
}

type request struct {
	Entry string            `json:"entry"`
	Argv  []string          `json:"argv"`
	Env   map[string]string `json:"env"`
	Mark  string            `json:"mark"`
	Learn string            `json:"learn,omitempty"`
}

// startServer starts a fork server; it loads in the background.
func startServer(interpreter, script, preload string, env []string, output *os.File) (*server, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("socket of the fork server: %w", err)
	}
	defer ours.Close() // FileConn duplicates it
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("socket of the fork server: %w", err)
	}
	cmd := osexec.Command(interpreter, script, "3", preload)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Env = env
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start the fork server: %w", err)
	}
	s := &server{
		cmd: cmd, conn: conn.(*net.UnixConn),
		ready: make(chan struct{}), answers: make(chan answer, 1), lost: make(chan struct{}),
		exits: make(map[int]chan runtimeapi.Exit),
	}
	go s.read()
	return s, nil
}

// socketPair makes two connected sockets that no other child inherits.
func socketPair() (ours, theirs *os.File, err error) {
	// SOCK_CLOEXEC would do both steps at once, and does not exist on darwin.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, err
	}
	for _, fd := range pair {
		unix.CloseOnExec(fd)
	}
	return os.NewFile(uintptr(pair[0]), "forkserver"), os.NewFile(uintptr(pair[1]), "forkserver-child"), nil
}

// read is the server's only reader; it ends when the server does, and reaps it.
func (s *server) read() {
	lines := bufio.NewScanner(s.conn)
	lines.Buffer(make([]byte, 0, 4096), maxEvent)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			log.Warnf("fork server: %v", err)
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
			log.Debugf("fork server could not preload %v", e.Failed)
		}
		if e.Threads != 0 {
			s.err = fmt.Errorf("preloading has started %d threads, which a fork does not copy", e.Threads)
		}
		s.watch = e.Watch
		close(s.ready)
	case "started":
		exit := make(chan runtimeapi.Exit, 1)
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
			exit <- exitOf(e.Status)
		}
	}
}

// fork asks for one app. An error means that no app was started.
func (s *server) fork(r request, output *os.File) (process.Identity, <-chan runtimeapi.Exit, error) {
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
		if err != nil { // it has ended already; its exit is told
			id = process.Identity{PID: got.pid}
		}
		return id, got.exit, nil
	case <-s.lost:
	case <-timer.C:
		_ = s.cmd.Process.Kill()
		<-s.lost // so that the app can not be started after we said it was not
	}
	return process.Identity{}, nil, errLost
}

// send writes the request with the output file attached to its first byte.
func (s *server) send(line []byte, output *os.File) error {
	n, _, err := s.conn.WriteMsgUnix(line, unix.UnixRights(int(output.Fd())), nil)
	if err != nil {
		return err
	}
	_, err = s.conn.Write(line[n:])
	return err
}

// serves says whether the server can still be used.
func (s *server) serves() bool {
	select {
	case <-s.lost:
		return false
	default:
		return true
	}
}

// stale says whether packages were installed or removed since it began to load. While it loads
// nobody knows yet.
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

// close lets the server end once its last app has; their exits are told until then. One
// that has no app ends now: while it imports it does not look at its socket.
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

// reap ends the server process, which ends by itself when its socket has, and collects it.
func (s *server) reap() {
	kill := time.AfterFunc(stopLimit, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	_ = s.cmd.Wait() // how it ended is in its output
}

func exitOf(status int) runtimeapi.Exit {
	if status < 0 {
		return runtimeapi.Exit{Code: -1, Signal: unix.SignalName(syscall.Signal(-status))}
	}
	return runtimeapi.Exit{Code: status}
}

// changeTime of a folder in Unix nanoseconds; 0 if there is none.
func changeTime(path string) int64 {
	info, err := os.Stat(filepath.Clean(path))
	if err != nil {
		return 0
	}
	return info.ModTime().UnixNano()
}
