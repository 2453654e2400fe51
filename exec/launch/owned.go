package launch

import (
	"context"
	"fmt"
	"sync"

	"github.com/rhizome-fl/rhizome/internal/retry"
)

// Owned is the SuperExec of a link or a node, which starts it, reports its state, and either
// stops it or leaves it to its successor. Its methods may be called concurrently.
type Owned struct {
	options *Options // nil: the user starts it

	mu      sync.Mutex
	running *SuperExec
	failure error
}

// Own prepares a SuperExec. Nil options mean that somebody else starts it.
func Own(options *Options) *Owned { return &Owned{options: options} }

// Start starts the SuperExec, trying again until it works or ctx ends. Meanwhile its owner does
// everything else, and its status says what is wrong.
func (o *Owned) Start(ctx context.Context) {
	if o.options == nil {
		return
	}
	_ = retry.Do(ctx, log, "start the SuperExec", func() error {
		running, err := Start(ctx, *o.options)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.running, o.failure = running, err
		return err
	})
}

// Stop ends the SuperExec and its apps, or leaves both to the next owner of its data. The
// Runtime API should still answer, so that the ends of the apps can be reported.
func (o *Owned) Stop(ctx context.Context, leave bool) error {
	o.mu.Lock()
	running := o.running
	o.mu.Unlock()
	switch {
	case running == nil:
		return nil
	case leave:
		running.Leave()
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ownedStop)
	defer cancel()
	if err := running.Stop(ctx); err != nil {
		return fmt.Errorf("stop the SuperExec: %w", err)
	}
	return nil
}

// Describe completes "the SuperExec is ...".
func (o *Owned) Describe() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.options == nil:
		return "left to the user to start"
	case o.failure != nil:
		return fmt.Sprintf("not running: %v", o.failure)
	case o.running == nil:
		return "starting"
	}
	return fmt.Sprintf("running (process %d)", o.running.PID())
}
