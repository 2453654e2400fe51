package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/rhizome-fl/rhizome/exec/launch"
)

// superExec is the node's SuperExec, if the node has one of its own.
type superExec struct {
	options *launch.Options // nil: the user starts it

	mu      sync.Mutex
	running *launch.SuperExec
	failure error
}

func (n *Node) newSuperExec() *superExec {
	s := new(superExec)
	if n.cfg.SuperExec != nil {
		options := n.cfg.SuperExec(n.dir.Path("superexec"), n.RuntimeAddress())
		s.options = &options
	}
	return s
}

// start starts the SuperExec, again and again until it works or ctx ends: a node without
// one still takes messages in, sends answers, and tells in its status what is wrong.
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

// stop ends the SuperExec and its apps, or leaves them to the next node on this data.
func (s *superExec) stop(ctx context.Context, leave bool) error {
	s.mu.Lock()
	running := s.running
	s.mu.Unlock()
	switch {
	case running == nil:
		return nil
	case leave:
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

// persist does what must not be given up: it tries until it succeeds or ctx ends.
func persist(ctx context.Context, doing string, work func() error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = retryFirst, retryMost
	for {
		err := work()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		next := pause.NextBackOff()
		log.Errorw("could not "+doing+"; trying again", "err", err, "in", next.Round(time.Millisecond))
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
