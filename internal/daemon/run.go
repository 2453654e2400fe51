package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// part is something that runs until its context ends.
type part struct {
	name string
	run  func(ctx context.Context) error
}

// Part adds an inner part: it keeps running until every edge part has returned. A part that
// returns nil has nothing more to do; one that returns an error stops the daemon.
func (d *Daemon) Part(name string, run func(ctx context.Context) error) {
	d.inner = append(d.inner, part{name, run})
}

// Edge adds a part that is stopped first, while the inner parts still work for it.
func (d *Daemon) Edge(name string, run func(ctx context.Context) error) {
	d.edge = append(d.edge, part{name, run})
}

// Run starts all parts together. It returns once all parts have returned, after ctx has ended
// (which is not an error) or a part has failed.
func (d *Daemon) Run(ctx context.Context) error {
	edgeCtx, stopEdge := context.WithCancel(ctx)
	defer stopEdge()
	innerCtx, stopInner := context.WithCancel(context.WithoutCancel(ctx))
	defer stopInner()

	var first firstError
	start := func(ctx context.Context, parts []part) *sync.WaitGroup {
		var running sync.WaitGroup
		for _, p := range parts {
			running.Go(func() {
				if err := p.runUntil(ctx); err != nil {
					first.set(err)
					stopEdge()
				}
			})
		}
		return &running
	}
	inner := start(innerCtx, d.inner)
	edge := start(edgeCtx, d.edge)

	<-edgeCtx.Done()
	edge.Wait()
	stopInner()
	inner.Wait()
	return first.get()
}

// runUntil runs the part. Ending because it was told to stop is not an error.
func (p part) runUntil(ctx context.Context) error {
	err := p.run(ctx)
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return fmt.Errorf("%s: %w", p.name, err)
}

// firstError keeps the first of several errors.
type firstError struct {
	mu  sync.Mutex
	err error
}

func (f *firstError) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *firstError) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
