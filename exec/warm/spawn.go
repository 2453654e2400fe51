package warm

import (
	"fmt"
	"net"
	"os"
	osexec "os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhizome-fl/rhizome/protocol/task"
)

// startServer starts a fork server, which loads in the background.
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
		exits: make(map[int]chan task.Exit),
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

// reap ends the server process, which also ends by itself once its socket has, and collects it.
func (s *server) reap() {
	kill := time.AfterFunc(stopLimit, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	_ = s.cmd.Wait() // how it ended is in its output
}
