package link

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/rhizome-fl/rhizome/exec/launch"
)

// superExec is the link's SuperExec, if the link has one of its own.
type superExec struct {
	options *launch.Options // nil: the user starts it
	leave   bool

	mu      sync.Mutex
	running *launch.SuperExec
	failure error
}

func (l *Link) newSuperExec() *superExec {
	s := &superExec{leave: l.cfg.LeaveSuperExec}
	if l.cfg.SuperExec != nil {
		options := l.cfg.SuperExec(l.dir.Path("superexec"), l.runtimeAddress())
		s.options = &options
	}
	return s
}

// runtimeAddress is where processes of this machine reach the HTTP APIs.
func (l *Link) runtimeAddress() string {
	host, port, err := net.SplitHostPort(l.HTTPAddress())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return l.HTTPAddress()
}

// start starts the SuperExec, again and again until it works or ctx ends: a link without
// one still serves its nodes and tells in its status what is wrong.
func (s *superExec) start(ctx context.Context) {
	if s.options == nil {
		return
	}
	_ = persist(ctx, "start the SuperExec", func() error {
		running, err := launch.Start(ctx, *s.options)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running, s.failure = running, err
		return err
	})
}

// stop ends the SuperExec and its apps, or leaves them to the next link on this data.
func (s *superExec) stop(ctx context.Context) error {
	s.mu.Lock()
	running := s.running
	s.mu.Unlock()
	switch {
	case running == nil:
		return nil
	case s.leave:
		running.Leave()
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, superExecStop)
	defer cancel()
	if err := running.Stop(ctx); err != nil {
		return fmt.Errorf("stop the SuperExec: %w", err)
	}
	return nil
}

// describe completes "the SuperExec is ...".
func (s *superExec) describe() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.options == nil:
		return "left to the user to start"
	case s.failure != nil:
		return fmt.Sprintf("not running: %v", s.failure)
	case s.running == nil:
		return "starting"
	}
	return fmt.Sprintf("running (process %d)", s.running.PID())
}
